"""Passes that are recorded and replayed, by a stand-in that does on the CPU what a CUDA graph does on a GPU.

It keeps the promises of one: recording changes nothing, a replay reads and writes the memory of the recording.
`tests/backend/test_on_a_gpu.py` has the same with CUDA graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from types import MethodType

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from compiler.backend.lowering.cuda_graphs import KINDS, RECORDINGS, Recorded, Recorder, Replays
from compiler.backend.lowering.network import lowered
from compiler.backend.passes import CPU, CUDA, Target
from compiler.backend.torch_modules.once_differentiable import TwiceDifferentiatedError
from compiler.backend.torch_modules.regularisation import Dropout, DropPath, Fade
from tests.support.programs import space


@dataclass
class Again:
    """Work that is done again, in place of a graph; what it gives lies where it lay the first time."""

    of: Recorded
    work: Callable[[], None]

    def __post_init__(self) -> None:
        self.memory = [tensor.data for tensor in self.given()]

    def given(self) -> list[Tensor]:
        return self.of.outputs if self.work.__name__ == "_forward" else self.of.flat

    def replay(self) -> None:
        with torch.enable_grad():
            self.work()
        for memory, tensor in zip(self.memory, self.given(), strict=True):
            memory.copy_(tensor.data)
            tensor.data = memory


@dataclass
class StandIn:
    """Does the work once to know its results, and takes back what that changed."""

    network: nn.Module
    device: str = "cpu"
    records: list[str] = field(default_factory=list)

    def record(self, work: Callable[[], None]) -> Again:
        before, random = [buffer.clone() for buffer in self.network.buffers()], torch.get_rng_state()
        work()
        for buffer, value in zip(self.network.buffers(), before, strict=True):
            buffer.data.copy_(value)  # no write that autograd notices
        torch.set_rng_state(random)
        self.records.append(work.__name__)
        assert isinstance(work, MethodType)
        assert isinstance(work.__self__, Recorded)
        return Again(work.__self__, work)


class Net(nn.Module):
    """A norm with statistics, weights that come from outside, two outputs, and a parameter that nothing reads."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Linear(3, 4), nn.BatchNorm1d(4)
        self.drop, self.fade = Dropout(), Fade()
        self.fade.rate = 1.0
        self.last, self.idle = nn.Linear(4, 2), nn.Linear(2, 2)
        self.calls = 0

    def forward(self, x: Tensor, weights: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        self.calls += 1
        y = self.fade(self.drop(self.norm(self.first(x))))
        y = y * weights["a"][0] + y.relu() * weights["a"][1]
        return self.last(y), y.detach()


Made = tuple[Net, nn.Parameter, Callable[..., tuple[Tensor, Tensor]]]


def made(recorder: type[StandIn] | None) -> Made:
    """The same network, plain or replayed, and its alphas."""
    torch.manual_seed(0)
    net = Net()
    alpha = nn.Parameter(torch.randn(2))
    return net, alpha, net if recorder is None else Replays(net, True, recorder(net))


def steps(of: Made, count: int = 6) -> Iterator[list[Tensor]]:
    """Weights and alphas in turn, as a search moves them; after each step all there is."""
    net, alpha, call = of
    optimizer = torch.optim.SGD([*net.parameters(), alpha], lr=0.1, momentum=0.9)
    for step in range(count):
        torch.manual_seed(step)
        net.drop.rate, net.fade.rate = 0.1 * step, 1.0 + 0.1 * step
        # Numbers are drawn otherwise where the rate is a tensor.
        net.drop.recorded, net.fade.recorded = torch.tensor(net.drop.rate), torch.tensor(net.fade.rate)
        x, labels = torch.randn(5, 3), torch.randint(2, (5,))
        moving = [alpha] if step % 2 else list(net.parameters())
        with only(moving, [*net.parameters(), alpha]):
            logits, features = call(x, {"a": alpha.softmax(0)})
            loss = cross_entropy(logits, labels)
            found = torch.autograd.grad(loss, moving, allow_unused=True)
        for parameter, gradient in zip(moving, found, strict=True):
            parameter.grad = gradient
        optimizer.step()
        optimizer.zero_grad()
        gradients = [torch.zeros(()) if gradient is None else gradient for gradient in found]
        yield [logits, features, *gradients, *(tensor.clone() for tensor in (alpha, *net.state_dict().values()))]


@contextmanager
def only(moving: list[nn.Parameter], every: list[nn.Parameter]) -> Iterator[None]:
    """Only some ask for gradients."""
    for parameter in every:
        parameter.requires_grad_(any(parameter is one for one in moving))
    yield


def test_replays_equal_the_network() -> None:
    """Outputs, gradients, statistics and what rates follow schedules, when gradients are wanted in turn."""
    plain, replayed = made(None), made(StandIn)
    for one, other in zip(steps(plain, 9), steps(replayed, 9), strict=True):
        assert len(one) == len(other)
        for mine, theirs in zip(one, other, strict=True):
            assert torch.equal(mine, theirs)
    call = replayed[2]
    assert isinstance(call, Replays)
    assert call.recordings == 2


def test_results_outlive_the_next_replay() -> None:
    """Gradients of several passes can be held together, as second order does."""
    net, alpha, call = made(StandIn)
    batches = [torch.randn(5, 3) for _ in range(4)]
    weights = {"a": alpha.detach().softmax(0)}
    kept = [torch.autograd.grad(call(x, weights)[0].sum(), net.first.weight)[0] for x in batches]
    for x, gradient in zip(batches, kept, strict=True):
        assert torch.equal(gradient, torch.autograd.grad(net(x, weights)[0].sum(), net.first.weight)[0])


def test_a_pass_that_waits_for_its_backward_is_not_overwritten() -> None:
    """Two passes before either goes backward: the second runs operation by operation."""
    net, alpha, call = made(StandIn)
    weights, x, other = {"a": alpha.detach().softmax(0)}, torch.randn(5, 3), torch.randn(5, 3)
    for _ in range(3):
        call(x, weights)[0].sum().backward()
    calls = net.calls
    both = call(x, weights)[0].sum() + call(other, weights)[0].sum()
    assert net.calls == calls + 2, "one replay, which the stand-in does by a call, and one call"
    found = torch.autograd.grad(both, net.first.weight)[0]
    expected = torch.autograd.grad(net(x, weights)[0].sum() + net(other, weights)[0].sum(), net.first.weight)[0]
    assert torch.allclose(found, expected)


def test_what_is_recorded_when() -> None:
    """The first pass of a kind runs as it is; evaluation is another kind; what shapes change all the time is let be."""
    net, alpha, call = made(StandIn)
    assert isinstance(call, Replays)
    weights = {"a": alpha.detach()}
    recorder = call.recorder
    assert isinstance(recorder, StandIn)
    call(torch.randn(5, 3), weights)
    assert recorder.records == []
    call(torch.randn(5, 3), weights)
    assert recorder.records == ["_forward", "_backward"]
    net.eval()
    with torch.no_grad():
        expected = net(torch.ones(5, 3), weights)[0]
        for _ in range(3):
            assert torch.equal(call(torch.ones(5, 3), weights)[0], expected)
    assert recorder.records == ["_forward", "_backward", "_forward"]
    for size in range(6, 6 + KINDS):
        call(torch.randn(size, 3), weights)
    assert not call.is_wanted


def test_a_recording_is_of_one_mode_and_of_the_gradients_that_it_takes() -> None:
    net, alpha, call = made(StandIn)
    weights, x = {"a": alpha.detach()}, torch.randn(5, 3)
    for _ in range(3):
        call(x, weights)[0].sum().backward()
    net.eval()
    for _ in range(3):
        assert torch.equal(call(x, weights)[0], net(x, weights)[0])
    net.train()
    net.first.requires_grad_(False)
    for _ in range(3):
        found = torch.autograd.grad(call(x, weights)[0].sum(), net.last.weight)[0]
        assert torch.equal(found, torch.autograd.grad(net(x, weights)[0].sum(), net.last.weight)[0])


def test_no_more_recordings_than_there_is_room_for() -> None:
    _, alpha, call = made(StandIn)
    assert isinstance(call, Replays)
    for size in range(2, 4 + RECORDINGS):
        for _ in range(2):
            call(torch.randn(size, 3), {"a": alpha.detach()})
    assert call.recordings == RECORDINGS
    assert call.is_wanted


class Refusing(StandIn):
    """A device that cannot record what it is given."""

    def record(self, work: Callable[[], None]) -> Again:
        raise RuntimeError("operation not permitted when stream is capturing")


@pytest.mark.parametrize("hooked", [False, True])
def test_what_cannot_be_recorded_runs_as_it_is(hooked: bool) -> None:
    net, alpha, call = made(StandIn if hooked else Refusing)
    assert isinstance(call, Replays)
    seen: list[int] = []
    if hooked:
        net.norm.register_forward_hook(lambda *_: seen.append(1))
    for _ in range(4):
        call(torch.randn(5, 3), {"a": alpha.detach()})
    assert not call.is_wanted
    assert len(seen) == 4 * hooked


def test_a_copy_records_anew() -> None:
    """A copy has parameters of its own; recordings write to those of the original."""
    net, alpha, call = made(StandIn)
    weights, x = {"a": alpha.detach()}, torch.randn(5, 3)
    for _ in range(2):
        call(x, weights)
    assert isinstance(call, Replays)
    copy = deepcopy(call)
    assert (call.recordings, copy.recordings) == (1, 0)
    with torch.no_grad():
        net.last.bias.add_(1)
    assert not torch.allclose(copy(x, weights)[0], net(x, weights)[0])


def test_graphs_can_be_forbidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HDAS_GRAPHS", "off")
    assert not Replays(Net(), True).is_wanted


def warm() -> tuple[Net, Tensor]:
    """A network, and the sum of what a replay gives."""
    net, alpha, call = made(StandIn)
    for _ in range(2):
        call(torch.randn(5, 3), {"a": alpha.detach()})[0].sum().backward()
    return net, call(torch.randn(5, 3), {"a": alpha.detach()})[0].sum()


def test_a_second_derivative_is_refused() -> None:
    net, loss = warm()
    with pytest.raises(TwiceDifferentiatedError):
        torch.autograd.grad(loss, net.first.weight, create_graph=True)


def test_a_second_backward_pass_is_refused() -> None:
    net, loss = warm()
    torch.autograd.grad(loss, net.first.weight, retain_graph=True)
    with pytest.raises(RuntimeError, match="HDAS_GRAPHS"):
        torch.autograd.grad(loss, net.last.weight)


@pytest.mark.parametrize("kind", [Dropout, DropPath, Fade])
def test_a_rate_in_memory_is_the_rate(kind: type[Dropout] | type[DropPath] | type[Fade]) -> None:
    module, x = kind(), torch.ones(50, 7)
    module.rate = 0.25
    torch.manual_seed(0)
    module(x)
    module.recorded = torch.tensor(0.25)
    found = module(x)
    share = float((found == 0).float().mean())
    if kind is Fade:
        assert (found == 0.25).all()
        return
    assert ((found == 0) | (found - 1 / 0.75).abs().lt(1e-6)).all()
    assert 0.05 < share < 0.45


def _check(recorder: Recorder) -> None:
    """`StandIn` is a recorder, says the type checker."""


_check(StandIn(nn.Identity()))


def test_which_networks_are_recorded() -> None:
    """Those on a GPU, unless torch compiles them or cells are computed again."""
    found = space("darts.hsp", c=2, cells=3)
    wanted = {
        "cpu": lowered(found, target=Target(CPU)),
        "gpu": lowered(found, target=Target(CUDA)),
        "compiled": lowered(found, target=Target(CUDA, compiled=True)),
        "budget": lowered(found, target=Target(CUDA, memory_budget=1)),
    }
    assert [name for name, made in wanted.items() if made.replays.is_wanted] == ["gpu"]
