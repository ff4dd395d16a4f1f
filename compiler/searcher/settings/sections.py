"""What a ``search`` and a ``train`` section may say, with the settings of DARTS as defaults. No torch.

To add a word (a schedule, an optimizer, a relaxation), write its class and add it to the union of its kind.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from hdas_dsl.text.diagnostics import Diagnostic

from .datasets import Cifar10, DataSpec
from .reader import (
    Amount,
    Applied,
    Count,
    Flag,
    Fraction,
    Given,
    Named,
    NonNegative,
    Positive,
    Reader,
    Setting,
    Value,
    Word,
    override,
)

__all__ = ["Applied", "SearchSettings", "TrainSettings", "Value", "override", "read_search", "read_train"]


# Schedules: a number that changes over the epochs


class Per(Named):
    """When a schedule takes its next value."""

    EPOCH = "epoch"
    STEP = "step"


class _Schedule(Word):
    """A number over the epochs; in the first ``warmup`` of them it rises to its start, a line that begins above 0."""

    warmup: Amount = 0
    per: Per = Per.EPOCH

    def at(self, epoch: float, epochs: int) -> float:
        """The value at ``epoch`` of ``epochs``, 0 being the start; between two epochs, ``epoch`` is fractional."""
        if self.per is Per.EPOCH:
            epoch = math.floor(epoch)
        if epoch < self.warmup:
            return self.curve(0, 1) * (epoch + 1) / (self.warmup + 1)
        return self.curve(epoch - self.warmup, max(epochs - self.warmup, 1))

    @abstractmethod
    def curve(self, epoch: float, epochs: int) -> float:
        """The value after the warm-up, which ``epoch`` and ``epochs`` leave out."""


class Constant(_Schedule):
    """The same number all the time; written as that number."""

    word = "constant"
    positional = ("value",)
    by_number = True
    value: NonNegative

    def curve(self, epoch: float, epochs: int) -> float:
        return self.value


class Cosine(_Schedule):
    """Half a wave of a cosine from ``start`` down to ``end``."""

    word = "cosine"
    positional = ("start", "end")
    start: NonNegative
    end: NonNegative = 0.0

    def curve(self, epoch: float, epochs: int) -> float:
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * epoch / epochs)) / 2


class Ramp(_Schedule):
    """A straight line from ``start`` to ``end``."""

    word = "ramp"
    positional = ("start", "end")
    start: NonNegative
    end: NonNegative

    def curve(self, epoch: float, epochs: int) -> float:
        return self.start + (self.end - self.start) * epoch / epochs


class Decay(_Schedule):
    """``start``, multiplied by ``factor`` every epoch."""

    word = "decay"
    positional = ("start", "factor")
    start: NonNegative
    factor: Positive

    def curve(self, epoch: float, epochs: int) -> float:
        return self.start * math.pow(self.factor, epoch)


Schedule = Constant | Cosine | Ramp | Decay


# Optimizers

Betas = Annotated[tuple[Fraction, Fraction], Field(description="two numbers from 0 to below 1")]


class Sgd(Word):
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


# Relaxation and derivation


class Softmax(Word):
    """Every choice is the sum of its items, weighted by a softmax of its alphas."""

    word = "softmax"

    @property
    def mixes(self) -> bool:
        """Whether alternatives are added up, so that they must have one shape."""
        return True


def _warm(schedule: Schedule) -> Schedule:
    if min(schedule.curve(0, 1), schedule.curve(1, 1)) <= 0:
        raise ValueError(f"a temperature of {schedule.describe()} reaches 0, by which nothing can be divided")
    return schedule


class Gumbel(Word):
    """A softmax of alphas plus Gumbel noise, divided by a temperature; ``hard``: only one architecture runs."""

    word = "gumbel"
    temperature: Annotated[Schedule, AfterValidator(_warm)] = Constant(value=1.0)
    hard: Flag = False

    @property
    def mixes(self) -> bool:
        return not self.hard


class Draws(Named):
    """Which architectures the weights learn on: any, or those that the alphas make probable."""

    UNIFORM = "uniform"
    POLICY = "policy"


class Sample(Word):
    """One architecture a step; ``share``: the widths and kernels of a choice are slices of one weight."""

    word = "sample"
    share: Flag = False
    weights: Draws = Draws.UNIFORM

    @property
    def mixes(self) -> bool:
        return False


Relaxation = Softmax | Gumbel | Sample


class By(Named):
    """How strong an item is: its raw alpha, or its probability, which the share of `none` lowers (DARTS)."""

    PROBABILITY = "probability"
    LOGIT = "logit"


class Epoch(Named):
    """Which architecture is reported: of the last epoch, or of the one with the best supernet accuracy."""

    LAST = "last"
    BEST = "best"


class Strongest(Word):
    """The strongest item of each choice, the strongest inputs of each pick."""

    word = "strongest"
    by: By = By.PROBABILITY
    epoch: Epoch = Epoch.LAST


class BestPath(Strongest):
    """The most probable way to reach the output of a text with `prune`, such as a path through a trellis."""

    word = "best_path"


Derivation = Strongest | BestPath


# The sections


class Order(Named):
    """Order of the gradient of the alphas."""

    FIRST = "first"
    SECOND = "second"

    @classmethod
    def aliases(cls) -> Mapping[str, str]:
        return {"1": "first", "2": "second"}


class Preferences(Named):
    """Whether preferences add to the loss of the alphas, or take a step of their own after it (H-DAS)."""

    TOGETHER = "together"
    APART = "apart"


class Precision(Named):
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"
    FLOAT16 = "float16"

    @classmethod
    def aliases(cls) -> Mapping[str, str]:
        return {"32": "float32", "bf16": "bfloat16", "16": "float16"}


class _Section(Setting):
    def describe(self, full: bool = False) -> str:
        """The settings as lines of the language; ``full`` also writes those that have their defaults."""
        return "".join(f"{name} = {text}\n" for name, text in self.written(full).items())


class SearchSettings(_Section):
    """A search; the defaults are those of DARTS on CIFAR-10, first order."""

    word: ClassVar[str] = "search"
    data: DataSpec = Cifar10()
    epochs: Count = 50
    batch: Count = 64
    weights: Weights = Sgd(lr=Cosine(start=0.025, end=0.001))
    alphas: Alphas = AlphaAdam()
    alphas_from: Amount = 0
    """The first epoch in which the alphas take steps."""
    relax: Relaxation = Softmax()
    derive: Derivation = Strongest()
    order: Order = Order.FIRST
    preferences: Preferences = Preferences.TOGETHER
    optional: Flag = False
    """Whether a phase may be left out."""
    seed: Amount = 0
    precision: Precision = Precision.FLOAT32
    workers: Amount = 0


def _a_rate(schedule: Schedule) -> Schedule:
    if max(schedule.curve(0, 1), schedule.curve(1, 1)) >= 1:
        raise ValueError(f"a drop_path of {schedule.describe()} reaches 1, where nothing is left")
    return schedule


class TrainSettings(_Section):
    """The training of an architecture; the defaults are those of DARTS on CIFAR-10. A rate or weight of 0 is off."""

    word: ClassVar[str] = "train"
    data: DataSpec = Cifar10(cutout=16)
    epochs: Count = 600
    batch: Count = 96
    weights: Weights = Sgd(lr=Cosine(start=0.025))
    drop_path: Annotated[Schedule, AfterValidator(_a_rate)] = Ramp(start=0.0, end=0.2)
    aux_weight: NonNegative = 0.4
    label_smoothing: Fraction = 0.0
    seed: Amount = 0
    precision: Precision = Precision.FLOAT32
    workers: Amount = 0


def read_search(settings: Given) -> tuple[SearchSettings, list[Diagnostic]]:
    """The settings of a search and everything that is wrong with them; a wrong setting keeps its default."""
    reader = Reader()
    return reader.section(SearchSettings, settings), reader.diagnostics


def read_train(settings: Given) -> tuple[TrainSettings, list[Diagnostic]]:
    """The settings of a training and everything that is wrong with them; a wrong setting keeps its default."""
    reader = Reader()
    return reader.section(TrainSettings, settings), reader.diagnostics
