"""The recurrent network of DARTS in plain torch, discrete and searched, from the facts of the paper and its program."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "tanh": torch.tanh,
    "relu": torch.relu,
    "sigmoid": torch.sigmoid,
    "identity": lambda x: x,
}

V1 = (
    *(("relu", 0), ("relu", 1), ("tanh", 2), ("relu", 3)),
    *(("relu", 4), ("identity", 1), ("relu", 5), ("relu", 1)),
)
V2 = (
    *(("sigmoid", 0), ("relu", 1), ("relu", 1), ("identity", 1)),
    *(("tanh", 2), ("sigmoid", 5), ("tanh", 3), ("relu", 5)),
)
"""The activation of each node, and the state that it reads: 0 is that of the beginning, i that of node i."""


class RecurrentNetwork(nn.Module):
    """Words (n, length) to scores (n, tokens, length); the embedding is the matrix of the scores.

    With a ``genotype`` each node reads one state; without, it adds up all of them under the softmax of ``alphas``, for
    each node and source of (none, tanh, relu, sigmoid, identity), and every state is normed over the batch.
    """

    def __init__(self, tokens: int, c: int, nodes: int, genotype: Sequence[tuple[str, int]] | None = None) -> None:
        super().__init__()
        self.genotype = genotype
        self.vectors = nn.Parameter(torch.randn(tokens, c))
        self.begin = nn.Parameter(torch.randn(2 * c, 2 * c))
        self.matrices = nn.ParameterList([torch.randn(2 * c, c) for _ in range(nodes)])
        self.bias = nn.Parameter(torch.randn(tokens))
        searched = genotype is None
        self.alphas = nn.ParameterList([torch.randn(5) for node in range(nodes) for _ in range(node + 1) if searched])

    def forward(self, words: Tensor) -> Tensor:
        state = self.vectors.new_zeros(len(words), self.vectors.shape[1])
        scores = []
        for word in words.unbind(1):
            state = self.step(self.vectors[word], state)
            scores.append(state @ self.vectors.T + self.bias)
        return torch.stack(scores, 2)

    def step(self, x: Tensor, h: Tensor) -> Tensor:
        """One position: (n, c) of the word and of the state to the next state."""
        how_far, what = (torch.cat((x, h), 1) @ self.begin.T).chunk(2, 1)
        states = [self.settled(h + torch.sigmoid(how_far) * (torch.tanh(what) - h))]
        edge = 0
        for node, matrix in enumerate(self.matrices):
            if self.genotype is not None:
                name, source = self.genotype[node]
                states.append(self.moved(states[source], matrix, name))
                continue
            total = torch.zeros_like(h)
            for state in states:
                weights = self.alphas[edge].softmax(0)[1:]
                total = total + sum(w * self.moved(state, matrix, n) for w, n in zip(weights, ACTIVATIONS, strict=True))
                edge += 1
            states.append(self.settled(total))
        return torch.stack(states[1:]).mean(0)

    def settled(self, state: Tensor) -> Tensor:
        """A state, in a search normed over the batch."""
        return state if self.genotype is not None else functional.batch_norm(state, None, None, training=True)

    @staticmethod
    def moved(state: Tensor, matrix: Tensor, activation: str) -> Tensor:
        """A highway from a state."""
        how_far, what = (state @ matrix.T).chunk(2, 1)
        return state + torch.sigmoid(how_far) * (ACTIVATIONS[activation](what) - state)
