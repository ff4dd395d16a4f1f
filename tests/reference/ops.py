"""Operations: what an edge of a cell or of a stage can be."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn

DARTS_OPS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)
STAGE_OPS = DARTS_OPS[:4]


def total(terms: Iterable[Tensor]) -> Tensor:
    """The sum of some tensors, at least one."""
    found = sum(terms)
    assert isinstance(found, Tensor)
    return found


def norm(c: int, affine: bool) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(c, affine=affine)


def conv(c_in: int, c_out: int, k: int | tuple[int, int] = 1, **options: object) -> nn.Conv2d:
    return nn.Conv2d(c_in, c_out, k, bias=False, **options)  # type: ignore[arg-type]


def relu_conv_norm(c_in: int, c_out: int, affine: bool) -> nn.Sequential:
    return nn.Sequential(nn.ReLU(), conv(c_in, c_out), norm(c_out, affine))


def depthwise_separable(c: int, k: int, stride: int, dilation: int, affine: bool) -> list[nn.Module]:
    depthwise = conv(c, c, k, stride=stride, padding=dilation * (k // 2), dilation=dilation, groups=c)
    return [nn.ReLU(), depthwise, conv(c, c), norm(c, affine)]


class Zero(nn.Module):
    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros_like(x[..., :: self.stride, :: self.stride])


class FactorizedReduce(nn.Module):
    """Halve the resolution of an even-sized input: half of the channels see even pixels, the other half odd ones."""

    def __init__(self, c_in: int, c_out: int, affine: bool) -> None:
        super().__init__()
        self.even = conv(c_in, c_out // 2, stride=2)
        self.odd = conv(c_in, c_out - c_out // 2, stride=2)
        self.norm = norm(c_out, affine)

    def forward(self, x: Tensor) -> Tensor:
        x = x.relu()
        halves: Tensor = self.norm(torch.cat([self.even(x), self.odd(x[..., 1:, 1:])], 1))
        return halves


def operation(name: str, c: int, stride: int, *, affine: bool, pool_norm: bool) -> nn.Module:
    match name.split("_"):
        case ["none"]:
            return Zero(stride)
        case ["skip", "connect"]:
            return nn.Identity() if stride == 1 else FactorizedReduce(c, c, affine)
        case [("max" | "avg") as kind, "pool", "3x3"]:
            max_pool, avg_pool = nn.MaxPool2d(3, stride, 1), nn.AvgPool2d(3, stride, 1, count_include_pad=False)
            pool = max_pool if kind == "max" else avg_pool
            return nn.Sequential(pool, norm(c, affine)) if pool_norm else pool
        case ["sep", "conv", size]:
            k = int(size[0])
            first, second = (depthwise_separable(c, k, s, 1, affine) for s in (stride, 1))
            return nn.Sequential(*first, *second)
        case ["dil", "conv", size]:
            return nn.Sequential(*depthwise_separable(c, int(size[0]), stride, 2, affine))
        case ["conv", "7x1", "1x7"]:
            row = conv(c, c, (1, 7), stride=(1, stride), padding=(0, 3))
            column = conv(c, c, (7, 1), stride=(stride, 1), padding=(3, 0))
            return nn.Sequential(nn.ReLU(), row, column, norm(c, affine))
    raise ValueError(f"unknown operation {name!r}")


class MixedOp(nn.ModuleDict):
    """The weighted sum of all operations of one searched edge: norms after pools, none with affine parameters."""

    def __init__(self, c: int, stride: int, ops: Iterable[str]) -> None:
        super().__init__({name: operation(name, c, stride, affine=False, pool_norm=True) for name in ops})

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        return total(w * op(x) for w, op in zip(weights, self.values(), strict=True))
