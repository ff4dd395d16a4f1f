"""`Cell@fresh`: a copy for its place alone, whatever other copies are called, and what a derived file has of it."""

from pathlib import Path

import pytest

from compiler.derivation import derive_module
from compiler.ir.decision import Selection
from compiler.reports.facts import cardinality
from hdas_dsl.tree.printer import print_module
from tests.laws.test_2_closure import check_closure, compiled
from tests.support.programs import random_decisions

CELL = "hsp 1\ncell Cell(x) {\n  output x -> (conv(3) | identity)\n}\n"


def space(*lines: str) -> str:
    body = "".join(f"  {line}\n" for line in lines)
    return f"{CELL}network Net(image: [1, 8, 8]) {{\n  stem = image -> conv(3, 4)\n{body}}}\n"


@pytest.mark.parametrize(
    "lines",
    [
        ("output stem -> Cell@fresh -> classifier(10)",),
        ("output stem -> Cell@fresh -> (relu | Cell@fresh) -> classifier(10)",),
        ("aux stem -> Cell@fresh -> classifier(10)", "output stem -> Cell@fresh -> classifier(10)"),
        ("output_line = stem -> Cell@fresh", "output output_line -> Cell@fresh -> classifier(10)"),
        ("mid = (relu | gelu)(stem) -> Cell@fresh", "output mid -> Cell@fresh -> classifier(10)"),
    ],
)
def test_a_copy_in_any_line_is_written_so_that_it_can_be_read(lines: tuple[str, ...]) -> None:
    program = compiled(Path("space.hsp"), space(*lines))
    for seed in range(3):
        check_closure(program, random_decisions(program.network, seed))


@pytest.mark.parametrize(
    "lines",
    [
        ("a = stem -> Cell@b", "b = a -> Cell@fresh", "output b -> classifier(10)"),
        ("n[i < 1] = stem -> Cell@fresh", "output n0 -> Cell@n0 -> classifier(10)"),
    ],
)
def test_no_other_copy_has_its_choices(lines: tuple[str, ...]) -> None:
    program = compiled(Path("space.hsp"), space(*lines))
    assert cardinality(program.network) == 4
    check_closure(program, random_decisions(program.network, 1))


def test_copies_behind_the_end_of_a_family_are_not_written() -> None:
    program = compiled(
        Path("space.hsp"),
        space("b[i < 1 | 2 | 3] = prev(stem) -> Cell@fresh", "output last of b -> classifier(10)"),
    )
    chosen: Selection = dict.fromkeys(program.network.decisions, (0,))
    text = print_module(derive_module(program.network, chosen))
    assert "cell Cell@b0" in text
    assert "Cell@b1" not in text
    check_closure(program, chosen)


@pytest.mark.parametrize(
    "body", ["(a) = Cell@fresh(a)", "(a) = Cell@fresh(Cell@fresh(a))", "(a) {\n  y = Cell@fresh(a)\n  output y\n}"]
)
def test_a_copy_in_an_operation_is_no_other_copy(body: str) -> None:
    """Without a line it had no label, and `cell Cell` stood there twice; with one, that of the network's line."""
    lines = space("y = stem -> w -> Cell -> Cell@fresh -> w", "output y -> classifier(10)").replace(
        "network", f"op w{body}\nnetwork"
    )
    program = compiled(Path("space.hsp"), lines)
    assert cardinality(program.network) == 2 ** (2 + body.count("fresh"))
    for seed in range(3):
        check_closure(program, random_decisions(program.network, seed))
