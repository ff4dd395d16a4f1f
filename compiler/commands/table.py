"""All commands, in the order of help. To add one, write its file and name its class here."""

from __future__ import annotations

from .check import Check
from .command import Command
from .contains import Contains
from .count import CountArchitectures
from .crossover import Crossover
from .diff import Diff
from .dry_run import DryRun
from .emit import Emit
from .enumerate import Enumerate
from .evaluate import Evaluate
from .export import Export
from .fmt import Format
from .import_genotype import Import
from .measure import Measure
from .mutate import Mutate
from .proxies import Proxies
from .report import ReportRuns
from .runs import ListRuns
from .sample import Sample
from .search import Search
from .study import StudyFiles
from .train import Train
from .versus import Versus

COMMANDS: tuple[type[Command], ...] = (
    Check,
    Emit,
    Search,
    StudyFiles,
    ReportRuns,
    ListRuns,
    Train,
    Evaluate,
    Versus,
    DryRun,
    Proxies,
    Export,
    Contains,
    CountArchitectures,
    Sample,
    Enumerate,
    Mutate,
    Crossover,
    Diff,
    Format,
    Import,
    Measure,
)

PROGRAMS: dict[str, tuple[type[Command], ...]] = {
    "hdas-compile": tuple(command for command in COMMANDS if command.action is not None),
    "hdas-diff": (Diff,),
    "hdas-fmt": (Format,),
    "hdas-import": (Import,),
    "hdas-measure": (Measure,),
    "hdas-report": (ReportRuns,),
    "hdas-runs": (ListRuns,),
    "hdas-study": (StudyFiles,),
}
"""The commands of each program beside `hdas`; those of `hdas-compile` are flags."""
