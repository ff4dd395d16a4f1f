"""`hdas dry-run FILE`, or `hdas-compile FILE --search --dry-run`: what a run would do, with time and memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

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
    network_option,
    phases_option,
    recipe_option,
    run_config,
)
from .json_output import json_flag, put_json
from .option import flag, group
from .output import line


@dataclass(frozen=True, kw_only=True)
class DryRun(Command):
    """Say what a search or a training would do, with time and memory estimated from two steps; nothing is written."""

    name: ClassVar[str] = "dry-run"
    action: ClassVar[str | None] = "--dry-run"
    summary: ClassVar[str] = "say what a search or a training would do, with time and memory"
    answer: ClassVar[str] = "Planned"
    collects_garbage: ClassVar[bool] = True

    source: Source = group(Source)
    search: bool = flag("--search", "of a search, which is what is meant without --train")
    train: bool = flag("--train", "of a training")
    json: bool = json_flag()
    data: DataOptions = group(DataOptions)
    settings: SettingOptions = group(SettingOptions)
    machine: MachineOptions = group(MachineOptions)
    run_options: RunOptions = group(RunOptions)
    phases: tuple[str, ...] = phases_option()
    method: str | None = method_option()
    network: str | None = network_option()
    recipe: Path | None = recipe_option()

    def run(self) -> int:
        """Measure two steps and print what a run would take."""
        if self.search and self.train:
            raise UsageError("--search and --train are two runs: name one")
        idle = (
            {"--phases": self.phases, "--method": self.method}
            if self.train
            else {"--network": self.network, "--recipe": self.recipe}
        )
        for name, value in idle.items():
            if value:
                raise UsageError(f"{name} does nothing with {'--train' if self.train else '--search'}")
        overrides = (*method_overrides(self.method), *self.data.overrides(), *self.settings.overrides())
        request = self.source.request(network=self.network, recipe=self.recipe, overrides=overrides)
        kind = "train" if self.train else ""
        config = run_config(self.source, self.data, self.machine, self.run_options, self.phases, kind)
        said: list[str] = []
        say = said.append if self.json else line
        from compiler.runs.plan import plan_search, plan_training

        if self.train:
            training = plan_training(request, config, writes=False)
            show(training.program.warnings)
            from compiler.runs.dry_run import dry_training

            sizes = [dry_training(training, say)]
        else:
            searching = plan_search(request, config, writes=False)
            show(searching.program.warnings)
            for sentence in choice_of_method(searching.program):
                say(sentence)
            from compiler.runs.dry_run import dry_search

            sizes = dry_search(searching, say)
        if self.json:
            from .answers import Planned

            parts = tuple(Planned.Part.model_validate(size, from_attributes=True) for size in sizes)
            put_json(Planned(parts=parts, said=tuple(said)))
        return OK
