"""Attention over tokens: (n, c, tokens)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


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


class CausalAttention(nn.Module):
    """Multi-head self-attention of each token of (n, c, tokens) to itself and to those before it."""

    def __init__(self, c: int, heads: int, width: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(c, 3 * heads * width)
        self.project = nn.Linear(heads * width, c)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, tokens = x.shape
        q, k, v = self.qkv(x.transpose(1, 2)).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        projected: Tensor = self.project(mixed)
        return projected.transpose(1, 2)


class CrossAttention(nn.Module):
    """Multi-head attention of the tokens of (n, c, tokens) to those of (n, attended, others)."""

    def __init__(self, c: int, attended: int, heads: int, width: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(c, heads * width)
        self.key_value = nn.Linear(attended, 2 * heads * width)
        self.project = nn.Linear(heads * width, c)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        q = self.query(x.transpose(1, 2)).unflatten(2, (self.heads, -1)).transpose(1, 2)
        k, v = self.key_value(y.transpose(1, 2)).unflatten(2, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        projected: Tensor = self.project(mixed)
        return projected.transpose(1, 2)
