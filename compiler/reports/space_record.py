"""The record of a network that a run keeps: costs, choices and pictures. A report needs no file of the space.

So a report also shows a run whose space has changed since, or whose plugins are not at hand.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from compiler.analysis.costs.block_totals import Costs
from compiler.analysis.costs.of_architecture import PriceSum
from compiler.analysis.counting.count import counted
from compiler.analysis.counting.errors import UncountableError
from compiler.elaborate import Elaborated
from compiler.ir.graph import Block, Call, is_auxiliary
from compiler.ir.payloads import Prim

from .diagram import Picture, pictures
from .facts import latencies, latency_prices, power


class ChoiceRecord(BaseModel):
    """A decision: its path, its kind in a word, its items, and those of them that can be derived."""

    model_config = ConfigDict(frozen=True)

    path: str
    kind: str
    items: tuple[str, ...]
    derivable: tuple[str, ...]


class CostRecord(BaseModel):
    """A part of a network with its costs, for one image: parameters, multiply-adds, bytes of activations in float32.

    ``latency`` is that of an architecture, in milliseconds, by each table that it mentions.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    definition: str
    shape: str
    params: int | None
    macs: int | None
    memory: int | None
    latency: dict[str, float] = {}


class SpaceRecord(BaseModel):
    """A network. ``cardinality`` is the number of its architectures, in words where that is known.

    ``number`` is the place of its phase in the search. Costs are those of all candidates together; ``latency`` is that
    of an architecture, in milliseconds, by each table that it mentions.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    phase: str
    number: int = 0
    is_space: bool
    input: str
    cardinality: str | None
    alphas: int
    params: int | None
    macs: int | None
    memory: int | None
    latency: dict[str, float] = {}
    choices: tuple[ChoiceRecord, ...]
    blocks: tuple[CostRecord, ...]
    pictures: tuple[Picture, ...]

    @classmethod
    def of(cls, space: Elaborated, phase: str = "", number: int = 0) -> SpaceRecord:
        """The record of a network; ``phase`` is that which searches it, the ``number``-th from 0."""
        total = Costs().block(space.block)
        return cls(
            name=space.name,
            phase=phase,
            number=number,
            is_space=space.is_space,
            input=str(space.input),
            cardinality=_cardinality(space),
            alphas=space.alphas,
            params=total.params,
            macs=total.macs,
            memory=total.memory,
            latency={} if space.is_space else latencies(space),
            choices=tuple(
                ChoiceRecord(
                    path=item.path,
                    kind=item.kind.value,
                    items=item.items,
                    derivable=tuple(word for word, yes in zip(item.items, item.derivable, strict=True) if yes),
                )
                for item in space.decisions.values()
            ),
            blocks=_blocks(space),
            pictures=tuple(pictures(space)),
        )


def _cardinality(space: Elaborated) -> str | None:
    try:
        return power(counted(space)[0].number)
    except UncountableError:
        return None


def _blocks(space: Elaborated) -> tuple[CostRecord, ...]:
    """The cells, stages and operations of the network's own text that cost something."""
    graph, costs = space.block.graph, Costs()
    tables = {} if space.is_space else {name: PriceSum(price) for name, price in latency_prices(space).items()}
    found = []
    for index, node in graph.order():
        if is_auxiliary(node) or not isinstance(node.payload, Call | Prim):
            continue
        cost = costs.node(graph, index, node)
        latency = {name: round(float(table.node(graph, index, node)), 9) for name, table in tables.items()}
        if cost.params or cost.macs or cost.memory or any(latency.values()):
            found.append(
                CostRecord(
                    name=node.name,
                    definition=node.payload.name if isinstance(node.payload, Prim) else _title(node.payload.block),
                    shape=str(node.shape),
                    params=cost.params,
                    macs=cost.macs,
                    memory=cost.memory,
                    latency=latency,
                )
            )
    return tuple(found)


def _title(block: Block) -> str:
    return block.copy or block.name
