"""What `--emit` prints, as golden files: ``emit/NAME.hsp`` gives ``emit/NAME.KIND.txt``."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from compiler.backend.passes import PASSES
from compiler.derivation import derive_module
from compiler.elaborate import Elaborated
from compiler.program.compile_file import compile_file
from compiler.program.model import Program
from compiler.reports.diagram import Picture, Role, Spot, pictures
from compiler.reports.emit import KINDS, emit, emit_program
from compiler.reports.graphviz import dot
from compiler.util.errors import UsageError
from hdas_dsl.tree.ast import CopyName, CopyPart, Ident
from hdas_dsl.tree.dump import dump
from hdas_dsl.tree.printer import print_module
from hdas_dsl.units import LIBRARY
from tests.support.golden import check
from tests.support.paths import FIXTURES, ROOT
from tests.support.programs import random_decisions

HERE = FIXTURES / "emit"
GOLDEN = [("space", kind) for kind in KINDS if kind not in ("passes", "search", "svg")] + [
    (name, kind)
    for name, kinds in (("found", ("graph", "dot")), ("phases", ("graph", "dot", "search")))
    for kind in kinds
]
PUBLISHED = (LIBRARY / "zoo" / f"{name}.hsp" for name in ("darts_v2", "fairdarts_a", "hdas_c", "hdas_s_cifar_pdarts"))
PROGRAMS = sorted([*HERE.glob("*.hsp"), *LIBRARY.glob("*.hsp"), *PUBLISHED])


@cache
def program(path: Path) -> Program:
    found, diagnostics = compile_file(path)
    assert found is not None, [str(diagnostic) for diagnostic in diagnostics]
    return found


def small(name: str) -> Program:
    return program(HERE / f"{name}.hsp")


def of_text(text: str) -> Elaborated:
    found, diagnostics = compile_file("test.hsp", text=f"hsp 1\n{text}")
    assert found is not None, [str(diagnostic) for diagnostic in diagnostics]
    return found.network


@pytest.mark.parametrize(("name", "kind"), GOLDEN, ids=map(".".join, GOLDEN))
def test_golden(name: str, kind: str) -> None:
    check(HERE / f"{name}.{kind}.txt", emit_program(small(name), kind))


# ---------------------------------------------------------------- kinds


def test_every_pass_is_a_kind_in_order() -> None:
    names = [item.name for item in PASSES]
    assert [kind for kind in KINDS if kind in names] == names
    assert set(KINDS) == {"ast", "graph", *names, "passes", "code", "dot", "svg", "search"}


@pytest.mark.parametrize(("kind", "hint"), [("grahp", "did you mean 'graph'?"), ("onnx", "known: ast, graph, ")])
def test_an_unknown_kind_is_an_error_of_the_command_line(kind: str, hint: str) -> None:
    with pytest.raises(UsageError, match=re.escape(hint)):
        emit_program(small("space"), kind)


@pytest.mark.parametrize("kind", ["graph", "flatten", "code", "dot"])
def test_each_phase_has_a_heading(kind: str) -> None:
    found = small("phases")
    text = emit_program(found, kind)
    assert re.findall("^# phase .*", text, re.MULTILINE) == ["# phase micro", "# phase macro"]
    for phase in found.phases:
        assert emit(phase.network, kind, found) in text


def test_the_syntax_tree_is_that_of_the_file() -> None:
    found = small("phases")
    assert emit_program(found, "ast") == dump(found.unit.module)


def test_only_code_and_what_passes_pay_here_need_torch() -> None:
    light = [kind for kind in KINDS if kind not in ("code", "passes")]
    script = (
        "import sys\nfrom compiler.reports.emit import emit_program\n"
        "from compiler.program.compile_file import compile_file\n"
        f"program, _ = compile_file({str(HERE / 'phases.hsp')!r})\n"
        f"for kind in {light}: emit_program(program, kind)\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT).returncode == 0


# ---------------------------------------------------------------- the syntax tree


def test_each_node_is_a_line_where_it_stands() -> None:
    module = small("space").unit.module
    nodes = [node for node in module.walk() if not isinstance(node, CopyName | CopyPart | Ident)]
    lines = dump(module).splitlines()
    assert len(lines) == len(nodes)
    for node, line in zip(nodes, lines, strict=True):
        assert re.search(rf"\b{type(node).__name__}\b", line)
        assert f" @{node.span.line}:{node.span.column}-" in line
        assert line.endswith("{}:{}".format(*node.span.source.position(node.span.end)))


# ---------------------------------------------------------------- the graph


def test_equal_blocks_are_listed_once() -> None:
    text = emit_program(small("found"), "graph")
    headings = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert len(headings) == len(set(headings))
    for shape in ("4x8x8", "16x8x8"):
        assert any(line.startswith(f"op relu_conv(x: {shape};") for line in headings)


def test_what_is_never_derived_stands_in_brackets() -> None:
    assert "Cell@0.n0.from_x: operation [zero] | max_pool(k = 3) |" in emit_program(small("space"), "graph")


# ---------------------------------------------------------------- pictures


def picture(space: Elaborated, definition: str) -> Picture:
    (found,) = (item for item in pictures(space) if item.definition == definition)
    return found


def spots(drawn: Picture) -> dict[str, Spot]:
    return {spot.key: spot for spot in drawn.spots}


def arrows(drawn: Picture) -> list[tuple[str, str, str]]:
    labels = {spot.key: spot.label for spot in drawn.spots}
    return [(labels[a.source], " ".join(a.label), labels[a.target]) for a in drawn.arrows]


def test_a_derived_cell_looks_as_it_does_in_the_paper() -> None:
    normal = picture(small("found").network, "Normal")
    assert [spot.label for spot in normal.spots] == ["c_{k-2}", "c_{k-1}", "0", "1", "2", "3", "c_{k}"]
    assert arrows(normal) == [
        ("c_{k-2}", "sep_conv_3x3", "0"),
        ("c_{k-1}", "sep_conv_3x3", "0"),
        ("c_{k-2}", "sep_conv_3x3", "1"),
        ("0", "skip_connect", "1"),
        ("c_{k-1}", "dil_conv_5x5", "2"),
        ("1", "sep_conv_3x3", "2"),
        ("c_{k-2}", "max_pool_3x3", "3"),
        ("2", "sep_conv_5x5", "3"),
        *((str(node), "", "c_{k}") for node in range(4)),
    ]
    assert not any(arrow.choice for arrow in normal.arrows)


def test_a_menu_is_one_arrow_and_a_pick_a_note() -> None:
    cell = picture(program(LIBRARY / "darts.hsp").network, "Normal")
    menus = [arrow for arrow in cell.arrows if arrow.choice]
    assert len(menus) == 2 + 3 + 4 + 5
    assert {arrow.label for arrow in menus} == {("Micro (8)",)}
    assert [spots(cell)[f"n{i}"].choices for i in range(4)] == [(f"2 of {i + 2}",) for i in range(4)]


def test_a_network_says_what_its_lines_are() -> None:
    network = picture(program(LIBRARY / "hdas_cells.hsp").network, "HdasCells")
    k2 = spots(network)["k2"]
    assert (k2.role, k2.of, k2.facts) == (Role.INSTANCE, "Reduction", ("Reduction@1", "128×16×16"))
    assert ("stem", "", "k1") in arrows(network)
    assert ("image", "conv 3x3 batch_norm", "stem") in arrows(network)


def test_equal_elements_in_a_row_are_folded() -> None:
    network = picture(program(LIBRARY / "zoo" / "darts_v2.hsp").network, "DartsV2")
    labels = [spot.label for spot in network.spots if spot.role is Role.INSTANCE]
    assert labels == ["k0 … k5", "k6", "k7 … k12", "k13", "k14 … k19"]
    assert spots(network)["k0"].facts == ("6 × Normal", "144×32×32")
    assert ("k0 … k5", "", "k7 … k12") in arrows(network)


def test_copies_that_look_alike_are_one_picture() -> None:
    drawn = {item.copies: item.instances for item in pictures(program(LIBRARY / "hdas_cells.hsp").network)}
    assert drawn[("Normal@0", "Normal@1", "Normal@2")] == 6
    assert drawn[("Reduction@1", "Reduction@2")] == 2


def test_numbers_sizes_and_what_is_left() -> None:
    network, _, tail = pictures(small("space").network)
    assert arrows(tail) == [
        ("x", "conv k = 3 | 5", "s0"),
        ("s0", "conv k = 3 | 5", "s1"),
        ("s0", "s = 1", "output"),
        ("s1", "s = 2", "output"),
    ]
    assert spots(tail)["x"].facts == ("wide = conv 3x3 relu",)
    assert spots(network)["output"].choices == ("any of 2",)


FOUND = """
op unit(x; k, e = 1) = x -> conv(k, x.c * e) -> batch_norm

