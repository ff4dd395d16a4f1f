"""The torch modules and functions behind primitives that `torch.nn` does not have as they are. Batches come first."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Zero(nn.Module):
    """Zeros of a shape, for every image of the batch."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.new_zeros(x.shape[0], *self.shape)


class Noise(nn.Module):
    """Standard normal noise of a shape, for every image of the batch."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return torch.randn(x.shape[0], *self.shape, dtype=x.dtype, device=x.device)


class Crop(nn.Module):
    """Without the first ``top`` rows and ``left`` columns."""

    def __init__(self, top: int, left: int) -> None:
        super().__init__()
        self.top, self.left = top, left

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, self.top :, self.left :]


class Resize(nn.Module):
    """Bilinear interpolation to h x w."""

    def __init__(self, h: int, w: int) -> None:
        super().__init__()
        self.h, self.w = h, w

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, (self.h, self.w), mode="bilinear", align_corners=False)


class Cut(nn.Module):
    """``c`` channels, from ``start`` on."""

    def __init__(self, c: int, start: int = 0) -> None:
        super().__init__()
        self.c, self.start = c, start

    def forward(self, x: Tensor) -> Tensor:
        return x[:, self.start : self.start + self.c]


class Shuffle(nn.Module):
    """The channels of ``groups`` groups in turn: the first of each, the second of each, and so on."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return torch.unflatten(x, 1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)


class GlobalPool(nn.Module):
    """The mean over all positions: (n, c, ...) to (n, c)."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mean(2)


class ChannelsLast(nn.Module):
    """The same values with channels last in memory."""

    def forward(self, x: Tensor) -> Tensor:
        return x.contiguous(memory_format=torch.channels_last)


class DropPath(nn.Module):
    """Drop the whole tensor of an image with probability ``rate`` and scale the others, only in training.

    Larsson et al., FractalNet (ICLR 2017), per sample as the DARTS family retrains.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.0

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0.0:
            return x
        keep = 1.0 - self.rate
        mask = torch.empty((x.shape[0],) + (1,) * (x.dim() - 1), dtype=x.dtype, device=x.device).bernoulli_(keep)
        return x / keep * mask

    def extra_repr(self) -> str:
        return f"rate={self.rate}"


class TokenLinear(nn.Linear):
    """A linear layer on the channels of (n, c, tokens)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class TokenLayerNorm(nn.LayerNorm):
    """Layer norm over the channels of (n, c, tokens)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention over the tokens of (n, c, tokens), Vaswani et al. 2017."""

    def __init__(self, c: int, heads: int, width: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(c, 3 * heads * width)
        self.project = nn.Linear(heads * width, c)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, tokens = x.shape
        q, k, v = self.qkv(x.transpose(1, 2)).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        projected: Tensor = self.project(mixed)
        return projected.transpose(1, 2)


class Patches(nn.Module):
    """(n, c, h, w) to (n, c', tokens) by a strided convolution with a bias."""

    def __init__(self, inputs: int, c: int, k: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, c, k, stride=k)

    def forward(self, x: Tensor) -> Tensor:
        projected: Tensor = self.conv(x)
        return projected.flatten(2)


class ClassToken(nn.Module):
    """A learned token before the others."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(c, 1))
        nn.init.trunc_normal_(self.token, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat((self.token.expand(x.shape[0], -1, -1), x), 2)


class Positions(nn.Module):
    """A learned embedding of each position, added."""

    def __init__(self, c: int, tokens: int) -> None:
        super().__init__()
        self.embedding = nn.Parameter(torch.zeros(c, tokens))
        nn.init.trunc_normal_(self.embedding, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.embedding


class FirstToken(nn.Module):
    """The first token alone: (n, c, tokens) to (n, c)."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, 0]


def gate(x: Tensor, g: Tensor) -> Tensor:
    """``x * g``; a g of (n, c) gates every position of its channel."""
    return x * g.view(*g.shape, *(1,) * (x.dim() - g.dim()))


def weighted_sum(weights: Tensor, tensors: Sequence[Tensor]) -> Tensor:
    """The sum of ``weights[i] * tensors[i]``, one candidate after the other."""
    total = weights[0] * tensors[0]
    for index in range(1, len(tensors)):
        total = total + weights[index] * tensors[index]
    return total


def joint(weights: Sequence[Tensor]) -> Tensor:
    """The products of the weights of several decisions, one entry per joint assignment, in lexicographic order."""
    product = weights[0]
    for weight in weights[1:]:
        product = (product.unsqueeze(-1) * weight).flatten()
    return product


def row_sums(weights: Tensor, rows: Sequence[Sequence[int]]) -> Tensor:
    """The total weight of each row of assignments."""
    return torch.stack([weights[list(row)].sum() for row in rows])


def masked(x: Tensor, weights: Tensor, widths: Sequence[int]) -> Tensor:
    """Channels of an undecided width: channel i is weighed by the share of the widths that reach it."""
    channels = torch.arange(x.shape[1], device=x.device)
    reach = torch.stack([(channels < width).to(x.dtype) for width in widths])
    share = (weights.to(x.dtype).unsqueeze(1) * reach).sum(0)
    return x * share.view(1, -1, *(1,) * (x.dim() - 2))
