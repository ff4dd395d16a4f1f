"""A whole epoch of a search, and what its time goes to: data, alpha step, preference step, weight step, the rest.

    python bench/search.py [spaces/hdas_digits_joint.hsp ...] [--data fake] [--epochs 2] [--lowering optimised] [--json]

Runs the engine as a search does and times what it calls. The rest of an epoch is its evaluation on the alpha half, its
record and its checkpoint. By default it searches the digits, and DARTS on fake data in CIFAR-10's shape; the first
epoch is left out where there are more. On a GPU every part waits for the device, which a search does not; with
``--whole`` none does, and only the seconds of the whole epoch mean something.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch
from contender import Ours
from pydantic import BaseModel
from race import Machine, say

from compiler.backend.passes import FLATTEN, Target
from compiler.program.model import Phase
from compiler.program.overrides import read_override
from compiler.program.request import Request
from compiler.searcher.data.load import Data, load_data
from compiler.searcher.engine import RunOptions, run_search
from compiler.searcher.engine import search as engine
from compiler.searcher.engine.bilevel import Bilevel
from compiler.searcher.engine.protocol import Evaluate
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.settings.datasets import Fake
from hdas_dsl.units import LIBRARY


class Part(StrEnum):
    """What the time of an epoch goes to."""

    DATA = "data"
    ALPHA = "alpha step"
    PREFERENCES = "preference step"
    WEIGHT = "weight step"
    REST = "evaluation and checkpoint"


class Epoch(BaseModel):
    """Seconds of one epoch, in all and by part."""

    seconds: float
    parts: dict[Part, float]


class Report(BaseModel):
    """A search's epochs, the first of several left out, and the medians of them."""

    space: str
    phase: str
    data: str
    lowering: Ours
    batch: int
    steps: int
    machine: Machine
    epochs: list[Epoch]
    seconds: float
    parts: dict[Part, float]


class Clock:
    """Adds up the seconds of each part of an epoch."""

    def __init__(self, device: torch.device, whole: bool) -> None:
        self.device, self.whole = device, whole
        self.spent: dict[Part, float] = dict.fromkeys(Part, 0.0)
        self.started = time.perf_counter()
        self.epochs: list[Epoch] = []
        self.steps = 0

    def now(self) -> float:
        if self.device.type == "cuda" and not self.whole:
            torch.cuda.synchronize(self.device)
        return time.perf_counter()

    def timed(self, part: Part, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, its time counted."""

        def run(*args: Any, **kwargs: Any) -> Any:
            started = self.now()
            try:
                return call(*args, **kwargs)
            finally:
                self.spent[part] += self.now() - started

        return run

    def lap(self) -> None:
        """The end of an epoch; what no part accounts for is the rest."""
        seconds = self.now() - self.started
        self.spent[Part.REST] = seconds - sum(self.spent.values())
        self.epochs.append(Epoch(seconds=seconds, parts=self.spent))
        self.spent, self.started = dict.fromkeys(Part, 0.0), self.now()


class Watched(engine.Searching):
    """The engine's search with a clock at its parts."""

    def __init__(self, clock: Clock, *args: Any) -> None:
        super().__init__(*args)
        self.clock, steps = clock, self.bilevel
        clock.steps = self.steps
        self.fetch = clock.timed(Part.DATA, self.fetch)  # type: ignore[method-assign]
        for name, part in (
            (Bilevel.alpha_step.__name__, Part.ALPHA),
            (Bilevel.preference_step.__name__, Part.PREFERENCES),
            (Bilevel.weight_step.__name__, Part.WEIGHT),
        ):
            setattr(steps, name, clock.timed(part, getattr(steps, name)))

    def begin(self, epoch: int, skip: int) -> None:
        if epoch == 0:
            self.clock.started = self.clock.now()
        else:
            self.clock.lap()
        super().begin(epoch, skip)

    def finish(self, evaluate: Evaluate) -> str:
        self.clock.lap()
        return super().finish(evaluate)


def data_of(phase: Phase, args: argparse.Namespace) -> Data:
    """The file's data, or images in its shape that need no download."""
    channels, height, width = phase.network.input.largest
    spec = phase.settings.data
    if args.data == "fake":
        graph = phase.network.block.graph
        assert graph.output is not None
        output = graph.node(graph.output).shape
        spec = Fake(
            classes=output.largest[0],
            count=args.images,
            channels=channels,
            size=height,
            crop=spec.crop,
            flip=spec.flip,
        )
    return load_data(spec, Path("data"), input_shape=(channels, height, width))


def report(space: Path, args: argparse.Namespace) -> Report:
    overrides = [f"epochs={args.epochs}", *args.set]
    program = Request(space, tuple(map(read_override, overrides))).compile()
    phase = next((p for p in program.phases if p.name == args.phase), program.phases[0])
    data = data_of(phase, args)
    torch.manual_seed(0)
    target = Target.on(args.device, batch=phase.settings.batch)
    net = Supernet(phase.network, (FLATTEN,) if args.lowering is Ours.NAIVE else None, target=target)
    clock = Clock(torch.device(args.device), args.whole)
    with tempfile.TemporaryDirectory() as folder, patch.object(engine, "Searching", partial(Watched, clock)):
        run_search(net, data, phase.settings, RunOptions(Path(folder) / "run", device=args.device, quiet=True))
    kept = clock.epochs[1:] or clock.epochs
    return Report(
        space=space.name,
        phase=phase.name,
        data=data.name,
        lowering=args.lowering,
        batch=phase.settings.batch,
        steps=clock.steps,
        machine=Machine.here(args.device, args.threads),
        epochs=kept,
        seconds=median(epoch.seconds for epoch in kept),
        parts={part: median(epoch.parts[part] for epoch in kept) for part in Part},
    )


def table(found: Report) -> str:
    """The figures as text."""
    lines = [
        f"{found.space} {found.phase}, {found.data}, {found.lowering.value}, batch {found.batch}, {found.steps} steps: "
        f"{found.seconds:.2f} s an epoch",
        "",
        "| part | seconds | share |",
        "|---|---|---|",
    ]
    lines += [f"| {p.value} | {s:.3f} | {s / found.seconds:.1%} |" for p, s in found.parts.items()]
    return "\n".join([*lines, ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spaces", nargs="*", type=Path, help=".hsp files with a search section")
    parser.add_argument("--phase", help="which phase of a file that has several; the first")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter or setting")
    parser.add_argument("--data", choices=["file", "fake"], help="fake: in the shape of the images of the file")
    parser.add_argument("--images", type=int, default=256, help="how many fake images (256)")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--lowering", type=Ours, choices=list(Ours), default=Ours.OPTIMISED)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="of torch on the CPU, instead of its own choice")
    parser.add_argument("--whole", action="store_true", help="on a GPU, do not wait for the device at each part")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    runs = [(space, args.data or "file") for space in args.spaces] or [
        (LIBRARY / "hdas_digits_joint.hsp", args.data or "file"),
        (LIBRARY / "darts.hsp", "fake"),
    ]
    for space, args.data in runs:
        say(f"{space.name}:")
        found = report(space, args)
        print(json.dumps(found.model_dump(mode="json")) if args.json else table(found), flush=True)


if __name__ == "__main__":
    main()