cell Cell(x; h) {
  width = 24 | 32
  y = x -> unit(3 | 5, e = 7 | 9) -> conv(1, width)
  output (y -> conv(11 | 13, h)) + (y -> conv(1, h))
}

network Net(image: [3, 16, 16]) {
  a = Cell(image, 34 | 40)
  output a -> patches(8, 64) -> attention(2 | 4, 20 | 28)
}
"""
"""Every decision is between numbers that nothing else is."""


@pytest.mark.parametrize("seed", range(3))
def test_the_picture_of_an_architecture_has_every_number_that_was_found(seed: int) -> None:
    space = of_text(FOUND)
    chosen = random_decisions(space, seed)
    texts: list[str] = []
    for item in pictures(of_text(print_module(derive_module(space, chosen)).removeprefix("hsp 1\n"))):
        texts += [*item.choices, *(word for arrow in item.arrows for word in arrow.label)]
        texts += [fact for spot in item.spots for fact in spot.facts if "×" not in fact]
    numbers = {number for text in texts for number in re.findall(r"\d+", text)}
    assert {space.decisions[path].items[item] for path, [item] in chosen.items()} <= numbers


def test_the_picture_of_an_architecture_has_what_was_made_of_found_numbers() -> None:
    """Of a line that is a number, of that and a parameter, and by a function; not of parameters alone."""
    lines = "w = 24 | 32", "y = image -> conv(3, 2 * w)", "z = y -> conv(1, w * c + 1) -> conv(5, c)"
    space = of_text(
        f"network Net(image: [3, 16, 16]; c = 3) {{\n  {chr(10).join(lines)}\n"
        "  output z -> conv(1, round_to(8, w / 2)) -> conv(1, c * 7)\n}\n"
    )
    derived = print_module(derive_module(space, {"Net.w": (1,)})).removeprefix("hsp 1\n")
    (drawn,) = pictures(of_text(derived))
    found = " ".join(word for arrow in drawn.arrows for word in arrow.label)
    assert {"64", "97", "16"} <= {*re.findall(r"\d+", found)}
    assert not {"3)", "21"} & {*re.findall(r"\d+\)?", found)}


def test_inputs_keep_their_names_outside_of_a_recurrence() -> None:
    space = of_text("cell F(a, b) {\n output a + relu(b)\n}\nnetwork N(x: [3, 4, 4]) {\n output F(x, gelu(x))\n}\n")
    assert arrows(picture(space, "F")) == [("a", "", "output"), ("b", "relu", "output")]
    assert arrows(picture(space, "N")) == [("x", "", "output"), ("x", "gelu", "output")]
    assert spots(picture(space, "N"))["output"].facts == ("F", "3×4×4")


def test_cells_inside_a_menu_are_its_arrow() -> None:
    space = of_text("cell F(a) {\n output relu(a)\n}\nnetwork N(x: [3, 4, 4]) {\n output (F -> F | gelu)(x)\n}\n")
    assert arrows(picture(space, "N")) == [("x", "F -> F | gelu", "output")]


# ---------------------------------------------------------------- Graphviz


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_graphviz_text_is_well_formed(path: Path) -> None:
    found = program(path)
    for space in [phase.network for phase in found.phases] or [found.network]:
        text = dot(space)
        assert_well_formed(text)
        assert text.count("subgraph cluster_") == len(pictures(space))


@pytest.mark.parametrize("name", ["space", "found", "phases"])
def test_graphviz_reads_it(name: str) -> None:
    text = emit_program(small(name), "dot")
    assert_well_formed(text)
    if shutil.which("dot"):
        found = subprocess.run(["dot", "-Tplain"], input=text, capture_output=True, text=True, check=True)
        assert found.stderr == ""
        named = re.findall(r'^ +("[^"]+") \[', text, re.MULTILINE)
        plain = re.findall(r'^node ("[^"]+"|\S+)', found.stdout, re.MULTILINE)
        assert sorted(plain) == sorted(named)


def test_signs_of_markup_are_escaped() -> None:
    space = of_text(
        "op both(x; c) = conv(x, 1, c)\nnetwork N(x: [3, 4, 4]) {\n output both(x, (if 1 < 2 then 4 else 8) | 6)\n}\n"
    )
    text = dot(space)
    assert "if 1 &lt; 2 then 4 else 8 | 6" in text
    assert_well_formed(text)


def assert_well_formed(text: str) -> None:
    """Braces and markup close, and each arrow joins two nodes that are there."""
    plain = re.sub(r'"(\\.|[^"\\])*"', '""', text)
    markup = [item.removesuffix("/") for item in re.findall(r"=<(.*?)>(?=[,\]\n])", plain)]
    for item in markup:
        open_tags: list[str] = []
        for closing, tag, single in re.findall(r"<(/?)([A-Z]+)[^>]*?(/?)>", item):
            if closing:
                assert open_tags.pop() == tag
            elif not single:
                open_tags.append(tag)
        assert not open_tags
        assert "<" not in re.sub(r"</?[A-Z]+[^>]*>", "", item)
    skeleton = re.sub(r"=<.*?>(?=[,\]\n])", "=", plain)
    assert skeleton.count("{") == skeleton.count("}")
    assert skeleton.count("[") == skeleton.count("]")
    nodes = re.findall(r'^ +("[^"]+") \[', text, re.MULTILINE)
    assert len(nodes) == len(set(nodes)) or text.count("digraph") > 1
    for source, target in re.findall(r'^ +("[^"]+") -> ("[^"]+")', text, re.MULTILINE):
        assert {source, target} <= set(nodes)
