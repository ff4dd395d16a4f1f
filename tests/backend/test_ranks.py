"""Operations on series, volumes, vectors and tokens: as plain torch computes them, and the same with every pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from compiler.analysis.costs.block_totals import Costs
from compiler.backend.export import ExportKind, export
from compiler.backend.lowering.inputs import random_inputs
from compiler.backend.lowering.network import Network
from compiler.backend.passes import FLATTEN, OPTIMISATIONS
from tests.laws.test_4_equivalence import start, values
from tests.support.programs import assert_same, in_order, space

Shape = tuple[int, ...]
SERIES, IMAGE, VOLUME, VECTOR, WORDS = (4, 9), (4, 6, 5), (4, 5, 4, 4), (4,), (6,)
Reference = Callable[..., Tensor]
"""A function of the input and the parameters in order."""


def conv(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """Window by window."""
    d = x.dim() - 2
    x = F.pad(x, (1, 1) * d)
    for axis in range(2, 2 + d):
        x = x.unfold(axis, 3, 2)
    letters = "xyz"[:d]
    made = torch.einsum(f"nc{'hwd'[:d]}{letters},oc{letters}->no{'hwd'[:d]}", x, w)
    return made + b.view(-1, *(1,) * d)


def unfolded(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    """The convolution that a linear on windows is."""
    return conv(x, w.view(len(w), x.shape[1], 3, 3), b)


def transposed(x: Tensor, w: Tensor) -> Tensor:
    """The gradient of the convolution that it transposes."""
    d = x.dim() - 2
    like = x.new_zeros(len(x), w.shape[1], *(2 * size for size in x.shape[2:]), requires_grad=True)
    convolve = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}[d]
    (made,) = torch.autograd.grad(convolve(like, w, stride=2, padding=1), like, x, create_graph=True)
    return made


def normed(x: Tensor, dims: Shape, w: Tensor, b: Tensor) -> Tensor:
    mean, variance = x.mean(dims, keepdim=True), x.var(dims, keepdim=True, unbiased=False)
    shape = 1, -1, *(1,) * (x.dim() - 2)
    return (x - mean) / (variance + 1e-5).sqrt() * w.view(shape) + b.view(shape)


def grouped(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    parts = [normed(part, tuple(range(1, x.dim())), w[:2] * 0 + 1, b[:2] * 0) for part in x.chunk(2, 1)]
    shape = 1, -1, *(1,) * (x.dim() - 2)
    return torch.cat(parts, 1) * w.view(shape) + b.view(shape)


def attended(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None) -> Tensor:
    """Two heads of three channels each, (n, tokens, 6)."""
    heads = []
    for head in (slice(0, 3), slice(3, 6)):
        scores = q[..., head] @ k[..., head].transpose(1, 2) / math.sqrt(3)
        scores = scores if mask is None else scores.masked_fill(mask, -math.inf)
        heads.append(scores.softmax(2) @ v[..., head])
    return torch.cat(heads, 2)


def causal(x: Tensor, w: Tensor, b: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    q, k, v = F.linear(x.transpose(1, 2), w, b).chunk(3, 2)
    later = torch.ones(x.shape[2], x.shape[2]).triu(1).bool()
    return F.linear(attended(q, k, v, later), w2, b2).transpose(1, 2)


def cross(x: Tensor, w: Tensor, b: Tensor, wk: Tensor, bk: Tensor, w2: Tensor, b2: Tensor) -> Tensor:
    y = x[:, :2, ::2].transpose(1, 2)
    k, v = F.linear(y, wk, bk).chunk(2, 2)
    return F.linear(attended(F.linear(x.transpose(1, 2), w, b), k, v, None), w2, b2).transpose(1, 2)


def gru(x: Tensor, w: Tensor, u: Tensor, b: Tensor, c: Tensor) -> Tensor:
    state, states = x.new_zeros(len(x), 5), []
    for token in x.unbind(2):
        (r, z, n), (hr, hz, hn) = F.linear(token, w, b).chunk(3, 1), F.linear(state, u, c).chunk(3, 1)
        update = (z + hz).sigmoid()
        state = (1 - update) * (n + (r + hr).sigmoid() * hn).tanh() + update * state
        states.append(state)
    return torch.stack(states, 2)


def lstm(x: Tensor, w: Tensor, u: Tensor, b: Tensor, c: Tensor) -> Tensor:
    state = cell = x.new_zeros(len(x), 5)
    states = []
    for token in x.unbind(2):
        i, f, g, o = (F.linear(token, w, b) + F.linear(state, u, c)).chunk(4, 1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        state = o.sigmoid() * cell.tanh()
        states.append(state)
    return torch.stack(states, 2)


def sinusoids(x: Tensor) -> Tensor:
    c, waves = x.shape[1], torch.zeros(x.shape[1:], dtype=x.dtype)
    for channel in range(c // 2):
        for position in range(x.shape[2]):
            angle = position / 10000 ** (2 * channel / c)
            waves[channel, position], waves[c // 2 + channel, position] = math.sin(angle), math.cos(angle)
    return x + waves.float()


def repeated(x: Tensor) -> Tensor:
    for axis in range(2, x.dim()):
        x = x.repeat_interleave(2, axis)
    return x


def smooth(x: Tensor) -> Tensor:
    """Dimension by dimension: a quarter of the neighbour, which at the border is the position itself."""
    for axis in range(2, x.dim()):
        n = x.shape[axis]
        here = torch.arange(n)
        before, after = x.index_select(axis, (here - 1).clamp(0)), x.index_select(axis, (here + 1).clamp(max=n - 1))
        x = torch.stack((0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after), axis + 1).flatten(axis, axis + 1)
    return x


def largest(x: Tensor) -> Tensor:
    """Of windows of three, two apart."""
    for axis in range(2, x.dim()):
        x = F.pad(x, (0, 0) * (x.dim() - 1 - axis) + (1, 1), value=-math.inf).unfold(axis, 3, 2).amax(-1)
    return x


def mean(x: Tensor) -> Tensor:
    for axis in range(2, x.dim()):
        x = F.pad(x, (0, 0) * (x.dim() - 1 - axis) + (1, 1)).unfold(axis, 3, 2).mean(-1)
    return x


def batch(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return normed(x, (0, *range(2, x.dim())), w, b)


CASES: list[tuple[str, Shape, Reference]] = [
    *(("conv(x, 3, 6, stride = 2, bias = true)", shape, conv) for shape in (SERIES, IMAGE, VOLUME)),
    *(("conv_transpose(x, 4, 6, stride = 2)", shape, transposed) for shape in (SERIES, IMAGE, VOLUME)),
    *(("batch_norm(x)", shape, batch) for shape in (VECTOR, SERIES, VOLUME)),
    *(("layer_norm(x)", shape, lambda x, w, b: normed(x, (1,), w, b)) for shape in (SERIES, IMAGE, VOLUME)),
    *(
        ("instance_norm(x)", shape, lambda x, w, b: normed(x, tuple(range(2, x.dim())), w, b))
        for shape in (SERIES, IMAGE, VOLUME)
    ),
    ("instance_norm(x, affine = false)", IMAGE, lambda x: normed(x, (2, 3), torch.ones(4), torch.zeros(4))),
    *(("group_norm(x, 2)", shape, grouped) for shape in (VECTOR, SERIES, IMAGE, VOLUME)),
    *(("max_pool(x, 3, 2)", shape, largest) for shape in (SERIES, VOLUME)),
    *(("avg_pool(x, 3, 2)", shape, mean) for shape in (SERIES, VOLUME)),
    *(("upsample(x)", shape, repeated) for shape in (SERIES, IMAGE, VOLUME)),
    *(("upsample(x, smooth = true)", shape, smooth) for shape in (SERIES, IMAGE, VOLUME)),
    *(("global_pool(x)", shape, lambda x: x.flatten(2).mean(2)) for shape in (SERIES, VOLUME)),
    *(("global_max_pool(x)", shape, lambda x: x.flatten(2).max(2).values) for shape in (SERIES, IMAGE, VOLUME)),
    ("adaptive_pool(x, 3)", SERIES, lambda x: x.unflatten(2, (3, 3)).mean(3)),
    ("adaptive_pool(x, 2)", SERIES, lambda x: torch.stack((x[..., :5].mean(2), x[..., 4:].mean(2)), 2)),
    ("zero(x, 2, stride = 2)", VOLUME, lambda x: torch.zeros_like(x[:, :2, ::2, ::2, ::2])),
    ("causal_attention(x, 2, 3)", SERIES, causal),
    ("cross_attention(x, x -> cut(2) -> max_pool(1, 2), 2, 3)", SERIES, cross),
    ("gru(x, 5)", SERIES, gru),
    ("lstm(x, 5)", SERIES, lstm),
    ("sinusoids(x)", SERIES, sinusoids),
    ("last_token(x)", SERIES, lambda x: x[..., -1]),
    ("unfold(x, 3, 2) -> linear(6) -> unflatten(3)", IMAGE, unfolded),
    ("softmax(x)", SERIES, lambda x: x.exp() / x.exp().sum(1, keepdim=True)),
    ("leaky_relu(x)", IMAGE, lambda x: x.clamp(0) + 0.01 * x.clamp(max=0)),
    ("permute(x, 3, 1, 2)", IMAGE, lambda x: torch.einsum("nchw->nwch", x)),
    ("permute(x, 2, 1) -> linear(5)", SERIES, lambda x, w, b: torch.einsum("nct,oc->not", x.mT, w) + b[:, None]),
    (
        "matmul(x, permute(x, 1, 3, 2) + permute(x, 1, 3, 2))",
        IMAGE,
        lambda x: 2 * torch.einsum("nchw,nckw->nchk", x, x),
    ),
    (
        "matmul(matmul(x, permute(x, 2, 1), scaled = true) -> softmax, x)",
        SERIES,
        lambda x: torch.einsum("ncd,ndt->nct", (torch.einsum("nct,ndt->ncd", x, x) / 3).softmax(1), x),
    ),
    ("embedding(x, 7, 3)", WORDS, lambda x, w: w[x].transpose(1, 2)),
]
IDS = [f"{text.partition('(')[0]}-{len(shape)}-{place}" for place, (text, shape, _) in enumerate(CASES)]


@pytest.mark.parametrize(("text", "shape", "reference"), CASES, ids=IDS)
def test_as_plain_torch_computes_it(text: str, shape: Shape, reference: Reference, tmp_path: Path) -> None:
    """Outputs and gradients in float64, the number of parameters, and a file of plain torch that computes the same."""
    searched = space(f"hsp 1\nnetwork Net(x: [{', '.join(map(str, shape))}]) {{\n  output {text}\n}}\n")
    torch.manual_seed(0)
    network = Network(searched).double().train()
    parameters = list(
        in_order(((n.removeprefix("network."), p) for n, p in network.named_parameters()), searched).values()
    )
    for parameter in parameters:
        parameter.data.normal_()
    assert Costs().block(searched.block).params == sum(parameter.numel() for parameter in parameters)
    (x,) = random_inputs(searched, 3)
    x = x.double().requires_grad_() if x.is_floating_point() else x
    wanted = [*([x] if x.is_floating_point() else []), *parameters]
    found, expected = network(x), reference(x, *parameters)
    assert isinstance(found, Tensor)
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=1e-9)
    weights = torch.randn_like(expected)
    ours, theirs = (
        torch.autograd.grad((made * weights).sum(), wanted, allow_unused=True, materialize_grads=True)
        if made.requires_grad
        else ()
        for made in (found, expected)
    )
    torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)
    report = export(searched, ExportKind.PY, tmp_path / "net.py")
    assert report.parameters == sum(parameter.numel() for parameter in parameters)


MACS = {
    "conv(x, 3, 6, stride = 2)": (5 * 6 * 4 * 3, 3 * 3 * 6 * 4 * 9, 3 * 2 * 2 * 6 * 4 * 27),
    "conv_transpose(x, 4, 6, stride = 2)": (9 * 6 * 4 * 4, 6 * 5 * 6 * 4 * 16, 5 * 4 * 4 * 6 * 4 * 64),
}


@pytest.mark.parametrize("text", MACS)
def test_multiply_adds(text: str) -> None:
    for shape, count in zip((SERIES, IMAGE, VOLUME), MACS[text], strict=True):
        searched = space(f"hsp 1\nnetwork Net(x: [{', '.join(map(str, shape))}]) {{\n  output {text}\n}}\n")
        assert Costs().block(searched.block).macs == count


SEARCHED = """\
hsp 1
op unit(x; k) = x -> relu -> dwconv(k) -> conv(1) -> batch_norm

cell Cell(x) {{
  a = (unit(3) | unit(5) | max_pool(3) -> batch_norm(affine = false) | avg_pool(3) | identity | zero)(x)
  b = (unit(3) | max_pool(3) -> batch_norm(affine = false) | avg_pool(3) -> batch_norm(affine = false))(x)
  output a + b + x
}}

network Net(x: [{shape}]) {{
  output x -> conv(3, 8) -> batch_norm -> Cell -> (conv(3, stride = 2) | max_pool(3, 2)) -> Cell@fresh
}}
"""


@pytest.mark.parametrize("shape", ["2, 12", "2, 6, 5, 6"])
def test_every_pass(shape: str) -> None:
    """What fused sums have is of images: they leave series and volumes as they are, and the other passes hold."""
    searched = space(SEARCHED.format(shape=shape))
    state = start(searched)
    assert_same(values(searched, (FLATTEN, *OPTIMISATIONS), state), values(searched, (FLATTEN,), state))
