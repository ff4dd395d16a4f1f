"""How compiling grows with the space: times to parse, check, elaborate, count, pass and lower, from 10 edges up.

    python bench/compile.py [--shapes tied fresh family menu text] [--most 100000] [--json]

An edge is an item of a menu where the menu is used: an operation between two tensors. The shapes grow in different
directions: instances of one cell, copies with choices of their own, one family of many elements, one menu of many
items, and a text of many definitions. Each size runs in a process of its own. Seconds are those of the processor: no
stage has threads. The exponent is the slope of log time over log edges, fitted where a stage takes more than a
hundredth of a second: 1 is linear. `--space FILE` gives the same stages of a file, such as spaces/hdas_cifar.hsp.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel

HEAD = """hsp 1
op unit(x; k) = x -> relu -> conv(k) -> batch_norm
"""
MENU = """op narrow(x) = unit(x, 1)
op wide(x) = unit(x, 3)
choice Op = none if relaxed | narrow | wide
op none(x) = zero(x)
"""
CELL = """
cell {name}(a) {{
  n[i < 4] = sum(Op(each last 3 of (a, a, earlier n)))
  output last of n
}}
"""
EDGES_OF_A_CELL = 33


def tied(edges: int) -> str:
    """Instances of one cell, one after the other."""
    return HEAD + MENU + CELL.format(name="Cell") + _chain("Cell", edges // EDGES_OF_A_CELL)


def fresh(edges: int) -> str:
    """Copies of one cell, each with choices of its own."""
    return HEAD + MENU + CELL.format(name="Cell") + _chain("Cell@i", edges // EDGES_OF_A_CELL)


def family(edges: int) -> str:
    """One cell whose family is long."""
    return f"""{HEAD}{MENU}
