"""The laws of what regularises a supernet by a rate that follows a schedule: dropped paths."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.fx import GraphModule

from compiler.backend.torch_modules.regularisation import DropPath, Scheduled
from compiler.program.compile_file import compile_file
from compiler.program.model import Phase
from compiler.searcher.engine.bilevel import Descent, second_order
from compiler.searcher.relaxations import relaxed
from compiler.searcher.relaxations.supernet import Supernet

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


# ---------------------------------------------------------------- dropped paths


def test_a_rate_of_0_builds_nothing() -> None:
    plain, off, on = (supernet_of(text) for text in ("", "drop_path = 0", "drop_path = 0.5"))
    assert not scheduled(off, DropPath)
    assert len(scheduled(on, DropPath)) == 10
    assert torch.equal(plain(images()), off(images()))
    assert code(plain) == code(off) != code(on)


def test_the_rate_is_a_function_of_the_epoch_and_no_state() -> None:
    supernet = supernet_of("drop_path = ramp(0, 0.4, ends = last)")
    for epoch in (3.5, 0.0, 4.0, 2.25):
        supernet.anneal(epoch)
        assert {part.rate for part in scheduled(supernet, DropPath)} == {0.4 * int(epoch) / 4}
    assert not any("drop" in name for name in supernet.state_dict())


def test_paths_are_dropped_in_training_alone() -> None:
    supernet, plain = supernet_of("drop_path = 0.5"), supernet_of("")
    supernet.anneal(0)
    torch.testing.assert_close(supernet.eval()(images()), plain.eval()(images()))
    supernet.train()
    assert not torch.equal(supernet(images()), supernet(images()))


def test_dropped_paths_change_no_weight_of_the_start() -> None:
    with_, without = supernet_of("drop_path = 0.5"), supernet_of("")
    for mine, other in zip(with_.weights(), without.weights(), strict=True):
        assert torch.equal(mine, other)


def test_what_was_narrowed_still_drops_paths() -> None:
    supernet = supernet_of("drop_path = 0.5\n narrow = together(keep = 2, at = 1)")
    supernet.live.keep({path: [1, 3] for path, d in supernet.space.decisions.items() if not d.candidates})
    supernet.begin(1)
    supernet.anneal(1)
    supernet.train()
    assert not torch.equal(supernet(images()), supernet(images()))


def test_both_sides_of_second_order_drop_the_same_paths() -> None:
    """With equal masks the difference of both sides has a limit: it stays as it is when they come closer."""
    supernet = supernet_of("drop_path = 0.5").double()
    supernet.anneal(0)
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


def test_a_rate_reaches_less_than_1() -> None:
    with pytest.raises(AssertionError, match="reaches 1, where nothing is left"):
        phase("drop_path = ramp(0, 1)")
