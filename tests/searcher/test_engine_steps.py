"""What a step of a search costs: gradients that nobody asked for, waiting for data, waiting for the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from compiler.searcher.data.load import halves, load_data
from compiler.searcher.engine import RunOptions, bilevel, run_search, run_train, search
from compiler.searcher.engine.device.batches import Batches
from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.engine.reporting.records import Meter
from compiler.searcher.engine.state.seeds import seed_all
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.settings.axes import Order, Preferences
from compiler.searcher.settings.datasets import Fake
from compiler.searcher.settings.optimizers import AlphaAdam, Sgd
from compiler.searcher.settings.schedules import Constant, Cosine
from compiler.searcher.settings.sections import SearchSettings
from compiler.util.seeds import mix
from tests.support import engine_toy
from tests.support.programs import space

SPACE = """\
hsp 1
use "lib/darts.hsp"
use "hdas_stages.hsp"

cell Block(a, b; c) {
  output a + (b -> relu -> dwconv(3) -> conv(1) -> batch_norm)
}

stage Small(x; c) {
  s[j < 2 | .. | 4] = Block(mix, mix, c) where mix = sum(pick 2 of Macro(each last 3 of (x, x, earlier s)))
  output concat(last 2 of s)
  maximize depth(s, ends = true) weight 1.0
  minimize length(s) weight 0.4
}

network Net(image: [1, 8, 8]; c = 4) {
  stem = image -> conv(3, c) -> batch_norm
  output stem -> conv(k = 1 | 3) -> Small(c) -> classifier(3)
}
"""
DATA = Fake(classes=3, count=32, channels=1, size=8, crop=1, flip=True)


def settings(order: Order = Order.FIRST, preferences: Preferences = Preferences.TOGETHER) -> SearchSettings:
    return SearchSettings(
        data=DATA,
        epochs=1,
        batch=8,
        weights=Sgd(lr=Cosine(start=0.05), clip=1.0),
        alphas=AlphaAdam(lr=Constant(value=0.05)),
        order=order,
        preferences=preferences,
    )


def supernet() -> Supernet:
    torch.manual_seed(0)
    return Supernet(space(SPACE))


def job(net: Supernet, asked: SearchSettings, device: str = "cpu") -> search.Searching:
    """A search made ready for its first step, on any device that torch has."""
    compute = Compute("cpu")
    compute.device = torch.device(device)
    made = search.Searching(net, load_data(DATA, Path("nowhere")), asked, compute)
    made.begin(0, 0)
    made.fetch()
    return made


# ---------------------------------------------------------------- gradients that nobody asked for


def passes(asked: SearchSettings) -> list[tuple[bool, bool]]:
    """For each pass of one step: whether any weight asks for a gradient, whether any mixing weight does."""
    net = supernet()
    seen: list[tuple[bool, bool]] = []

    def look(module: nn.Module, args: tuple[Tensor, dict[str, Tensor]]) -> None:
        seen.append((any(w.requires_grad for w in net.weights()), any(w.requires_grad for w in args[1].values())))

    net.network.register_forward_pre_hook(look)
    job(net, asked).step(0, 0)
    assert all(parameter.requires_grad for parameter in net.parameters())
    return seen


def test_each_pass_takes_the_gradients_it_is_for() -> None:
    of_weights, of_alphas = (True, False), (False, True)
    assert passes(settings()) == [of_alphas, of_weights]
    assert passes(settings(Order.SECOND)) == [of_weights, (True, True), of_alphas, of_alphas, of_weights]


def test_weights_ask_for_gradients_again_after_a_pass_that_fails() -> None:
    net = supernet()
    made = job(net, settings())
    net.network.register_forward_pre_hook(lambda module, args: 1 / 0)
    for take in (made.bilevel.weight_step, lambda loss: made.bilevel.alpha_step(loss, loss)):
        with pytest.raises(ZeroDivisionError):
            take(lambda: made._loss(made.weight_batch))
    assert all(parameter.requires_grad for parameter in net.parameters())


def kept(frozen: Callable[..., object] | None, monkeypatch: pytest.MonkeyPatch) -> int:
    """Numbers that autograd keeps for the backward pass of an alpha step."""
    with monkeypatch.context() as patch:
        if frozen is not None:
            patch.setattr(bilevel, "frozen", frozen)
        made = job(supernet(), settings())
        sizes: dict[int, int] = {}
        alive: list[Tensor] = []

        def keep(tensor: Tensor) -> Tensor:
            alive.append(tensor)
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with saved_tensors_hooks(keep, lambda tensor: tensor):
            made.bilevel.alpha_step(lambda: made._loss(made.weight_batch), lambda: made._loss(made.weight_batch))
    return sum(sizes.values())


@contextmanager
def nothing_frozen(parameters: object) -> Iterator[None]:
    yield


def test_an_alpha_step_keeps_less(monkeypatch: pytest.MonkeyPatch) -> None:
    assert kept(None, monkeypatch) < kept(nothing_frozen, monkeypatch)


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("preferences", list(Preferences))
def test_what_is_not_asked_for_changes_no_bit(
    order: Order, preferences: Preferences, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, data = settings(order, preferences), load_data(DATA, Path("nowhere"))
    run_search(supernet(), data, asked, RunOptions(tmp_path / "ours", device="cpu", quiet=True))
    monkeypatch.setattr(bilevel, "frozen", nothing_frozen)
    run_search(supernet(), data, asked, RunOptions(tmp_path / "whole", device="cpu", quiet=True))
    ours, whole = ((tmp_path / name / "checkpoint.safetensors").read_bytes() for name in ("ours", "whole"))
    assert ours == whole


# ---------------------------------------------------------------- waiting for data


def test_a_step_sees_what_its_own_seed_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That data are taken ahead changes no random number: neither of the images nor of the network."""
    seen: list[Tensor] = []
    draws: list[Tensor] = []

    class Listening(engine_toy.ToySpace):
        def __init__(self) -> None:
            super().__init__()
            self.module.register_forward_pre_hook(self.listen)

        def listen(self, module: nn.Module, args: tuple[Tensor]) -> None:
            if module.training:
                seen.append(args[0].clone())
                draws.append(torch.get_rng_state())

    asked = engine_toy.SEARCH
    run_search(Listening(), engine_toy.toy_data(), asked, RunOptions(tmp_path, device="cpu", quiet=True))

    compute, data = Compute("cpu"), engine_toy.toy_data()
    of_weights, of_alphas = halves(data, asked.data.weights_share, asked.seed)
    seed = mix(asked.seed, "data")
    batches = [
        Batches(f"{name} half", half, asked.batch, compute, seed)
        for name, half in (("weight", of_weights), ("alpha", of_alphas))
    ]
    expected: list[Tensor] = []
    states: list[Tensor] = []
    for epoch in range(asked.epochs):
        weight_batches, alpha_batches = (half.epoch(epoch) for half in batches)
        for step in range(batches[0].steps):
            seed_all(mix(mix(asked.seed, "search"), "step", epoch, step, 0), compute.device)
            weight_images, alpha_images = next(weight_batches)[0], next(alpha_batches)[0]
            expected += [alpha_images, weight_images]
            states.append(torch.get_rng_state())
    assert len(seen) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(seen, expected, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(draws[::2], states, strict=True))


