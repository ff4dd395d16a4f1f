"""Sums that are not held for the backward pass: separable convolutions of few channels, computed again by readers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
import torch
from torch import Tensor, nn

from compiler.backend.fused import kernel
from compiler.backend.fused.kernel import Filter
from compiler.backend.fused.modules import WeightedSum
from compiler.backend.fused.plan import SumPlan, TermPlan
from compiler.backend.torch_modules.recomputed import recomputed

pytestmark = pytest.mark.skipif(not kernel.is_available(), reason="no C++ compiler")

FIRST = TermPlan(0, relu=True, filter=0, geometry=Filter(3, 1, 1, 1), projection=1)
SECOND = TermPlan(0, 0, 0, True, 1, Filter(3, 1, 1, 1), 2, 3)
THIRD = TermPlan(0, 1, None, True, 4, Filter(3, 1, 1, 1), 5, 6)


class Pair(nn.Module):
    """A separable convolution that two sums of two terms read."""

    def __init__(self, channels: int) -> None:
        super().__init__()

        def convolution() -> tuple[nn.Conv2d, nn.Conv2d]:
            around = nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False)
            return around, nn.Conv2d(channels, channels, 1, bias=False)

        norms = [nn.BatchNorm2d(channels) for _ in range(3)]
        self.halves = nn.ModuleList(convolution())
        self.rest = nn.ModuleList([norms[0], *convolution(), norms[1], *convolution(), norms[2]])
        self.first = WeightedSum([SumPlan((FIRST,), keep=False)], ())
        self.both = WeightedSum([SumPlan((SECOND, THIRD), keep=False)], (((0,),), ((1,),)))
        self.share = nn.Parameter(torch.tensor([0.3, 0.7]))

    def forward(self, x: Tensor) -> Tensor:
        half: Tensor = self.first([], [x], list(self.halves))
        parts = list(self.rest)
        one: Tensor = self.both([self.share], [half], parts)
        other: Tensor = self.both([self.share.flip(0)], [half], parts)
        return one * other


def pair(channels: int = 4) -> tuple[Pair, Tensor]:
    torch.manual_seed(0)
    return Pair(channels), torch.randn(8, channels, 6, 5, requires_grad=True)


@contextmanager
def held() -> Iterator[None]:
    """A context in which every source is held."""
    with mock.patch("compiler.backend.fused.kernel_terms.FEW", 0):
        yield


def gradients(network: Pair, x: Tensor, run: Callable[[Pair, Tensor], Tensor]) -> list[Tensor]:
    """The result, all gradients and all statistics."""
    y = run(network, x)
    found = torch.autograd.grad(y.sin().sum(), [x, *network.parameters()])
    return [y.detach(), *found, *(buffer.clone() for buffer in network.buffers())]


@pytest.mark.parametrize("run", [Pair.__call__, recomputed], ids=["once", "under checkpointing"])
def test_the_same_bytes(run: Callable[[Pair, Tensor], Tensor]) -> None:
    """Twice read, so that the second reader takes what was made for the first."""
    with held():
        expected = gradients(*pair(), Pair.__call__)
    for tensor, other in zip(gradients(*pair(), run), expected, strict=True):
        assert tensor.equal(other)


@pytest.mark.parametrize(("channels", "count"), [(4, 0), (12, 2)])
def test_few_channels_are_not_held(channels: int, count: int) -> None:
    network, x = pair(channels)
    half = network.first([], [x], list(network.halves)).permute(0, 2, 3, 1)
    saved: list[Tensor] = []

    def pack(tensor: Tensor) -> Tensor:
        saved.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(x)
    assert sum(tensor.shape == half.shape and tensor.equal(half) for tensor in saved) == count


def test_what_was_written_to_is_refused() -> None:
    """As where the convolution is held; also by a reader's second backward pass."""
    network, x = pair()
    y = network(x).sum()
    torch.autograd.grad(y, network.share, retain_graph=True)
    with torch.no_grad():
        next(network.halves.parameters()).mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        torch.autograd.grad(y, [network.share, x])
