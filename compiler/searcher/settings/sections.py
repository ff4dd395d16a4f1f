"""The settings of a `search` and a `train` section, with those of DARTS as defaults. No torch."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import model_validator

from hdas_dsl.text.diagnostics import Diagnostic

from .axes import (
    Align,
    AllChannels,
    Beside,
    Channels,
    Dropout,
    Edges,
    Freeze,
    FreshStart,
    Levels,
    NoAlignment,
    NoFreezing,
    NoItem,
    NoPerturbation,
    NoTeacher,
    Order,
    Perturbation,
    Precision,
    Preferences,
    Start,
    Teacher,
)
from .combine import check_combination
from .combine_tasks import check_training
from .confirmation import Confirmation, NoConfirmation
from .datasets import Cifar10, DataSpec
from .derivation import Derivation, Strongest
from .exploring import Explorer, ExplorerWord
from .judges import AllUnique, Judge, Measured, NoJudge, OwnJudge, ProxyJudge, SharedJudge, TrainedJudge, Unique
from .metric import TRAINING_LOSS, Metric
from .narrowing import Narrowing, NoNarrowing
from .optimizers import AlphaAdam, Alphas, Sgd, Weights
from .reader import Given, Reader
from .relaxation import NoRelaxation, Relaxation, Softmax
from .rungs import NoRungs, Rungs
from .schedules import Constant, Cosine, Ramp, Rate
from .stopping import Never, Stopping
from .tasks import CLASSIFICATION, Task
from .words import Amount, Count, Flag, Fraction, NonNegative, Setting


class _Section(Setting):
    def describe(self, full: bool = False) -> str:
        """The settings as lines of the language; ``full`` also writes those that have their defaults."""
        return "".join(f"{name} = {text}\n" for name, text in self.written(full).items())

    def written(self, full: bool) -> dict[str, str]:
        """As for any setting; a classification is never written, so that old runs, which have no task, stay equal."""
        found = super().written(full)
        return {name: text for name, text in found.items() if (name, text) != ("task", CLASSIFICATION.word)}


class SearchSettings(_Section):
    """A search; the defaults are those of DARTS on CIFAR-10, first order."""

    word: ClassVar[str] = "search"
    task: Task = CLASSIFICATION
    data: DataSpec = Cifar10()
    epochs: Amount = 50
    batch: Count = 64
    weights: Weights = Sgd(lr=Cosine(start=0.025, end=0.001))
    alphas: Alphas = AlphaAdam()
    alphas_from: Amount = 0
    """The first epoch in which the alphas take steps."""
    relax: Relaxation = Softmax()
    derive: Derivation | Explorer = Strongest()
    judge: Judge = NoJudge()
    """How the architectures that an explorer proposes are judged; without an explorer nothing is judged."""
    rungs: Rungs = NoRungs()
    """The budgets with which proposed architectures are judged."""
    confirm: Confirmation = NoConfirmation()
    """Whether the best architectures are judged again at the end."""
    unique: Unique = AllUnique()
    """The equivalence of which one architecture of each class is judged."""
    order: Order = Order.FIRST
    edges: Edges = Edges.SHARED
    channels: Channels = AllChannels()
    levels: Levels = Levels.TWO
    beside: Beside = NoItem()
    dropout: Dropout = NoItem()
    drop_path: Rate = Constant(value=0)
    """The probability with which the text's `drop_path` drops its input."""
    perturb: Perturbation = NoPerturbation()
    align: Align = NoAlignment()
    freeze: Freeze = NoFreezing()
    teacher: Teacher = NoTeacher()
    start: Start = FreshStart()
    narrow: Narrowing = NoNarrowing()
    until: Stopping = Never()
    preferences: Preferences = Preferences.TOGETHER
    optional: Flag = False
    """Whether a phase may be left out."""
    seed: Amount = 0
    precision: Precision = Precision.FLOAT32
    workers: Amount = 0

    @model_validator(mode="before")
    @classmethod
    def _explorers_have_a_judge(cls, values: dict[str, object]) -> dict[str, object]:
        unjudged = isinstance(values.get("judge", NoJudge()), NoJudge)
        explores = isinstance(values.get("derive"), ExplorerWord)
        judge = TrainedJudge() if isinstance(values.get("relax"), NoRelaxation) else SharedJudge()
        return {**values, "judge": judge} if explores and unjudged else values

    @model_validator(mode="after")
    def _settings_go_together(self) -> Self:
        check_combination(self)
        return self

    @property
    def judged(self) -> Metric:
        """The metric that scores of architectures are values of: that of the task, or of another judge."""
        match self.judge:
            case ProxyJudge(names=names):
                return Metric(name="score", share=len(names) > 1)  # Several vote by their mean ranks.
            case TrainedJudge(by=Measured.LOSS):
                return TRAINING_LOSS
            case OwnJudge():
                return Metric(name="score", share=False)
        return self.task.facts.metric


class TrainSettings(_Section):
    """The training of an architecture; the defaults are those of DARTS on CIFAR-10. A rate or weight of 0 is off."""

    word: ClassVar[str] = "train"
    task: Task = CLASSIFICATION
    data: DataSpec = Cifar10(cutout=16)
    epochs: Count = 600
    batch: Count = 96
    weights: Weights = Sgd(lr=Cosine(start=0.025))
    drop_path: Rate = Ramp(start=0.0, end=0.2)
    aux_weight: NonNegative = 0.4
    label_smoothing: Fraction = 0.0
    seed: Amount = 0
    precision: Precision = Precision.FLOAT32
    workers: Amount = 0

    @model_validator(mode="after")
    def _settings_go_together(self) -> Self:
        check_training(self.task, self.data, self.label_smoothing)
        return self


def read_search(settings: Given) -> tuple[SearchSettings, list[Diagnostic]]:
    """The settings of a search and everything that is wrong with them; a wrong setting keeps its default."""
    reader = Reader()
    return reader.section(SearchSettings, settings), reader.diagnostics


def read_train(settings: Given) -> tuple[TrainSettings, list[Diagnostic]]:
    """The settings of a training and everything that is wrong with them; a wrong setting keeps its default."""
    reader = Reader()
    return reader.section(TrainSettings, settings), reader.diagnostics
