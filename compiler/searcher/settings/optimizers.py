"""The optimizers of weights and of alphas, with the settings of DARTS as defaults.

To add one, write its class, add it to its union, and build it in `engine/optimizers.py`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import BeforeValidator, Field, model_validator

from .schedules import Constant, Schedule
from .words import Amount, Count, Flag, Fraction, NonNegative, Positive, Word

Betas = Annotated[tuple[Fraction, Fraction], Field(description="two numbers from 0 to below 1")]


class Sgd(Word):
    """Stochastic gradient descent with momentum; its decay is added to the gradient."""

    word = "sgd"
    lr: Schedule
    momentum: Fraction = 0.9
    decay: NonNegative = 3e-4
    clip: NonNegative = 5.0
    """The norm that gradients are clipped to; 0: they are not."""
    nesterov: Flag = False


class Adam(Word):
    """Adam; its decay is added to the gradient."""

    word = "adam"
    lr: Schedule
    betas: Betas = (0.9, 0.999)
    decay: NonNegative = 3e-4
    clip: NonNegative = 5.0
    """The norm that gradients are clipped to; 0: they are not."""


class AdamW(Adam):
    """Adam; its decay is apart from the gradient."""

    word = "adamw"


Weights = Sgd | Adam | AdamW


def _pairs(value: object) -> object:
    """One pair stands for a list of it: the language has no list of one."""
    return (value,) if isinstance(value, tuple) and value and not isinstance(value[0], tuple) else value


Rests = Annotated[
    tuple[tuple[Amount, Amount], ...],
    BeforeValidator(_pairs),
    Field(description="a pair of epochs, or pairs such as ((0, 10), (25, 35))"),
]


class AlphaWord(Word):
    """How the alphas learn; they start as ``init`` times a normal random number."""

    def moves(self, epoch: int, step: int) -> bool:
        """Whether the alphas take a step in this step of this epoch, both from 0."""
        return True


class AlphaAdam(AlphaWord):
    """Adam for the alphas."""

    word = "adam"
    lr: Schedule = Constant(value=3e-4)
    betas: Betas = (0.5, 0.999)
    decay: NonNegative = 1e-3
    init: NonNegative = 1e-3
    clip: NonNegative = 0.0
    """The norm that gradients are clipped to; 0: they are not."""
    every: Count = 1
    """The alphas take a step in every so many steps of the weights."""
    rest: Rests = ()
    """Pairs of epochs: from the first up to the second, which is excluded, the alphas rest."""

    @model_validator(mode="after")
    def _rests_have_an_end(self) -> Self:
        if any(start >= end for start, end in self.rest):
            raise ValueError("a rest of the alphas ends in a later epoch than it begins in")
        return self

    def moves(self, epoch: int, step: int) -> bool:
        """Whether the alphas take a step: not while they rest, and in every so many steps."""
        return step % self.every == 0 and not any(start <= epoch < end for start, end in self.rest)


class AlphaFixed(AlphaWord):
    """The alphas stay as they start: only the weights learn."""

    word = "fixed"
    init: NonNegative = 1e-3
    clip: ClassVar[float] = 0.0

    def moves(self, epoch: int, step: int) -> bool:
        """The alphas never take a step."""
        return False


class AlphaNatural(AlphaWord):
    """Adaptive natural gradients for the alphas, along ``draws`` architectures that are ranked by their loss (ASNG)."""

    word = "natural"
    snr: Positive = 1.5
    """How much of the averaged steps has to be signal for steps to stay as large as they are."""
    draws: Annotated[int, Field(ge=2, description="a whole number, at least 2")] = 2
    lr: ClassVar[Schedule] = Constant(value=1.0)
    """The Fisher norm of the first step."""
    init: ClassVar[float] = 0.0
    """All items are equally probable in the beginning."""
    clip: ClassVar[float] = 0.0


Alphas = AlphaAdam | AlphaNatural | AlphaFixed
