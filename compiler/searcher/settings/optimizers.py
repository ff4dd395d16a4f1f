"""The optimizers of weights and of alphas, with the settings of DARTS as defaults.

To add one, write its class, add it to its union, and build it in `engine/optimizers.py`.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .schedules import Constant, Schedule
from .words import Flag, Fraction, NonNegative, Word

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


class AlphaAdam(Word):
    """Adam for the alphas, which start as ``init`` times a normal random number."""

    word = "adam"
    lr: Schedule = Constant(value=3e-4)
    betas: Betas = (0.5, 0.999)
    decay: NonNegative = 1e-3
    init: NonNegative = 1e-3


Alphas = AlphaAdam
