"""`hdas study FILE...`, or `hdas-study FILE...`: runs that differ in file, method, settings and seed, and a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from compiler.util.errors import UsageError
from compiler.util.plural import plural
from compiler.util.share import read_share

from .command import Command
from .console import FAILED, OK
from .groups import device_option, existing
from .json_output import aside, json_flag, put_json
from .live_report import kept, report_flag
from .option import flag, option, position
from .output import complain, line, put, remark
from .program import run_program
from .values import at_least, names

if TYPE_CHECKING:
    from compiler.studies.plan import StudyPlan
    from compiler.studies.report import Row

    from .answers import Studied


@dataclass(frozen=True, kw_only=True)
class StudyFiles(Command):
    """Search files with every method, setting and seed that is named, and compare what came out.

    Each run is a process of its own, in a folder below that of the study, and one that fails is a run with a reason. An
    architecture is trained instead; --train also trains what the searches derive. At the end stands a table: means over
    the seeds with 95% intervals.
    """

    name: ClassVar[str] = "study"
    summary: ClassVar[str] = "compare files, methods, settings and seeds by many runs"
    answer: ClassVar[str] = "Studied"
    collects_garbage: ClassVar[bool] = True

    files: tuple[Path, ...] = position("FILE", "files to be searched or trained", read=Path, count="+")
    seeds: str = option("--seeds", "A..B", "the seeds of each combination, such as 0..4 or 1,5", default="0")
    grid: tuple[str, ...] = option("--grid", "NAME=A,B", "a setting, and the values that it takes in turn", many=True)
    methods: tuple[str, ...] = option(
        "--method", "A,B", "the methods of the searches", read=names, default=(), otherwise="those of the files"
    )
    sets: tuple[str, ...] = option("--set", "NAME=VALUE", "a parameter or a setting of all runs", many=True)
    plugins: tuple[str, ...] = option("--allow-plugin", "MODULE|FILE", "operations that the files may name", many=True)
    train: bool = flag("--train", "also train what a search derives, and test it once")
    json: bool = json_flag()
    report: bool = report_flag()
    dry_run: bool = flag("--dry-run", "print the plan, and run nothing")
    optuna: str | None = option(
        "--optuna", "STORAGE", "also write the trials of explorers to an Optuna storage", otherwise="nowhere"
    )
    share: str | None = option(
        "--share", "I/N", "run only every Nth run, from the Ith; slurm: that of an array task", otherwise="all"
    )
    workers: int = option("--workers", "N", "how many runs at once", read=at_least(1), default=1)
    data_root: Path = option("--data-root", "DIR", "where data lie", read=Path, default=Path("data"))
    download: bool = flag("--download", "fetch missing data")
    device: str = device_option()
    out: Path | None = option("-o", "--out", "DIR", "the study's folder", read=Path, otherwise="studies/NAME")
    resume: bool = flag("--resume", "go on with the study in --out; runs that failed are tried again")
    force: bool = flag("--force", "overwrite the study in --out")

    def run(self) -> int:
        """Plan, run, and print the table."""
        from compiler.studies.plan import Asked, plan_study, read_seeds

        files = [existing(path) for path in self.files]
        share = None if self.share is None else read_share(self.share)
        download = ("--download",) if self.download else ()
        asked = Asked(
            files=files,
            seeds=read_seeds(self.seeds),
            grid=self.grid,
            methods=self.methods,
            sets=self.sets,
            trains=self.train,
            plugins=self.plugins,
            options=("--data-root", str(self.data_root), *download),
            optuna=self.optuna,
        )
        plan = plan_study(asked)
        for sentence in plan.warnings:
            complain(f"warning: {sentence}")
        if self.dry_run:
            _print(plan)
            return OK
        from compiler.reports.columns import text_of
        from compiler.studies.conduct import StudyConfig, conduct
        from compiler.studies.report import choices, failures, rows_of, table_of

        config = StudyConfig(self._folder(), self.workers, self.resume, self.device, self.plugins, share)
        with aside(self.json), kept(self.report, config.out, self.plugins):
            results = conduct(plan, config, remark)
        if share is not None:
            plan = plan.part(share)
        rows, failed = rows_of(plan, results), list(failures(plan, results))
        if self.json:
            put_json(_answer(config.out, rows, failed))
            return FAILED if failed else OK
        put(text_of(table_of(rows)))
        for sentence in choices(rows, config.out):
            line(sentence)
        for sentence in failed:
            line(f"failed: {sentence}")
        return FAILED if failed else OK

    def _folder(self) -> Path:
        """The folder of the study, which holds no other.

        Raises:
            UsageError: it does, or there is no study to go on with.
        """
        from compiler.studies.results import PLAN, ResultLog

        out = self.out or Path("studies") / self.files[0].stem
        begun = (out / PLAN).is_file()
        if self.share is not None:
            if self.resume or self.force:
                raise UsageError(
                    f"{'--resume' if self.resume else '--force'} does nothing with --share: a share goes on"
                )
            return out
        if self.resume and not begun:
            raise UsageError(f"'{out}' holds no study to resume")
        if begun and not self.resume and not self.force:
            raise UsageError(f"'{out}' holds a study: --resume goes on with it, --force starts anew")
        if self.force and begun:
            from compiler.runs.folder import held

            with held(out):
                ResultLog(out).remove()
        return out


def _answer(folder: Path, rows: Sequence[Row], failed: Sequence[str]) -> Studied:
    """The answer of the command: the results of a study."""
    from .answers import Combination, Mean, Studied

    made = [
        Combination(
            combination=row.combination,
            asked=row.asked,
            finished=row.finished,
            best=None if row.best is None else row.best.seed,
            means={name: Mean(value=mean.value, reach=mean.reach) for name, mean in row.means.items()},
        )
        for row in rows
    ]
    return Studied(folder=str(folder), combinations=tuple(made), failed=tuple(failed))


def _print(plan: StudyPlan) -> None:
    """The plan: each combination, and the commands of one of its runs."""
    left = [run for run in plan.runs if not run.refused]
    combinations = plan.combinations
    refused = sum(1 for runs in combinations.values() if runs[0].refused)
    said = f"{plural(len(left), 'run')} of {plural(len(combinations) - refused, 'combination')}"
    line(f"{said}; {refused} {'is' if refused == 1 else 'are'} refused" if refused else said)
    for name, runs in combinations.items():
        seeds = ", ".join(str(run.seed) for run in runs)
        line(f"{name}: {'refused: ' + runs[0].refused if runs[0].refused else f'seeds {seeds}'}")
        for step in () if runs[0].refused else runs[0].steps:
            line(f"  hdas {' '.join(step.words)}")


def main(words: Sequence[str] | None = None) -> int:
    """`hdas-study`."""
    return run_program("hdas-study", StudyFiles, words)
