"""Inputs at random for a network: real numbers, or whole ones where it embeds tokens."""

from __future__ import annotations

import torch
from torch import Tensor

from compiler.backend.passes.flatten import flatten
from compiler.elaborate import Elaborated
from compiler.ir.graph import Block
from compiler.ir.payloads import Prim


def vocabulary(block: Block, place: int = 0) -> int | None:
    """The number that the tokens of an input, by default the first, are below; None where it holds real numbers.

    Several embeddings may read it: the smallest says.
    """
    graph = flatten(block.graph)
    found = [
        node.payload.op.vocabulary
        for index, node in graph.order()
        if isinstance(node.payload, Prim) and graph.inputs[place] in graph.sources(index)
    ]
    return min((size for size in found if size is not None), default=None)


def random_inputs(space: Elaborated, batch: int) -> tuple[Tensor, ...]:
    """A batch of each input of a network, (batch, *its shape); the same with every call.

    Normal numbers in float32, or tokens in int64.
    """
    generator, graph, found = torch.Generator().manual_seed(batch), space.block.graph, []
    for place, index in enumerate(graph.inputs):
        shape, tokens = (batch, *graph.node(index).shape.largest), vocabulary(space.block, place)
        made = torch.randn(*shape, generator=generator) if tokens is None else _tokens(tokens, shape, generator)
        found.append(made)
    return tuple(found)


def _tokens(vocabulary: int, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    return torch.randint(vocabulary, shape, generator=generator)
