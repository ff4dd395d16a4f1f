"""H-DAS as files of the language: any number of stages, nodes and cells; quantities by hand; published spaces."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from math import log
from pathlib import Path
from typing import TypeVar

import pytest
import torch
from torch import Tensor

from compiler.analysis.costs.block_totals import Costs
from compiler.analysis.membership.query import membership
from compiler.backend.lowering.network import Network
from compiler.derivation import derive_module
from compiler.elaborate import Elaborated
from compiler.ir.graph import Call
from compiler.ir.quantities import Depth, DepthForm, Length
from compiler.program.compile_file import compile_file
from compiler.program.model import Program
from compiler.program.overrides import read_override
from compiler.reports.facts import cardinality, describe
from compiler.searcher.relaxations.objective import RelaxedQuantities
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.settings.datasets import Folder
from hdas_dsl.tree.printer import print_module
from tests.reference import genotypes as g
from tests.support.programs import SPACES, architecture, published, random_decisions, space

CELL = 1_037_664_180


def compiled(path: str | Path, *overrides: str, text: str | None = None, recipe: Path | None = None) -> Program:
    program, diagnostics = compile_file(path, [read_override(o) for o in overrides], text=text, recipe=recipe)
    assert program is not None, "\n".join(d.render() for d in diagnostics)
    return program


# ---------------------------------------------------------------- any number of everything


@pytest.mark.parametrize(("stages", "cells", "borders"), [(1, 3, []), (2, 5, [2]), (3, 8, [2, 5]), (4, 9, [2, 4, 6])])
def test_a_normal_cell_for_every_stage_and_a_reduction_for_every_border(
    stages: int, cells: int, borders: list[int]
) -> None:
    found = space("hdas_cells.hsp", stages=stages, cells=cells, c=2)
    calls = [node.payload for _, node in found.block.graph.order() if node.name.startswith("k")]
    chain = [call.block.copy or "" for call in calls if isinstance(call, Call)]
    assert len(chain) == len(calls)
    assert [i for i, copy in enumerate(chain) if copy.startswith("Reduction")] == borders
    assert found.alphas == (2 * stages - 1) * 14 * 8
    assert cardinality(found) == CELL ** (2 * stages - 1)
    _, derived = architecture(found, random_decisions(found, 0))
    assert Network(derived)(torch.randn(2, 3, 32, 32))[0].shape == (2, 10)


THREE_NODES = """hsp 1
use "lib/darts.hsp" with pool_norm = norm
use "darts.hsp" with pool_norm = norm
use "hdas_stages.hsp"

cell Small(a, b; c) {
  x = preprocess(a, b, c)
  y = preprocess(b, b, c)
  n[i < 3] = sum(pick 2 of Micro(each (x, y, earlier n)))
  output concat(n)
}

cell Border(a, b; c) {
  x = preprocess(a, b, c)
  y = preprocess(b, b, c)
  n[i < 3] = sum(pick 2 of (Micro(each (x, y), stride = 2), Micro(each earlier n)))
  output concat(n)
}

search Hdas(stages = 2, cells = 5, nodes = 3, c = 2, Normal = Small, Reduction = Border, image = (3, 16, 16)) {
  preferences = apart
}
"""


def test_cells_of_three_nodes_in_two_stages_of_five_searched_together() -> None:
    program = compiled(SPACES / "three.hsp", text=THREE_NODES)
    found = program.network
    small = 7**2 * 3 * 7**2 * 6 * 7**2
    assert cardinality(found) == small**3 * (3**14) ** 2
    assert found.alphas == 3 * 9 * 8 + 2 * 14 * 4
    logits = Supernet(found)(torch.randn(2, 3, 16, 16))
    assert logits.shape == (2, 10)
    text, derived = architecture(found, random_decisions(found, 1))
    assert membership(program, compiled("derived.hsp", text=text)).inside
    assert not derived.is_space


# ---------------------------------------------------------------- depth and length, by hand

STAGE = """hsp 1
use "lib/darts.hsp"
use "hdas_stages.hsp"

