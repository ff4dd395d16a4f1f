"""`derive = menus`: what is left of a space is a text with choices, and a part of the space."""

from __future__ import annotations

import random
from math import comb, prod
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from compiler import derive
from compiler.analysis.architectures.space_list import Architectures
from compiler.analysis.counting.errors import UncountableError
from compiler.analysis.membership.query import membership, membership_of
from compiler.commands.compile import compile_main
from compiler.derivation import derive_module, derive_space
from compiler.derivation.remaining import kept_items
from compiler.derivation.strongest import strongest
from compiler.elaborate import Elaborated
from compiler.ir.decision import DecisionKind, Selection
from compiler.ir.graph import describe
from compiler.program.compile_file import compile_file
from compiler.program.model import Program
from compiler.program.request import Request
from compiler.reports.facts import cardinality
from compiler.searcher.relaxations import relaxed
from compiler.searcher.settings.derivation import By, Menus
from hdas_dsl.format import format_text
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.tree.printer import print_module
from tests.laws.test_2_closure import CHOOSE, SMALL, net
from tests.support.interruption import at_step, killed
from tests.support.programs import SPACES, random_decisions
from tests.support.random_numbers import numbered_spaces
from tests.support.random_spaces import spaces

EVERYTHING = 10**6
MOST = 500
"""Spaces with more architectures are not gone through one by one."""


def compiled(path: str | Path, text: str | None = None) -> Program:
    program, diagnostics = compile_file(path, text=text)
    assert program is not None, "\n".join(d.render() for d in diagnostics)
    return program


def kept(space: Elaborated, keep: int, seed: int = 0) -> Selection:
    """What choices keep of random alphas."""
    draw = random.Random(seed)
    alphas = {path: [draw.random() for _ in decision.items] for path, decision in space.decisions.items()}
    return kept_items(space.decisions, alphas, strongest(space.decisions, alphas, By.LOGIT), keep)


def left_of(program: Program, keep: int, seed: int = 0) -> Program:
    """The program of what is left."""
    text = print_module(derive_space(program.network, kept(program.network, keep, seed)))
    assert format_text(text, "left.hsp") == text
    return compiled("left.hsp", text)


def check_part(text: str, program: Program, keep: int, seed: int) -> None:
    """What is left lies in the space, and has all architectures of it whose items were kept."""
    try:
        left = left_of(program, keep, seed)
    except HspError as error:
        if "since its end is undecided" not in str(error):
            raise
        return
    for number in range(2):
        chosen = random_decisions(left.network, seed + number)
        try:
            derived = print_module(derive_module(left.network, chosen))
        except HspError:
            continue  # the decisions leave nothing
        answer = membership(program, compiled("derived.hsp", derived))
        assert answer.inside or "it does not meet" in answer.render(), answer.render()
    items, listing = kept(program.network, keep, seed), Architectures(Request(Path("space.hsp"), text=text))
    try:
        if listing.number > MOST:
            return
        every = map(listing.choices, range(listing.number))
        inside = sum(all(set(t) <= set(items.get(path, t)) for path, t in chosen.items()) for (chosen,) in every)
        assert cardinality(left.network) == inside
    except UncountableError:
        return


@given(spaces(), st.integers(2, 3), st.integers(0, 1000))
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_left_of_a_random_space_is_the_part_that_was_kept(text: str, keep: int, seed: int) -> None:
    program = compiled("space.hsp", text)
    if program.network.is_space:
        check_part(text, program, keep, seed)


@given(numbered_spaces(), st.integers(0, 1000))
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
def test_numbers_are_choices_too(text: str, seed: int) -> None:
    program, _ = compile_file("space.hsp", text=text)
    assume(program is not None and program.network.is_space)
    assert program is not None
    check_part(text, program, 2, seed)


@pytest.mark.parametrize("lines", SMALL.values(), ids=SMALL)
def test_constructs_that_are_written_out(lines: tuple[str, ...]) -> None:
    more = "choice Three = f | g | relu if relaxed\n"
    ops = f"{CHOOSE}op add_up(x, y; k) = conv(x, k, 4) + conv(y, k, 4)\n{more}"
    text = f"hsp 1\n{ops}{net(*(line.replace('Op(', 'Three(') for line in lines))}"
    program = compiled("space.hsp", text)
    check_part(text, program, 2, 1)
    same(program)


def same(program: Program) -> None:
    """Where choices keep all their items, the text is that of the space."""
    again = left_of(program, EVERYTHING)
    assert described(again.network) == described(program.network)


