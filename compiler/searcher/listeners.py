"""The listeners of a run: callbacks, which may end it, and loggers, which get its numbers. No torch.

Neither changes what a run computes: a callback is told after each step, epoch and trial, reads what it wants to know,
and may ask that the run ends there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from compiler.util.errors import UsageError

if TYPE_CHECKING:
    from compiler.searcher.engine.reporting.records import EpochRecord

ByItem = Mapping[str, Mapping[str, float]]
"""A number of every item, by the path of its choice and by its name."""


@dataclass(frozen=True)
class RunInfo:
    """The run that an event belongs to, and its length."""

    kind: str
    """``search`` or ``train``."""
    phase: str
    """The name of the phase of a search; empty where the search has no named phases."""
    epochs: int
    steps: int
    """How many steps an epoch has."""


@dataclass(frozen=True)
class StepEvent:
    """A step is done. The supernet's decisions and weights are read only if the callback asks for them."""

    run: RunInfo
    epoch: int
    """Counted from 1."""
    step: int
    """Counted from 1 in each epoch."""
    metrics: Mapping[str, float]
    """Running means of this epoch, such as ``loss/weights``; of each step on the CPU, of every 25th on a GPU."""
    look: Callable[[], EpochRecord] = field(repr=False, compare=False)

    @cached_property
    def _now(self) -> EpochRecord:
        return self.look()

    @property
    def decisions(self) -> Mapping[str, str]:
        """The leading architecture: the items that each choice takes, by its path. Empty in a training."""
        return self._now.decisions

    @property
    def alphas(self) -> ByItem:
        """The raw parameter of every item, by path and name."""
        return self._now.observed.alphas

    @property
    def mixing(self) -> ByItem:
        """The mixing weight of every item, by path and name."""
        return self._now.observed.weights


@dataclass(frozen=True)
class EpochEvent:
    """An epoch is done and judged; its checkpoint comes next."""

    run: RunInfo
    epoch: int
    """Counted from 1."""
    metrics: Mapping[str, float]
    """The numbers of a line of ``history.jsonl``, such as ``score``, ``loss/alphas`` and ``lr/weights``."""
    decisions: Mapping[str, str]
    """The leading architecture: the items that each choice takes, by its path. Empty in a training."""
    alphas: ByItem
    """The raw parameter of every item, by path and name."""
    mixing: ByItem
    """The mixing weight of every item, by path and name."""
    entropies: Mapping[str, float]
    """The entropy of each choice, as a share of the largest possible."""


@dataclass(frozen=True)
class EndEvent:
    """A search of one phase, or a training, is over, and its result is on the disk. A failed run has no such event."""

    kind: str
    """``search`` or ``train``."""
    phase: str
    """The name of the phase of a search; empty where the search has no named phases."""
    epochs: int
    """How many epochs are done."""
    stopped: bool
    """Whether a callback ended it."""
    metrics: Mapping[str, float]
    """Of a search the ``score`` of the derived architecture; of a training the test metric of its task, by name."""
    decisions: Mapping[str, str]
    """The derived architecture of a search: the items that each choice takes, by its path. Empty for a training."""
    file: Path
    """The derived file, or the weights."""


class TrialEvent(Protocol):
    """A trial of an explorer is done (`explore.trials.Trial`)."""

    @property
    def id(self) -> int:
        """The number of trials that were proposed before this one."""

    @property
    def number(self) -> int:
        """The number of the architecture in its space."""

    @property
    def budget(self) -> int:
        """The images on which, or the epochs after which, the architecture was judged."""

    @property
    def score(self) -> float:
        """The score, the higher the better."""

    @property
    def failed(self) -> str:
        """The reason why the architecture could not be judged; empty where it was."""

    @property
    def decisions(self) -> Mapping[str, str]:
        """The items that each choice takes, by its path."""

    @property
    def seconds(self) -> float:
        """The seconds that judging took."""


