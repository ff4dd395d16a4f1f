"""`hdas search FILE`, or `hdas-compile FILE --search`: from a space to an architecture."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from .command import Command
from .console import OK, show
from .groups import (
    DataOptions,
    MachineOptions,
    RunOptions,
    SettingOptions,
    Source,
    method_option,
    method_overrides,
    phases_option,
    run_config,
)
from .option import flag, group, option
from .output import remark
from .values import at_least


@dataclass(frozen=True, kw_only=True)
class Search(Command):
    """Search the space of a file as its search section says, and write derived.hsp."""

    name: ClassVar[str] = "search"
    action: ClassVar[str | None] = "--search"
    summary: ClassVar[str] = "search the space and write derived.hsp"
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
    report: bool = flag("--report", "also write report.html, a page that shows the run while it is under way")

    def run(self) -> int:
        """Search; the plan is made, and refused where it has to be, before torch is loaded."""
        from compiler.runs.plan import plan_search

        overrides = (*method_overrides(self.method), *self.data.overrides(), *self.settings.overrides())
        request = self.source.request(overrides=overrides)
        config = run_config(self.source, self.data, self.machine, self.run_options, self.phases)
        plan = plan_search(request, replace(config, workers=self.workers, ray=self.ray))
        show(plan.program.warnings)
        from compiler.runs.search import search
        from compiler.searcher.engine.device.compute import is_main_process

        with self._reported(config.out) if self.report and is_main_process() else nullcontext():
            search(plan, say=remark)
        if is_main_process():
            self._say_end(config.out)
        return OK

    def _reported(self, folder: Path) -> AbstractContextManager[None]:
        """Keep a page that shows the run."""
        from compiler.run_report.watch import reported

        return reported(folder, self.source.plugins, remark)

    def _say_end(self, folder: Path) -> None:
        """What was found, what it costs, how sure it is, and what to do next."""
        from compiler.run_report.ending import ending
        from compiler.run_report.reading import run_of

        for sentence in ending(run_of(folder.name, folder, self.source.plugins), folder):
            remark(sentence)
