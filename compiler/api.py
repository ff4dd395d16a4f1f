"""The functions that Python users call; the command line does the same. torch is imported only where something runs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.program.compile_file import compile_file
from compiler.run_report.looking import draw, report
from compiler.runs.inherited import Inherited
from compiler.runs.modules import derive, inherit, load
from compiler.runs.request import FilePath, request_of
from compiler.searcher.listeners import Callback, EndEvent, EpochEvent, Listeners, Logger, StepEvent, TrialEvent
from compiler.util.errors import UsageError
from compiler.util.page import is_watched
from hdas_dsl.diff.differ import Diff
from hdas_dsl.diff.differ import diff as diff_modules
from hdas_dsl.parse.parser import parse_text
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.text.reading import read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from compiler.analysis.architectures import Architecture, Architectures, Count
    from compiler.analysis.membership.query import Membership
    from compiler.runs.search import SearchReport
    from compiler.searcher.engine.retrain import TrainOutcome
    from compiler.searcher.explore.trials import Trial


def describe(
    path: FilePath, network: str | None = None, *, plugins: Sequence[FilePath] = (), **params: object
) -> dict[str, Any]:
    """The facts of a file, as ``hdas-compile FILE --json`` prints them: parameters, multiply-adds, cardinality, ..."""
    from compiler.reports.facts import describe

    return describe(request_of(path, params, network, plugins).compile())


def search(
    path: FilePath,
    out: FilePath,
    *,
    resume: bool = False,
    force: bool = False,
    callbacks: Sequence[Callback | Logger] = (),
    plugins: Sequence[FilePath] = (),
    quiet: bool | None = None,
    **settings: object,
) -> SearchReport:
    """Search a space and write ``out/derived.hsp``.

    Args:
        path: a .hsp file with a `search` section.
        out: the run's folder.
        resume: go on with the run in that folder.
        force: overwrite it.
        callbacks: what is told of steps, epochs, trials and the end, and may end the run (`Callback`); loggers of
            Lightning's interface (`Logger`).
        plugins: as in `load`.
        quiet: whether no progress is shown; None: it is shown in a terminal and in a notebook.
        **settings: any parameter or setting, such as ``epochs=5`` or ``data="digits"``, instead of the file's.

    Returns:
        Where the derived file is, its text, and the outcome of each phase.
    """
    from compiler.runs.config import RunConfig
    from compiler.runs.plan import plan_search

    config = RunConfig(Path(out), resume=resume, force=force, quiet=_is_quiet(quiet))
    plan = plan_search(request_of(path, settings, None, plugins), config)
    from compiler.runs.search import search

    return search(replace(plan, listeners=Listeners.of(callbacks)), say=lambda _: None)


def study(
    path: FilePath,
    out: FilePath,
    *,
    workers: int = 1,
    resume: bool = False,
    force: bool = False,
    callbacks: Sequence[Callback | Logger | Callable[[Trial], None]] = (),
    plugins: Sequence[FilePath] = (),
    quiet: bool | None = None,
    **settings: object,
) -> Iterator[Trial]:
    """Search a space with an explorer, trial by trial: each is given when it is done and on the disk.

    Behind the last ``out/derived.hsp`` is written. A run that is left before goes on with ``resume``, which gives the
    trials that are new.

    Args:
        path: a .hsp file; without an explorer in its `search` section no trial is given.
        out, resume, force: as in `search`.
        workers: how many trials are judged at once, each by a process of its own; it is not the setting of that name.
        callbacks: as in `search`; a function is called with each trial before it is given.
        plugins: as in `load`; also modules and files of proposers and judges of your own.
        quiet: as in `search`.
        **settings: as in `search`, such as ``derive="evolution(100)"``.
    """
    from compiler.runs.config import RunConfig
    from compiler.runs.plan import plan_search

    config = RunConfig(Path(out), resume=resume, force=force, quiet=_is_quiet(quiet), workers=workers)
    plan = plan_search(request_of(path, settings, None, plugins), config)
    from compiler.runs.search import trials

    return trials(replace(plan, listeners=Listeners.of(callbacks)), lambda _: None)


def train(
    path: FilePath,
    out: FilePath,
    *,
    resume: bool = False,
    force: bool = False,
    weights: FilePath | None = None,
    callbacks: Sequence[Callback | Logger] = (),
    plugins: Sequence[FilePath] = (),
    quiet: bool | None = None,
    **settings: object,
) -> TrainOutcome:
    """Train the discrete network of a file, test it once, save its weights in ``out``.

    With ``weights``, a file that a training saved, it starts from these; what is not among them is warned about, and
    starts fresh. ``callbacks`` and ``quiet`` are as in `search`.
    """
    from compiler.runs.config import RunConfig
    from compiler.runs.plan import plan_training

    config = RunConfig(Path(out), resume=resume, force=force, quiet=_is_quiet(quiet))
    start = None if weights is None else Path(weights)
    plan = plan_training(request_of(path, settings, None, plugins), config, weights=start)
    from compiler.runs.train import train

    return train(replace(plan, listeners=Listeners.of(callbacks)), warn=warnings.warn)


def diff(left: FilePath, right: FilePath) -> Diff:
    """The differences of two files, by choice path."""
    texts = [(read_text(Path(path)), str(path)) for path in (left, right)]
    return diff_modules(*(parse_text(text, name) for text, name in texts))


def contains(space: FilePath, architecture: FilePath, *, plugins: Sequence[FilePath] = ()) -> Membership:
    """Whether an architecture lies in a space, and if not, at which choice it leaves it."""
    from compiler.analysis.membership.query import membership_of

    return membership_of(request_of(architecture, {}, None, plugins), Path(space))


def count(space: FilePath, unique: str = "", *, seed: int = 0, graphs: int = 20_000, **params: object) -> Count:
    """How many architectures a file has: ``exact`` where that is known, else an ``estimate`` with its standard error.

    Args:
        space: a .hsp file.
        unique: count up to an equivalence: ``isomorphic``, ``pruned``, ``functional``, or one that the file defines.
        seed: of the sample that an estimate comes from.
        graphs: how many graphs of one cell or stage are compared for ``unique`` at most; 10,000 take some seconds.
        **params: parameters and settings instead of the file's, such as ``c=36``.

    Raises:
        HspError: the file is wrong, or it has a structure that is not counted.
        UsageError: the number up to the equivalence is not known; the message says why, and a lower bound.
    """
    from compiler.analysis.architectures import count

    return count(_architectures(space, params), seed, unique, graphs)


def sample(
    space: FilePath, number: int = 1, *, seed: int = 0, weighted: bool = False, **params: object
) -> list[Architecture]:
    """Architectures drawn independently over those of a file that meet its requirements.

    Args:
        space: a .hsp file.
        number: how many are drawn.
        seed: equal seeds give equal texts.
        weighted: by the weights of items instead of uniformly.
        **params: parameters and settings instead of the file's, such as ``c=36``.

    Raises:
        UsageError: none of many architectures that were drawn meets the requirements.
    """
    from compiler.analysis.architectures import sample

    return list(sample(_architectures(space, params), number, seed, weighted))


def enumerate(space: FilePath, limit: int | None = None, **params: object) -> Iterator[Architecture]:
    """All architectures of a file that meet its requirements, or the first ``limit`` of them, one after the other."""
    from compiler.analysis.architectures import enumerate_all

    return enumerate_all(_architectures(space, params), limit)


def mutate(space: FilePath, architecture: FilePath, *, seed: int = 0, **params: object) -> Architecture:
    """An architecture of the space that differs from a given one in one choice, and in the decisions that depend on it.

    Raises:
        UsageError: the given one does not lie in the space, or no choice of it can be changed alone.
    """
    from compiler.analysis.architectures import mutate

    return mutate(_architectures(space, params), request_of(architecture, {}), seed)


def crossover(space: FilePath, left: FilePath, right: FilePath, *, seed: int = 0, **params: object) -> Architecture:
    """An architecture of the space that takes each choice from one of two given ones.

    Raises:
        UsageError: a given one does not lie in the space, or no child meets its requirements.
    """
    from compiler.analysis.architectures import crossover

    return crossover(_architectures(space, params), request_of(left, {}), request_of(right, {}), seed)


def _is_quiet(quiet: bool | None) -> bool:
    return not is_watched() if quiet is None else quiet


def _architectures(space: FilePath, params: dict[str, object]) -> Architectures:
    from compiler.analysis.architectures import Architectures

    return Architectures(request_of(space, params))


__all__ = [
    "Callback",
    "EndEvent",
    "EpochEvent",
    "HspError",
    "Inherited",
    "Logger",
    "StepEvent",
    "TrialEvent",
    "UsageError",
    "compile_file",
    "contains",
    "count",
    "crossover",
    "derive",
    "describe",
    "diff",
    "draw",
    "enumerate",
    "inherit",
    "load",
    "mutate",
    "report",
    "sample",
    "search",
    "study",
    "train",
]
