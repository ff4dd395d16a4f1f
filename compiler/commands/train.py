"""`hdas train FILE`, or `hdas-compile FILE --train`: an architecture trained, from scratch or from weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from .command import Command
from .console import OK
from .groups import (
    DataOptions,
    MachineOptions,
    RunOptions,
    SettingOptions,
    Source,
    network_option,
    recipe_option,
    run_config,
)
from .json_output import aside, json_flag, put_json
from .live_report import kept, report_flag
from .option import group, option
from .output import complain, remark


@dataclass(frozen=True, kw_only=True)
class Train(Command):
    """Train a discrete network as its train section says, from scratch or from weights, test it once, and save it."""

    name: ClassVar[str] = "train"
    action: ClassVar[str | None] = "--train"
    summary: ClassVar[str] = "train the discrete network and test it"
    answer: ClassVar[str] = "Tested"
    idle: ClassVar[dict[str, str]] = {
        "--phases": "a training has no phases",
        "--method": "a method is how a space is searched",
    }
    collects_garbage: ClassVar[bool] = True

    source: Source = group(Source)
    data: DataOptions = group(DataOptions)
    settings: SettingOptions = group(SettingOptions)
    machine: MachineOptions = group(MachineOptions)
    run_options: RunOptions = group(RunOptions)
    network: str | None = network_option()
    recipe: Path | None = recipe_option()
    weights: Path | None = option(
        "--weights",
        "FILE",
        "start from weights that a training saved; what is not among them is listed, and starts fresh",
        read=Path,
        otherwise="fresh ones",
    )
    json: bool = json_flag()
    report: bool = report_flag()

    def run(self) -> int:
        """Train; the plan is made, and refused where it has to be, before torch is loaded."""
        from compiler.runs.plan import plan_training

        overrides = (*self.data.overrides(), *self.settings.overrides())
        request = self.source.request(network=self.network, recipe=self.recipe, overrides=overrides)
        config = run_config(self.source, self.data, self.machine, self.run_options, kind="train")
        plan = plan_training(request, config, weights=self.weights)
        if plan.program.train is None and self.data.data is None:
            defaults = f"it is trained by the defaults of one, on {plan.settings.data.describe()}"
            complain(f"warning: '{plan.program.name}' has no `train` section: {defaults}; --data names other data")
        from compiler.run_report.reading import whole_run
        from compiler.runs.train import train
        from compiler.searcher.engine.device.compute import is_main_process

        with aside(self.json), kept(self.report and is_main_process(), whole_run(config.out), self.source.plugins):
            outcome = train(plan, warn=complain)
        if is_main_process() and self.json:
            from .answers import Tested

            put_json(Tested(metric=outcome.task.metric, value=outcome.value, weights=str(outcome.weights)))
        elif is_main_process():
            remark(f"test {outcome.task.metric}: {outcome.task.show(outcome.value)}")
            remark(f"weights: {outcome.weights}")
        return OK
