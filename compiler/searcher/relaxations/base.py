"""The supernet: a lowered space with its architecture parameters, relaxed by mixing (softmax). Other relaxations are in
`compiler.searcher.relaxations`.

Liu, Simonyan, Yang, "DARTS: Differentiable Architecture Search" (ICLR 2019), equation 2; the preferences follow Liu et
al., "Unchain the Search Space with Hierarchical Differentiable Architecture Search" (AAAI 2021).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor, fx, nn, special

from compiler.analysis.costs.existence import ExistenceTooComplex
from compiler.analysis.costs.prices import UndefinedQuantity
from compiler.analysis.requirements.constrained import Answer, derive_within
from compiler.analysis.requirements.evaluate import QuantityRef, Requirements
from compiler.backend.lowering.fx import hold, lower
from compiler.backend.passes import CUDA, FLATTEN, Pass, Target, optimised, run_passes
from compiler.backend.passes.estimate import held_bytes
from compiler.backend.torch_modules.regularisation import DropPath
from compiler.derivation.best_path import decided
from compiler.derivation.strongest import readable
from compiler.elaborate import Elaborated
from compiler.ir.decision import Decision, DecisionKind, Selection
from compiler.ir.quantities import (
    Arithmetic,
    Constant,
    Depth,
    DepthForm,
    Indicator,
    Length,
    Logarithm,
    Loss,
    Preference,
    Quantity,
    Total,
    Unknown,
    parts,
)
from compiler.searcher.settings.derivation import Derivation, Strongest
from compiler.util.errors import UsageError
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.tree.ast import Sense

from .expected_cost import Expectation


class Relaxed(nn.Module):
    """What all relaxations of a space have in common: ``network`` and the architecture parameters.

    ``alphas`` maps each decision's path to its raw parameters; ``weights()`` are all other parameters that are trained.
    Each relaxation is a subclass in `compiler.searcher.relaxations`, which says what a pass computes.

    Args:
        space: an elaborated network with choices.
        network: the module that holds the weights.
        init: standard deviation of the normal distribution that the alphas start from.
        derive: the rule by which the leading architecture is found.
    """

    def __init__(
        self, space: Elaborated, network: nn.Module, init: float = 1e-3, derive: Derivation | None = None
    ) -> None:
        super().__init__()
        self.space = space
        self.derive = derive or Strongest()
        self.network = network
        self.totals = totals_of(space)
        self.required = Requirements(space)
        self.architecture = nn.ParameterDict(
            {
                _key(path): nn.Parameter(init * torch.randn(decision.alphas))
                for path, decision in space.decisions.items()
                if decision.alphas
            }
        )

    # ------------------------------------------------------------ parameters

    @property
    def module(self) -> nn.Module:
        """The network to call: ``forward(images) -> logits``."""
        return self

    @property
    def alphas(self) -> Mapping[str, nn.Parameter]:
        """Raw architecture parameters by decision path."""
        return {path: self.architecture[_key(path)] for path, d in self.space.decisions.items() if d.alphas}

    def weights(self) -> Iterator[nn.Parameter]:
        """Every parameter that is no alpha."""
        return self.network.parameters()

    def mixing(self) -> dict[str, Tensor]:
        """The weights of every decision's items at the current alphas."""
        return {path: mixing(self.space.decisions[path], alpha) for path, alpha in self.alphas.items()}

    # ------------------------------------------------------------ what the search tells

    def anneal(self, epoch: float) -> None:
        """Follow the schedules of the relaxation: so many epochs are done, a fraction. This one has none."""

    # ------------------------------------------------------------ what the search asks

    def preferences(self) -> dict[str, Tensor]:
        """The soft statements of the space, weighted and signed so that they are minimised.

        What no alpha moves is left out, like what has no weight: a step on it alone would still be a step of Adam.
        """
        weights, alphas = self.mixing(), self.alphas
        terms = {
            preference.name: _signed(preference)
            * measure(preference.quantity, alphas, weights, self.space.decisions, self.totals)
            for preference in self.space.preferences
            if preference.weight and not _is_objective(preference)
        }
        return {name: term for name, term in terms.items() if term.requires_grad or not torch.is_grad_enabled()}

    def objective(self, loss: Tensor) -> Tensor:
        """What the alphas are to minimise in place of the loss: the statements that speak of it, else the loss."""
        stated = [preference for preference in self.space.preferences if _is_objective(preference)]
        if not stated:
            return loss
        weights, alphas = self.mixing(), self.alphas
        terms = [
            _signed(preference) * measure(preference.quantity, alphas, weights, self.space.decisions, self.totals, loss)
            for preference in stated
        ]
        return torch.stack([term.reshape(()) for term in terms]).sum()

    def scores(self) -> dict[str, float]:
        """The value of each preferred quantity, and beside a depth the expected number of its elements."""
        with torch.no_grad():
            weights, alphas = self.mixing(), self.alphas
            wanted: dict[str, Quantity] = {}
            for p in self.space.preferences:
                wanted |= {str(part): part for part in parts(p.quantity) if isinstance(part, Total)}
                if _is_objective(p) or isinstance(p.quantity, Total):
                    continue
                wanted[p.name] = p.quantity
                if isinstance(p.quantity, Depth) and p.quantity.length is not None:
                    wanted.setdefault(p.name.replace("depth", "length", 1), p.quantity.length)
            decisions = self.space.decisions
            return {name: float(measure(q, alphas, weights, decisions, self.totals)) for name, q in wanted.items()}

    def entropy(self) -> dict[str, float]:
        """The mean entropy of the choices of each level and of each copy, as a share of the largest possible."""
        levels: dict[str, list[float]] = {}
        copies: dict[str, list[float]] = {}
        with torch.no_grad():
            for path, alpha in self.alphas.items():
                decision = self.space.decisions[path]
                value = entropy(decision, alpha)
                levels.setdefault(self.space.copies[decision.copy].body.level, []).append(value)
                copies.setdefault(decision.copy, []).append(value)
        return {name: sum(values) / len(values) for name, values in {**levels, **copies}.items()}

    def chosen(self, alphas: Mapping[str, Tensor] | None = None) -> Selection:
        """What deriving now, or from the given alphas, decides."""
        return decided(self.space, self.raw(alphas), self.derive)

    def answer(self, alphas: Mapping[str, Tensor] | None = None) -> Answer:
        """What a search derives: what deriving decides, or the best that satisfies what the space requires.

        Raises:
            UsageError: nothing satisfies it, or that cannot be seen to.
        """
        chosen = self.chosen(alphas)
        return (
            Answer.of(chosen) if self.meets(chosen) else derive_within(self.required, self.raw(alphas), self.derive.by)
        )

    def meets(self, chosen: Selection) -> bool:
        """Whether decisions select an architecture that satisfies what the space requires."""
        return not self.required or self.required.met(chosen)

    def raw(self, alphas: Mapping[str, Tensor] | None = None) -> dict[str, list[float]]:
        """The alphas, or those given, as numbers."""
        found = self.alphas if alphas is None else alphas
        return {path: alpha.detach().double().tolist() for path, alpha in found.items()}

    def decisions(self) -> dict[str, str]:
        """The leading architecture, for people."""
        return readable(self.space.decisions, self.chosen())


