"""Layers on tokens, channels before tokens: (n, c, tokens)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class TokenLinear(nn.Linear):
    """A linear layer on the channels of (n, c, tokens)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class TokenLayerNorm(nn.LayerNorm):
    """Layer norm over the channels of (n, c, tokens)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


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


class LastToken(nn.Module):
    """The last token alone: (n, c, tokens) to (n, c)."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, -1]


class PixelLayerNorm(nn.LayerNorm):
    """Layer norm over the channels of (n, c, ...)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


class Sinusoids(nn.Module):
    """Sines and cosines of each position, added to (n, c, tokens)."""

    def __init__(self, c: int, tokens: int) -> None:
        super().__init__()
        rates = 10000.0 ** (-torch.arange((c + 1) // 2, dtype=torch.float64) * 2 / c)
        angles = rates[:, None] * torch.arange(tokens)
        waves = torch.cat((angles.sin(), angles.cos()))[:c]
        self.register_buffer("waves", waves.to(torch.get_default_dtype()), persistent=False)
        self.waves: Tensor

    def forward(self, x: Tensor) -> Tensor:
        return x + self.waves


class TokenEmbedding(nn.Module):
    """A learned vector for each of (n, tokens) whole numbers: (n, c, tokens)."""

    def __init__(self, tokens: int, c: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(tokens, c)

    def forward(self, x: Tensor) -> Tensor:
        vectors: Tensor = self.embedding(x)
        return vectors.transpose(1, 2)


class Gru(nn.Module):
    """Gated recurrent units over the tokens of (n, c, tokens)."""

    def __init__(self, inputs: int, c: int) -> None:
        super().__init__()
        self.layer = nn.GRU(inputs, c, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        states: Tensor = self.layer(x.transpose(1, 2))[0]
        return states.transpose(1, 2)


class Lstm(nn.Module):
    """Long short-term memory over the tokens of (n, c, tokens)."""

    def __init__(self, inputs: int, c: int) -> None:
        super().__init__()
        self.layer = nn.LSTM(inputs, c, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        states: Tensor = self.layer(x.transpose(1, 2))[0]
        return states.transpose(1, 2)