stage Three(x) {
  a = relu_conv(x, 1)
  b = relu_conv(x, 1)
  s[j < 3] = mix -> relu_conv(1) where mix = sum(pick 2 of Macro(each last 3 of (a, b, earlier s)))
  output last of s
  maximize depth(s) weight 1.0
}

network Net(image: [3, 8, 8]) {
  output image -> conv(3, 4) -> Three -> classifier(10)
}
"""
OPEN = STAGE.replace("j < 3", "j < 2 | 3").replace("depth(s)", "depth(s, ends = true)")
OPEN = OPEN.replace("weight 1.0\n", "weight 1.0\n  minimize length(s) weight 0.4\n")
EDGES = ["s0.mix.from_a", "s0.mix.from_b", "s1.mix.from_a", "s1.mix.from_b", "s1.mix.from_s0"]
EDGES += ["s2.mix.from_b", "s2.mix.from_s0", "s2.mix.from_s1"]


Kind = TypeVar("Kind", Depth, Length)


def quantity(searched: Elaborated, kind: type[Kind]) -> Kind:
    return next(p.quantity for p in searched.preferences if isinstance(p.quantity, kind))


def gradient(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad


def alphas_of(searched: Elaborated, rows: list[list[float]]) -> dict[str, Tensor]:
    """The alphas of the stage's edges, in order, then of its end."""
    paths = [f"Three.{edge}" for edge in EDGES] + [path for path in searched.decisions if path == "Three.s"]
    assert {path for path, decision in searched.decisions.items() if decision.alphas} == set(paths)
    values = dict(zip(paths, rows, strict=True))
    return {path: torch.tensor(row, dtype=torch.float64, requires_grad=True) for path, row in values.items()}


def value(searched: Elaborated, what: Depth | Length, alphas: dict[str, Tensor]) -> Tensor:
    return RelaxedQuantities(searched.decisions, alphas).value(what)


def differences(searched: Elaborated, what: Depth | Length, alphas: dict[str, Tensor]) -> Iterator[tuple[float, float]]:
    """Autograd's derivative and the central difference, for every alpha."""
    value(searched, what, alphas).backward()
    for path, alpha in alphas.items():
        for item in range(len(alpha)):
            ends = []
            for step in (1e-6, -1e-6):
                moved = {name: a.detach().clone() for name, a in alphas.items()}
                moved[path][item] += step
                ends.append(value(searched, what, moved).item())
            yield 0.0 if alpha.grad is None else alpha.grad[item].item(), (ends[0] - ends[1]) / 2e-6


# `none` has no part in the strength; the largest of the others is the log of 1 and 3, of 1, 1, 2, of 1, 2, 5.
WINDOW = [[9.0, log(best), log(best) - 1, -7.0] for best in (1, 3, 1, 1, 2, 1, 2, 5)]


def test_depth_of_three_nodes_by_hand() -> None:
    """d0 = (1/4 + 3/4) / 2; d1 = (1/4 + 1/4 + 1/2 (d0 + 1)) / 3; d2 = (1/8 + 2/8 (d0 + 1) + 5/8 (d1 + 1)) / 3."""
    searched = space(STAGE)
    what = quantity(searched, Depth)
    d0, d1, d2 = Fraction(1, 2), Fraction(5, 12), Fraction(133, 288)
    expected = (d0 + d1 + d2) / 3
    assert expected == Fraction(397, 864)
    alphas = alphas_of(searched, WINDOW)
    assert value(searched, what, alphas).item() == pytest.approx(float(expected), rel=1e-15, abs=0)
    for derivative, difference in differences(searched, what, alphas):
        assert derivative == pytest.approx(difference, abs=1e-9)


