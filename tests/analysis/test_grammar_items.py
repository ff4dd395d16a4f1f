"""Items of grammars that are not in the first tree: what is wrong with one is said, and which fit nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler import search
from compiler.analysis.architectures.grammar_counts import DerivationCounts
from compiler.analysis.architectures.grammar_items import of_items
from compiler.commands.compile import compile_main
from compiler.elaborate.productions import Key, Productions
from compiler.ir.shape import Shape
from compiler.program.request import Request
from hdas_dsl.text.diagnostics import Code, HspError
from hdas_dsl.tree.printer import print_expression
from tests.support.programs import SPACES

HEAD = """hsp 1
op both(x; f, g) = (x -> f) + (x -> g)
op cut(x) = x -> conv(3, x.c - 8)
op small(x) = x -> max_pool(2, pad = 0)

"""
TAIL = """
network Net(image: [8, 8, 8]; depth = 2) {
  output image -> grammar(Tree(depth)) -> classifier(10)
}
"""


def of(menus: str, most: int | None = None) -> list[str]:
    network = Request(Path("net.hsp"), text=HEAD + menus + TAIL).compile().network
    return [item.render() for item in (of_items(network) if most is None else of_items(network, most))]


def test_an_item_behind_the_first_tree_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.hsp"
    menus = "choice Tree(d) = conv(3)\n               | (conv(3), conv(5)) if d > 0\n"
    method = "relax = none\n  epochs = 0\n  derive = random(2, draw = weights)\n  judge = proxy(macs)\n"
    file.write_text(f"{HEAD}{menus}{TAIL}search Net {{\n  data = fake\n  {method}}}\n")
    assert compile_main([str(file)]) == 1
    said = capsys.readouterr().err
    assert "7:18: error[E303]: a bundle cannot be applied" in said
    assert f"{' ' * 21}{'^' * 18}\n" in said
    with pytest.raises(HspError, match="a bundle cannot be applied"):
        search(file, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_item_that_fits_nothing_is_told() -> None:
    (said,) = of("choice Tree(d) = conv(3) | max_pool(0) | both(Tree(d - 1), Tree(d - 1)) if d > 0\n")
    assert said == (
        "net.hsp:6:28: warning[W805]: this item of 'Tree' does not fit any of the 5 tensors that it was tried on: "
        "parameter 'k' of 'max_pool', the kernel size, must be a whole number of at least 1, not 0\n"
        "    choice Tree(d) = conv(3) | max_pool(0) | both(Tree(d - 1), Tree(d - 1)) if d > 0\n"
        "                               ^^^^^^^^^^^\n"
        "  hint: an item that does not fit is never drawn"
    )


def test_an_item_that_fits_what_another_makes_is_not_told() -> None:
    menus = "choice Tree(d) = conv(3) | conv(3, 16) if d < 2 | cut | Tree(d - 1) -> Tree(d - 1) if d > 0\n"
    assert of(menus) == []
    (said,) = of(menus.replace("conv(3, 16) if d < 2 | ", ""))
    assert "6:28: warning[W805]" in said


@pytest.mark.parametrize("depth", [0, 1, 2, 3])
def test_what_is_told_is_what_no_tree_has(depth: int) -> None:
    """Against the count, which knows every item that is in some tree."""
    menus = """choice Tree(d) = small | Leaf | conv(3, 16) | wide
               | Tree(d - 1) -> Tree(d - 1) if d > 0
               | both(Tree(d - 1), Leaf) if d > 1
choice Leaf = conv(5, pad = 0) | conv(9, pad = 0) | cut | token_mean
op wide(x) = x -> conv(3, x.c - 15)
op token_mean(x) : [x.c, x.n] = external "hsp:layer_norm"
"""
    network = (
        Request(Path("net.hsp"), text=HEAD + menus + TAIL.replace("depth = 2", f"depth = {depth}")).compile().network
    )
    told = {item.span.text for item in of_items(network)}
    (place,) = network.grammars
    productions = Productions()
    counts = DerivationCounts(productions)
    counts.options(Key.of(place.menu), (Shape((8, 8, 8)),))
    reached, living = set(), set()
    for (key, _), options in counts._known.items():
        reached |= {print_expression(item.expr) for item in productions.of(key)}
        living |= {print_expression(item.production.expr) for found in options.values() for item in found}
    assert told == reached - living
    assert "token_mean" in told
    assert ("wide" in told) == (depth == 0)


def test_a_grammar_that_is_too_large_to_be_walked_is_told_of_what_fails_alike(tmp_path: Path) -> None:
    large = SPACES / "grammars" / "einspace.hsp"
    assert of_items(Request(large).compile().network) == []
    text = large.read_text().replace("| token_softmax", "| token_softmax | max_pool(0)").replace('"../', f'"{SPACES}/')
    assert "max_pool(0)" in text
    (said,) = of_items(Request(tmp_path / "net.hsp", text=text).compile().network)
    assert (said.code, said.span.text) == (Code.UNFIT, "max_pool(0)")


def test_the_first_tree_is_called_so_where_it_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "net.hsp"
    file.write_text(f"{HEAD}choice Tree(d) = conv(3) | conv(5)\n{TAIL}")
    for kind, note in (("code", True), ("graph", True), ("ast", False)):
        assert compile_main([str(file), "--emit", kind]) == 0
        assert ("'Net' has a grammar, and this is its first tree" in capsys.readouterr().err) is note
