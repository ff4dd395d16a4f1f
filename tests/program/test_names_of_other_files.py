"""What a text says of operations and cells of other files, which it calls by the names of these files."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler import count
from compiler.analysis.architectures import Architectures, sample
from compiler.analysis.membership.query import membership_of
from compiler.ir.graph import Call
from compiler.ir.quantities import AlphaMean, Total, parts
from compiler.program.compile_file import compile_file
from compiler.program.model import Program
from compiler.program.request import Request
from compiler.util.errors import UsageError
from hdas_dsl.text.diagnostics import Code, HspError

BASE = """\
hsp 1
op norm(x) = batch_norm(x, affine = not relaxed)
op skip(x) = x
op unit(x) = x -> relu -> norm
choice Op = skip | unit
cell Cell(x) {
  output Op(x)
}
"""
SPACE = """\
hsp 1
use "base.hsp" as one
use "base.hsp" as two with norm = identity
op skip(x) = x -> relu
choice Op = one.skip | two.skip | skip | one.unit | two.unit
cell Cell(x) {
  n[i < 2] = prev(x) -> Op
  output last of n
}
network Net(image: [1, 4, 4]) {
  minimize entropy(two.Cell)
  output image -> conv(1, 2) -> Cell -> one.Cell -> two.Cell -> classifier(2)
}
search Net {
  data = digits
  minimize certainty(one.Cell)
}
"""


@pytest.fixture
def space(tmp_path: Path) -> Path:
    (tmp_path / "base.hsp").write_text(BASE)
    file = tmp_path / "space.hsp"
    file.write_text(SPACE)
    return file


def compiled(file: Path) -> Program:
    program, diagnostics = compile_file(str(file))
    assert program is not None, [diagnostic.message for diagnostic in diagnostics]
    return program


@pytest.mark.parametrize(
    ("condition", "cells"),
    [
        # Of the five items, both skips of the used file say the same; its units differ by their norms.
        ("count(skip) == 2", 1),
        ("count(one.skip) == 2", 4),
        ("count(two.skip) == 1", 12),
        ("count(one.unit) == 2", 1),
        ("count(two.unit) + count(one.unit) == 1", 12),
        ("count(relu) == 0", 4),
    ],
)
def test_counts_are_of_one_definition(space: Path, condition: str, cells: int) -> None:
    space.write_text(SPACE.replace("  output last of n\n", f"  output last of n\n  require {condition}\n"))
    listing = Architectures(Request(space))
    assert listing.number == cells * 4
    for drawn in sample(listing, 2):
        text = Request(space.with_name("drawn.hsp"), text=drawn.text)
        assert not text.compile().warnings  # what is required is said, and met, without the other file
        assert membership_of(text, space).inside


def test_measures_are_of_the_cell_that_is_named(space: Path) -> None:
    found = [part for p in compiled(space).network.preferences for part in parts(p.quantity)]
    assert [part.copy for part in found if isinstance(part, AlphaMean)] == ["Cell_3", "Cell_2"]


HIDING = """\
hsp 1
use "base.hsp" as base
op twice(x; unit) = x -> unit -> base.unit
cell Lines(x) {
  skip = base.unit(x)
  output skip -> (base.skip | base.unit) -> base.skip
}
network Net(image: [1, 4, 4]; Cell = Lines) {
  a = conv(image, 1, 2) -> base.Cell
  output Cell(a) -> twice(relu) -> base.conv -> classifier(2)
}
"""


def test_what_an_architecture_inlines_has_names_that_nothing_else_has(space: Path) -> None:
    """Lines, parameters and primitives of the names of what the alias of a file told apart from them."""
    space.with_name("base.hsp").write_text(BASE + "op conv(x) = x -> unit -> unit\n")
    space.write_text(HIDING)
    listing = Architectures(Request(space))
    for drawn in sample(listing, 4):
        text = Request(space.with_name("drawn.hsp"), text=drawn.text)
        assert membership_of(text, space).inside
        assert "op conv_2(x) = x -> unit_2 -> unit_2\n" in drawn.text
        assert "op twice(x; unit) = x -> unit -> unit_2\n" in drawn.text


def test_a_library_has_an_alias_where_lines_have_its_names(space: Path) -> None:
    space.write_text(
        'hsp 1\nuse "lib/darts.hsp" as d\nnetwork Net(x: [1, 4, 4]) {\n  norm = conv(x, 1)\n'
        "  output norm -> (d.norm | d.skip_connect) -> d.norm -> classifier(2)\n}\n"
    )
    for drawn in sample(Architectures(Request(space)), 2):
        assert membership_of(Request(space.with_name("drawn.hsp"), text=drawn.text), space).inside


def test_all_architectures_call_a_definition_the_same(space: Path) -> None:
    drawn = list(sample(Architectures(Request(space)), 12))
    names = {line.partition("(")[0]: line for found in drawn for line in found.text.splitlines() if line[:3] == "op "}
    assert names == {
        "op norm": "op norm(x) = batch_norm(x, affine = not relaxed)",
        "op skip": "op skip(x) = x",
        "op skip_2": "op skip_2(x) = x -> relu",
        "op unit": "op unit(x) = x -> relu -> norm",
        "op unit_2": "op unit_2(x) = x -> relu -> identity",
    }
    assert all(line in names.values() for found in drawn for line in found.text.splitlines() if line[:3] == "op ")


def test_a_cell_that_is_called_like_a_primitive_is_refused(space: Path) -> None:
    space.with_name("base.hsp").write_text("hsp 1\ncell conv(x) {\n  output x -> (relu | gelu)\n}\n")
    space.write_text(
        'hsp 1\nuse "base.hsp" as b\nnetwork Net(x: [1, 4, 4]) {\n  output conv(x, 1) -> b.conv -> classifier(2)\n}\n'
    )
    with pytest.raises(HspError, match="a cell and a primitive that it needs are both called 'conv'"):
        assert next(iter(sample(Architectures(Request(space)), 1))).text


def test_tables_of_one_name_are_one_table(space: Path) -> None:
    """An architecture lies in one folder, into which the tables of its space are copied."""
    (space.parent / "sub").mkdir()
    required = 'cell Cell(x) {\n  output x -> (relu | gelu)\n  require latency("t.csv") <= 1\n}\n'
    (space.parent / "sub" / "base.hsp").write_text(f"hsp 1\n{required}")
    text = 'hsp 1\nuse "sub/base.hsp" as b\n' + required
    text += "network Net(x: [1, 4, 4]) {\n  output Cell(x) -> b.Cell -> classifier(2)\n}\n"
    space.write_text(text)
    program, (found,) = compile_file(str(space))
    assert program is None
    assert found.message == "'t.csv' is another table here, and the text of an architecture has one folder"
    assert found.other is not None
    assert {found.span.source.name, found.other[0].source.name} == {str(space), str(space.parent / "sub" / "base.hsp")}
    space.write_text(text.replace('"t.csv"', '"sub/t.csv"'))
    assert not [diagnostic for diagnostic in compile_file(str(space))[1] if diagnostic.code is Code.QUANTITY]


GRAMMAR = """\
hsp 1
use "base.hsp" as base
op seq(x; f, g) = x -> f -> g
choice Tree(d) = base.unit | base.skip | base.conv(3) | seq(Tree(d - 1), Tree(d - 1)) weight 9 if d > 0
"""


@pytest.mark.parametrize("grammar", ["", "trees."])
def test_trees_are_known_again_by_other_names(space: Path, grammar: str) -> None:
    """A text of its own calls `base.unit` otherwise; the menu stands in the file of the network, or in another."""
    space.with_name("base.hsp").write_text(BASE + "op conv(x; k) = x -> rect_conv(k, k, x.c)\n")
    space.with_name("trees.hsp").write_text(GRAMMAR)
    head = 'hsp 1\nuse "base.hsp" as base\nuse "trees.hsp" as trees\n' if grammar else GRAMMAR
    line = f"  output image -> conv(3, 2) -> base.unit -> grammar({grammar}Tree(1)) -> classifier(2)\n"
    space.write_text(f"{head}network Net(image: [1, 4, 4]) {{\n{line}}}\n")
    drawn = list(sample(Architectures(Request(space)), 6, weighted=True))
    assert any("conv_2(3)" in found.text for found in drawn)
    for found in drawn:
        assert membership_of(Request(space.with_name("drawn.hsp"), text=found.text), space).inside
    other = drawn[0].text.replace("op unit(x) = x -> relu", "op unit(x) = x -> gelu")
    assert not membership_of(Request(space.with_name("drawn.hsp"), text=other), space).inside


TOP = """\
hsp 1
use "trees.hsp" as trees
op wide(x) = x -> conv(1)
choice Top = trees.Tree(1) -> relu | trees.seq(trees.Tree(0), wide) | wide
network Net(image: [1, 4, 4]) {
  output image -> conv(3, 2) -> grammar(Top) -> classifier(2)
}
"""
DEEP = """\
hsp 1
op seq(x; f, g) = x -> f -> g
op wide(x) = x -> conv(5)
choice Tree(d) = conv(3) | wide | seq(Tree(d - 1), Tree(d - 1)) if d > 0
"""


def test_trees_of_several_files_have_the_names_of_the_first(space: Path) -> None:
    """A menu takes menus of another file, whose `wide` is not its own: as if all stood in one file by other names."""
    trees = space.with_name("trees.hsp")
    trees.write_text(DEEP)
    space.write_text(TOP)
    one = DEEP.replace("wide", "deep") + TOP.partition("\n")[2].partition("\n")[2].replace("trees.", "")
    space.with_name("one.hsp").write_text(one)
    assert count(space).exact == count(space.with_name("one.hsp")).exact == 9
    listed = Architectures(Request(space))
    drawn = list(sample(listed, 60))
    whole = {found.text.partition("provenance")[0] for found in drawn}
    assert len(whole) == 9
    assert any("conv(5)" in text and "conv(1)" in text for text in whole)
    for text in whole:
        written = Request(space.with_name("drawn.hsp"), text=text)
        assert membership_of(written, space).inside
        assert membership_of(written, space.with_name("one.hsp")).inside
    other = next(text for text in whole if "conv(5)" in text).replace("conv(5)", "conv(7)")
    assert not membership_of(Request(space.with_name("drawn.hsp"), text=other), space).inside


@pytest.mark.parametrize(
    ("top", "deep", "name"),
    [
        (TOP.replace("wide", "conv"), DEEP, "conv"),
        (TOP, DEEP.replace("\n", '\nuse "base.hsp" as base\n', 1).replace("wide |", "base.skip |"), "base.skip"),
    ],
)
def test_what_a_tree_of_another_file_cannot_say(space: Path, top: str, deep: str, name: str) -> None:
    """The first file has another `conv`, or no way to the file of `skip`."""
    space.with_name("trees.hsp").write_text(deep)
    space.write_text(top.replace("x -> conv(1)", "x -> relu").replace("conv(3, 2)", "rect_conv(3, 3, 2)"))
    with pytest.raises(HspError, match="'Tree' derives this, which has no name in the file of 'Top'") as wrong:
        list(sample(Architectures(Request(space)), 30, weighted=True))
    assert wrong.value.diagnostics[0].span.text == name


def test_an_equivalence_of_another_file_has_its_name(space: Path) -> None:
    base = space.with_name("base.hsp")
    base.write_text(f"{BASE}equivalence alike {{\n  identity = transparent\n}}\n")
    space.write_text(
        'hsp 1\nuse "base.hsp" as one\nnetwork Net(x: [1, 4, 4]) {\n  a = one.Op(x)\n'
        "  output one.Op(a) -> classifier(2)\n}\n"
    )
    assert count(space, "one.alike").exact == 3
    space.write_text(space.read_text().replace(" as one", "").replace("one.", ""))
    assert count(space, "alike").exact == 3
    with pytest.raises(UsageError, match=r"it is one of isomorphic, pruned, functional, alike"):
        count(space, "one.alike")


PHASES = """\
hsp 1
op skip(x) = x
op unit(x) = x -> relu -> batch_norm
choice Op = skip | unit
cell Cell(x) {
  n[i < 2] = prev(x) -> Op
  output last of n
}
network Inside(image: [1, 4, 4]) {
  output image -> conv(1, 2) -> Cell -> classifier(2)
}
network Outside(image: [1, 4, 4]; Inner) {
  a = image -> conv(1, 2) -> (Inner | skip)
  output a -> (Inner | skip) -> classifier(2)
}
search {
  data = digits
  phase one = Inside
  phase two = Outside(Inner = one.Cell) {
    minimize count(one.Cell) weight 0.1
    require count(one.Cell) <= 1
  }
}
train two.Outside {
  data = digits
  require count(one.Cell) >= 1
}
"""


def test_a_phase_counts_what_an_earlier_one_found(space: Path) -> None:
    """`one.Cell` is in its statements what it is in its arguments: not the cell of the space, which is not there."""
    space.write_text(PHASES)
    listing = Architectures(Request(space))
    assert listing.number == 4 * 3
    for drawn in sample(listing, 8):
        text = Request(space.with_name("drawn.hsp"), text=drawn.text)
        assert drawn.text.count("-> Inner") == 1
        assert membership_of(text, space).inside
    network = compiled(space).network
    (total,) = parts(network.preferences[0].quantity)
    assert isinstance(total, Total)
    payloads = [node.payload for _, node in network.block.graph.order()]
    called = [payload.block for payload in payloads if isinstance(payload, Call)]
    assert [block.name for block in called if total.counts(block)] == ["Cell", "Cell"]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("one.Nothing", "phase 'one' can find no 'Nothing'"),
        ("one.Op", "'one.Op' is a choice, which is not applied itself"),
        ("one", "'one' is a phase, not an operation of it"),
        ("two.Cell", "'two' is used before it is defined"),
    ],
)
def test_a_phase_is_told_what_it_cannot_count(space: Path, named: str, message: str) -> None:
    space.write_text(PHASES.replace("require count(one.Cell) <=", f"require count({named}) <="))
    program, found = compile_file(str(space))
    assert program is None
    assert [diagnostic.message for diagnostic in found] == [message]


@pytest.mark.parametrize(
    "condition", ["count(nb.skip) <= 1", "count(nb.unit) <= 1", "count(plain) <= 0", "count(nb.Cell) <= 1"]
)
def test_an_architecture_takes_along_what_its_training_requires(space: Path, condition: str) -> None:
    """The section spoke of other files by their names, and of operations that the architecture does without."""
    space.with_name("base.hsp").write_text(BASE + "op wide(x) = x -> conv(5, x.c)\n")
    space.write_text(
        'hsp 1\nuse "base.hsp" as nb\nop plain(x) = x -> gelu\nchoice Op = nb.skip | nb.unit | nb.wide\n'
        "network Net(image: [1, 4, 4]; Last = nb.unit) {\n  a = image -> conv(1, 2) -> Op -> Op\n"
        "  output a -> nb.Cell -> Last -> classifier(2)\n}\nsearch Net {\n  data = digits\n}\n"
        f"train Net(Last = nb.wide) {{\n  data = digits\n  require {condition}\n}}\n"
    )
    for drawn in sample(Architectures(Request(space)), 4):
        text = Request(space.with_name("drawn.hsp"), text=drawn.text)
        assert not text.compile().warnings
        assert membership_of(text, space).inside
