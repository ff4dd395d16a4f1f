"""`hdas export FILE KIND`, or `hdas-compile FILE --export KIND`: a network for another tool."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from compiler.util.errors import UsageError

from .command import Command
from .console import OK, show
from .groups import Source, network_option, recipe_option
from .json_output import json_flag, put_json
from .option import action_value, group, option
from .output import complain, line
from .values import whole


@dataclass(frozen=True, kw_only=True)
class Export(Command):
    """Write a discrete network as onnx, torch or py, run it there, and compare."""

    name: ClassVar[str] = "export"
    action: ClassVar[str | None] = "--export"
    summary: ClassVar[str] = "write the network as onnx, torch or py"
    answer: ClassVar[str] = "Exported"
    idle: ClassVar[dict[str, str]] = {"--device": "an export is made and checked on the CPU"}

    source: Source = group(Source)
    kind: str = action_value("KIND", "onnx, torch or py")
    out: Path | None = option(
        "-o", "--out", "FILE", "the file to write", read=Path, otherwise="named as the program, here"
    )
    weights: Path | None = option(
        "--weights", "FILE", "weights that a training saved", read=Path, otherwise="fresh ones"
    )
    json: bool = json_flag()
    seed: int | None = option("--seed", "N", "the seed of fresh weights", read=whole, otherwise="the file's, or 0")
    network: str | None = network_option()
    recipe: Path | None = recipe_option()

    def run(self) -> int:
        """Write the file and print how it was checked."""
        from compiler.program.overrides import Override
        from compiler.runs.plan import plan_export

        if self.seed is not None and self.weights is not None:
            raise UsageError("--seed does nothing with --weights: only fresh weights are random")
        overrides = [] if self.seed is None else [Override("seed", self.seed, f"--seed {self.seed}")]
        request = self.source.request(network=self.network, recipe=self.recipe, overrides=overrides)
        plan = plan_export(request, self.kind, self.out, self.weights)
        show(plan.program.warnings)
        if plan.weights is None:
            complain(f"warning: {plan.fresh}")
        from compiler.runs.export import export_network, said

        report = export_network(plan)
        if not self.json:
            line(said(report, plan.weights))
            return OK
        from .answers import Exported

        weights = None if report.weights is None else str(report.weights)
        put_json(
            Exported(file=str(report.path), weights=weights, parameters=report.parameters, difference=report.difference)
        )
        return OK
