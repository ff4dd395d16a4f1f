"""What does a step on a drawn architecture cost in the supernet, beside a step on that network alone?

Architectures are drawn one after the other. Each is built as networks of its own, and all take weight steps
(forwards, backwards, SGD) in turn; a step of the supernet includes drawing the architecture and reading it off.

    python bench/sampled.py spaces/darts.hsp --set c=8 --set cells=4
    python bench/sampled.py spaces/ofa_mobilenetv3.hsp --set "image=(3, 96, 96)" --relax "sample(share = true)" --json
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from compiler.backend.lowering.network import Network
from compiler.backend.passes import OPTIMISATIONS, STRUCTURAL
from compiler.derivation import derive_module
from compiler.elaborate import Elaborated, elaborate
from compiler.elaborate.values import Function
from compiler.program.compile_file import compile_file
from compiler.program.overrides import read_override
from compiler.searcher.engine.bilevel import Optimized, descend
from compiler.searcher.engine.gradients import frozen
from compiler.searcher.relaxations import OnePath, relaxed
from compiler.searcher.settings.reader import override
from compiler.searcher.settings.sections import SearchSettings
from hdas_dsl.files import Loader
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_module
from hdas_dsl.units import Entity

Step = Callable[[], None]


PLAIN = (*STRUCTURAL, *(item for item in OPTIMISATIONS if item.name == "layout"))
"""The passes that leave the operations as they are written, in the layout in which the supernet runs them."""


@dataclass(frozen=True)
class Measured:
    """Seconds of a step, medians over the rounds: of the network by its operations, and with all optimisations."""

    network: float
    optimised: float
    supernet: float
    drawing: float

    @property
    def ratio(self) -> float:
        return self.supernet / self.network


def discrete(space: Elaborated, chosen: dict[str, tuple[int, ...]]) -> Elaborated:
    """The derived network, in the variants that its operations have while searching."""
    instance = Loader().load_text(print_module(derive_module(space, chosen)), "<derived>")
    assert instance is not None
    found = instance.lookup(space.name)
    assert isinstance(found, Entity)
    assert isinstance(found.plain, ast.OpDef | ast.GraphDef)
    network, diagnostics = elaborate(Function(found.plain, found.instance), relaxed_copies=space.live)
    assert network is not None, diagnostics
    return network


def step_of(forward: Callable[[], Tensor], weights: list[nn.Parameter], labels: Tensor) -> Step:
    """A weight step; logits at positions are averaged, which costs all the same."""
    optimizer = torch.optim.SGD(weights, 1e-3, momentum=0.9, weight_decay=3e-4)

    def step() -> None:
        logits = forward()
        loss = cross_entropy(logits.flatten(2).mean(2) if logits.dim() > 2 else logits, labels)
        descend(loss, Optimized(weights, optimizer, clip=5.0))

    return step


def now(device: torch.device) -> float:
    """Seconds: on the CPU those of this process, so that others on the machine do not count."""
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def seconds(step: Step, device: torch.device) -> float:
    started = now(device)
    step()
    return now(device) - started


def measure(supernet: OnePath, seed: int, batch: int, rounds: int, device: torch.device) -> Measured:
    """One drawn architecture, in turn with its network."""
    space = supernet.space
    images = torch.randn(batch, *space.input.largest, device=device)
    labels = torch.zeros(batch, dtype=torch.long, device=device)
    drawing: list[float] = []

    def drawn() -> Tensor:
        torch.manual_seed(seed)
        supernet.operations.forget()
        started = now(device)
        chosen = supernet.draw(supernet.logits()).chosen
        supernet.operations.program(chosen)
        drawing.append(now(device) - started)
        logits: Tensor = supernet(images, chosen)
        return logits

    torch.manual_seed(seed)
    found = discrete(space, supernet.draw(supernet.logits()).chosen)
    plain, optimised = (Network(found, passes, training_only=False).to(device) for passes in (PLAIN, None))

    def alone(network: Network) -> Callable[[], Tensor]:
        def forward() -> Tensor:
            made = network(images)
            logits: Tensor = made[0] if isinstance(made, tuple) else made
            return logits

        return forward

    steps = (
        *(step_of(alone(network), list(network.parameters()), labels) for network in (plain, optimised)),
        step_of(drawn, list(supernet.weights()), labels),
    )
    times: tuple[list[float], ...] = ([], [], [])
    with frozen(supernet.alphas.values()):
        for step in steps:
            step()
        for _ in range(rounds):
            for step, taken in zip(steps, times, strict=True):
                taken.append(seconds(step, device))
    return Measured(*(statistics.median(taken) for taken in (*times, drawing)))


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the network")
    parser.add_argument("--relax", default="sample", help="a relaxation that runs one path")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--architectures", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    torch.set_num_threads(given.threads)
    program, diagnostics = compile_file(given.file, [read_override(text) for text in given.set])
    if program is None:
        print("\n".join(item.render() for item in diagnostics), file=sys.stderr)
        return 1
    settings = override(SearchSettings(), ("relax", read_override(f"relax={given.relax}").setting()))
    torch.manual_seed(0)
    supernet = relaxed(program.network, settings)
    if not isinstance(supernet, OnePath):
        print(f"--relax {given.relax}: this relaxation runs more than one path", file=sys.stderr)
        return 2
    device = torch.device(given.device)
    supernet.to(device)
    found = [measure(supernet, seed, given.batch, given.rounds, device) for seed in range(given.architectures)]
    ratio = statistics.median(item.ratio for item in found)
    faster = statistics.median(item.supernet / item.optimised for item in found)
    if given.json:
        report = {"file": given.file.name, "relax": given.relax, "ratio": ratio, "ratio_optimised": faster}
        print(json.dumps(report | {"seconds": [asdict(item) for item in found]}))
        return 0
    print(f"{given.file.name}, {given.relax}: a step of {given.batch} images in ms, medians of {given.rounds}")
    print("architecture   network alone   optimised   in the supernet   of it drawing   ratio")
    for number, m in enumerate(found):
        columns = f"{m.network * 1e3:15.1f} {m.optimised * 1e3:11.1f} {m.supernet * 1e3:17.1f} {m.drawing * 1e3:15.1f}"
        print(f"{number:12} {columns} {m.ratio:7.3f}")
    print(f"median ratio {ratio:.3f}; to the optimised network {faster:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