class Supernet(Relaxed):
    """A network in which every choice is the weighted sum of its items.

    Args:
        space: an elaborated network with choices.
        passes: what is done to the graph before lowering; `(FLATTEN,)` for the naive lowering, by default those that
            pay on the target.
        init: standard deviation of the normal distribution that the alphas start from.
        derive: the rule by which the leading architecture is found.
        target: the machine, its memory and the batch; by default this machine's CPU.

    Raises:
        HspError: when the space cannot be relaxed by mixing.
    """

    def __init__(
        self,
        space: Elaborated,
        passes: Iterable[Pass] | None = None,
        init: float = 1e-3,
        derive: Derivation | None = None,
        target: Target | None = None,
    ) -> None:
        if space.refusals:
            raise HspError(space.refusals)
        super().__init__(space, lowered(space, passes, target or Target.on()), init, derive)

    def forward(self, images: Tensor, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """Logits of a batch; ``weights`` replaces the mixing weights (one-hot ones select an architecture)."""
        output: Tensor = self.network(images, self.mixing() if weights is None else dict(weights))
        return output


class Network(nn.Module):
    """A discrete network: ``forward(images)`` gives logits, in training with the auxiliary ones where it has a head."""

    def __init__(
        self,
        space: Elaborated,
        passes: Iterable[Pass] | None = None,
        *,
        training_only: bool = True,
        target: Target | None = None,
    ) -> None:
        super().__init__()
        if space.is_space:
            raise ValueError(f"'{space.name}' still has choices; search it, or give an architecture")
        self.has_aux = space.block.graph.aux is not None and training_only
        self.network = lowered(space, passes, replace(target or Target.on(), drop_path=training_only))

    @property
    def module(self) -> nn.Module:
        return self

    def forward(self, images: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        result: Tensor | tuple[Tensor, Tensor] = self.network(images)
        if isinstance(result, tuple) and not self.training:
            return result[0]
        return result

    def set_drop_path(self, rate: float) -> None:
        """Set the probability with which each path of a sample is dropped in training."""
        for module in self.modules():
            if isinstance(module, DropPath):
                module.rate = rate


def lowered(space: Elaborated, passes: Iterable[Pass] | None, target: Target) -> fx.GraphModule:
    """A network after the given passes, or those of the target; its weights start the same for all."""
    flat = FLATTEN.run(space.block.graph)
    if passes is None:
        graph = optimised(flat, target)
    else:
        graph = run_passes(flat, [item for item in passes if item is not FLATTEN], target)
    network = lower(graph, space.decisions, drop_path=target.drop_path, holders=hold(flat))
    if target.compiled:
        # The graphs of CUDA, for small cells are bound by launches there.
        network.compile(mode="reduce-overhead" if target.machine is CUDA else "default")
    return network


def over_budget(space: Elaborated, target: Target) -> str | None:
    """Why a step will take more memory than the target's budget, for people; None where it fits, or there is none."""
    if target.memory_budget is None:
        return None
    held = held_bytes(optimised(FLATTEN.run(space.block.graph), target)) * target.batch
    if held <= target.memory_budget:
        return None
    found, wanted = (f"{size / 2**20:,.0f} MiB" for size in (held, target.memory_budget))
    return (
        f"activations of {target.batch} images take about {found}, over the memory budget of {wanted}: use fewer images"
    )


def complaints(space: Elaborated, target: Target) -> Iterator[str]:
    """What of a target will not be as it was meant, for people."""
    if over := over_budget(space, target):
        yield over
    if target.compiled and target.machine is not CUDA:
        yield "torch.compile takes minutes on the CPU, and steps are slower after it: leave `--compile` out"


def _key(path: str) -> str:
    """A path as a name that torch allows."""
    return path.replace(".", "/")


def mixing(decision: Decision, alpha: Tensor) -> Tensor:
    """The weights of a decision's items: softmax; k times softmax for a pick of k; sigmoid for a pick of any."""
    match decision.kind:
        case DecisionKind.ANY:
            return alpha.sigmoid()
        case DecisionKind.PICK:
            return decision.take * alpha.softmax(0)
    return alpha.softmax(0)


def one_hot(decisions: Mapping[str, Decision], chosen: Selection) -> dict[str, Tensor]:
    """Mixing weights that select an architecture: one for what is chosen, zero elsewhere and on edges not picked."""
    weights: dict[str, Tensor] = {}
    for path, decision in decisions.items():
        weights[path] = torch.zeros(len(decision.items))
        weights[path][list(chosen[path])] = 1.0
    for path, decision in decisions.items():
        for index, candidate in enumerate(decision.candidates):
            if index not in chosen[path] and candidate is not None:
                weights[candidate] = torch.zeros_like(weights[candidate])
    return weights


def entropy(decision: Decision, alpha: Tensor) -> float:
    """Between 0 (decided) and 1 (undecided)."""
    if decision.kind is DecisionKind.ANY:
        p = alpha.sigmoid()
        return float((special.entr(p) + special.entr(1 - p)).mean() / math.log(2))
    return float(special.entr(alpha.softmax(0)).sum() / math.log(len(alpha))) if len(alpha) > 1 else 0.0


def _signed(preference: Preference) -> float:
    return preference.weight if preference.sense is Sense.MINIMIZE else -preference.weight


def _is_objective(preference: Preference) -> bool:
    """Whether a statement speaks of the loss, and so takes its place."""
    return any(isinstance(part, Loss) for part in parts(preference.quantity))


# ---------------------------------------------------------------- quantities

ARITHMETIC: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "+": torch.add,
    "-": torch.sub,
    "*": torch.mul,
    "/": torch.div,
    "**": torch.pow,
}


def measure(
    quantity: Quantity,
    alphas: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    decisions: Mapping[str, Decision],
    totals: Mapping[Total, Expectation] | None = None,
    loss: Tensor | None = None,
) -> Tensor:
    """A quantity of a relaxed network as a differentiable scalar; costs are their expectations (``totals``)."""
    match quantity:
        case Constant(value=value):
            return torch.tensor(float(value))
        case Depth():
            return depth(quantity, alphas, weights, decisions)
        case Length(decision=None, sizes=sizes):
            return torch.tensor(float(sizes[0]))
        case Length(decision=decision, sizes=sizes):
            # Number by number: a tensor of the sizes would be copied to the device, which waits for it, at every step.
            return torch.stack([size * share for size, share in zip(sizes, weights[decision or ""], strict=True)]).sum()
        case Arithmetic(op=op, left=left, right=right):
            a = measure(left, alphas, weights, decisions, totals, loss)
            b = measure(right, alphas, weights, decisions, totals, loss)
            return ARITHMETIC[op](a, b)
        case Logarithm(operand=operand):
            return measure(operand, alphas, weights, decisions, totals, loss).log()
        case Total() if totals is not None:
            return totals[quantity](weights)
        case Loss() if loss is not None:
            return loss
        case Total() | Loss() | Indicator() | Unknown():
            raise ValueError(f"'{quantity}' of a relaxed network is not at hand here")


def totals_of(space: Elaborated) -> dict[Total, Expectation]:
    """The expectations of the costs that a space prefers.

    Raises:
        UsageError: a cost has no value.
    """
    wanted = {part for p in space.preferences for part in parts(p.quantity) if isinstance(part, Total)}
    costs = Requirements(space, ())
    found = {}
    for total in sorted(wanted, key=str):
        try:
            found[total] = Expectation(costs.formula(QuantityRef(total)), space.decisions)
        except (UndefinedQuantity, ExistenceTooComplex) as error:
            why = str(error) or "its parts exist in too many different ways"
            raise UsageError(f"what '{space.name}' prefers, `{total}`, has no expectation: {why}") from None
    return found


def depth(
    quantity: Depth,
    alphas: Mapping[str, Tensor],
    weights: Mapping[str, Tensor],
    decisions: Mapping[str, Decision],
) -> Tensor:
    """The mean depth of a family's elements (H-DAS).

    An input has depth 0; d_j is the mean over the edges into j of a_ij * (d_i + 1). ``RAW``: every operation is a
    recursion of its own on the raw alphas, and the depths are summed. ``WINDOW``: a_ij is the softmax over the edges
    into j of each edge's largest raw alpha that can be derived. With ``ends``, d_j of an element that may be the last
    is multiplied by 1 + j * beta, beta the share of ending there, before later elements read it.
    """
    first = alphas[quantity.nodes[0][0].decision]
    zero = first.new_zeros(first.shape) if quantity.form is DepthForm.RAW else first.new_zeros(())
    length = quantity.length
    ends = dict(zip(length.sizes, weights[length.decision], strict=True)) if length and length.decision else {}
    depths: list[Tensor] = []
    for j, edges in enumerate(quantity.nodes):
        before = [zero if edge.source is None else depths[edge.source] for edge in edges]
        if quantity.form is DepthForm.RAW:
            strengths = [alphas[edge.decision] for edge in edges]
        else:
            best = torch.stack([_best(decisions[edge.decision], alphas[edge.decision]) for edge in edges])
            strengths = list(best.softmax(0))
        d = torch.stack([a * (d_i + 1) for a, d_i in zip(strengths, before, strict=True)]).sum(0) / len(edges)
        if quantity.ends and j + 1 in ends:
            d = d * (1 + j * ends[j + 1])
        depths.append(d)
    return torch.stack(depths).sum() / len(depths)


def _best(decision: Decision, alpha: Tensor) -> Tensor:
    return torch.stack([value for value, found in zip(alpha, decision.derivable, strict=True) if found]).max()
