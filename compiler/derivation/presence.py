"""Which nodes of a space exist once its decisions are made: an operation on an absent tensor is absent.

Under `prune` a pick of any number may take nothing. An operation on what does not exist does not exist either; a sum or
a concatenation goes without it, and it cannot be picked. `counting/structural.py` counts by the
same rules.
"""

from __future__ import annotations

from dataclasses import dataclass

from compiler.elaborate import Elaborated
from compiler.elaborate.values import Picked, Tensor, Value, flatten
from compiler.ir.decision import Selection
from compiler.ir.graph import SpaceGraph
from compiler.ir.payloads import Mix, Prim, Weigh
from hdas_dsl.text.diagnostics import Code, Diagnostic, HspError


@dataclass(frozen=True)
class Presence:
    """Decisions that take only what exists; the picks that take nothing; the nodes that do not exist, by graph."""

    chosen: Selection
    empty: frozenset[str]
    absent: frozenset[tuple[SpaceGraph, int]]

    def exists(self, value: Value) -> bool:
        """Whether anything is there of what an expression stood for."""
        match value:
            case Tensor(graph=graph, index=index):
                return (graph, index) not in self.absent
            case Picked(decision=decision):
                return decision not in self.empty
        return True

    def lacks(self, value: Value) -> bool:
        """Whether part of a bundle is not there."""
        return bool(self.empty or self.absent) and not all(self.exists(part) for part in flatten(value))


def settle(space: Elaborated, chosen: Selection) -> Presence:
    """What exists under decisions, and those decisions without what does not.

    Raises:
        HspError: nothing is left of a text that has an output.
    """
    settled = dict(chosen)
    nothing: set[tuple[SpaceGraph, int]] = set()
    for copy in space.copies.values():
        if copy.body.prune:
            gone = absent(copy.body.graph, settled)
            if copy.body.graph.output in gone:
                message = f"these decisions leave nothing of '{copy.path}': its output takes none of what it could"
                raise HspError([Diagnostic(Code.UNDERIVABLE, copy.definition.span, message)])
            nothing |= {(copy.body.graph, index) for index in gone}
    empty = frozenset(path for path, items in settled.items() if not items)
    return Presence(settled, empty, frozenset(nothing))


def absent(graph: SpaceGraph, chosen: Selection) -> set[int]:
    """The nodes of a text with `prune` of which nothing came; picks of them are taken back in ``chosen``."""
    gone: set[int] = set()
    for index, node in graph.order():
        sources = graph.sources(index)
        match node.payload:
            case Weigh(decision=path, index=candidate):
                if sources[0] in gone:
                    chosen[path] = tuple(item for item in chosen[path] if item != candidate)
                exists = candidate in chosen[path]
            case Mix(decisions=paths, rows=rows):
                taken = tuple(chosen[path][0] for path in paths)
                exists = any(taken in row and s not in gone for s, row in zip(sources, rows, strict=True))
            case Prim(op=op) if op.gather is not None:
                exists = any(source not in gone for source in sources)
            case _:
                exists = not any(source in gone for source in sources)
        if not exists:
            gone.add(index)
    return gone