def described(space: Elaborated) -> list[str]:
    """Decisions and blocks."""
    blocks = [
        f"{path} {[(describe(node.payload), copy.block.graph.sources(i)) for i, node in copy.block.graph.order()]}"
        for path, copy in space.copies.items()
    ]
    return [*blocks, *(f"{path}: {found.items} {found.derivable}" for path, found in space.decisions.items())]


@given(spaces(prunes=True))
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
def test_all_items_give_a_random_space_back(text: str) -> None:
    program = compiled("space.hsp", text)
    if program.network.is_space:
        same(program)


@pytest.mark.parametrize("name", ["darts", "nasbench101", "autodeeplab", "ofa_mobilenetv3", "hierarchical_nb201"])
def test_all_items_give_a_space_back(name: str) -> None:
    program = compiled(SPACES / f"{name}.hsp")
    again = left_of(program, EVERYTHING).network
    assert cardinality(again) == cardinality(program.network)
    assert again.decisions.keys() == program.network.decisions.keys()


@pytest.mark.parametrize("keep", [2, 5])
def test_the_count_of_darts_is_by_formula(keep: int) -> None:
    """The product over nodes of the elementary symmetric polynomial of degree 2 of what can be derived."""
    program = compiled(SPACES / "darts.hsp")
    items, decisions = kept(program.network, keep), program.network.decisions
    number = 1
    for decision in decisions.values():
        if decision.candidates:
            sizes = [sum(decisions[path].derivable[i] for i in items[path]) for path in decision.candidates if path]
            number *= (sum(sizes) ** 2 - sum(size**2 for size in sizes)) // 2
    assert cardinality(left_of(program, keep).network) == number
    assert number <= prod(comb(inputs, 2) for inputs in (2, 3, 4, 5)) ** 2 * keep**16


NET = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
op none(x) = zero(x)
choice Op = none if relaxed | unit | unit(k = 3) | identity

cell Cell(x) {
  minimize entropy(Cell)
  n[i < 2] = sum(pick 1 of Op(each (x, earlier n)))
  output last of n
}

network Net(image: [1, 8, 8]; cells = 1, Inner = Cell) {
  stem = image -> conv(3, 4) -> batch_norm
  k[i < cells] = prev(stem) -> Inner
  output last of k -> classifier(10)
}
"""
PHASES = """
search {
  data = digits(weights_share = 0.5, images = 256)
  epochs = 1
  batch = 64
  phase one = Net {
    derive = menus(keep = 3)
  }
  phase two = Net(cells = 2, Inner = one.Cell) {
    derive = menus(keep = 2)
  }
  phase three = Net(cells = 3, Inner = two.Cell)
}
"""


def test_the_strongest_items_stay_and_one_that_can_be_derived() -> None:
    program = compiled("net.hsp", f"{NET}search Net {{\n  derive = menus(keep = 2)\n}}\n")
    supernet = relaxed(program.network, program.settings)
    strong = {"Cell.n0.from_x": [5.0, 1, 2, 3], "Cell.n1.from_x": [0.0, 1, 4, 2], "Cell.n1.from_n0": [9.0, 9, 9, 9]}
    text = derive(supernet, {path: torch.tensor(values) for path, values in strong.items()})
    assert (
        """\
