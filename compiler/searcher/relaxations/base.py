"""The base class of relaxations: `Relaxed`. Each relaxation is a subclass in a file of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property

import torch
from torch import Tensor, nn

from compiler.analysis.costs.parameter_free import parameter_free
from compiler.analysis.requirements.alive import Strengths, alive
from compiler.analysis.requirements.constrained import Answer, derive_within
from compiler.analysis.requirements.evaluate import Requirements
from compiler.derivation.best_path import decided
from compiler.derivation.strongest import readable
from compiler.elaborate import Elaborated
from compiler.ir.decision import Decision, Selection, taken
from compiler.searcher.data.source import Inputs
from compiler.searcher.engine.protocol import Leading, Passes, Run
from compiler.searcher.engine.reporting.records import Observed
from compiler.searcher.settings.axes import Edges
from compiler.searcher.settings.derivation import By, Derivation, Strongest

from .axes import Axes
from .evidence import logarithms, numbers
from .live import Live, LiveMixture
from .mixtures import SoftmaxMixture
from .narrowing import Judge
from .objective import Objective, RelaxedQuantities
from .records import mean_entropies, observed


class Relaxed(nn.Module, ABC):
    """A space as a network to train, with its architecture as parameters that can move little by little.

    ``alphas`` maps each decision's path to its raw parameters; ``weights()`` are all other trained parameters.

    Args:
        space: an elaborated network with choices.
        network: the module that holds the weights.
        init: standard deviation of the normal distribution that the alphas start from.
        derive: the rule by which the leading architecture is found.
        axes: how weights follow from alphas.

    Raises:
        UsageError: a cost in a preference of the space has no value.
    """

    warnings: tuple[str, ...] = ()
    """Options of the target that the relaxation cannot honour, a sentence each."""

    def __init__(
        self,
        space: Elaborated,
        network: nn.Module,
        init: float = 1e-3,
        derive: Derivation | None = None,
        axes: Axes | None = None,
    ) -> None:
        super().__init__()
        self.space = space
        self.axes = axes or Axes()
        narrower = self.axes.narrower
        self.live = Live(space.decisions, narrower is not None, narrower.history if narrower else 0)
        if narrower is not None:
            self.axes = replace(self.axes, mixture=LiveMixture(self.axes.mixture, self.live))
        self.derive = derive or Strongest()
        self.network = network
        self.stated = Objective(space, self.axes.epochs)
        self.required = Requirements(space)
        self.counts = {path: count for path, d in space.decisions.items() if (count := self._count_alphas(d))}
        self.edges = tuple(path for path in self.counts if not space.decisions[path].alphas)
        """The picks of menus whose candidates have alphas of their own."""
        starts = {path: self.axes.mixture.start + init * torch.randn(count) for path, count in self.counts.items()}
        self.architecture = nn.ParameterDict({_key(path): nn.Parameter(start) for path, start in starts.items()})

    @abstractmethod
    def forward(self, images: Inputs) -> Tensor:
        """Logits (n, classes) of images (n, c, h, w)."""

    @abstractmethod
    def alone(self, images: Inputs, chosen: Selection) -> Tensor:
        """Logits (n, classes) of one architecture, with the weights that it has here; every decision has an item."""

    # ------------------------------------------------------------ parameters

    @property
    def module(self) -> nn.Module:
        """The network to call: ``forward(images) -> logits``."""
        return self

    @property
    def alphas(self) -> Mapping[str, nn.Parameter]:
        """Raw architecture parameters by decision path, (items) each; with weighed edges, of picks of menus too."""
        return {path: self.architecture[_key(path)] for path in self.counts}

    def item_alphas(self) -> Mapping[str, Tensor]:
        """The raw parameters of items by decision path, (items) each, without the alphas of edges."""
        return {path: alpha for path, alpha in self.alphas.items() if self.space.decisions[path].alphas}

    def weights(self) -> Iterator[nn.Parameter]:
        """Every parameter that is not an alpha."""
        return self.network.parameters()

    def mixing(self) -> dict[str, Tensor]:
        """The weights of every decision's items at the current alphas, by path, (items) each."""
        mean, decisions = self.axes.mixture.mean, self.space.decisions
        return self.on_edges({path: mean(decisions[path], alpha) for path, alpha in self.item_alphas().items()})

    def on_edges(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights of items; those of a pick's menus are multiplied by the weight of their edge.

        The edges of a pick have the softmax of its alphas, of sum 1 (Xu et al., "PC-DARTS", ICLR 2020, equation 3).
        """
        found = dict(weights)
        for path in self.edges:
            shares = self.live.softmax(path, self.alphas[path])
            for edge, menu in zip(shares, self.space.decisions[path].candidates, strict=True):
                if menu is not None:
                    found[menu] = edge * found[menu]
        return found

    def projected(self, path: str, weights: Tensor) -> Tensor:
        """Weights of a decision's items, (items), projected to the set that its mixing weights may lie in."""
        return self.axes.mixture.project(self.space.decisions[path], weights)

    def perturbed(self, loss: Callable[[], Tensor]) -> AbstractContextManager[None]:
        """A context for a step of the weights on ``loss``; here no mixing weights are displaced."""
        return nullcontext()

    def apart(self) -> AbstractContextManager[Mapping[str, Sequence[Tensor]]]:
        """A context in which each instance of a cell has mixing weights of its own, a vector each; here it has none."""
        return nullcontext({})

    def restricted(self) -> AbstractContextManager[None]:
        """A context for a step of the alphas; here all of them may move."""
        return nullcontext()

    def twice_differentiable(self) -> AbstractContextManager[None]:
        """A context in which a pass can be differentiated twice in the alphas, if torch's operations can."""
        return nullcontext()

    def alpha_passes(self) -> Sequence[Run | None]:
        """The passes of the next step of the alphas: one, that of the network as it is."""
        return (None,)

    def weight_passes(self) -> Passes:
        """The passes of the next step of the weights: one, that of the network as it is."""
        return Passes()

    def weights_of_items(self) -> Mapping[str, Sequence[nn.Parameter]]:
        """The parameters of each item of a menu that runs in every pass, by name; here there are none."""
        return {}

    def teacher(self) -> Run | None:
        """The architecture that may teach the others; here None, since no architecture runs by itself."""
        return None

    def running(self, run: Run | None) -> AbstractContextManager[None]:
        """A context in which forward passes in train mode run ``run``; here they always run the whole supernet."""
        return nullcontext()

    # ------------------------------------------------------------ narrowing

    def begin(self, epoch: int) -> None:
        """Prepare an epoch, counted from 0: the live items may have changed, by narrowing or by a checkpoint."""
        self.live.refresh()

    def narrow(self, done: int, judge: Judge) -> None:
        """Give up items after so many epochs, as the setting `narrow` says; ``judge`` measures the supernet."""

    # ------------------------------------------------------------ how the alphas learn

    def anneal(self, epoch: float) -> None:
        """Follow the schedules of the relaxation and of the statements after ``epoch`` epochs, a fraction."""
        self.axes.anneal(epoch)
        self.stated.epoch = epoch

    def preferences(self) -> dict[str, Tensor]:
        """The soft statements of the space, weighted and signed so that they are minimised (`Objective.terms`)."""
        return self.stated.terms(self._quantities())

    def objective(self, *losses: Tensor) -> Tensor:
        """The objective that the alphas minimise, a scalar, from the losses of their passes (`Objective.loss`)."""
        (loss,) = losses
        return self.stated.loss(self._quantities(), loss) if self.stated.replacements else loss

    def _quantities(self) -> RelaxedQuantities:
        decisions, alphas = self.space.decisions, self.item_alphas()
        picks = self.live.shares(next(iter(alphas.values()))) if self.live.narrow and alphas else {}
        return RelaxedQuantities(decisions, alphas, self.axes.mixture, self.stated.expectations, picks=picks)

    # ------------------------------------------------------------ what is logged

    @torch.no_grad()
    def scores(self) -> dict[str, float]:
        """The value of each preferred quantity, and beside a depth the expected number of its elements.

        Where items are given up, also the number of live items, by copy.
        """
        return self.stated.scores(self._quantities()) | self.live.counts()

    @torch.no_grad()
    def entropy(self) -> dict[str, float]:
        """The mean entropy of the choices of each level and of each copy, as a share of the largest possible."""
        return mean_entropies(self.space, self.axes.mixture, self.item_alphas())

    def decisions(self) -> dict[str, str]:
        """The leading architecture: the readable items of each decision by path."""
        return readable(self.space.decisions, self.chosen())

    def leading(self, alphas: Mapping[str, Tensor] | None = None) -> Leading:
        """The leading architecture, from the alphas or those given, and the items of menus that it takes."""
        decisions, chosen = self.space.decisions, self.chosen(alphas)
        found = Leading(readable(decisions, chosen), frozenset(taken(decisions, chosen)), {}, {})
        for path in sorted(found.live & self.free.keys(), key=list(decisions).index):
            decision, (item,) = decisions[path], chosen[path]
            found.taken.setdefault(decision.copy, []).append(decision.items[item])
            free = found.free.setdefault(decision.copy, [])
            if item in self.free[path]:
                free.append(decision.items[item])
        return found

    @torch.no_grad()
    def observed(self) -> Observed:
        """The mixing weight and the alpha of every item, and of every edge that has one, and the entropy of choices."""
        weights = self.mixing() | {path: self.live.softmax(path, self.alphas[path]) for path in self.edges}
        return observed(self.space.decisions, self.axes.mixture, weights, dict(self.alphas), self.item_alphas())

    @cached_property
    def free(self) -> dict[str, frozenset[int]]:
        """The items without parameters of each menu of operations that also has others, by path."""
        return parameter_free(self.space)

    # ------------------------------------------------------------ what is derived

    def chosen(self, alphas: Mapping[str, Tensor] | None = None) -> Selection:
        """The selection that the rule derives from the alphas, or from those given."""
        return decided(self.space, *self.evidence(alphas))

    def answer(self, alphas: Mapping[str, Tensor] | None = None) -> Answer:
        """The selection that a search derives: the rule's, or the best one that meets the requirements of the space.

        The architecture's output depends on its input, unless no such architecture was found (`Answer.is_dead`).

        Raises:
            UsageError: no architecture meets the requirements, or it cannot be decided whether one does.
        """
        strengths, rule = self.evidence(alphas)

        def select(found: Strengths, by: By) -> Answer:
            return self.select(found, rule.measured(by))

        return alive(self.space, strengths, rule.by, select, rule.threshold)

    def select(self, strengths: Strengths, rule: Derivation) -> Answer:
        """The selection of a rule by the strengths of items, or the best one that meets the requirements of the space.

        Raises:
            UsageError: no architecture meets the requirements, or it cannot be decided whether one does.
        """
        chosen = decided(self.space, strengths, rule)
        if self.meets(chosen):
            return Answer.of(chosen)
        return derive_within(self.required, strengths, rule.by, rule.threshold)

    def meets(self, chosen: Selection) -> bool:
        """Whether the selected architecture meets the requirements of the space."""
        return not self.required or self.required.met(chosen)

    def evidence(self, alphas: Mapping[str, Tensor] | None = None) -> tuple[dict[str, list[float]], Derivation]:
        """The strength of each item by path, and the rule that decides by it.

        Where weights are not the softmax of alphas, or edges are weighed, strengths are logarithms: of the weights if
        the rule is by probability, the alphas themselves if it is by logit; the edge's logarithm is added to both.
        """
        self.live.refresh()
        found = numbers(self.alphas, alphas)
        if isinstance(self.axes.mixture, SoftmaxMixture) and not self.edges:
            return found, self.derive
        by = self.derive.by if self.derive.threshold is None else By.PROBABILITY
        strengths = logarithms(self.space.decisions, found, self.edges, self.axes.mixture, self.live, by)
        return strengths, self.derive.measured(By.LOGIT)

    def _count_alphas(self, decision: Decision) -> int:
        """How many architecture parameters a decision has."""
        weighed = self.axes.edges is Edges.WEIGHED and bool(decision.candidates)
        return len(decision.items) if weighed else decision.alphas


def _key(path: str) -> str:
    """A path as a name that torch allows."""
    return path.replace(".", "/")
