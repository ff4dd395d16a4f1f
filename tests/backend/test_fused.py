"""Sums of terms as a whole: the C++ kernel against torch."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from compiler.backend.fused import kernel
from compiler.backend.fused.batch_norm import BatchNorm
from compiler.backend.fused.kernel import Filter, Kind, no_kernel
from compiler.backend.fused.modules import WeightedSum
from compiler.backend.fused.plan import SumPlan, TermPlan
from compiler.backend.passes import (
    FLATTEN,
    PASSES,
    Pass,
)
from compiler.backend.torch_modules.images import Crop
from compiler.ir.sums import Columns
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.relaxations.weights import one_hot
from tests.support.programs import assert_same, random_decisions, randomize, space

needs_kernel = pytest.mark.skipif(not kernel.is_available(), reason="no C++ compiler")

DARTS: dict[str, Any] = {"c": 8, "cells": 3, "size": 16}


def gradient(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad


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
def test_filters(geometry: Filter, channels: int, height: int, width: int, relu: bool, scaled: bool) -> None:
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
    affine: tuple[Tensor | None, Tensor | None] = (scale, shift) if scaled else (None, None)
    z = x.new_empty(expected.permute(0, 2, 3, 1).shape)
    kernel.filter_forward(x, *affine, relu, weight, geometry, z)
    there = torch.randn_like(x)
    dx = there.clone()
    dw, sums = kernel.filter_backward(
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
    g = gradient(before).permute(0, 2, 3, 1)
    assert dw is not None
    assert_same(
        {"z": z, "dx": dx - there, "dw": dw}, {"z": expected.permute(0, 2, 3, 1), "dx": g, "dw": gradient(taps)}
    )
    if scaled:
        assert sums is not None
        assert_same({"sums": sums}, {"sums": torch.stack((g.sum((0, 1, 2)), (g * (x - center)).sum((0, 1, 2))))})


@needs_kernel
@settings(deadline=None, max_examples=30)
@given(pools, st.integers(1, 20), st.integers(7, 12), st.booleans())
def test_pools(geometry: Filter, channels: int, side: int, coarse: bool) -> None:
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
    kernel.filter_forward(x, None, None, False, None, geometry, z)
    dz = dz.permute(0, 2, 3, 1).contiguous()
    kernel.filter_backward(x, None, None, None, False, None, geometry, dz, dx, False, False)
    assert_same({"z": z, "dx": dx}, {"z": expected.permute(0, 2, 3, 1), "dx": gradient(image).permute(0, 2, 3, 1)})


EVERYTHING = TermPlan(0, weight=0, before=0, relu=True, filter=1, geometry=Filter(3, 1, 1, 1), projection=2, norm=3)
"""A term with everything."""


def everything(c: int, wide: int, k: int = 3) -> list[nn.Module]:
    """The modules of `EVERYTHING`, for c channels, a sum of so many and a filter of side k."""
    return [
        nn.BatchNorm2d(c),
        nn.Conv2d(c, c, k, padding=k // 2, groups=c, bias=False),
        nn.Conv2d(c, wide, 1, bias=False),
        nn.BatchNorm2d(wide),
    ]


def values_of(plan: SumPlan, modules: list[nn.Module], x: torch.Tensor) -> dict[str, torch.Tensor]:
    """What a plan gives, its gradients and running statistics."""
    x, share = x.clone().requires_grad_(), torch.tensor([0.3], dtype=x.dtype, requires_grad=True)
    module = WeightedSum([plan], (((0,),),))
    y = module([share], [x], modules)
    generator = torch.Generator().manual_seed(1)
    (y * torch.randn(y.shape, generator=generator, dtype=x.dtype)).sum().backward()
    assert x.grad is not None
    assert share.grad is not None
    found = {"y": y, "x": x.grad, "share": share.grad}
    for number, part in enumerate(modules):
        found |= {f"{number}.{name}": p.grad for name, p in part.named_parameters() if p.grad is not None}
        found |= {f"{number}.{name}": buffer for name, buffer in part.named_buffers()}
    return {name: tensor.detach().clone() for name, tensor in found.items()}


@needs_kernel
@pytest.mark.parametrize(("images", "c", "wide"), [(5, 32, 48), (24, 4, 4)])
def test_threads_change_nothing(images: int, c: int, wide: int) -> None:
    """Not even a bit (law 6)."""
    torch.manual_seed(0)
    x = torch.randn(images, c, 9, 9)
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            torch.manual_seed(0)
            found.append(
                values_of(SumPlan((EVERYTHING,), keep=False), [part.float() for part in everything(c, wide)], x)
            )
    finally:
        torch.set_num_threads(before)
    assert len(found[0]) > 10
    for other in found[1:]:
        assert all(other[name].equal(tensor) for name, tensor in found[0].items())


@needs_kernel
@settings(deadline=None, max_examples=12)
@given(st.integers(1, 4), st.sampled_from([6, 8]), st.booleans())
def test_narrow_images_side_by_side(c: int, images: int, sliced: bool) -> None:
    """Several terms of sources of few channels, some of which are read twice, or are channels of wider images."""
    torch.manual_seed(0)
    wide = [torch.randn(images, c + 2 * sliced, 5, 6, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    modules = [part.double() for _ in range(3) for part in everything(c, c)]
    terms = [
        replace(
            EVERYTHING, source=at % 8 // 4, weight=at // 4, before=at, filter=at + 1, projection=at + 2, norm=at + 3
        )
        for at in (0, 4, 8)
    ]
    plan = SumPlan((TermPlan(0, weight=3), *terms), keep=False)
    module = WeightedSum([plan], tuple(((number,),) for number in range(4)))

    def values() -> dict[str, torch.Tensor]:
        shares = torch.linspace(0.1, 1, 4, dtype=torch.float64).requires_grad_()
        sources = [image.contiguous(memory_format=torch.channels_last)[:, sliced : c + sliced] for image in wide]
        y = module([shares], sources, modules)
        of = [shares, *wide, *(p for module in modules for p in module.parameters())]
        found = [y.detach(), *torch.autograd.grad(y.sin().sum(), of)]
        return {str(number): tensor for number, tensor in enumerate(found)}

    found = values()
    with mock.patch("compiler.backend.fused.modules.is_plain_torch", return_value=True):
        assert_same(found, values())


@needs_kernel
def test_threads_meet_where_they_have_to() -> None:
    """Terms of sources of two widths, with and without norms: a thread may be a term ahead of another, not more."""
    torch.manual_seed(0)
    sources = [torch.randn(7, width, 10, 10) for width in (24, 40)]
    steps: list[TermPlan] = []
    modules: list[nn.Module] = []
    for number in range(6):
        width, k, at = (24, 40)[number % 2], (3, 5, 7)[number % 3], len(modules)
        modules += everything(width, 24, k)
        step = TermPlan(number % 2, number, None, True, at + 1, Filter(k, 1, 1, k // 2), at + 2, at + 3)
        steps.append(replace(step, before=at if number % 3 else None, norm=at + 3 if number % 4 else None))
    module = WeightedSum([SumPlan(tuple(steps), keep=False)], tuple(((number,),) for number in range(6)))

    def values(threads: int) -> list[torch.Tensor]:
        torch.set_num_threads(threads)
        module.zero_grad()
        images = [source.clone().requires_grad_() for source in sources]
        shares = torch.linspace(0.1, 1, 6).requires_grad_()
        y = module([shares], images, modules)
        parameters = [p for module in modules for p in module.parameters()]
        found = torch.autograd.grad(y.sin().sum(), [shares, *images, *parameters], allow_unused=True)
        return [y.detach(), *(tensor for tensor in found if tensor is not None)]

    before = torch.get_num_threads()
    try:
        expected = values(1)
        for threads in (2, 3, 9) * 20:
            for tensor, other in zip(values(threads), expected, strict=True):
                assert tensor.equal(other)
    finally:
        torch.set_num_threads(before)


steps = st.builds(
    lambda before, relu, window, projects, normed, crop, stride: replace(
        EVERYTHING,
        before=0 if before and (window or projects) else None,
        relu=relu and (window or projects),
        filter=1 if window else None,
        geometry=Filter(3, stride, 1, 1) if window else Filter(1, stride, 1, -crop) if projects else None,
        projection=2 if projects else None,
        norm=3 if normed or not (projects or window) else None,
    ),
    *[st.booleans()] * 5,
    st.sampled_from([0, 1]),
    st.sampled_from([1, 2]),
)


@settings(deadline=None, max_examples=60)
@given(
    *(steps, st.booleans(), st.integers(1, 4) | st.integers(1, 40), st.none() | st.integers(1, 40)),
    *(st.booleans(), st.sampled_from([None, 0, 3]), st.sampled_from([3, 8])),
)
def test_terms(
    step: TermPlan, keep: bool, c: int, other: int | None, by_kernel: bool, first: int | None, images: int
) -> None:
    """Every kind of term, of any width, placed among other channels or not, is what its modules are."""
    wide = c if other is None or step.projection is None else other
    torch.manual_seed(c)
    if first is not None:
        step = replace(step, columns=Columns(first, wide, wide + 5))
    parts = [part.double() for part in everything(c, wide)]
    window = parts[1]
    assert isinstance(window, nn.Conv2d)
    window.stride = (step.geometry.stride,) * 2 if step.geometry and step.filter is not None else (1, 1)
    if step.norm is not None and first is not None:
        parts[3] = nn.BatchNorm2d(wide + 5).double()
    for part in parts:
        for name, tensor in [*part.named_parameters(), *part.named_buffers()]:
            if "num_batches" not in name:
                nn.init.uniform_(tensor, 0.5, 1.5)
    x = torch.randn(images, c, 6, 7, dtype=torch.float64)
    plan, again = SumPlan((step,), keep), copy.deepcopy(parts)
    with nullcontext() if by_kernel else no_kernel():
        found = values_of(plan, parts, x)
    with mock.patch("compiler.backend.fused.modules.is_plain_torch", return_value=True):
        if step.filter is None and step.geometry is not None:  # the modules of a projection behind a crop
            crop = -step.geometry.pad
            taken = SumPlan((replace(step, filter=len(again)),), keep)
            projection = again[2]
            assert isinstance(projection, nn.Conv2d)
            projection.stride = (step.geometry.stride,) * 2
            expected = values_of(taken, [*again, Crop(crop, crop)], x)
        else:
            expected = values_of(plan, again, x)
    assert_same(found, expected)


@needs_kernel
@pytest.mark.parametrize("geometry", [Filter(3, 1, 1, 1), None, Filter(1, 2)], ids=["window", "pixels", "every other"])
def test_a_sum_that_is_kept_gives_back_what_it_normed(geometry: Filter | None) -> None:
    """Where it is a norm without parameters; without a window pixels are read in order."""
    torch.manual_seed(0)
    window = geometry is not None and geometry.k > 1
    stride = 1 if geometry is None else geometry.stride
    filters = [nn.Conv2d(20, 20, 3, padding=1, groups=20, bias=False)] if window else []
    norm = nn.BatchNorm2d(24, affine=False)
    parts = [part.double() for part in (*filters, nn.Conv2d(20, 24, 1, stride, bias=False), norm)]
    term = TermPlan(0, None, None, True, 0 if window else None, geometry, len(filters), norm=len(filters) + 1)
    module = WeightedSum([SumPlan((term,), keep=False, keep_sum=True)], ())
    x = torch.randn(3, 20, 6, 7, dtype=torch.float64, requires_grad=True)

    def values() -> dict[str, torch.Tensor]:
        y = module([], [x], parts)
        found = torch.autograd.grad(y.sin().sum(), [x, *(p for part in parts for p in part.parameters())])
        return {str(number): tensor for number, tensor in enumerate([y.detach(), *found])}

    with mock.patch.object(kernel, "terms_backward", wraps=kernel.terms_backward) as backward:
        found = values()
    assert isinstance(backward.call_args.args[7], Tensor)  # what is normed
    with mock.patch("compiler.backend.fused.modules.is_plain_torch", return_value=True):
        assert_same(found, values())


def test_half_precision_takes_the_operations_one_by_one() -> None:
    searched = space("darts.hsp", **DARTS)
    naive, whole = (randomize(Supernet(searched, passes, init=1.0)).float() for passes in ((FLATTEN,), PASSES))
    whole.load_state_dict(naive.state_dict())
    images = torch.randn(4, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        expected, found = naive(images), whole(images)
    assert found.dtype == torch.bfloat16
    assert torch.allclose(found.float(), expected.float(), atol=0.1, rtol=0.1)


def test_weights_of_another_precision() -> None:
    """`one_hot` gives float32, whatever the network has; the kernel would read it as something else."""
    searched = space("darts.hsp", **DARTS)
    naive, whole = (randomize(Supernet(searched, passes)) for passes in ((FLATTEN,), PASSES))
    whole.load_state_dict(naive.state_dict())
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    weights = one_hot(searched.decisions, random_decisions(searched, 0))
    assert_same({"output": whole(images, weights)}, {"output": naive(images, weights)})


@pytest.mark.parametrize("passes", [(FLATTEN,), PASSES], ids=["naive", "optimised"])
def test_what_does_not_fit_is_an_error_of_torch(passes: tuple[Pass, ...]) -> None:
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


# ---------------------------------------------------------------- norms of channels-last images


Norm = BatchNorm | nn.BatchNorm2d


def normed(norm: Norm, x: Tensor, layout: torch.memory_format, *, whole: bool = False) -> dict[str, Tensor]:
    """What a norm gives, its gradients, of a sum or of a mean, and its running statistics after two batches."""
    image = x.clone(memory_format=layout).requires_grad_()
    y = norm(image)
    (y.mean() if whole else (y * y.detach().sin()).sum()).backward()
    found = {"y": y, "x": gradient(image), **{name: gradient(p) for name, p in norm.named_parameters()}}
    norm(2 * image.detach() + 1)
    return {**found, **dict(norm.named_buffers())}


@pytest.mark.parametrize("by_kernel", [pytest.param(True, marks=needs_kernel), False])
@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ((8, 16, 32, 32), {}),
        ((8, 16, 32, 32), {"affine": False}),
        ((6, 4, 5, 6), {"momentum": None}),  # the pixels of four channels fill a vector, or two
        ((3, 4, 3, 3), {}),  # and do not
        ((3, 12, 5, 7), {"track_running_stats": False}),
        ((2, 37, 6, 5), {"eps": 0.1}),
    ],
)
def test_a_norm_of_channels_last_images(shape: tuple[int, ...], options: dict[str, Any], by_kernel: bool) -> None:
    """The same as torch's in float64, with gradients and running statistics."""
    torch.manual_seed(0)
    ours, theirs = BatchNorm(shape[1], **options).double(), nn.BatchNorm2d(shape[1], **options).double()
    for parameter in ours.parameters():
        nn.init.normal_(parameter)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(shape, dtype=torch.float64).relu() + 3
    with nullcontext() if by_kernel else no_kernel():
        for whole in (False, True):
            ours.zero_grad()
            theirs.zero_grad()
            found = normed(ours, x, torch.channels_last, whole=whole)
            assert_same(found, normed(theirs, x, torch.contiguous_format, whole=whole))


