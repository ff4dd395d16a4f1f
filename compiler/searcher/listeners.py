"""What listens to a run: callbacks, which may end it, and loggers, which get its numbers. No torch.

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
    """Which run an event is of, and how long it is."""

    kind: str
    """``search`` or ``train``."""
    phase: str
    """The name of the phase of a search; empty where it has one alone."""
    epochs: int
    steps: int
    """How many steps an epoch has."""


@dataclass(frozen=True)
class StepEvent:
    """A step is done. What the supernet has decided is looked up when it is asked for, while the callback runs."""

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
        """The architecture that leads: what each choice takes, by its path. Empty in a training."""
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
    """The architecture that leads: what each choice takes, by its path. Empty in a training."""
    alphas: ByItem
    """The raw parameter of every item, by path and name."""
    mixing: ByItem
    """The mixing weight of every item, by path and name."""
    entropies: Mapping[str, float]
    """The entropy of each choice, as a share of the largest possible."""


@dataclass(frozen=True)
class EndEvent:
    """A search of one phase, or a training, is over, and what it found is on the disk. An error ends without one."""

    kind: str
    """``search`` or ``train``."""
    phase: str
    """The name of the phase of a search; empty where it has one alone."""
    epochs: int
    """How many epochs are done."""
    stopped: bool
    """Whether a callback ended it."""
    metrics: Mapping[str, float]
    """``score`` of what a search derived; of a training the metric of its task on the test part, by its name."""
    decisions: Mapping[str, str]
    """What a search derived: what each choice takes, by its path."""
    file: Path
    """The derived file, or the weights."""


class TrialEvent(Protocol):
    """A trial of an explorer is done (`explore.trials.Trial`)."""

    @property
    def id(self) -> int:
        """How many were proposed before."""

    @property
    def number(self) -> int:
        """Which architecture of the space it is."""

    @property
    def budget(self) -> int:
        """On how many images, or after how many epochs, it was judged."""

    @property
    def score(self) -> float:
        """How good it is, the higher the better."""

    @property
    def failed(self) -> str:
        """Why it could not be judged; empty where it was."""

    @property
    def decisions(self) -> Mapping[str, str]:
        """What each choice takes, by its path."""

    @property
    def seconds(self) -> float:
        """How long it took to judge."""


class Callback:
    """Is told what a run does; a subclass overrides what it wants to hear of.

    A method that returns True ends the run as its last epoch would: the epoch is judged, the checkpoint written, an
    architecture derived or the network tested; of a search with phases the next one follows. An exception ends it as an
    error does. A run that goes on after a kill tells again what it does again. Of several processes the main one tells.
    """

    def on_step(self, event: StepEvent) -> bool | None:
        """A step is done."""

    def on_epoch(self, event: EpochEvent) -> bool | None:
        """An epoch is done."""

    def on_trial(self, trial: TrialEvent) -> bool | None:
        """A trial of an explorer is done; True: those that are under way are the last."""

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
                raise UsageError(f"{item!r} is no callback: derive it from `Callback`, or hand a logger over")
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
        """Within it a run goes on; loggers are told how it ends."""
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
