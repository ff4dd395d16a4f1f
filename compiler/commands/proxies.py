"""`hdas proxies FILE`, or `hdas-compile FILE --proxies`: what is computed of an architecture before any training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from .command import Command
from .console import OK
from .groups import DataOptions, Source, device_option, network_option, recipe_option, run_config
from .groups import MachineOptions as Machine
from .json_output import json_flag, put_json
from .option import group, option
from .output import line
from .values import at_least, names, whole


@dataclass(frozen=True, kw_only=True)
class Proxies(Command):
    """Compute zero-cost proxies of a discrete network, as a training starts it, on one batch of held-out images."""

    name: ClassVar[str] = "proxies"
    action: ClassVar[str | None] = "--proxies"
    summary: ClassVar[str] = "zero-cost proxies of an architecture, before any training"
    answer: ClassVar[str] = "Computed"
    collects_garbage: ClassVar[bool] = True

    source: Source = group(Source)
    data: DataOptions = group(DataOptions)
    json: bool = json_flag()
    words: tuple[str, ...] = option("--words", "A,B", "only these proxies", read=names, default=(), otherwise="all")
    images: int = option("--images", "N", "how many images", read=at_least(2), default=64)
    seed: int | None = option("--seed", "N", "the seed of weights and images", read=whole, otherwise="the file's, or 0")
    device: str = device_option()
    network: str | None = network_option()
    recipe: Path | None = recipe_option()

    def run(self) -> int:
        """Print a line for each proxy."""
        from compiler.program.overrides import Override
        from compiler.runs.plan import plan_training

        overrides = self.data.overrides()
        if self.seed is not None:
            overrides.append(Override("seed", self.seed, f"--seed {self.seed}"))
        request = self.source.request(network=self.network, recipe=self.recipe, overrides=overrides)
        config = run_config(self.source, self.data, Machine(device=self.device))
        plan = plan_training(request, config, writes=False)
        from compiler.runs.proxies import proxies_of
        from compiler.searcher.settings.judges import ProxyName

        found = proxies_of(plan, self.words or tuple(ProxyName), self.images)
        if self.json:
            from .answers import Computed

            put_json(Computed(proxies=dict(found)))
            return OK
        for name, value in found.items():
            line(f"{name:<10} {value:,.0f}" if value.is_integer() else f"{name:<10} {value:.6g}")
        return OK