cell Cell(x) {
  minimize entropy(Cell)
  n0 = sum(pick 1 of (none if relaxed | identity)(x))
  n1 = sum(pick 1 of ((unit(k = 3) | identity)(x), (none if relaxed | unit)(n0)))
  output last of n
}
"""
        in text
    )


def test_items_that_were_given_up_do_not_come_back() -> None:
    settings = "derive = menus(keep = 3)\n  narrow = together(keep = 2, at = 1)"
    program = compiled("net.hsp", f"{NET}search Net {{\n  {settings}\n}}\n")
    supernet = relaxed(program.network, program.settings)
    supernet.live.keep({"Cell.n0.from_x": (0, 2)})
    assert "n0 = sum(pick 1 of (none if relaxed | unit(k = 3))(x))" in derive(supernet)


def test_a_local_choice_is_not_made_twice() -> None:
    body = "n[i < 2] = conv(image, k, 4) + conv(image, k, 4) where k = 1 | 3 | 5"
    program = compiled("net.hsp", f"hsp 1\nnetwork Net(image: [1, 8, 8]) {{\n  {body}\n  output last of n\n}}\n")
    left = left_of(program, 2)
    assert cardinality(left.network) == 4
    assert len(left.network.decisions) == 2


def test_a_condition_on_an_undecided_width_stays() -> None:
    line = "n[i < 1] = (relu | sigmoid | gelu)(x) + (if x.c == i + 4 then relu(x) else gelu(x))"
    cell = f"cell A(x) {{\n  {line}\n  output last of n\n}}\n"
    body = "w = 2 | 4\n  output image -> conv(1, w) -> A -> conv(1, 3)"
    program = compiled("net.hsp", f"hsp 1\n{cell}network Net(image: [1, 8, 8]) {{\n  {body}\n}}\n")
    left = left_of(program, 2)
    assert cardinality(left.network) == 4
    assert "if x.c == 4 then" in left.unit.source.text


def test_a_family_whose_end_is_undecided_cannot_be_written_out() -> None:
    body = "n[i < 1 | 2] = prev(image) -> (relu | sigmoid | gelu)"
    net_ = f"hsp 1\nnetwork Net(image: [1, 8, 8]) {{\n  {body}\n  output last of n -> classifier(3)\n}}\n"
    for keep, refused in ((2, True), (3, False)):
        program, wrong = compile_file("n.hsp", text=f"{net_}search Net {{\n  derive = menus(keep = {keep})\n}}\n")
        assert (program is None) == refused
        if refused:
            assert [found.span.text for found in wrong] == [body]
            assert wrong[0].message == (
                "`menus(keep = 2)`: the choices of 'n' cannot lose items one by one, since its end is undecided"
            )
            assert wrong[0].hint == "keep as many items as the choices have, or use `derive = strongest`"


def test_the_end_of_a_family_keeps_its_strongest_numbers() -> None:
    text = "hsp 1\nnetwork Net(image: [1, 8, 8]) {\n  n[i < 1 | .. | 4] = relu(image)\n  output last of n\n}\n"
    program = compiled("net.hsp", text)
    alphas = {"Net.n": [0.0, 3, 1, 2]}
    chosen = strongest(program.network.decisions, alphas, By.LOGIT)
    made = derive_space(program.network, kept_items(program.network.decisions, alphas, chosen, 2))
    assert "n[i < 2 | 4] = relu(image)" in print_module(made)


def test_phases_that_leave_choices_are_counted_where_they_are_decided(tmp_path: Path) -> None:
    (tmp_path / "net.hsp").write_text(NET + PHASES)
    request = Request(tmp_path / "net.hsp")
    listing = Architectures(request)
    assert [part.name for part in listing.parts] == ["three"]
    assert listing.number == cardinality(request.compile().phases[0].network)
    text = listing.architecture(listing.number - 1).text
    assert "cells = 3" in text
    assert membership(request.compile(), compiled("derived.hsp", text)).inside


def test_p_darts_searches_ever_deeper_networks_with_ever_fewer_items() -> None:
    """The menus of the paper, and its networks; an architecture that the last phase derives lies in the space."""
    path = SPACES / "p_darts.hsp"
    found: dict[str, str] = {}
    for name, cells, items in (("five", 5, 8), ("eleven", 11, 5), ("seventeen", 17, 3)):
        program, _ = compile_file(path, found=found)
        assert program is not None
        phase = next(phase for phase in program.phases if phase.name == name)
        sizes = {len(found.items) for found in phase.network.decisions.values() if found.kind is DecisionKind.OPERATION}
        assert (phase.network.arguments["cells"], sizes) == (cells, {items})
        if isinstance(phase.settings.derive, Menus):
            kept_ = kept(phase.network, phase.settings.derive.keep, 3)
            found[name] = print_module(derive_space(phase.network, kept_))
    chosen = kept(phase.network, 1, 3) | {
        path: tuple(range(found.most)) for path, found in phase.network.decisions.items() if found.candidates
    }
    derived = print_module(derive_module(phase.network, chosen))
    answer = membership_of(Request(path, text=derived), path)
    assert answer.inside, answer.render()


def search(out: Path, *args: str) -> int:
    return compile_main(["net.hsp", "--search", "--out", str(out), "--quiet", *args])


def test_phases_shrink_the_space_and_a_killed_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.hsp").write_text(NET + PHASES)
    whole, parted = tmp_path / "whole", tmp_path / "parted"
    assert search(whole) == 0
    numbers = [cardinality(compiled(whole / name / "derived.hsp").network) for name in ("one", "two", "three")]
    assert numbers[0] > numbers[1] > numbers[2] == 1
    assert "cells = 2" in (whole / "two/derived.hsp").read_text()
    with at_step(3, killed):
        assert search(parted) != 0
    assert (parted / "one/derived.hsp").is_file()
    assert search(parted, "--resume") == 0
    for name in ("one/derived.hsp", "two/derived.hsp", "three/derived.hsp", "derived.hsp"):
        assert (parted / name).read_bytes() == (whole / name).read_bytes()
