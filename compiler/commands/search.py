"""`hdas search FILE`, or `hdas-compile FILE --search`: from a space to an architecture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from compiler.util.errors import UsageError

from .command import Command
from .console import OK, show
from .groups import (
    DataOptions,
    MachineOptions,
    RunOptions,
    SettingOptions,
    Source,
    choice_of_method,
    method_option,
    method_overrides,
    phases_option,
    run_config,
)
from .json_output import aside, json_flag, put_json
from .live_report import kept, report_flag
from .option import group, option
from .output import quiet, remark
from .values import at_least

if TYPE_CHECKING:
    from compiler.run_report.model import Run
    from compiler.runs.plan import SearchPlan
    from compiler.searcher.explore.trials import Trial

    from .answers import Searched


@dataclass(frozen=True, kw_only=True)
class Search(Command):
    """Search the space of a file as its search section says, and write derived.hsp."""

    name: ClassVar[str] = "search"
    action: ClassVar[str | None] = "--search"
    summary: ClassVar[str] = "search the space and write derived.hsp"
    answer: ClassVar[str] = "Searched"
    idle: ClassVar[dict[str, str]] = {
        "--network": "the search section names its networks",
        "--recipe": "a recipe is how a network is trained after a search",
    }
    collects_garbage: ClassVar[bool] = True

    source: Source = group(Source)
    data: DataOptions = group(DataOptions)
    settings: SettingOptions = group(SettingOptions)
    machine: MachineOptions = group(MachineOptions)
    run_options: RunOptions = group(RunOptions)
    phases: tuple[str, ...] = phases_option()
    method: str | None = method_option()
    workers: int = option(
        "--workers", "N", "how many trials of an explorer are judged at once", read=at_least(1), default=1
    )
    ray: str | None = option(
        "--ray", "ADDRESS", "judge them on a Ray cluster; auto is that of this machine", otherwise="on this machine"
    )
    json: bool = json_flag()
    report: bool = report_flag()
    optuna: str | None = option(
        "--optuna", "STORAGE", "also write trials to an Optuna storage, as sqlite:///trials.db", otherwise="nowhere"
    )

    def run(self) -> int:
        """Search; the plan is made, and refused where it has to be, before torch is loaded."""
        from compiler.runs.plan import plan_search

        overrides = (*method_overrides(self.method), *self.data.overrides(), *self.settings.overrides())
        request = self.source.request(overrides=overrides)
        config = run_config(self.source, self.data, self.machine, self.run_options, self.phases)
        plan = plan_search(request, replace(config, workers=self.workers, ray=self.ray))
        show(plan.program.warnings)
        with aside(self.json):
            for sentence in choice_of_method(plan.program):
                remark(sentence)
        told = self._mirror(plan)
        from compiler.runs.search import search
        from compiler.searcher.engine.device.compute import is_main_process

        if not is_main_process():
            search(plan, quiet, quiet)
            return OK
        with aside(self.json), kept(self.report, config.out, self.source.plugins):
            search(plan, remark, told)
        self._say_end(config.out)
        return OK

    def _say_end(self, folder: Path) -> None:
        """Print the result, its costs, how certain it is, and what to do next."""
        from compiler.run_report.ending import ending
        from compiler.run_report.reading import run_of

        run = run_of(folder.name, folder, self.source.plugins)
        if self.json:
            put_json(_answer(run, folder))
            return
        for sentence in ending(run, folder, self.source.plugins, self.data.words):
            remark(sentence)

    def _mirror(self, plan: SearchPlan) -> Callable[[Trial], None]:
        """What is done with each trial: with ``--optuna`` it is written there, as are those of the run so far.

        Raises:
            UsageError: several phases have trials, or none has; Optuna is missing, or its storage.
        """
        if self.optuna is None:
            return lambda trial: None
        from compiler.runs.mirror import OptunaMirror
        from compiler.searcher.run_files import TRIALS
        from compiler.searcher.settings.exploring import ExplorerWord

        exploring = [phase for phase in plan.phases if isinstance(phase.settings.derive, ExplorerWord)]
        if len(exploring) != 1:
            found = f"{len(exploring)} phases have some" if exploring else "no explorer proposes any"
            raise UsageError(f"--optuna writes the trials of one explorer, and {found}")
        mirror = OptunaMirror(plan.request, self.optuna, plan.folder(exploring[0]).as_posix())
        if plan.config.resume:
            mirror.catch_up(plan.folder(exploring[0]) / TRIALS)
        return mirror


def _answer(run: Run, folder: Path) -> Searched:
    """The answer of the command: the result of a search."""
    from compiler.searcher.run_files import DERIVED, RUNNER_UP

    from .answers import Searched

    network = None if run.derived is None else run.derived.network
    last = folder / run.phases[-1].name if run.phases else folder
    return Searched(
        folder=str(folder),
        derived=str(folder / DERIVED),
        runner_up=str(last / RUNNER_UP) if (last / RUNNER_UP).is_file() else None,
        network=None if network is None else network.name,
        metric=run.metric.name,
        score=run.score,
        params=None if network is None else network.params,
        macs=None if network is None else network.macs,
        memory=None if network is None else network.memory,
        seconds=run.seconds,
    )