@needs_kernel
def test_threads_change_nothing_of_a_norm() -> None:
    """Not even a bit (law 6)."""
    torch.manual_seed(0)
    x, before, found = torch.randn(40, 12, 16, 16), torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            found.append(normed(BatchNorm(12), x, torch.channels_last))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(tensor, other[name]) for name, tensor in found[0].items())


@pytest.mark.parametrize("by_kernel", [pytest.param(True, marks=needs_kernel), False])
def test_a_norm_of_channels_last_images_keeps_its_digits(by_kernel: bool) -> None:
    """In float32 it is as exact as of other images, where torch's is not."""
    torch.manual_seed(0)
    x = torch.randn(8, 16, 32, 32, dtype=torch.float64).relu()
    single = nn.BatchNorm2d(16), BatchNorm(16), nn.BatchNorm2d(16)
    layouts = torch.contiguous_format, torch.channels_last, torch.channels_last
    exact = x.var((0, 2, 3)) * 0.1 + 0.9
    errors = []
    for norm, layout in zip(single, layouts, strict=True):
        with nullcontext() if by_kernel else no_kernel():
            norm(x.float().contiguous(memory_format=layout))
        assert norm.running_var is not None
        errors.append(float((norm.running_var.double() - exact).detach().abs().max()))
    assert errors[1] < 3 * errors[0] < errors[2]