def test_raw_depth_of_three_nodes_by_hand() -> None:
    """max_pool: d0 = (1 + 2) / 2, d1 = (3 + 4 + 5 * 5/2) / 3, d2 = (1/2 + 2 * 5/2 + 15/2) / 3; `none`: d0 = 2 / 2."""
    searched = space(STAGE.replace("depth(s)", "depth(s, form = raw)"))
    what = quantity(searched, Depth)
    assert what.form is DepthForm.RAW
    alphas = alphas_of(searched, [[0.0, a, 0, 0] for a in (1, 2, 3, 4, 5, 0.5, 2, 1)])
    alphas["Three.s0.mix.from_a"].data[0] = 2
    expected = (Fraction(3, 2) + Fraction(13, 2) + Fraction(13, 3) + 1) / 3
    assert value(searched, what, alphas).item() == pytest.approx(float(expected), rel=1e-15, abs=0)
    for derivative, difference in differences(searched, what, alphas):
        assert derivative == pytest.approx(difference, abs=1e-8)


def test_depth_with_ends_and_expected_number_of_cells_by_hand() -> None:
    """Ends after two and three cells by 1/4 and 3/4: d1 gains 1 + 1/4 before d2 reads it, and d2 1 + 2 * 3/4."""
    searched = space(OPEN)
    alphas = alphas_of(searched, [*WINDOW, [log(1), log(3)]])
    d1 = Fraction(5, 12) * Fraction(5, 4)
    d2 = (Fraction(1, 8) + Fraction(3, 8) + Fraction(5, 8) * (d1 + 1)) / 3 * Fraction(5, 2)
    deep, long = quantity(searched, Depth), quantity(searched, Length)
    expected = (Fraction(1, 2) + d1 + d2) / 3
    assert expected == Fraction(5137, 6912)
    assert value(searched, deep, alphas).item() == pytest.approx(float(expected), rel=1e-15, abs=0)
    for derivative, difference in differences(searched, deep, alphas):
        assert derivative == pytest.approx(difference, abs=1e-9)
    alphas["Three.s"].grad = None
    assert value(searched, long, alphas).item() == pytest.approx(11 / 4, rel=1e-15, abs=0)
    for derivative, difference in differences(searched, long, {"Three.s": alphas["Three.s"]}):
        assert derivative == pytest.approx(difference, abs=1e-9)
    assert gradient(alphas["Three.s"]).tolist() == pytest.approx([-3 / 16, 3 / 16], rel=1e-14)


def test_a_family_may_end_at_sizes_that_are_apart() -> None:
    searched = space(OPEN.replace("j < 2 | 3", "j < 1 | 3"))
    alphas = alphas_of(searched, [*WINDOW, [log(1), log(3)]])
    d0, d1 = Fraction(1, 2), Fraction(5, 12)  # c0 is the last one by 1/4, and 0 times that is nothing
    d2 = (Fraction(1, 8) + Fraction(3, 8) + Fraction(5, 8) * (d1 + 1)) / 3 * Fraction(5, 2)
    assert value(searched, quantity(searched, Depth), alphas).item() == pytest.approx(
        float(d0 + d1 + d2) / 3, rel=1e-15
    )


def test_a_window_of_two() -> None:
    searched = space(STAGE.replace("last 3 of", "last 2 of"))
    alphas = {path: torch.zeros(d.alphas, dtype=torch.float64) for path, d in searched.decisions.items() if d.alphas}
    d0 = Fraction(1, 2)
    d1 = (Fraction(1, 2) + Fraction(1, 2) * (d0 + 1)) / 2
    d2 = (Fraction(1, 2) * (d0 + 1) + Fraction(1, 2) * (d1 + 1)) / 2
    assert value(searched, quantity(searched, Depth), alphas).item() == pytest.approx(
        float(d0 + d1 + d2) / 3, rel=1e-15
    )


