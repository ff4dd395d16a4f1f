"""What a text says of operations and cells of other files, which it calls by the names of these files."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.analysis.architectures import Architectures, sample
from compiler.analysis.membership.query import membership_of
from compiler.ir.quantities import AlphaMean, parts
from compiler.program.compile_file import compile_file
from compiler.program.model import Program
from compiler.program.request import Request

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
