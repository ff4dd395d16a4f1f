"""The laws of what regularises a supernet by a rate that follows a schedule: dropped paths, dropout, an item beside."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.fx import GraphModule

from compiler.backend.torch_modules.regularisation import Dropout, DropPath, Fade, Scheduled
from compiler.elaborate.setting_values import plain
from compiler.program.compile_file import compile_file
from compiler.program.methods import library_methods
from compiler.program.model import Phase
from compiler.searcher.engine.bilevel import Descent, second_order
from compiler.searcher.relaxations import relaxed
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.settings.reader import read_schedule
from compiler.searcher.settings.words import Applied
from hdas_dsl.tree import ast

TEXT = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm -> drop_path
op skip(x) = x
choice Op = zero if relaxed | unit | unit(k = 3) | skip
network Net(image: [1, 8, 8]; classes = 3) {
  stem = image -> conv(3, 4) -> batch_norm
  n[i < 2] = sum(pick 2 of Op(each (stem, stem -> relu, earlier n)))
  output last of n -> classifier(classes)
}
"""


def phase(settings: str) -> Phase:
    section = f"search Net {{\n data = fake(classes = 3)\n epochs = 5\n {settings}\n}}\n"
    program, wrong = compile_file("n.hsp", text=TEXT + section)
    assert program is not None, [found.message for found in wrong]
    return program.phases[0]


def supernet_of(settings: str, seed: int = 0) -> Supernet:
    torch.manual_seed(seed)
    found = phase(settings)
    made = relaxed(found.network, found.settings, built=found.built)
    assert isinstance(made, Supernet)
    return made


def scheduled(supernet: Supernet, kind: type[Scheduled]) -> list[Scheduled]:
    return [module for module in supernet.network.modules() if isinstance(module, kind)]


def code(supernet: Supernet) -> str:
    return "".join(str(part.code) for part in supernet.network.modules() if isinstance(part, GraphModule))


def images() -> Tensor:
    return torch.randn(8, 1, 8, 8, generator=torch.Generator().manual_seed(1))


KINDS = {"drop_path = {}": (DropPath, 10), "dropout = skip({})": (Dropout, 5), "beside = skip({})": (Fade, 5)}
DROPS = ["drop_path = 0.5", "dropout = skip(0.5)"]


@pytest.mark.parametrize("setting", KINDS)
def test_a_rate_of_0_builds_nothing(setting: str) -> None:
    plain, off, on = (supernet_of(text) for text in ("", setting.format(0), setting.format(0.5)))
    kind, count = KINDS[setting]
    assert not scheduled(off, kind)
    assert len(scheduled(on, kind)) == count
    assert torch.equal(plain(images()), off(images()))
    assert code(plain) == code(off) != code(on)


@pytest.mark.parametrize("setting", KINDS)
def test_the_rate_is_a_function_of_the_epoch_and_no_state(setting: str) -> None:
    supernet = supernet_of(setting.format("ramp(0.1, 0.5, ends = last)"))
    rates = scheduled(supernet, KINDS[setting][0])
    assert {part.rate for part in rates} == {0.1}
    for epoch in (3.5, 0.0, 4.0, 2.25):
        supernet.anneal(epoch)
        assert {part.rate for part in rates} == {0.1 + 0.4 * int(epoch) / 4}
    assert not any("rate" in name for name in supernet.state_dict())


@pytest.mark.parametrize("setting", KINDS)
def test_what_is_derived_and_priced_knows_nothing_of_it(setting: str) -> None:
    supernet, plain = supernet_of(setting.format(0.5)), supernet_of("")
    assert supernet.space.decisions == plain.space.decisions
    assert supernet.space.block.graph.pretty() == plain.space.block.graph.pretty()


def test_the_dropout_of_p_darts_is_that_of_its_stages() -> None:
    """In each of three stages p (25 - e - 1) / 25 while alphas rest, then p exp(-0.2 (e - 10)), p of 0, 0.4, 0.7."""
    (method,) = (method for method in library_methods() if method.name == "p_darts")
    (line,) = (line for line in method.settings if isinstance(line, ast.Setting) and line.name == "dropout")
    value = plain(line.value)
    assert isinstance(value, Applied)
    (schedule,) = value.args
    found, wrong = read_schedule(schedule, line.span)
    assert found is not None, wrong
    for epoch in range(75):
        stage, e = divmod(epoch, 25)
        p = (0, 0.4, 0.7)[stage]
        expected = p * (25 - e - 1) / 25 if e < 10 else p * math.exp(-0.2 * (e - 10))
        assert found(epoch, 75) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("setting", DROPS)
def test_things_are_dropped_in_training_alone(setting: str) -> None:
    supernet, plain = supernet_of(setting), supernet_of("")
    torch.testing.assert_close(supernet.eval()(images()), plain.eval()(images()))
    supernet.train()
    assert not torch.equal(supernet(images()), supernet(images()))


def test_dropped_paths_change_no_weight_of_the_start() -> None:
    with_, without = supernet_of("drop_path = 0.5"), supernet_of("")
    found = dict(without.network.named_parameters())
    assert dict(with_.network.named_parameters()).keys() == found.keys()
    assert all(torch.equal(mine, found[name]) for name, mine in with_.network.named_parameters())


@pytest.mark.parametrize("setting", DROPS)
def test_what_was_narrowed_still_drops(setting: str) -> None:
    supernet = supernet_of(f"{setting}\n narrow = together(keep = 2, at = 1)")
    supernet.live.keep({path: [1, 3] for path, d in supernet.space.decisions.items() if not d.candidates})
    supernet.begin(1)
    supernet.anneal(1)
    supernet.train()
    assert not torch.equal(supernet(images()), supernet(images()))