class Callback:
    """The base class of callbacks; a subclass overrides the events that it handles.

    A method that returns True ends the run as its last epoch would: the epoch is judged, the checkpoint written, an
    architecture derived or the network tested; a search with phases goes on with the next phase. An exception ends the
    run as any error does. A run that is resumed after a kill repeats the events of the steps that it repeats. With
    several processes only the main one calls callbacks.
    """

    def on_step(self, event: StepEvent) -> bool | None:
        """A step is done."""

    def on_epoch(self, event: EpochEvent) -> bool | None:
        """An epoch is done."""

    def on_trial(self, trial: TrialEvent) -> bool | None:
        """A trial of an explorer is done; after True, no trial begins any more."""

    def on_end(self, event: EndEvent) -> None:
        """A phase of a search, or a training, is over."""


@runtime_checkable
class Logger(Protocol):
    """The part of Lightning Fabric's interface of loggers that a run calls; its loggers and Lightning's have it."""

    def log_hyperparams(self, params: dict[str, Any]) -> Any:
        """The settings of a run, by their names."""

    def log_metrics(self, metrics: dict[str, Any], step: int) -> Any:
        """The numbers of an epoch, counted from 1, by their names."""

    def finalize(self, status: str) -> Any:
        """The run is over: ``success`` or ``failed``."""


@dataclass(frozen=True)
class Listeners:
    """All that listens to a run."""

    callbacks: tuple[Callback, ...] = ()
    loggers: tuple[Logger, ...] = ()

    @classmethod
    def of(cls, given: Iterable[object]) -> Listeners:
        """Callbacks and loggers, told apart; a function is called with each trial.

        Raises:
            UsageError: something is neither.
        """
        callbacks: list[Callback] = []
        loggers: list[Logger] = []
        for item in given:
            if isinstance(item, Callback):
                callbacks.append(item)
            elif isinstance(item, Logger):
                loggers.append(item)
            elif callable(item) and not isinstance(item, type):
                callbacks.append(_OnTrial(item))
            else:
                raise UsageError(f"{item!r} is not a callback: derive it from `Callback`, or hand a logger over")
        return cls(tuple(callbacks), tuple(loggers))

    def step(self, event: StepEvent) -> bool:
        """Tell of a step; whether a callback asks that the run ends."""
        return True in [callback.on_step(event) for callback in self.callbacks]

    def epoch(self, event: EpochEvent) -> bool:
        """Tell of an epoch; whether a callback asks that the run ends."""
        return True in [callback.on_epoch(event) for callback in self.callbacks]

    def trial(self, trial: TrialEvent) -> bool:
        """Tell of a trial; whether a callback asks that the exploration ends."""
        self.log({"trial/score": trial.score}, trial.id + 1)
        return True in [callback.on_trial(trial) for callback in self.callbacks]

    def end(self, event: EndEvent) -> None:
        """Tell of the end."""
        self.log({f"end/{name}": value for name, value in event.metrics.items()}, event.epochs, event.phase)
        for callback in self.callbacks:
            callback.on_end(event)

    def settings(self, settings: Mapping[str, str], phase: str = "") -> None:
        """Tell loggers of the settings of a phase, or of a training."""
        for logger in self.loggers:
            with suppress(NotImplementedError):  # Fabric's CSV logger writes none.
                logger.log_hyperparams({loggable(name, phase): text for name, text in settings.items()})

    def log(self, metrics: Mapping[str, float], step: int, phase: str = "") -> None:
        """Give loggers numbers."""
        for logger in self.loggers:
            logger.log_metrics({loggable(name, phase): value for name, value in metrics.items()}, step)

    @contextmanager
    def logging(self) -> Iterator[None]:
        """A context for a run; when it ends, loggers are told whether the run succeeded or failed."""
        status = "failed"
        try:
            yield
            status = "success"
        finally:
            for logger in self.loggers:
                logger.finalize(status)


class _OnTrial(Callback):
    """A function as a callback."""

    def __init__(self, told: Callable[[TrialEvent], object]) -> None:
        self.told = told

    def on_trial(self, trial: TrialEvent) -> None:
        self.told(trial)


def loggable(name: str, phase: str) -> str:
    """A name as every logger takes it, below that of its phase: ``conv(k = 3)`` is ``conv_k_3``, as MLflow asks for."""
    return re.sub(r"[^\w\-./]+", "_", f"{phase}/{name}" if phase else name).rstrip("_")


NOBODY = Listeners()
