"""Compiling grows with the space and not much faster. Work is counted in calls and steps, never in seconds."""

from __future__ import annotations

import cProfile
from collections.abc import Callable, Iterable
from decimal import Decimal
from io import StringIO
from typing import ParamSpec, TypeVar

import pytest
from rich.console import Console

from compiler.backend.passes import PASSES, Pass
from compiler.elaborate.network import NetworkElaborator
from compiler.ir.graph import SpaceGraph
from compiler.program.compile_file import compile_file
from compiler.reports.facts import describe, digits, power
from compiler.reports.table import show
from hdas_dsl.check.checker import check
from hdas_dsl.files import Loader
from hdas_dsl.parse.parser import parse_text
from hdas_dsl.tree.printer import print_module
from tests.support.programs import SPACES, load, network, space

P = ParamSpec("P")
T = TypeVar("T")

HEAD = """\
hsp 1
op unit(x; k) = x -> relu -> conv(k) -> batch_norm
op none(x) = zero(x)
op narrow(x) = unit(x, 1)
op wide(x) = unit(x, 3)
choice Op = none if relaxed | narrow | wide
"""
CELL = """
cell {name}(a) {{
  n[i < 3] = sum(Op(each last 2 of (a, earlier n)))
  output last of n
}}
"""
NET = "\nnetwork Net(image: [3, 8, 8]) {{\n  stem = conv(image, 1, 2)\n{lines}\n  output last of k\n}}\n"


def tied(size: int) -> str:
    return HEAD + CELL.format(name="Cell") + NET.format(lines=f"  k[i < {size}] = prev(stem) -> Cell")


def fresh(size: int) -> str:
    return tied(size).replace("-> Cell", "-> Cell@(i // 2)")


def family(size: int) -> str:
    return HEAD + NET.format(lines=f"  k[i < {3 * size}] = sum(pick 1 of Op(each last 2 of (stem, earlier k)))")


def chain(size: int) -> str:
    return HEAD + NET.format(lines=f"  k[i < {3 * size}] = sum(prev(stem, stem)) -> Op")


def menu(size: int) -> str:
    items = "".join(f"op item{i}(x) = unit(x, 1)\n" for i in range(4 * size))
    menu = f"choice Many = {' | '.join(f'item{i}' for i in range(4 * size))}\n"
    return HEAD + items + menu + NET.format(lines="  k[i < 2] = prev(stem) -> Many")


def text(size: int) -> str:
    lines = "\n".join(f"  k{i} = {f'k{i - 1}' if i else 'stem'} -> Cell{i}" for i in range(size))
    return HEAD + "".join(CELL.format(name=f"Cell{i}") for i in range(size)) + NET.format(lines=lines)


def work(program: str, passes: Iterable[Pass]) -> dict[str, int]:
    """Calls of functions, those of Python itself included, that each stage makes."""
    calls: dict[str, int] = {}

    def counted(name: str, run: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        profile = cProfile.Profile()
        result = profile.runcall(run, *args, **kwargs)
        calls[name] = sum(entry.callcount for entry in profile.getstats())
        return result

    module = counted("parse", parse_text, program, "grown.hsp")
    counted("print", print_module, module)
    instance = Loader().load_text(program, "grown.hsp")
    assert instance is not None
    counted("check", check, instance.unit)
    found, diagnostics = counted("compile", compile_file, "grown.hsp", text=program)
    assert found is not None, diagnostics
    counted("describe", describe, found)
    graph: SpaceGraph = found.network.block.graph
    for item in passes:
        graph = counted(item.name, item.run, graph)
    return calls


@pytest.mark.slow
@pytest.mark.parametrize(
    ("shape", "size", "passes"),
    [
        *((shape, 10, PASSES) for shape in (tied, fresh, family, chain, menu, text)),
        (tied, 250, ()),
        (text, 50, ()),
    ],
    ids=lambda value: getattr(value, "__name__", str(value) if isinstance(value, int) else ""),
)
def test_four_times_the_space_takes_four_times_the_work(
    shape: Callable[[int], str], size: int, passes: tuple[Pass, ...]
) -> None:
    work(shape(1), passes)  # what is compiled or read once in a process
    small, large = work(shape(size), passes), work(shape(4 * size), passes)
    for stage, calls in small.items():
        assert large[stage] < 5 * calls, f"{stage}: {calls} calls grow to {large[stage]}"


def test_steps_of_a_long_family() -> None:
    """Reading the end of what came before does not read all of it."""

    def steps(size: int) -> int:
        elaborator = NetworkElaborator()
        instance = load(family(size))
        assert elaborator.elaborate(network(instance), {}, instance.unit.module.definitions[-1].span) is not None
        return elaborator.session.budget.steps

    assert steps(400) < 10.5 * steps(40)


EMPTY = """\
hsp 1

network Net(image: [3, 8, 8]) {
  m[i < 5] = if i < 2 then conv(image, 1, 4) else if i < 4 then first 0 of (image, image) else joined
    where joined = concat(last 2 of (image, image, earlier m))
  output m[4]
}
"""


def test_the_last_values_are_not_always_in_the_last_elements() -> None:
    """Elements may be bundles, and bundles empty: `last 2` counts tensors."""
    graph = space(EMPTY).block.graph
    assert graph.output is not None
    assert graph.node(graph.output).shape.c == 8


def test_counts_of_any_length_are_written() -> None:
    """Python writes no whole number of more than 4300 digits."""
    number = 12345 * 10**5000
    assert digits(number) == "12345" + "0" * 5000
    assert power(number) == "about 1.23e5004"
    assert power(10**21 + 5) == "1,000,000,000,000,000,000,005"
    program, diagnostics = compile_file(SPACES / "darts.hsp")
    assert program is not None, diagnostics
    facts = describe(program)
    console = Console(record=True, width=200, file=StringIO())
    show({**facts, "cardinality": digits(number)}, console)
    assert "about 1.23e5004" in console.export_text()
    assert int(Decimal(digits(number))) == number
