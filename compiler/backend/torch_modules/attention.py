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
