"""Folders of runs and studies as reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import BaseModel

from compiler.reports.lines import parsed
from compiler.reports.run_metrics import metrics_of, tested_of
from compiler.reports.versus import Comparison
from compiler.searcher.run_files import (
    COMPARISON,
    DERIVED,
    HISTORY,
    LOCK,
    RECORD,
    RESULT,
    SETTINGS,
    SPACE,
    TRAINED,
    TRIALS,
    VERSUS,
)
from compiler.studies.report import choices, rows_of
from compiler.studies.results import PLAN, ResultLog
from compiler.util.errors import UsageError

from .derived import derived_of
from .model import Derived, Interval, Phase, Report, Run, State, Study, StudyRow, StudyRun, Training
from .phases import epochs_of, phase_of
from .together import together

IS_A_RUN = (SPACE, SETTINGS, RECORD, DERIVED, HISTORY, TRIALS, RESULT, COMPARISON)


class _Machine(BaseModel):
    system: str = ""
    processor: str = ""
    cores: int = 0
    threads: int = 0
    gpus: tuple[str, ...] = ()

    def said(self) -> str:
        """In a line."""
        threads = "1 thread" if self.threads == 1 else f"{self.threads} threads"
        parts = (self.system, self.processor, f"{self.cores} cores", threads, *self.gpus)
        return ", ".join(filter(None, parts))


class _Record(BaseModel):
    command: str = ""
    device: str = ""
    versions: dict[str, str] = {}
    machine: _Machine = _Machine()


def report_of(folders: Sequence[Path], plugins: Iterable[str] = (), title: str = "") -> Report:
    """The report of the runs and studies in some folders.

    Raises:
        UsageError: a folder holds neither.
    """
    named = _names(folders)
    allowed = tuple(plugins)
    studies = [study_of(name, folder) for name, folder in named.items() if (folder / PLAN).is_file()]
    runs = [run_of(name, folder, allowed) for name, folder in named.items() if not (folder / PLAN).is_file()]
    names = ", ".join(named)
    return Report(
        title=title or names,
        runs=tuple(runs),
        studies=tuple(studies),
        together=together(runs) if len(runs) > 1 else None,
    )


def _names(folders: Sequence[Path]) -> dict[str, Path]:
    """A short name for each folder: its own, or the whole path where two are called alike."""
    short = [folder.resolve().name or str(folder) for folder in folders]
    return {
        name if short.count(name) == 1 else str(folder): folder for name, folder in zip(short, folders, strict=True)
    }


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run, or the phases of one."""
    return any((folder / name).is_file() for name in IS_A_RUN) or bool(_phases(folder))


class _Numbered(BaseModel):
    """What a record of a space says of its phase."""

    phase: str
    number: int = 0


def _phases(folder: Path) -> list[Path]:
    """The folders of the phases of a run, in their order."""
    inner = [path for path in folder.iterdir() if (path / SPACE).is_file()] if folder.is_dir() else []
    found = [(path, parsed(path / SPACE, _Numbered)) for path in inner]
    phases = {path: space.number for path, space in found if space is not None and space.phase == path.name}
    return sorted(phases, key=lambda path: (phases[path], path.name))


def phase_folders(folder: Path) -> list[Path]:
    """The folders of the phases of a run, which is its own where they have no names; none where nothing is searched."""
    searched = (folder / SPACE).is_file() or (folder / TRIALS).is_file()
    return [*_phases(folder), *([folder] if searched else [])]


def training_folder(folder: Path) -> Path:
    """The folder of the training of a run: its own where it is nothing else."""
    searched = (folder / DERIVED).is_file() or bool(phase_folders(folder))
    trains = (folder / RESULT).is_file() or not searched
    return folder if trains and (folder / HISTORY).is_file() else folder / TRAINED


def run_of(name: str, folder: Path, plugins: Iterable[str] = ()) -> Run:
    """The run in a folder: a search, a training, or a comparison.

    Raises:
        UsageError: there is none.
    """
    if not is_run(folder):
        raise UsageError(f"'{folder}' holds no run: it has none of {', '.join(IS_A_RUN)}")
    record = parsed(folder / RECORD, _Record) or _Record()
    phases = [phase_of(path, plugins, metrics_of(folder)) for path in phase_folders(folder)]
    training = training_folder(folder)
    learned = training_of(training) if (training / HISTORY).is_file() else None
    seconds = sum(epoch.seconds or 0.0 for phase in phases for epoch in phase.epochs)
    return Run(
        name=name,
        folder=str(folder),
        state=state_of(folder),
        command=record.command,
        device=record.device,
        versions=record.versions,
        machine=record.machine.said() if record.versions else "",
        settings=_text(folder / SETTINGS),
        seconds=round(seconds + sum(epoch.seconds or 0.0 for epoch in (learned.epochs if learned else ())), 3),
        phases=tuple(phases),
        derived=_derived(folder, phases, plugins),
        training=learned,
        versus=parsed(folder / COMPARISON, Comparison) or parsed(folder / VERSUS / COMPARISON, Comparison),
    )


def _derived(folder: Path, phases: Sequence[Phase], plugins: Iterable[str]) -> Derived | None:
    """What a run derived, which as a rule is what its last phase did."""
    last = phases[-1].derived if phases else None
    return last if last is not None and _text(folder / DERIVED) == last.text else derived_of(folder / DERIVED, plugins)


def whole_run(folder: Path) -> Path:
    """The folder of the run that a training or a comparison belongs to: that of its search, where it has one."""
    inside = folder.name in (TRAINED, VERSUS)
    return folder.parent if inside and folder.parent.is_dir() and is_run(folder.parent) else folder


def is_under_way(folder: Path) -> bool:
    """Whether a process writes to the folder of a run or a study."""
    lock = folder / LOCK
    if not lock.is_file():
        return False
    # A run that begins at this very moment would find the lock taken; it is given back at once.
    try:
        with FileLock(lock).acquire(blocking=False):
            return False
    except Timeout:
        return True


def state_of(folder: Path) -> State:
    """Whether a run is under way, its training or its comparison, or came to its end, or was stopped before."""
    if any(map(is_under_way, (folder, folder / TRAINED, folder / VERSUS))):
        return State.RUNNING
    ended = any((folder / name).is_file() for name in (DERIVED, RESULT, COMPARISON))
    return State.FINISHED if ended else State.STOPPED


def training_of(folder: Path) -> Training:
    """The training in a folder."""
    metric, test = tested_of(folder)
    return Training(folder=str(folder), metric=metric, epochs=epochs_of(folder / HISTORY), test=test)


def study_of(name: str, folder: Path) -> Study:
    """The study in a folder, as far as it is.

    Raises:
        UsageError: it is damaged.
    """
    plan, results = ResultLog(folder).read()
    means = rows_of(plan, results)
    rows = [
        StudyRow(
            combination=row.combination,
            asked=row.asked,
            finished=row.finished,
            means={measure: Interval(value=mean.value, reach=mean.reach) for measure, mean in row.means.items()},
            judged=row.judged,
            metric=row.metric,
        )
        for row in means
    ]
    runs = [
        StudyRun.model_validate(result.model_dump(include=set(StudyRun.model_fields))) for result in results.values()
    ]
    ended = len(results) >= sum(row.asked for row in rows)
    state = State.RUNNING if is_under_way(folder) else State.FINISHED if ended else State.STOPPED
    chosen = tuple(choices(means, folder))
    return Study(name=name, folder=str(folder), state=state, rows=tuple(rows), runs=tuple(runs), choices=chosen)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
