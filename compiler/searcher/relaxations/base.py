"""What a search asks of any relaxation of a space: `Relaxed`. Each relaxation is a subclass in a file of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from compiler.analysis.requirements.constrained import Answer, derive_within
from compiler.analysis.requirements.evaluate import Requirements
from compiler.derivation.best_path import decided
from compiler.derivation.strongest import readable
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.searcher.settings.derivation import Derivation, Strongest

from .objective import Objective, RelaxedQuantities
from .weights import entropy, mixing


class Relaxed(nn.Module, ABC):
    """A space as a network to train, with its architecture as parameters that can move little by little.

    ``alphas`` maps each decision's path to its raw parameters; ``weights()`` are all other parameters that are trained.

    Args:
        space: an elaborated network with choices.
        network: the module that holds the weights.
        init: standard deviation of the normal distribution that the alphas start from.
        derive: the rule by which the leading architecture is found.

    Raises:
        UsageError: a cost that the space prefers has no value.
    """

    warnings: tuple[str, ...] = ()
    """Options of the target that the relaxation cannot honour, a sentence each."""

    def __init__(
        self, space: Elaborated, network: nn.Module, init: float = 1e-3, derive: Derivation | None = None
    ) -> None:
        super().__init__()
        self.space = space
        self.derive = derive or Strongest()
        self.network = network
        self.stated = Objective(space)
        self.required = Requirements(space)
        self.architecture = nn.ParameterDict(
            {
                _key(path): nn.Parameter(init * torch.randn(decision.alphas))
                for path, decision in space.decisions.items()
                if decision.alphas
            }
        )

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, classes) of images (n, c, h, w)."""

    # ------------------------------------------------------------ parameters

    @property
    def module(self) -> nn.Module:
        """The network to call: ``forward(images) -> logits``."""
        return self

    @property
    def alphas(self) -> Mapping[str, nn.Parameter]:
        """Raw architecture parameters by decision path, (items) each."""
        return {path: self.architecture[_key(path)] for path, d in self.space.decisions.items() if d.alphas}

    def weights(self) -> Iterator[nn.Parameter]:
        """Every parameter that is no alpha."""
        return self.network.parameters()

    def mixing(self) -> dict[str, Tensor]:
        """The weights of every decision's items at the current alphas, by path, (items) each."""
        return {path: mixing(self.space.decisions[path], alpha) for path, alpha in self.alphas.items()}

    # ------------------------------------------------------------ how the alphas learn

    def anneal(self, epoch: float) -> None:
        """Follow the schedules of the relaxation after ``epoch`` epochs, a fraction; without schedules, do nothing."""

    def preferences(self) -> dict[str, Tensor]:
        """The soft statements of the space, weighted and signed so that they are minimised (`Objective.terms`)."""
        return self.stated.terms(self._quantities())

    def objective(self, loss: Tensor) -> Tensor:
        """What the alphas minimise in place of the loss, a scalar (`Objective.loss`)."""
        return self.stated.loss(self._quantities(), loss) if self.stated.replacements else loss

    def _quantities(self) -> RelaxedQuantities:
        return self.stated.quantities(self.space.decisions, self.alphas, self.mixing())

    # ------------------------------------------------------------ what is logged

    @torch.no_grad()
    def scores(self) -> dict[str, float]:
        """The value of each preferred quantity, and beside a depth the expected number of its elements."""
        return self.stated.scores(self._quantities())

    @torch.no_grad()
    def entropy(self) -> dict[str, float]:
        """The mean entropy of the choices of each level and of each copy, as a share of the largest possible."""
        levels: dict[str, list[float]] = {}
        copies: dict[str, list[float]] = {}
        for path, alpha in self.alphas.items():
            decision = self.space.decisions[path]
            value = entropy(decision, alpha)
            levels.setdefault(self.space.copies[decision.copy].body.level, []).append(value)
            copies.setdefault(decision.copy, []).append(value)
        return {name: sum(values) / len(values) for name, values in {**levels, **copies}.items()}

    def decisions(self) -> dict[str, str]:
        """The leading architecture: the readable items of each decision by path."""
        return readable(self.space.decisions, self.chosen())

    # ------------------------------------------------------------ what is derived

    def chosen(self, alphas: Mapping[str, Tensor] | None = None) -> Selection:
        """What deriving now, or from the given alphas, decides."""
        return decided(self.space, self.raw(alphas), self.derive)

    def answer(self, alphas: Mapping[str, Tensor] | None = None) -> Answer:
        """What a search derives: what deriving decides, or the best that satisfies what the space requires.

        Raises:
            UsageError: nothing satisfies it, or that cannot be decided.
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


def _key(path: str) -> str:
    """A path as a name that torch allows."""
    return path.replace(".", "/")