@pytest.mark.parametrize("setting", DROPS)
def test_both_sides_of_second_order_have_equal_masks(setting: str) -> None:
    """With equal masks the difference of both sides has a limit: it stays as it is when they come closer."""
    supernet = supernet_of(setting).double()
    supernet.train()
    alphas, weights = list(supernet.alphas.values()), list(supernet.weights())
    x = images().double()

    def found(radius: float) -> Tensor:
        torch.manual_seed(3)

        def loss() -> Tensor:
            logits: Tensor = supernet(x)
            return logits.square().mean()

        slopes = second_order(loss, loss, alphas, weights, Descent(0.1), radius=radius)
        return torch.cat(slopes)

    torch.testing.assert_close(found(1e-3), found(1e-4), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("setting", ["drop_path = ramp(0, 1)", "dropout = skip(ramp(1, 0))"])
def test_what_drops_keeps_something(setting: str) -> None:
    with pytest.raises(AssertionError, match="reaches 1, where nothing is left"):
        phase(setting)
    phase("beside = skip(ramp(1, 0))")


# ---------------------------------------------------------------- an item beside the others


def weighed(supernet: Supernet, *weights: float) -> dict[str, Tensor]:
    decisions = supernet.space.decisions
    return {path: torch.tensor(weights) for path, d in decisions.items() if not d.candidates} | {
        path: torch.ones(len(d.items)) for path, d in decisions.items() if d.candidates
    }


def test_an_item_beside_is_added_outside_of_all_weights() -> None:
    """All weights on the skip, and a skip of weight 2 beside it: three times the skip."""
    supernet, plain = supernet_of("beside = skip(2)").eval(), supernet_of("").eval()
    plain.load_state_dict(supernet.state_dict())
    found = supernet(images(), weighed(supernet, 0, 0, 0, 1))
    torch.testing.assert_close(found, plain(images(), weighed(plain, 0, 0, 0, 3)))
    only = supernet(images(), weighed(supernet, 0, 0, 0, 0))
    torch.testing.assert_close(only, plain(images(), weighed(plain, 0, 0, 0, 2)))


def test_nothing_is_beside_a_menu_that_was_given_up() -> None:
    supernet = supernet_of("beside = skip(1)\n narrow = one_by_one").eval()
    gone = [menu for menu in supernet.space.decisions["Net.n1.in"].candidates if menu]
    before = supernet(images())
    supernet.live.keep(dict.fromkeys(gone, ()))
    supernet.begin(1)
    after = supernet.eval()(images())
    assert not torch.allclose(before, after)
    assert torch.equal(after, after[:1].expand_as(after))  # Nothing of the images is left.


def test_dropout_is_behind_items_that_keep_the_shape() -> None:
    text = TEXT.replace("op skip(x) = x", "op skip(x; stride = 1) = x -> max_pool(3, stride)").replace(
        "k = 1) = x -> relu -> conv(k)", "k = 1, stride = 1) = x -> relu -> conv(k, x.c, stride)"
    )
    text = text.replace("zero if relaxed | ", "").replace("  stem =", "  half = image -> Op(stride = 2)\n  stem =")
    text = text.replace(
        "  output last of n", "  wide = half -> resize(8, 8) -> conv(1, 4)\n  total = last of n + wide\n  output total"
    )
    section = "search Net {\n data = fake(classes = 3)\n dropout = skip(0.5)\n}\n"
    program, wrong = compile_file("n.hsp", text=text + section)
    assert program is not None, [found.message for found in wrong]
    supernet = relaxed(program.phases[0].network, program.phases[0].settings, built=program.phases[0].built)
    assert isinstance(supernet, Supernet)
    assert len(scheduled(supernet, Dropout)) == 5


@pytest.mark.parametrize(("setting", "kind"), [("beside = skip(2)", Fade), ("dropout = skip(0.5)", Dropout)])
def test_items_of_another_file_have_their_own_name(tmp_path: Path, setting: str, kind: type[Scheduled]) -> None:
    """A text that names a file `o` calls its skip `o.skip`; a method says `skip`, and means it."""
    head, network = TEXT.split("choice Op")
    (tmp_path / "ops.hsp").write_text(head)
    text = f'hsp 1\nuse "ops.hsp" as o\nchoice Op{network}'.replace("unit", "o.unit").replace("| skip", "| o.skip")
    section = f'search Net {{\n data = fake(classes = 3)\n until = taken("skip", 2)\n {setting}\n}}\n'
    (tmp_path / "net.hsp").write_text(text + section)
    program, wrong = compile_file(tmp_path / "net.hsp")
    assert program is not None, [found.message for found in wrong]
    supernet = relaxed(program.phases[0].network, program.phases[0].settings, built=program.phases[0].built)
    assert isinstance(supernet, Supernet)
    assert len(scheduled(supernet, kind)) == 5


def test_what_is_beside_has_the_shape_of_the_others() -> None:
    text = TEXT.replace("  output last of n", "  m = stem -> (wide | skip)\n  output last of n").replace(
        "op skip(x)", "op wide(x) = conv(x, 1, 6)\nop skip(x)"
    )
    section = "search Net {\n data = fake(classes = 3)\n beside = skip(1)\n}\n"
    program, wrong = compile_file("n.hsp", text=text + section)
    assert program is None
    assert "adds 'skip' to a menu whose items have another shape" in " ".join(found.message for found in wrong)
