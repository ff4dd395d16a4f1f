"""What a report says, as plain data: made from folders of runs by `reading.py`, written as a page by `render.py`."""

from __future__ import annotations

from enum import Enum

from pydantic import BaseModel, ConfigDict

from compiler.reports.space_record import SpaceRecord
from compiler.reports.versus import Comparison
from compiler.searcher.settings.metric import Metric


class State(Enum):
    """How far a run is."""

    FINISHED = "finished"
    RUNNING = "running"
    STOPPED = "stopped"


class Plain(BaseModel):
    """Plain data that does not change."""

    model_config = ConfigDict(frozen=True)


class Epoch(Plain):
    """An epoch: numbers by name, entropies by path, and the decisions that it changed, as ``old -> new``."""

    epoch: int
    scalars: dict[str, float | None]
    entropies: dict[str, float]
    changed: dict[str, str]
    seconds: float | None


class Moves(Plain):
    """How a choice moved: the strength of each item after each epoch, what is taken now, and what comes second.

    ``margin`` is by how much the strength of what is taken is above that of the second; negative where another rule
    than the strength decided. ``flips`` are the epochs after which something else led.
    """

    path: str
    taken: str
    strength: float | None
    second: str
    second_strength: float | None
    margin: float | None
    items: dict[str, tuple[float | None, ...]]
    flips: tuple[int, ...]


class Judged(Plain):
    """A trial of an explorer, with the metric as ``score``.

    ``best`` is the best score so far, and ``regret`` how far it is from the best of all; ``repeat`` is how often it was
    judged before, when the best were judged anew, which moves neither.
    """

    id: int
    score: float | None
    best: float | None
    regret: float | None
    budget: int
    failed: str
    repeat: int


class FrontPoint(Plain):
    """An architecture that no other dominates: its file, and its objectives by name."""

    file: str
    values: dict[str, float]


class Derived(Plain):
    """A derived file; ``network`` is what it builds, as its `train` section says; ``problem`` says why nothing."""

    text: str
    said: dict[str, str]
    network: SpaceRecord | None
    problem: str


class RunnerUp(Plain):
    """The second best architecture: a trial with its score, or what the rule of a supernet would take next.

    ``below`` is how much log-probability it then is below the best. ``differs`` has what is taken, and what instead, by
    path; ``derived`` is its file, which lies there once a phase is finished.
    """

    trial: int | None
    score: float | None
    below: float | None
    differs: dict[str, tuple[str, str]]
    derived: Derived | None


class Phase(Plain):
    """What one phase of a search did; ``score`` is the value of the metric that what was derived had in it, exactly."""

    name: str
    metric: Metric
    judged: Metric
    score: float | None
    space: SpaceRecord | None
    epochs: tuple[Epoch, ...]
    moves: tuple[Moves, ...]
    trials: tuple[Judged, ...]
    runner_up: RunnerUp | None
    front: tuple[FrontPoint, ...]
    derived: Derived | None


class Training(Plain):
    """A training from scratch, and the test at its end: the value of the metric."""

    folder: str
    metric: Metric
    epochs: tuple[Epoch, ...]
    test: float | None


class Run(Plain):
    """One run, from its folder."""

    name: str
    folder: str
    state: State
    command: str
    device: str
    versions: dict[str, str]
    machine: str
    settings: str
    seconds: float
    phases: tuple[Phase, ...]
    derived: Derived | None
    training: Training | None
    versus: Comparison | None

    @property
    def score(self) -> float | None:
        """The score of what was derived, in the phase that found it."""
        return self.phases[-1].score if self.phases else None

    @property
    def metric(self) -> Metric:
        """What the score is of: what the last phase judged by, or the metric of the training."""
        if self.phases:
            return self.phases[-1].judged
        return self.training.metric if self.training else Metric()


class Interval(Plain):
    """A mean over seeds, and how far it may be off; of a single value nothing is known."""

    value: float
    reach: float | None


class StudyRow(Plain):
    """A combination of a study: how many runs were asked for and finished, and the means of these by name."""

    combination: str
    asked: int
    finished: int
    means: dict[str, Interval]
    judged: Metric
    """What scores are of."""
    metric: Metric
    """What is tested."""


class StudyRun(Plain):
    """The result of one run of a study."""

    combination: str
    seed: int
    score: float | None
    tested: float | None
    params: int | None
    macs: int | None
    failed: str


class Study(Plain):
    """A study, from its folder."""

    name: str
    folder: str
    state: State
    rows: tuple[StudyRow, ...]
    runs: tuple[StudyRun, ...]
    choices: tuple[str, ...] = ()
    """A sentence on each combination of which one training is the best by its loss."""


class Change(Plain):
    """A place in which two files differ."""

    path: str
    kind: str
    left: str
    right: str


class Beside(Plain):
    """Two architectures: what differs, and how many of their edges agree."""

    left: str
    right: str
    summary: str
    changes: tuple[Change, ...]


class SettingRow(Plain):
    """A setting that is not the same in all runs, with its value in each."""

    path: str
    values: tuple[str, ...]


class Together(Plain):
    """Several runs side by side: settings that differ, and each architecture beside that of the first run."""

    settings: tuple[SettingRow, ...]
    architectures: tuple[Beside, ...]


class Report(Plain):
    """All that a page says."""

    title: str
    runs: tuple[Run, ...]
    studies: tuple[Study, ...]
    together: Together | None

    @property
    def live(self) -> bool:
        """Whether a run or a study is still under way, so that the page reads itself again."""
        states = [run.state for run in self.runs] + [study.state for study in self.studies]
        return State.RUNNING in states