def test_what_is_logged_and_what_takes_a_step() -> None:
    """Beside each depth the number of cells, the entropy by level; a length that nothing decides takes no step."""
    fixed = Supernet(space(STAGE.replace("weight 1.0\n", "weight 0\n  minimize length(s) weight 0.4\n")))
    assert fixed.preferences() == {}
    assert fixed.scores() == pytest.approx({"depth Three": float(fixed.scores()["depth Three"]), "length Three": 3})
    opened = Supernet(space(OPEN), init=0.0)
    assert opened.scores()["length Three"] == pytest.approx(2.5)
    assert list(opened.preferences()) == ["depth Three", "length Three"]
    joint = Supernet(compiled(SPACES / "three.hsp", text=THREE_NODES).network)
    assert {"cell", "stage", "Small@0", "Stage@1"} < joint.entropy().keys()
    assert {"depth Stage@0", "length Stage@0"} < joint.scores().keys()


# ---------------------------------------------------------------- the published spaces


def test_the_distribution_search_is_a_whole_file() -> None:
    program = compiled(SPACES / "hdas_dist.hsp")
    facts = describe(program)
    assert (facts["params"], facts["macs"], facts["alphas"]) == (1_150_474, 185_963_520, 276 + 15)
    assert int(facts["cardinality"]) == 97_764_063_507**3
    weights = {p.name: (p.sense.value, p.weight) for p in program.network.preferences}
    assert weights["depth Open@0"] == ("maximize", 1.0)
    assert weights["length Open@2"] == ("minimize", 0.4)
    assert program.settings.preferences.value == "apart"


def test_the_phases_of_hdas() -> None:
    facts = describe(compiled(SPACES / "hdas_cifar.hsp"))
    assert int(facts["cardinality"]) == CELL**5 * 3**51
    phases = [(phase["phase"], phase["after"], phase["optional"], phase["alphas"]) for phase in facts["phases"]]
    assert phases == [("micro", [], False, 560), ("macro", ["micro"], False, 204), ("ends", ["micro"], True, 291)]


def test_the_network_of_a_phased_file_is_that_of_its_last_required_phase() -> None:
    assert compiled(SPACES / "hdas_cifar.hsp").network.alphas == 204


def test_both_levels_in_one_phase() -> None:
    facts = describe(compiled(SPACES / "hdas_cifar_joint.hsp"))
    assert int(facts["cardinality"]) == CELL**5 * 3**51
    assert facts["alphas"] == 560 + 204
    assert int(describe(compiled(SPACES / "hdas_digits_joint.hsp"))["cardinality"]) == CELL**5 * 3**24


# ---------------------------------------------------------------- ImageNet


@cache
def imagenet() -> Program:
    return compiled(SPACES / "hdas_imagenet.hsp")


def derived_stages(program: Program, dags: tuple[g.Dag, ...]) -> str:
    chosen = published(program.network, {f"Stage@{k}": dag for k, dag in enumerate(dags)})
    return print_module(derive_module(program.network, chosen, program.carried))


def test_the_search_for_imagenet() -> None:
    facts = describe(imagenet())
    assert (facts["params"], facts["alphas"], facts["input"]) == (685_898, 132, [3, 32, 32])
    assert int(facts["cardinality"]) == 3**33
    settings = imagenet().settings
    assert (settings.batch, settings.epochs, settings.data.word) == (128, 50, "cifar10")


def test_the_published_stages_for_imagenet() -> None:
    text = derived_stages(imagenet(), g.HS_IMAGENET)
    program = compiled("derived.hsp", text=text)
    assert program.train_network is not None
    cost = Costs().block(program.train_network.block)
    assert (cost.params, cost.macs) == (5_150_682, 555_390_960)
    assert program.train_network.input.dims == (3, 224, 224)
    assert not program.warnings
    assert membership(imagenet(), program).inside


def test_the_limit_is_a_statement_of_the_file() -> None:
    wide = compiled("derived.hsp", "c=42", text=derived_stages(imagenet(), g.HS_IMAGENET))
    (warning,) = wide.warnings
    assert "does not meet `macs <= 600M`: macs is 6" in warning.message


