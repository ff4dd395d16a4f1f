"""The axes of a search besides its relaxation: weights of edges, how network weights learn beside the alphas, ...

Each axis is a closed list of words, the default first. To add a word, write its class and add it to its union.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from .schedules import Constant, Rate, Schedule
from .words import Count, Flag, Named, NonNegative, Positive, Text, Within, Word

Cosine = Annotated[float, Field(ge=-1, le=1, description="a number from -1 to 1")]


class Order(Named):
    """Order of the gradient of the alphas."""

    FIRST = "first"
    SECOND = "second"

    @classmethod
    def aliases(cls) -> Mapping[str, str]:
        """The numbers of the orders."""
        return {"1": "first", "2": "second"}


class Preferences(Named):
    """Whether preferences add to the loss of the alphas, or take a step of their own after it (H-DAS)."""

    TOGETHER = "together"
    APART = "apart"


class Edges(Named):
    """Weights of the candidates of a pick of menus: none of their own, or a softmax of one alpha each (PC-DARTS)."""

    SHARED = "shared"
    WEIGHED = "weighed"


class AllChannels(Word):
    """All channels of an input go through the items of a menu."""

    word = "all"

    @property
    def partial(self) -> int:
        """How many channels there are to one that goes through the items."""
        return 1


class PartialChannels(Word):
    """One channel in ``k`` goes through the items of a menu, the others go past them (PC-DARTS)."""

    word = "partial"
    positional = ("k",)
    k: Count

    @property
    def partial(self) -> int:
        """How many channels there are to one that goes through the items."""
        return self.k


Channels = AllChannels | PartialChannels


class NoItem(Word):
    """No item: menus are built as they are written."""

    word = "none"

    @property
    def rate(self) -> Schedule:
        """The rate 0 at all times."""
        return Constant(value=0)

    @property
    def wanted(self) -> str | None:
        """No item."""
        return None


class _OfItem(Word):
    """An item of menus, by its name in the text, and a rate over the epochs; a rate that is always 0 is off."""

    word = "ITEM"
    positional = ("item", "rate")
    by_item = True
    item: Text
    rate: Schedule

    @property
    def wanted(self) -> str | None:
        """The name of the item; None where the rate is always 0."""
        return None if self.rate.is_off else self.item


class ItemBeside(_OfItem):
    """The item, in menus that have it, is added to the mixture once more, times ``rate`` (DARTS-)."""


class ItemDropout(_OfItem):
    """Dropout on the output of the item, where its shape is that of the input (P-DARTS)."""

    rate: Rate


Beside = NoItem | ItemBeside
Dropout = NoItem | ItemDropout


class Levels(Named):
    """Two levels: weights learn on one half of the images, alphas on the other. One: both on all images (SNAS)."""

    TWO = "2"
    ONE = "1"


class Precision(Named):
    """The type of numbers that forward and backward passes compute with; weights stay in float32."""

    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"

    @classmethod
    def aliases(cls) -> Mapping[str, str]:
        """The usual short names."""
        return {"32": "float32", "bf16": "bfloat16", "16": "float16"}


class NoTeacher(Word):
    """Weights learn from labels alone."""

    word = "none"

    @property
    def ratio(self) -> float:
        """Soft labels weigh nothing."""
        return 0.0

    @property
    def after(self) -> str | None:
        """No phase has to be finished."""
        return None


class LargestTeacher(Word):
    """The largest architecture teaches the others: the loss with its soft labels weighs ``ratio`` (OFA, BigNAS)."""

    word = "largest"
    positional = ("ratio",)
    ratio: NonNegative

    @property
    def after(self) -> str | None:
        """No phase has to be finished."""
        return None


class PhaseTeacher(Word):
    """The network of an earlier phase teaches, with fixed weights: the loss with its soft labels weighs ``ratio``.

    Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network" (2015), at temperature 1.
    """

    word = "PHASE"
    positional = ("phase", "ratio")
    by_item = True
    phase: Text
    ratio: NonNegative

    @property
    def after(self) -> str | None:
        """The phase that has to be finished."""
        return self.phase


Teacher = NoTeacher | LargestTeacher | PhaseTeacher


class NoFreezing(Word):
    """All weights learn to the end."""

    word = "none"


class FreezeOverfitting(Word):
    """An operation whose gradients on the two halves of the images disagree keeps its weights from then on (OLES).

    The cosine of both gradients is averaged over ``over`` steps of the alphas; where the mean is under ``below``, the
    operation freezes for good. With ``accumulated`` the gradient of the weights' batch is added to that of the alphas'
    batch, as the released program does.
    """

    word = "overfitting"
    below: Cosine = 0.4
    over: Count = 20
    accumulated: Flag = False


Freeze = NoFreezing | FreezeOverfitting


class NoAlignment(Word):
    """Weights learn from the loss alone."""

    word = "none"

    @property
    def weight(self) -> Schedule:
        """The factor 0 at all times."""
        return Constant(value=0)


class AlignInstances(Word):
    """Weights also learn to make the instances of a cell agree on how shared mixing weights should move (Lambda-DARTS).

    The mean cosine of the instances' gradients has the factor ``weight``; its gradient is a finite difference of mixing
    weights displaced by ``radius``; ``within`` names one cell of several.
    """

    word = "instances"
    positional = ("weight",)
    weight: Schedule
    radius: Positive = 1e-4
    within: Within = None


Align = NoAlignment | AlignInstances


class FreshStart(Word):
    """Weights start anew."""

    word = "none"

    @property
    def after(self) -> str | None:
        """No phase has to be finished."""
        return None


class PhaseStart(Word):
    """Weights start as an earlier phase left them, where names and shapes agree.

    With ``alphas`` the alphas of items of the same name start so too.
    """

    word = "PHASE"
    positional = ("phase",)
    by_item = True
    phase: Text
    alphas: Flag = False

    @property
    def after(self) -> str | None:
        """The phase that has to be finished."""
        return self.phase


Start = FreshStart | PhaseStart


class NoPerturbation(Word):
    """Weights learn under the mixing weights themselves."""

    word = "none"


class RandomDisplacement(Word):
    """Weights learn under mixing weights that are displaced at random, by up to ``eps`` each (SDARTS-RS)."""

    word = "random"
    positional = ("eps",)
    eps: Schedule


class AdversarialDisplacement(Word):
    """Weights learn under the displaced mixing weights that hurt most, found by ``steps`` steps (SDARTS-ADV)."""

    word = "adversarial"
    positional = ("eps",)
    eps: Schedule
    steps: Count = 7


Perturbation = NoPerturbation | RandomDisplacement | AdversarialDisplacement
