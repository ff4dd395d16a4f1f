"""Sums of terms as a whole: the C++ kernel against torch, and which passes are run where."""

from __future__ import annotations

import shutil
from dataclasses import fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from programs import assert_same, random_decisions, randomize, space
from torch.nn import functional as F

from compiler.errors import UsageError
from compiler.fused import kernel
from compiler.fused.kernel import Filter, Kind, no_kernel
from compiler.passes import CPU, CPU_WITH_KERNEL, CUDA, FLATTEN, PASSES, Target, named, run_passes, weighed
from compiler.passes.estimate import estimate
from compiler.passes.target import read_bytes
from compiler.supernet import Supernet, one_hot

needs_kernel = pytest.mark.skipif(not kernel.is_available(), reason="no C++ compiler")

DARTS = {"c": 8, "cells": 3, "size": 16}


def test_the_kernel_is_built_where_a_compiler_is():
    has_compiler = any(map(shutil.which, ("c++", "g++", "clang++")))
    assert kernel.is_available() == has_compiler
    with no_kernel():
        assert not kernel.is_available()


filters = st.builds(
    lambda k, stride, dilation: Filter(k, stride, dilation, dilation * (k // 2)),
    st.sampled_from([3, 5, 7]),
    st.sampled_from([1, 2]),
    st.sampled_from([1, 2]),
)
pools = st.builds(
    lambda stride, kind: Filter(3, stride, 1, 1, kind), st.sampled_from([1, 2]), st.sampled_from(list(Kind)[1:])
)


@needs_kernel
@settings(deadline=None, max_examples=60)
@given(filters, st.integers(1, 20), st.integers(7, 12), st.integers(7, 12), st.booleans(), st.booleans())
def test_filters(geometry, channels, height, width, relu, scaled):
    """Forward and all gradients of ``w * relu(scale x + shift)``, any number of channels."""
    torch.manual_seed(channels)
    x = torch.randn(2, height, width, channels, dtype=torch.float64)
    scale, shift, center = torch.randn(3, channels, dtype=torch.float64)
    weight = torch.randn(channels, 1, geometry.k, geometry.k, dtype=torch.float64)
    image, taps = x.permute(0, 3, 1, 2).clone().requires_grad_(), weight.clone().requires_grad_()
    before = image * scale.view(-1, 1, 1) + shift.view(-1, 1, 1) if scaled else image
    before.retain_grad()
    active = before.relu() if relu else before
    expected = F.conv2d(active, taps, None, geometry.stride, geometry.pad, geometry.dilation, channels)
    dz = torch.randn(expected.shape, dtype=torch.float64)
    expected.backward(dz)
    affine = (scale, shift) if scaled else (None, None)
    z = x.new_empty(expected.permute(0, 2, 3, 1).shape)
    kernel.filtered(x, *affine, relu, weight, geometry, z)
    there = torch.randn_like(x)
    dx = there.clone()
    dw, sums = kernel.filtered_backward(
        x,
        *affine,
        center if scaled else None,
        relu,
        weight,
        geometry,
        dz.permute(0, 2, 3, 1).contiguous(),
        dx,
        True,
        True,
    )
    g = before.grad.permute(0, 2, 3, 1)
    assert_same({"z": z, "dx": dx - there, "dw": dw}, {"z": expected.permute(0, 2, 3, 1), "dx": g, "dw": taps.grad})
    if scaled:
        assert_same({"sums": sums}, {"sums": torch.stack((g.sum((0, 1, 2)), (g * (x - center)).sum((0, 1, 2))))})


@needs_kernel
@settings(deadline=None, max_examples=30)
@given(pools, st.integers(1, 20), st.integers(7, 12), st.booleans())
def test_pools(geometry, channels, side, coarse):
    """The first of equal values takes a maximum's gradient, as torch has it."""
    x = torch.randn(2, side, side + 1, channels, dtype=torch.float64)
    x = x.round() if coarse else x
    image = x.permute(0, 3, 1, 2).contiguous().requires_grad_()
    if geometry.kind is Kind.MAX_POOL:
        expected = F.max_pool2d(image, 3, geometry.stride, 1)
    else:
        counts = geometry.kind is Kind.AVG_POOL_COUNTING_PAD
        expected = F.avg_pool2d(image, 3, geometry.stride, 1, count_include_pad=counts)
    dz = torch.randn(expected.shape, dtype=torch.float64)
    expected.backward(dz)
    z, dx = x.new_empty(expected.permute(0, 2, 3, 1).shape), torch.empty_like(x)
    kernel.filtered(x, None, None, False, None, geometry, z)
    dz = dz.permute(0, 2, 3, 1).contiguous()
    kernel.filtered_backward(x, None, None, None, False, None, geometry, dz, dx, False, False)
    assert_same({"z": z, "dx": dx}, {"z": expected.permute(0, 2, 3, 1), "dx": image.grad.permute(0, 2, 3, 1)})


@needs_kernel
def test_threads_change_nothing():
    """Not even a bit (law 6)."""
    torch.manual_seed(0)
    x, dy, matrix = torch.randn(5, 9, 9, 32), torch.randn(5, 9, 9, 48), torch.randn(48, 32)
    geometry, taps = Filter(3, 1, 1, 1), torch.randn(32, 1, 3, 3)
    norms = [kernel.Affine(1e-5, torch.rand(c), torch.randn(c)) for c in (32, 48)]
    inputs = (x, norms[0].gamma, norms[0].beta, taps, matrix, norms[1].gamma, norms[1].beta, torch.tensor(0.3))
    term = kernel.Term(x, 32, True, geometry, matrix, taps, inputs[-1], *norms)
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            y = torch.empty(5, 9, 9, 48)
            kept, _ = kernel.term_forward(term, y, True, False)
            to = kernel.Gradients(*(torch.empty_like(tensor) for tensor in inputs))
            kernel.term_backward(term, kept, dy, 48, dy.sum((0, 1, 2)), to, False)
            found.append([y, *(getattr(to, field.name) for field in fields(to))])
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(a.equal(b) for a, b in zip(found[0], other, strict=True))


def test_half_precision_takes_the_operations_one_by_one():
    searched = space("darts.hsp", **DARTS)
    naive, whole = (randomize(Supernet(searched, passes, init=1.0)).float() for passes in ((FLATTEN,), PASSES))
    whole.load_state_dict(naive.state_dict())
    images = torch.randn(4, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        expected, found = naive(images), whole(images)
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), expected.float(), atol=0.1, rtol=0.1)


def test_weights_of_another_precision():
    """`one_hot` gives float32, whatever the network has; the kernel would read it as something else."""
    searched = space("darts.hsp", **DARTS)
    naive, whole = (randomize(Supernet(searched, passes)) for passes in ((FLATTEN,), PASSES))
    whole.load_state_dict(naive.state_dict())
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    weights = one_hot(searched.decisions, random_decisions(searched, 0))
    assert_same({"output": whole(images, weights)}, {"output": naive(images, weights)})


@pytest.mark.parametrize("passes", [(FLATTEN,), PASSES], ids=["naive", "optimised"])
def test_what_does_not_fit_is_an_error_of_torch(passes):
    text = """\
hsp 1
op norm(x) = batch_norm(x, affine = false)

network Net(x: [8, 8, 8]) {
  output ((x -> conv(1) -> norm) | (x -> relu -> dwconv(3) -> conv(1) -> norm))
}
"""
    net = Supernet(space(text), passes)
    with pytest.raises(RuntimeError, match=r"dtype|type"):
        net(torch.randn(2, 8, 8, 8, dtype=torch.float64))


# ---------------------------------------------------------------- which passes


def kept(machine, name="darts.hsp", **args) -> set[str]:
    return {ran.name for ran in weighed(space(name, **args).block.graph, PASSES, Target(machine))[1] if ran.kept}


def test_passes_are_weighed_for_the_machine():
    """Algebra of many small operations pays where the kernel has it as one, and not where each is launched."""
    everywhere = {"flatten", "idle", "drop_none", "share", "accumulate"}
    assert kept(CPU_WITH_KERNEL) == {item.name for item in PASSES} - {"layout"}
    assert everywhere < kept(CPU)
    assert everywhere < kept(CUDA)
    assert not {"fold", "absorb"} & (kept(CUDA) | kept(CPU))


def test_a_budget_computes_again_what_it_takes_without_the_kernel():
    graph = space("darts.hsp", **DARTS).block.graph
    free = run_passes(graph, PASSES, Target(CPU))
    held = estimate(free, CPU).held
    some = run_passes(graph, PASSES, Target(CPU, memory_budget=int(0.8 * held), batch=1))
    least = run_passes(graph, PASSES, Target(CPU, memory_budget=1, batch=1))
    assert estimate(least, CPU).held < 0.6 * held
    assert estimate(least, CPU).held < estimate(some, CPU).held <= 0.8 * held
    assert estimate(least, CPU).work > estimate(some, CPU).work > estimate(free, CPU).work


def test_a_budget_is_worth_time():
    """Passes that would be left out are run where a step would hold too much without them, and only there."""
    graph = space("darts.hsp").block.graph

    def held(budget: int | None) -> int:
        made, _ = weighed(graph, PASSES, Target(CPU, memory_budget=budget, batch=1))
        return estimate(made, CPU).held

    assert held(10**12) == held(None)
    assert held(held(None) // 2) <= held(None) // 2


def test_weights_start_the_same_for_every_lowering():
    searched = space("darts.hsp", **DARTS)
    states = []
    for passes in ((FLATTEN,), PASSES):
        torch.manual_seed(3)
        states.append(Supernet(searched, passes).state_dict())
    assert states[0].keys() == states[1].keys()
    assert all(states[0][name].equal(states[1][name]) for name in states[0])


def test_passes_by_name():
    assert [item.name for item in named(["layout", "flatten"])] == ["flatten", "layout"]
    with pytest.raises(UsageError, match=r"no pass 'fodl' .did you mean 'fold'"):
        named(["fodl"])


def test_sizes():
    assert [read_bytes(text) for text in ("800M", "1.5g", "2 GiB", "4096")] == [800 << 20, 3 << 29, 2 << 30, 4096]
    for wrong in ("", "many", "-1G", "0", "1X", "inf"):
        with pytest.raises(UsageError, match="no size of memory"):
            read_bytes(wrong)
