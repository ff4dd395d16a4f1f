"""What `--json` prints: a model for each command. Fields may be added; none is renamed or removed within a version."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from compiler.reports.versus import Comparison as Comparison


class Answer(BaseModel):
    """Plain data that does not change."""

    model_config = ConfigDict(frozen=True)


class Searched(Answer):
    """What a search found: its files, the score with its metric, and what the architecture costs for one image."""

    folder: str
    derived: str
    runner_up: str | None
    network: str | None
    metric: str
    score: float | None
    params: int | None
    macs: int | None
    memory: int | None
    seconds: float


class Tested(Answer):
    """A test: the metric, its value, and the file of the weights."""

    metric: str
    value: float
    weights: str


class Mean(Answer):
    """A mean over seeds, and how far it may be off with 95% confidence; of a single value that is not known."""

    value: float
    reach: float | None


class Combination(Answer):
    """The runs of a combination: how many were asked for and finished, and the mean of each measure.

    ``best`` is the seed whose training has the lowest loss, of several.
    """

    combination: str
    asked: int
    finished: int
    best: int | None = None
    means: dict[str, Mean]


class Studied(Answer):
    """A study: its folder, its combinations, and why runs failed."""

    folder: str
    combinations: tuple[Combination, ...]
    failed: tuple[str, ...]


class Planned(Answer):
    """The size of a run by parts, and the sentences that say it."""

    class Part(Answer):
        """A phase, or the training: steps of all epochs, seconds, bytes; None where nothing is measured."""

        name: str
        network: str
        steps: int | None
        seconds: float | None
        memory: int | None

    parts: tuple[Part, ...]
    said: tuple[str, ...]


class Computed(Answer):
    """Zero-cost proxies by name."""

    proxies: dict[str, float]


class Exported(Answer):
    """The files of an export, the parameters, and the largest absolute difference of an output."""

    file: str
    weights: str | None
    parameters: int
    difference: float


class Located(Answer):
    """Whether an architecture lies in a space: by which items, numbered from 0, or where it leaves it and why."""

    inside: bool
    decisions: dict[str, tuple[int, ...]]
    path: str | None
    reason: str | None


class Counted(Answer):
    """How many architectures there are, in digits: ``exact`` with all requirements where known, else an estimate.

    ``number`` leaves out the requirements that ``unchecked`` has; ``same`` is the equivalence up to which it counts.
    """

    number: str
    exact: str | None
    estimate: tuple[float, float] | None
    unchecked: str
    same: str


class Architectures(Answer):
    """Architectures with their items by choice: in files where they were written to some, else as text."""

    class Found(Answer):
        """One of them; ``number`` is its number in the space, in digits, where it was found by one."""

        number: str | None
        decisions: dict[str, str]
        file: str | None
        text: str | None

    architectures: tuple[Found, ...]


class Measured(Answer):
    """Milliseconds by operation, how they were measured, and those of each network: by the table, and as a whole."""

    class Network(Answer):
        """The range over its architectures; of one alone it is also measured as a whole.

        A phase that comes ``after`` others takes part in all that they may find, but for those of which only the
        ``first`` architecture is considered.
        """

        name: str
        phase: str | None
        after: tuple[str, ...]
        first: tuple[str, ...]
        low: float
        high: float
        whole: float | None

    table: str | None
    facts: dict[str, str]
    milliseconds: dict[str, float]
    networks: tuple[Network, ...]
