"""The functions that Python users call; the command line does the same. torch is imported only where something runs."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compiler.program.compile_file import compile_file
from compiler.run_report.looking import draw, report
from compiler.runs.architectures import count, crossover, enumerate, mutate, sample
from compiler.runs.inherited import Inherited
from compiler.runs.modules import derive, inherit, load
from compiler.runs.request import FilePath, file_at, request_of, text_at
from compiler.searcher.listeners import Callback, EndEvent, EpochEvent, Listeners, Logger, StepEvent, TrialEvent
from compiler.util.errors import UsageError
from compiler.util.page import is_watched
from hdas_dsl.diff.differ import Diff
from hdas_dsl.diff.differ import diff as diff_modules
from hdas_dsl.parse.parser import parse_text
from hdas_dsl.text.diagnostics import HspError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from compiler.analysis.membership.query import Membership
    from compiler.runs.search import SearchReport
    from compiler.searcher.engine.retrain import TrainOutcome
    from compiler.searcher.explore.trials import Trial


def describe(
    path: FilePath, network: str | None = None, *, plugins: Sequence[FilePath] = (), **params: object
) -> dict[str, Any]:
    """The facts of a file, as ``hdas-compile FILE --json`` prints them (docs/json.md).

    Args:
        path: a .hsp file.
        network: as in `load`.
        plugins: as in `load`.
        **params: as in `load`.

    Returns:
        Plain data: ``params`` (trainable parameters), ``macs`` (multiply-adds of one image), ``memory`` (bytes of
        activations of one image in float32), ``cardinality`` (the number of architectures, as digits), and more.

    Raises:
        HspError: the file is wrong.
        UsageError: a parameter or a plugin is wrong.
    """
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
        callbacks: callbacks that are called after steps, epochs, trials and at the end, and may end the run
            (`Callback`); loggers of Lightning's interface (`Logger`).
        plugins: as in `load`.
        quiet: whether no progress is shown; None: it is shown in a terminal and in a notebook.
        **settings: any parameter or setting, such as ``epochs=5`` or ``data="digits"``, instead of the file's.

    Returns:
        The path of the derived file, its text, and the outcome of each phase.

    Raises:
        HspError: the file is wrong.
        UsageError: the settings, the data or the folder do not allow the run; nothing has been computed.
        compiler.util.errors.RunError: the run ended early, such as by a loss that is not finite.
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
    """Search a space with an explorer, trial by trial: each is yielded when it is done and on the disk.

    After the last trial ``out/derived.hsp`` is written. A run that is left before its end goes on with ``resume``,
    which yields only the new trials.

    Args:
        path: a .hsp file; without an explorer in its `search` section no trial is yielded.
        out, resume, force: as in `search`.
        workers: how many trials are judged at once, each by a process of its own; it is not the setting of that name.
        callbacks: as in `search`; a function is called with each trial before the trial is yielded.
        plugins: as in `load`; also modules and files of proposers and judges of your own.
        quiet: as in `search`.
        **settings: as in `search`, such as ``derive="evolution(100)"``.

    Raises:
        HspError, UsageError, compiler.util.errors.RunError: as in `search`.
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

    Args:
        path: a .hsp file whose network, or the one that its `train` section names, has no choices.
        out, resume, force: as in `search`.
        weights: a file that a training saved; tensors that it lacks start fresh, with a warning.
        callbacks: as in `search`.
        plugins: as in `load`.
        quiet: as in `search`.
        **settings: as in `search`, for the `train` section.

    Returns:
        The metric on the test part, the path of the weights, and the history of the epochs.

    Raises:
        HspError: the file is wrong.
        UsageError: the network still has choices, or the weights, the data or the folder do not allow the run.
        compiler.util.errors.RunError: the run ended early, such as by a loss that is not finite.
    """
    from compiler.runs.config import RunConfig
    from compiler.runs.plan import plan_training

    config = RunConfig(Path(out), resume=resume, force=force, quiet=_is_quiet(quiet))
    start = None if weights is None else Path(weights)
    plan = plan_training(request_of(path, settings, None, plugins), config, weights=start)
    from compiler.runs.train import train

    return train(replace(plan, listeners=Listeners.of(callbacks)), warn=warnings.warn)


def diff(left: FilePath, right: FilePath) -> Diff:
    """The differences of two files, by choice path.

    Raises:
        HspError: a file has a syntax error.
        MissingFileError: there is no such file; it is a FileNotFoundError too.
        OSError: a file cannot be read.
    """
    texts = [(text_at(path), str(path)) for path in (left, right)]
    return diff_modules(*(parse_text(text, name) for text, name in texts))


def contains(space: FilePath, architecture: FilePath, *, plugins: Sequence[FilePath] = ()) -> Membership:
    """Whether an architecture lies in a space, and if not, at which choice it leaves the space.

    Args:
        space: a .hsp file.
        architecture: a .hsp file without choices.
        plugins: as in `load`.

    Raises:
        HspError: one of the files is wrong.
    """
    from compiler.analysis.membership.query import membership_of

    return membership_of(request_of(architecture, {}, None, plugins), file_at(space))


def _is_quiet(quiet: bool | None) -> bool:
    return not is_watched() if quiet is None else quiet


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