@pytest.mark.parametrize("kind", ["search", "train"])
def test_the_next_batches_are_taken_before_anything_waits(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    def record(owner: type, name: str, event: str) -> None:
        original = getattr(owner, name)

        def call(self: object, *args: object) -> object:
            events.append(event)
            return original(self, *args)

        monkeypatch.setattr(owner, name, call)

    record(Batches, "_put", "take")
    record(Meter, "means", "wait")
    run = RunOptions(tmp_path, device="cpu", quiet=True)
    if kind == "search":
        space_ = engine_toy.ToySpace()
        space_.module.before = lambda call: events.append("pass")
        run_search(space_, engine_toy.toy_data(), engine_toy.SEARCH.model_copy(update={"epochs": 1}), run)
        step, ahead, wait = ["pass", "pass"], ["take", "take"], ["wait", "wait"]
    else:
        net = engine_toy.ToyNet()
        net.module.before = lambda call: events.append("pass")
        run_train(net, engine_toy.toy_data(), engine_toy.TRAIN.model_copy(update={"epochs": 1}), run)
        step, ahead, wait = ["pass"], ["take"], ["wait"]
    expected = [*ahead, *(step + ahead + wait) * 2, *step, *wait]  # of three steps
    assert events[: len(expected)] == expected


# ---------------------------------------------------------------- waiting for the device


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("preferences", list(Preferences))
def test_a_step_waits_for_no_value(order: Order, preferences: Preferences) -> None:
    """On torch's `meta` device tensors have shapes and no values: whoever asks for one fails."""
    made = job(supernet(), settings(order, preferences), "meta")
    made.step(0, 0)
    made.fetch()
    made.step(0, 1)
    with pytest.raises(RuntimeError, match="meta"):
        made.running_means()


def test_preferences_copy_nothing_to_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """A constant tensor is made on the CPU and copied, and the copy waits for what the device is doing."""
    net = supernet().to("meta")

    def refuse(*args: object, device: object = None, **kwargs: object) -> Tensor:
        raise AssertionError("a tensor of constants")

    monkeypatch.setattr(torch, "tensor", refuse)
    terms = net.preferences()
    assert len(terms) == 2
    assert all(term.requires_grad for term in terms.values())
