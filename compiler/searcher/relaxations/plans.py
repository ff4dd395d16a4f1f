"""Which architectures a step of the weights learns on, where every pass runs one.

A plan is called once a step and gives the architectures of its passes, whose gradients are summed. To add one, write
its class here, its word in `searcher/settings/relaxation.py`, and its line in `plan_of`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Protocol, assert_never

import torch

from compiler.derivation.extremes import extreme
from compiler.ir.decision import Selection
from compiler.searcher.settings.relaxation import Draws, Fair, Policy, Sandwich, Uniform
from compiler.util.errors import UsageError

from .draws import Logits
from .path_executor import Operations
from .single_path import TRIES, Draw


class Drawing(Protocol):
    """A relaxation of which every pass runs one architecture."""

    operations: Operations

    @property
    def alphas(self) -> Mapping[str, torch.nn.Parameter]:
        """Raw architecture parameters by decision path, (items) each."""

    def logits(self) -> Logits:
        """The distribution that architectures are drawn from."""

    def draw(self, clean: Mapping[str, torch.Tensor]) -> Draw:
        """An architecture that meets the space's requirements."""

    def meets(self, chosen: Selection) -> bool:
        """Whether an architecture meets what the space requires."""


class Plan(ABC):
    """The architectures of the next step of the weights."""

    def __init__(self, one: Drawing) -> None:
        self.one = one

    @abstractmethod
    def __call__(self) -> tuple[Selection, ...]:
        """They, drawn from torch's global generator of the CPU.

        Raises:
            UsageError: of many draws, none meets what the space requires.
        """


class ByPolicy(Plan):
    """One, as probable as the alphas make it."""

    def __call__(self) -> tuple[Selection, ...]:
        """One architecture."""
        return (self.one.draw(self.one.logits()).chosen,)


class Uniformly(Plan):
    """One, each decision drawn uniformly (Guo et al., "Single Path One-Shot", ECCV 2020)."""

    def __call__(self) -> tuple[Selection, ...]:
        """One architecture."""
        return (self.one.draw({path: torch.zeros(len(alpha)) for path, alpha in self.one.alphas.items()}).chosen,)


class Fairly(Plan):
    """As many architectures as a choice has items, each item of each choice in exactly one of them.

    They are the columns of one permutation of the items of each choice (Chu et al., "FairNAS: Rethinking Evaluation
    Fairness of Weight Sharing Neural Architecture Search", ICCV 2021, strict fairness). Choices have equal numbers of
    items (`program.refusals`).
    """

    def __call__(self) -> tuple[Selection, ...]:
        """The columns; permutations are drawn again where one column is not what the space requires."""
        for _ in range(TRIES):
            found = self._columns()
            if all(self.one.meets(column) for column in found):
                return found
        message = f"of {TRIES} fair draws, none has only architectures that meet what the space requires"
        raise UsageError(f"{message}: use `weights = uniform`")

    def _columns(self) -> tuple[Selection, ...]:
        rows = {}
        for path, decision in self.one.operations.paths.decisions.items():
            items = decision.derivable_items
            rows[path] = [items[at] for at in torch.randperm(len(items)).tolist()]
        columns = zip(*rows.values(), strict=True)
        return tuple({path: (item,) for path, item in zip(rows, column, strict=True)} for column in columns)


class Sandwiched(Plan):
    """The largest architecture, the smallest, and some drawn uniformly (`derivation.extremes` says what is largest).

    Yu, Huang, "Universally Slimmable Networks and Improved Training Techniques" (ICCV 2019), section 3.1; Yu et al.,
    "BigNAS" (ECCV 2020), of whose rule this has no distillation.

    Raises:
        UsageError: one of the two misses what the space requires.
    """

    def __init__(self, one: Drawing, random: int) -> None:
        super().__init__(one)
        self.drawn = [Uniformly(one)] * random
        paths = one.operations.paths
        self.ends = tuple(extreme(paths, largest) for largest in (True, False))
        for name, found in zip(("largest", "smallest"), self.ends, strict=True):
            if not one.meets(found):
                raise UsageError(
                    f"`weights = sandwich` trains the {name} architecture, which misses what the space requires: state "
                    "the requirement where an architecture is derived, or draw uniformly"
                )

    def __call__(self) -> tuple[Selection, ...]:
        """The largest, the smallest, and the drawn ones."""
        return (*self.ends, *(run for plan in self.drawn for run in plan()))


def plan_of(word: Draws, one: Drawing) -> Plan:
    """The plan that a word of the setting `weights` of `sample` says."""
    match word:
        case Uniform():
            return Uniformly(one)
        case Policy():
            return ByPolicy(one)
        case Fair():
            return Fairly(one)
        case Sandwich(random=random):
            return Sandwiched(one, random)
        case never:
            assert_never(never)
