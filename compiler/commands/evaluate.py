"""`hdas evaluate FILE WEIGHTS`, or `hdas-compile FILE --eval WEIGHTS`: the test metric of saved weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from .command import Command
from .console import OK
from .groups import DataOptions, MachineOptions, Source, network_option, recipe_option, run_config
from .json_output import aside, json_flag, put_json
from .option import action_value, flag, group, option
from .output import line
from .values import whole


@dataclass(frozen=True, kw_only=True)
class Evaluate(Command):
    """Test saved weights of a discrete network on the test part of its data."""

    name: ClassVar[str] = "evaluate"
    action: ClassVar[str | None] = "--eval"
    summary: ClassVar[str] = "test saved weights"
    answer: ClassVar[str] = "Tested"
    idle: ClassVar[dict[str, str]] = {
        "--seed": "nothing is random in a test",
        "--precision": "weights are tested in float32",
        "--out": "a test writes no files",
        "--devices": "one device tests",
    }
    collects_garbage: ClassVar[bool] = True

    source: Source = group(Source)
    weights: Path = action_value("WEIGHTS", "a .safetensors file that a training saved", read=Path)
    data: DataOptions = group(DataOptions)
    machine: MachineOptions = group(MachineOptions)
    json: bool = json_flag()
    batch_size: int | None = option("--batch-size", "N", "images in a batch", read=whole, otherwise="the file's")
    quiet: bool = flag("--quiet", "show no progress")
    network: str | None = network_option()
    recipe: Path | None = recipe_option()

    def run(self) -> int:
        """Print the metric of the task."""
        from compiler.program.overrides import Override
        from compiler.runs.plan import plan_evaluation

        overrides = self.data.overrides()
        if self.batch_size is not None:
            overrides.append(Override("batch", self.batch_size, f"--batch-size {self.batch_size}"))
        request = self.source.request(network=self.network, recipe=self.recipe, overrides=overrides)
        plan = plan_evaluation(request, self.weights, run_config(self.source, self.data, self.machine))
        from compiler.runs.evaluate import metric_of

        task = plan.settings.task
        with aside(self.json):
            value = metric_of(plan, self.weights)
        if self.json:
            from .answers import Tested

            put_json(Tested(metric=task.metric, value=value, weights=str(self.weights)))
        else:
            line(f"test {task.metric}: {task.show(value)}")
        return OK