def test_the_recipe_for_imagenet() -> None:
    settings = imagenet().train_settings
    rate, data = settings.weights.lr, settings.data
    assert isinstance(data, Folder)
    assert (settings.epochs, settings.label_smoothing, settings.aux_weight) == (250, 0.1, 0.4)
    assert (settings.weights.decay, settings.weights.clip, data.jitter) == (3e-5, 5, 0.4)
    steps = [rate(epoch, 250) for epoch in (0, 4.5, 9.99, 10, 130, 250)]
    assert steps == pytest.approx([0.1 / 11, 0.05, 0.1, 0.1, 0.05, 0], abs=1e-4)
    assert rate(4.5, 250) > rate(4.4, 250)
    assert rate(100.5, 250) < rate(100.4, 250)


def test_an_architecture_found_on_cifar_trains_by_the_recipe_of_another_file() -> None:
    stages = compiled(SPACES / "hdas_stages.hsp")
    text = derived_stages(stages, g.HS_CIFAR)
    moved = compiled("derived.hsp", text=text, recipe=SPACES / "hdas_imagenet.hsp")
    assert moved.train_network is not None
    assert moved.train_network.input.dims == (3, 224, 224)
    assert dict(moved.train_network.block.arguments)["c"] == "39"
    assert moved.train_settings == imagenet().train_settings
    plain = compiled("derived.hsp", text=text)
    assert plain.train_settings.epochs == 600


# ---------------------------------------------------------------- inputs that sections shape

SHAPED = """hsp 1

network Net(image: [3, 8, 8]; c = 4) {
  output image -> conv(3, c) -> classifier(10)
}

train Net(image = (1, 16, 12), c = 2) {
  require params <= 10
}
"""


def test_a_section_gives_an_input_its_shape() -> None:
    program = compiled("shaped.hsp", text=SHAPED)
    assert program.network.input.dims == (3, 8, 8)
    assert program.train_network is not None
    assert program.train_network.input.dims == (1, 16, 12)
    assert [w.message for w in program.warnings] == ["the architecture does not meet `params <= 10`: params is 48"]
    assert compiled("shaped.hsp", "image=(2, 4, 4)", text=SHAPED).network.input.dims == (2, 4, 4)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("(1, 16)", "input 'image' is given no shape"),
        ("8", "input 'image' is given no shape"),
        ("(1, 1.5, 8)", "input 'image' is given no shape"),
        ("(1, 0, 8)", "'image' cannot have the shape 1x0x8"),
    ],
)
def test_a_wrong_shape(shape: str, message: str) -> None:
    _, diagnostics = compile_file("shaped.hsp", text=SHAPED.replace("(1, 16, 12)", shape))
    assert [d.message for d in diagnostics] == [message]


def test_only_sections_shape_inputs() -> None:
    text = "hsp 1\n\nnetwork Net(x: [3, 8, 8]) {\n  output Inner(x = (1, 2, 3))\n}\n\ncell Inner(x) {\n  output x\n}\n"
    program, diagnostics = compile_file("inner.hsp", text=text)
    assert program is None
    assert any("inputs are given by position" in d.message for d in diagnostics)


def test_a_train_section_requires_what_can_be_known() -> None:
    _, diagnostics = compile_file("shaped.hsp", text=SHAPED.replace("params", "parms"))
    assert [d.code.value for d in diagnostics] == ["E201"]


def test_the_distribution_file_gives_stages_of_unequal_length() -> None:
    program = compiled(SPACES / "hdas_dist.hsp", "c=2")
    chosen = random_decisions(program.network, 0)
    for k, cells in enumerate((4, 8, 5)):
        chosen[f"Open@{k}.s"] = (cells - 4,)
    text = print_module(derive_module(program.network, chosen, program.carried))
    derived = compiled("derived.hsp", text=text)
    assert membership(program, derived).decisions["Open@1.s"] == (4,)
    assert [len(derived.network.copies[f"Open@{k}"].body.families["s"].elements) for k in range(3)] == [4, 8, 5]
