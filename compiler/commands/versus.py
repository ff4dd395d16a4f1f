"""`hdas versus FILE N`, or `hdas-compile FILE --versus N`: an architecture beside N random ones, trained alike."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

from compiler.util.errors import UsageError

from .command import Command
from .console import OK
from .groups import (
    DataOptions,
    MachineOptions,
    RunOptions,
    SettingOptions,
    Source,
    existing,
    network_option,
    recipe_option,
    run_config,
)
from .json_output import aside, json_flag, put_json
from .live_report import kept, report_flag
from .option import action_value, group, option
from .output import complain, line, put, remark
from .values import at_least


@dataclass(frozen=True, kw_only=True)
class Versus(Command):
    """Train an architecture and N random ones of its space alike, and say whether it is better than chance.

    Every architecture of the space whose output depends on its input is equally likely to be drawn. All are trained as
    the `train` section of the architecture's file says, and tested once. 19 random ones can show a p of 0.05, 99 of
    0.01.
    """

    name: ClassVar[str] = "versus"
    action: ClassVar[str | None] = "--versus"
    summary: ClassVar[str] = "is the architecture better than N random ones?"
    answer: ClassVar[str] = "Comparison"
    idle: ClassVar[dict[str, str]] = {
        "--phases": "a training has no phases",
        "--weights": "all architectures start from fresh weights",
    }
    collects_garbage: ClassVar[bool] = True

    source: Source = group(Source)
    number: int = action_value("N", "how many random ones", read=at_least(1))
    space: Path | None = option("--space", "FILE", "the space", read=Path, otherwise="the one it was derived from")
    json: bool = json_flag()
    report: bool = report_flag()
    repeats: int = option("--repeats", "K", "train each with K seeds", read=at_least(1), default=1)
    data: DataOptions = group(DataOptions)
    settings: SettingOptions = group(SettingOptions)
    machine: MachineOptions = group(MachineOptions)
    run_options: RunOptions = group(RunOptions)
    network: str | None = network_option()
    recipe: Path | None = recipe_option()

    def run(self) -> int:
        """Draw, train and compare; what is refused is refused before torch is loaded."""
        from compiler.analysis.architectures import Architectures, sample_living
        from compiler.analysis.architectures.variation import member
        from compiler.program.source_file import as_searched, source_file
        from compiler.runs.plan_versus import plan_versus
        from compiler.searcher.settings.sections import TrainSettings

        if self.source.file == "-":
            raise UsageError("a comparison reads its file again for each training: standard input is read once")
        overrides = (*self.data.overrides(), *self.settings.overrides())
        request = self.source.request(network=self.network, recipe=self.recipe, overrides=overrides)
        plain = self.source.request(network=self.network)
        architecture = plain.compile()
        space = existing(self.space) if self.space else source_file(architecture, self.source.path)
        # Settings are those of the trainings: the search of the space need not allow them.
        of_space = [item for item in plain.overrides if item.name.partition(".")[0] not in TrainSettings.model_fields]
        of_file = replace(plain, path=space, network=None, overrides=of_space)
        listing = Architectures(as_searched(of_file, architecture, self.source.path))
        member(listing, plain)
        seed = self.settings.seed or 0
        random = [found.text for found in sample_living(listing, self.number, seed)]
        config = run_config(self.source, self.data, self.machine, self.run_options, kind="versus")
        plan = plan_versus(request, random, config, seed=seed, seeds=self.repeats)
        from compiler.reports.columns import text_of
        from compiler.run_report.reading import whole_run
        from compiler.runs.versus import versus
        from compiler.searcher.engine.device.compute import is_main_process

        with aside(self.json), kept(self.report and is_main_process(), whole_run(config.out), self.source.plugins):
            comparison = versus(plan, say=remark, warn=complain)
        if is_main_process() and self.json:
            put_json(comparison)
        elif is_main_process():
            put(text_of(comparison.table()))
            for sentence in comparison.verdict():
                line(sentence)
        return OK
