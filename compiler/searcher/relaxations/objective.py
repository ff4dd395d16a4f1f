"""The objective of the alphas: quantities of a relaxed network, and the preferences made of them.

Liu et al., "Unchain the Search Space with Hierarchical Differentiable Architecture Search" (AAAI 2021), for the depth
and the number of cells; costs are their expectations (`expected_cost`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial

import torch
from torch import Tensor

from compiler.analysis.costs.existence import ExistenceTooComplexError
from compiler.analysis.costs.prices import UndefinedQuantityError
from compiler.analysis.requirements.evaluate import QuantityRef, Requirements
from compiler.elaborate import Elaborated
from compiler.ir.decision import Decision
from compiler.ir.quantities import (
    AlphaForm,
    AlphaMean,
    Arithmetic,
    Constant,
    Depth,
    DepthForm,
    Length,
    Logarithm,
    Loss,
    Preference,
    Quantity,
    Total,
    parts,
)
from compiler.util.errors import UsageError
from hdas_dsl.tree.ast import Sense

from .expected_cost import Expectation
from .mixtures import Mixture, SoftmaxMixture, divergence

ARITHMETIC: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "+": torch.add,
    "-": torch.sub,
    "*": torch.mul,
    "/": torch.div,
    "**": torch.pow,
}


@dataclass(frozen=True)
class RelaxedQuantities:
    """The quantities of a relaxed network, as differentiable scalars.

    ``alphas`` are the raw architecture parameters by decision path, (items) each, which the ``mixture`` makes weights
    of; ``expectations`` those of the costs that may be asked for; ``loss`` a scalar, where there is one; ``picks`` the
    probabilities of the candidates of picks of menus, where they are not all alike, by path.
    """

    decisions: Mapping[str, Decision]
    alphas: Mapping[str, Tensor]
    mixture: Mixture = field(default_factory=SoftmaxMixture)
    expectations: Mapping[Total, Expectation] = field(default_factory=dict)
    loss: Tensor | None = None
    picks: Mapping[str, Tensor] = field(default_factory=dict)
    measured: dict[tuple[AlphaMean | Depth | Total, bool], Tensor] = field(default_factory=dict, init=False, repr=False)
    """What was measured of decisions, with gradients or without: statements often speak of the same."""

    @cached_property
    def weights(self) -> Mapping[str, Tensor]:
        """The probabilities of the items by decision path, (items) each."""
        mixture, decisions = self.mixture, self.decisions
        found = {path: mixture.probabilities(decisions[path], alpha) for path, alpha in self.alphas.items()}
        return {**found, **self.picks}

    def value(self, quantity: Quantity) -> Tensor:
        """A quantity, a scalar.

        Raises:
            ValueError: it is a cost without an expectation, or a loss that is not given.
        """
        match quantity:
            case Constant(value=value):
                return torch.tensor(float(value))
            case Depth() | AlphaMean():
                return self.once(quantity)
            case Length(decision=None, sizes=sizes):
                return torch.tensor(float(sizes[0]))
            case Length(decision=str() as decision, sizes=sizes):
                # Number by number: a tensor of the sizes would be copied to the device, which waits for it, every step.
                shares = self.weights[decision]
                return torch.stack([size * share for size, share in zip(sizes, shares, strict=True)]).sum()
            case Arithmetic(op=op, left=left, right=right):
                return ARITHMETIC[op](self.value(left), self.value(right))
            case Logarithm(operand=operand):
                return self.value(operand).log()
            case Total() if quantity in self.expectations:
                return self.once(quantity)
            case Loss() if self.loss is not None:
                return self.loss
        raise ValueError(f"'{quantity}' of a relaxed network is not given")

    def once(self, quantity: AlphaMean | Depth | Total) -> Tensor:
        """A quantity that reads many decisions, a scalar; read once, whoever asks."""
        key = quantity, torch.is_grad_enabled()
        if key not in self.measured:
            match quantity:
                case AlphaMean():
                    self.measured[key] = self.mean(quantity)
                case Depth():
                    self.measured[key] = self.depth(quantity)
                case Total():
                    self.measured[key] = self.expectations[quantity](self.weights)
        return self.measured[key]

    def mean(self, quantity: AlphaMean) -> Tensor:
        """The mean over the decisions that have alphas of what is measured of each, a scalar; 0 without any."""
        measured = [
            self.measure(quantity.form, self.decisions[path], alpha)
            for path, alpha in self.alphas.items()
            if quantity.covers(self.decisions[path].copy) and len(self.mixture.living(self.decisions[path], alpha))
        ]
        return torch.stack(measured).mean() if measured else torch.zeros(())

    def measure(self, form: AlphaForm, decision: Decision, alpha: Tensor) -> Tensor:
        """A measure of the alphas of one decision, a scalar."""
        living = partial(self.mixture.living, decision)
        match form:
            case AlphaForm.LOGSUMEXP:
                return living(alpha).logsumexp(0)
            case AlphaForm.CERTAINTY:
                return (living(self.mixture.mean(decision, alpha)) - 0.5).square().mean()
            case AlphaForm.ENTROPY:
                return self.mixture.entropy(decision, alpha)
            case AlphaForm.DIVERGENCE:
                return divergence(living(alpha))
            case AlphaForm.SQUARES:
                return living(alpha).square().sum()

    def depth(self, quantity: Depth) -> Tensor:
        """The mean depth of a family's elements (H-DAS), a scalar.

        An input has depth 0; d_j is the mean over the edges into j of a_ij * (d_i + 1). ``RAW``: every operation is a
        recursion of its own on the raw alphas, and the depths are summed. ``WINDOW``: a_ij is the softmax over the
        edges into j of each edge's largest raw alpha that can be derived. With ``ends``, d_j of an element that may be
        the last is multiplied by 1 + j * beta, beta the share of ending there, before later elements read it.
        """
        first = self.alphas[quantity.nodes[0][0].decision]
        zero = first.new_zeros(first.shape) if quantity.form is DepthForm.RAW else first.new_zeros(())
        length = quantity.length
        ends = dict(zip(length.sizes, self.weights[length.decision], strict=True)) if length and length.decision else {}
        depths: list[Tensor] = []
        for j, edges in enumerate(quantity.nodes):
            before = [zero if edge.source is None else depths[edge.source] for edge in edges]
            if quantity.form is DepthForm.RAW:
                strengths = [self.alphas[edge.decision] for edge in edges]
            else:
                strengths = list(torch.stack([self._strongest(edge.decision) for edge in edges]).softmax(0))
            d = torch.stack([a * (d_i + 1) for a, d_i in zip(strengths, before, strict=True)]).sum(0) / len(edges)
            if quantity.ends and j + 1 in ends:
                d = d * (1 + j * ends[j + 1])
            depths.append(d)
        return torch.stack(depths).sum() / len(depths)

    def _strongest(self, path: str) -> Tensor:
        """The largest raw alpha of a decision that can be derived."""
        derivable = self.decisions[path].derivable
        return torch.stack([value for value, found in zip(self.alphas[path], derivable, strict=True) if found]).max()


class Objective:
    """The soft statements of a space.

    Args:
        space: an elaborated network with choices.
        epochs: over how many the weights of preferences follow their schedules.

    Raises:
        UsageError: a cost that it prefers has no value.
    """

    def __init__(self, space: Elaborated, epochs: int = 1) -> None:
        self.epochs, self.epoch = epochs, 0.0
        self.preferences = [p for p in space.preferences if not _replaces_loss(p)]
        self.replacements = [p for p in space.preferences if _replaces_loss(p)]
        self.expectations = expectations(space)
        self.scored = _scored(space)

    def terms(self, quantities: RelaxedQuantities) -> dict[str, Tensor]:
        """The preferences by name, scalars, weighted and signed so that they are minimised.

        A preference without a weight is left out, and one that no alpha moves: a step on it alone would still be a step
        of Adam.
        """
        terms = {p.name: w * quantities.value(p.quantity) for p in self.preferences if (w := self._signed(p))}
        return {name: term for name, term in terms.items() if term.requires_grad or not torch.is_grad_enabled()}

    def loss(self, quantities: RelaxedQuantities, loss: Tensor) -> Tensor:
        """The objective in place of the loss: the sum of the statements that mention it, else the loss."""
        if not self.replacements:
            return loss
        known = replace(quantities, loss=loss)
        terms = [self._signed(p) * known.value(p.quantity) for p in self.replacements]
        return torch.stack([term.reshape(()) for term in terms]).sum()

    def _signed(self, preference: Preference) -> float:
        """The weight at the present epoch, signed so that the quantity is minimised."""
        weight = preference.weight_at(self.epoch, self.epochs)
        return weight if preference.sense is Sense.MINIMIZE else -weight

    def scores(self, quantities: RelaxedQuantities) -> dict[str, float]:
        """The value of each preferred quantity, and beside a depth the expected number of its elements."""
        return {name: float(quantities.value(quantity)) for name, quantity in self.scored.items()}


def expectations(space: Elaborated) -> dict[Total, Expectation]:
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
        except (UndefinedQuantityError, ExistenceTooComplexError) as error:
            why = str(error) or "its parts exist in too many different ways"
            raise UsageError(f"what '{space.name}' prefers, `{total}`, has no expectation: {why}") from None
    return found


def _scored(space: Elaborated) -> dict[str, Quantity]:
    """The quantities that a search logs, by name."""
    wanted: dict[str, Quantity] = {}
    for p in space.preferences:
        wanted |= {str(part): part for part in parts(p.quantity) if isinstance(part, Total)}
        if _replaces_loss(p) or isinstance(p.quantity, Total):
            continue
        wanted[p.name] = p.quantity
        if isinstance(p.quantity, Depth) and p.quantity.length is not None:
            wanted.setdefault(p.name.replace("depth", "length", 1), p.quantity.length)
    return wanted


def _replaces_loss(preference: Preference) -> bool:
    """Whether a statement mentions the loss, and so takes its place."""
    return any(isinstance(part, Loss) for part in parts(preference.quantity))
