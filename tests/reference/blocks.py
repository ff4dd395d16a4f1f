"""Blocks of mobile networks from the facts of their papers: squeeze and excitation, inverted residuals, ShuffleNet."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv_norm(c_in: int, c_out: int, k: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(c_in, c_out, k, stride, k // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(c_out))


def shuffled(x: Tensor, groups: int) -> Tensor:
    """Channel i of group g becomes channel i * groups + g."""
    per_group = x.shape[1] // groups
    return torch.stack([x[:, g * per_group + i] for i in range(per_group) for g in range(groups)], 1)


class SqueezeExcite(nn.Module):
    def __init__(self, c: int, inner: int) -> None:
        super().__init__()
        self.reduce, self.expand = nn.Conv2d(c, inner, 1), nn.Conv2d(inner, c, 1)

    def forward(self, x: Tensor) -> Tensor:
        mean = F.adaptive_avg_pool2d(x, 1)
        scaled: Tensor = x * (self.expand(self.reduce(mean).relu()) + 3).clamp(0, 6) / 6
        return scaled


def hard_swish(x: Tensor) -> Tensor:
    return x * (x + 3).clamp(0, 6) / 6


class Inverted(nn.Module):
    """Expansion, depthwise convolution, projection; the channels of pointwise groups are shuffled after the first."""

    def __init__(
        self,
        c_in: int,
        c_out: int,
        k: int,
        e: int,
        stride: int = 1,
        se: int = 0,
        act: Callable[[Tensor], Tensor] = F.relu,
        groups: int = 1,
    ) -> None:
        super().__init__()
        wide = c_in * e
        self.expand = conv_norm(c_in, wide, groups=groups)
        self.depthwise = conv_norm(wide, wide, k, stride, wide)
        self.se = SqueezeExcite(wide, se) if se else nn.Identity()
        self.project = conv_norm(wide, c_out, groups=groups)
        self.act, self.groups, self.shortcut = act, groups, stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        wide = shuffled(self.act(self.expand(x)), self.groups)
        y: Tensor = self.project(self.se(self.act(self.depthwise(wide))))
        return x + y if self.shortcut else y


class ShuffleBlock(nn.Module):
    """Half of the channels (with a stride all) through a depthwise convolution between two pointwise ones, the other
    half as it is; or three separable convolutions, Xception's form."""

    def __init__(self, c_in: int, c_out: int, k: int, stride: int = 1, xception: bool = False) -> None:
        super().__init__()
        half = c_in // 2
        c_read, c_kept = (c_in - half, half) if stride == 1 else (c_in, c_in)
        mid, out = c_out // 2, c_out - c_kept

        def depthwise(c: int, stride: int = 1) -> nn.Sequential:
            return conv_norm(c, c, k, stride, c)

        def pointwise(a: int, b: int) -> nn.Sequential:
            return nn.Sequential(*conv_norm(a, b), nn.ReLU())

        self.kept = nn.Sequential(*depthwise(c_in, stride), *pointwise(c_in, c_in)) if stride > 1 else None
        if xception:
            layers = (depthwise(c_read, stride), pointwise(c_read, mid), depthwise(mid), pointwise(mid, mid))
            self.branch = nn.Sequential(*layers, depthwise(mid), pointwise(mid, out))
        else:
            self.branch = nn.Sequential(pointwise(c_read, mid), depthwise(mid, stride), pointwise(mid, out))

    def forward(self, x: Tensor) -> Tensor:
        half = x.shape[1] // 2
        kept, read = (x[:, :half], x[:, half:]) if self.kept is None else (self.kept(x), x)
        return shuffled(torch.cat([kept, self.branch(read)], 1), 2)
