"""Genotypes in spaces of their own cells and operations, and the published cells of spaces/zoo."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from compiler.api import describe
from compiler.commands.compile import compile_main
from compiler.commands.import_genotype import import_main
from hdas_dsl.genotype import read_genotype
from hdas_dsl.parse.parser import parse_text
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_module
from hdas_dsl.units import LIBRARY
from tests.support.paths import DOCS, FIXTURES

HERE = FIXTURES / "genotypes"
OWN = HERE / "spaces"
ZOO = LIBRARY / "zoo"

THREE = (
    "[('skip_connect', 0), ('{op}', 1), ('skip_connect', 0), ('{op}', 1), ('{op}', 1), ('skip_connect', 3)], "
    "{part}_concat=range(2, 5)"
)


def cells(op: str) -> str:
    """Cells of three nodes with an operation."""
    normal, reduction = (THREE.format(op=op, part=part) for part in ("normal", "reduce"))
    return f"Genotype(normal={normal}, reduce={reduction})"


NB201 = "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|skip_connect~2|"
NB101 = (
    "ModelSpec(matrix=[[0, 1, 1, 0, 1], [0, 0, 0, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0]], "
    "ops=['input', 'conv3x3-bn-relu', 'maxpool3x3', 'conv1x1-bn-relu', 'output'])"
)
S4 = cells("sep_conv_3x3").replace("skip_connect", "noise").replace("range(2, 5)", "range(2, 6)")
S4 = S4.replace("('noise', 3)]", "('noise', 3), ('noise', 2), ('sep_conv_3x3', 4)]")


@pytest.mark.parametrize(
    ("text", "space"),
    [
        (cells("sep_conv_3x3"), OWN / "own_cells.hsp"),
        (cells("conv_3x1_1x3"), OWN / "own_operation.hsp"),
        (S4, LIBRARY / "robustdarts_s4.hsp"),
        (NB201, LIBRARY / "nasbench201.hsp"),
        (NB101, LIBRARY / "nasbench101.hsp"),
        ("16:24:32:40:48", LIBRARY / "nats_size.hsp"),
    ],
    ids=["own cells", "own operation", "noise", "nasbench201", "nasbench101", "nats"],
)
def test_an_import_lies_in_its_space(
    text: str, space: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And says its genotype again, which is imported to the same file."""
    first, second = tmp_path / "first.hsp", tmp_path / "second.hsp"
    assert import_main([text, "--space", str(space), "-o", str(first)]) == 0, capsys.readouterr().err
    assert compile_main([str(first), "--in", str(space)]) == 0, capsys.readouterr().out
    capsys.readouterr()
    assert compile_main([str(first), "--emit", "genotype"]) == 0, capsys.readouterr().err
    again = capsys.readouterr().out
    expected = read_genotype(text, "<test>")[0]
    found = read_genotype(again, "<test>")[0]
    assert expected is not None
    assert found is not None
    assert found.parts == expected.parts
    assert import_main([again, "--space", str(space), "-o", str(second)]) == 0, capsys.readouterr().err
    assert first.read_text() == second.read_text()


def test_own_cells_keep_what_they_say(capsys: pytest.CaptureFixture[str]) -> None:
    assert import_main([cells("sep_conv_3x3"), "--space", str(OWN / "own_cells.hsp")]) == 0
    made = capsys.readouterr().out
    assert made.count("  output concat(n) -> relu_conv(1, c)\n") == 2
    assert "network Own(image: [3, 32, 32]; c = 4, cells = 3, classes = 10) {" in made


def test_own_operations_are_copied(capsys: pytest.CaptureFixture[str]) -> None:
    assert import_main([cells("conv_3x1_1x3"), "--space", str(OWN / "own_operation.hsp")]) == 0
    made = capsys.readouterr().out
    assert made.count("op conv_3x1_1x3(x; stride = 1) = ") == 1
    assert "choice" not in made


@pytest.mark.parametrize(
    ("text", "space", "message"),
    [
        (
            cells("dil_conv_3x3"),
            OWN / "own_operation.hsp",
            "own_operation.hsp has no operation 'dil_conv_3x3' for the edge from 'y' to 'Normal.n0': "
            "it has skip_connect, conv_3x1_1x3, max_pool_3x3",
        ),
        (cells("none"), OWN / "own_operation.hsp", "has no operation 'none'"),
        (S4, OWN / "own_operation.hsp", "'noise' for the edge from 'x' to 'Normal.n0'"),
        (NB101.replace("maxpool", "avgpool"), LIBRARY / "nasbench101.hsp", "has no operation 'avgpool3x3'"),
        ("16:24:32:40:47", LIBRARY / "nats_size.hsp", "no width of 47: it has 8, 16, 24"),
    ],
)
def test_what_a_space_does_not_have(text: str, space: Path, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert import_main([text, "--space", str(space)]) == 1
    assert message in capsys.readouterr().err


def test_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert import_main([str(HERE / "published.txt"), "--name", "GDAS_V1"]) == 0
    assert "network GdasV1(" in capsys.readouterr().out
    assert import_main([str(HERE / "published.txt")]) == 1
    assert "`--name PC_DARTS`" in capsys.readouterr().err


# ---------------------------------------------------------------- the published cells

ROWS = re.findall(r"^\| `(\w+)` \| ([\d,]+) \| ([\d,]+) \|", (DOCS / "genotypes.md").read_text(), re.MULTILINE)
PUBLISHED = (HERE / "published.txt").read_text()
NAMES = {name.lower(): name for name in re.findall(r"^(\w+) = ", PUBLISHED, re.MULTILINE)}


def test_every_published_cell_has_a_row() -> None:
    assert [name for name, _, _ in ROWS] == list(NAMES)


@pytest.mark.parametrize(("name", "params", "macs"), ROWS, ids=[name for name, _, _ in ROWS])
def test_published_cells(name: str, params: str, macs: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file is the import of its genotype, with the figures of its comment and of the table."""
    assert import_main([str(HERE / "published.txt"), "--name", NAMES[name]]) == 0
    text = (ZOO / f"{name}.hsp").read_text()
    lines = (line for line in parse_text(text, "zoo.hsp").lines if not isinstance(line, ast.Comment))
    assert print_module(ast.Module(tuple(lines))) == capsys.readouterr().out
    header = " ".join(line[2:] for line in text.splitlines() if line.startswith("#"))
    assert f"{params} parameters, {macs} multiply-adds (3x32x32)" in header
    facts = describe(ZOO / f"{name}.hsp")
    assert (f"{facts['params']:,}", f"{facts['macs']:,}", facts["cardinality"]) == (params, macs, "1")