cell Long(a) {{
  n[i < {max(edges // 12, 2)}] = sum(pick 1 of Op(each last 4 of (a, a, a, a, earlier n)))
  output last of n
}}
{_chain("Long", 1)}"""


def menu(edges: int) -> str:
    """Menus of as many items as there are uses of them."""
    side = max(math.isqrt(edges), 2)
    items = "\n".join(f"op item{i}(x) = unit(x, {1 + 2 * (i % 3)})" for i in range(side))
    return f"{HEAD}{items}\nchoice Op = {' | '.join(f'item{i}' for i in range(side))}\n{_chain('Op', side)}"


def text(edges: int) -> str:
    """A cell of its own written for every few edges."""
    cells = max(edges // EDGES_OF_A_CELL, 1)
    lines = "\n".join(f"  k{i} = {f'k{i - 1}' if i else 'stem'} -> Cell{i}" for i in range(cells))
    net = f"\nnetwork Net(image: [3, 8, 8]) {{\n  stem = conv(image, 1, 2)\n{lines}\n  output last of k\n}}\n"
    return HEAD + MENU + "".join(CELL.format(name=f"Cell{i}") for i in range(cells)) + net


def _chain(cell: str, count: int) -> str:
    line = f"  k[i < {max(count, 1)}] = prev(conv(image, 1, 2)) -> {cell}"
    return f"\nnetwork Net(image: [3, 8, 8]) {{\n{line}\n  output last of k -> classifier(10)\n}}\n"


class Shape(StrEnum):
    """In which direction a space grows."""

    TIED = "tied"
    FRESH = "fresh"
    FAMILY = "family"
    MENU = "menu"
    TEXT = "text"


TEXTS: dict[Shape, Callable[[int], str]] = {
    Shape.TIED: tied,
    Shape.FRESH: fresh,
    Shape.FAMILY: family,
    Shape.MENU: menu,
    Shape.TEXT: text,
}


class Stages(BaseModel):
    """Seconds of each stage, in order; ``edges`` are those of the flat graph, ``nodes`` its nodes after `flatten`."""

    edges: int
    nodes: int
    seconds: dict[str, float]


@contextmanager
def stage(name: str, seconds: dict[str, float]) -> Iterator[None]:
    gc.collect()
    started = time.process_time()
    yield
    seconds[name] = time.process_time() - started
    print(f"    {name} {seconds[name]:.3f} s", file=sys.stderr, flush=True)


def compiled(program: str, name: str, lowers: bool) -> Stages:
    """Every stage of a program's text, one after the other."""
    from compiler.analysis.costs.block_totals import Costs
    from compiler.backend.passes import PASSES
    from compiler.ir.payloads import Mix
    from compiler.program.compile_file import compile_file
    from compiler.reports.facts import describe
    from hdas_dsl.check.checker import check
    from hdas_dsl.files import Loader
    from hdas_dsl.parse.parser import parse_text
    from hdas_dsl.tree.printer import print_module

    seconds: dict[str, float] = {}
    with stage("parse", seconds):
        module = parse_text(program, name)
    with stage("print", seconds):
        print_module(module)
    loader = Loader()
    instance = loader.load_text(program, name)
    assert instance is not None, loader.diagnostics
    with stage("check", seconds):
        check(instance.unit)
    with stage("compile", seconds):
        found, diagnostics = compile_file(name, text=program)
    if found is None:
        raise SystemExit("\n".join(str(diagnostic) for diagnostic in diagnostics[:3]))
    del module, loader, instance
    seconds["elaborate"] = max(seconds.pop("compile") - seconds["parse"] - seconds["check"], 0.0)
    space = found.network
    with stage("count and cost", seconds):
        describe(found)
        Costs().block(space.block)
    graph, flat = space.block.graph, None
    for item in PASSES:
        with stage(item.name, seconds):
            graph = item.run(graph)
        flat = flat or graph
    assert flat is not None
    edges = sum(len(node.payload.rows) for _, node in flat.order() if isinstance(node.payload, Mix))
    if lowers:
        import torch  # noqa: F401 (not counted)

        from compiler.backend.lowering.fx import lower

        with stage("lower", seconds):
            lower(graph, space.decisions)
    return Stages(edges=edges, nodes=len(flat), seconds=seconds)


def exponent(points: list[tuple[int, float]]) -> float | None:
    """The slope of log time over log edges, by least squares."""
    logs = [(math.log(edges), math.log(seconds)) for edges, seconds in points if seconds > 0.01]
    if len(logs) < 2:
        return None
    x, y = (sum(values) / len(logs) for values in zip(*logs, strict=True))
    spread = sum((a - x) ** 2 for a, _ in logs)
    return sum((a - x) * (b - y) for a, b in logs) / spread if spread else None


class Growth(BaseModel):
    """A shape's times by size, and each stage's exponent."""

    shape: Shape
    sizes: list[Stages]
    exponents: dict[str, float | None]


def growth(shape: Shape, sizes: list[int], lowers: bool) -> Growth:
    found: list[Stages] = []
    for edges in sizes:
        print(f"{shape.value}, {edges} edges:", file=sys.stderr, flush=True)
        command = [sys.executable, __file__, "--one", shape.value, str(edges), *([] if lowers else ["--no-lower"])]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        if done.returncode:
            raise SystemExit(f"{shape.value}, {edges} edges: the process ended with status {done.returncode}")
        found.append(Stages.model_validate_json(done.stdout))
    stages = {name: [(size.edges, size.seconds[name]) for size in found] for name in found[0].seconds}
    return Growth(shape=shape, sizes=found, exponents={name: exponent(points) for name, points in stages.items()})


def table(found: Growth) -> str:
    """Microseconds for each edge, and the exponents."""
    names = list(found.exponents)
    lines = [
        f"{found.shape.value}: microseconds for each edge",
        "",
        f"| edges | nodes | {' | '.join(names)} | seconds in all |",
        "|---" * (len(names) + 3) + "|",
    ]
    for size in found.sizes:
        each = " | ".join(f"{1e6 * size.seconds[name] / size.edges:.0f}" for name in names)
        lines.append(f"| {size.edges} | {size.nodes} | {each} | {sum(size.seconds.values()):.2f} |")
    slopes = " | ".join("" if slope is None else f"{slope:.2f}" for slope in found.exponents.values())
    return "\n".join([*lines, f"| exponent | | {slopes} | |", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", type=Shape, choices=list(Shape), default=list(Shape))
    parser.add_argument("--most", type=int, default=100_000, help="edges of the largest space (100000)")
    parser.add_argument("--no-lower", action="store_true", help="leave the lowering, and torch, out")
    parser.add_argument("--space", type=Path, help="the stages of a file instead")
    parser.add_argument("--one", nargs=2, metavar=("SHAPE", "EDGES"), help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    args = parser.parse_args()
    if args.one:
        shape, edges = Shape(args.one[0]), int(args.one[1])
        print(compiled(TEXTS[shape](edges), f"{shape.value}.hsp", not args.no_lower).model_dump_json())
        return
    if args.space:
        found = compiled(args.space.read_text(encoding="utf-8"), str(args.space), not args.no_lower)
        print(found.model_dump_json() if args.json else "\n".join(f"{k} {v:.3f} s" for k, v in found.seconds.items()))
        return
    sizes = [10**power for power in range(1, 7) if 10**power <= args.most]
    grown = [growth(shape, sizes, not args.no_lower) for shape in args.shapes]
    print(json.dumps([g.model_dump(mode="json") for g in grown]) if args.json else "\n".join(map(table, grown)))


if __name__ == "__main__":
    main()
