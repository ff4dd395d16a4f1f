"""The tensors of a text with `prune` that some decisions leave out, while the text is still being read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from compiler.ir.decision import Decision
from compiler.ir.existence import apply_rule
from compiler.ir.graph import Payload
from compiler.ir.payloads import Mix, Weigh

from .body_elaboration import BodyElaboration
from .values import Tensor

Source: TypeAlias = "tuple[Payload, bool]"
"""A source of a node, and whether it may be missing."""


def may_be_missing(
    tensors: Sequence[Tensor], body: BodyElaboration, decisions: Mapping[str, Decision]
) -> Tensor | None:
    """The first of these tensors of a body that some decisions leave out; None where all are always there."""
    if not body.prune or all(decisions[path].least for path in body.decisions):
        return None  # only a pick may take nothing (`compiler.derivation.presence.may_lack`)
    graph, rule, found = body.graph, _MayBeMissing(decisions), list[bool]()
    for index, node in graph.order():
        sources = [(graph.node(source).payload, found[source]) for source in graph.sources(index)]
        found.append(apply_rule(node.payload, sources, rule))
    return next((tensor for tensor in tensors if found[tensor.index]), None)


@dataclass(frozen=True)
class _MayBeMissing:
    """The rule of `compiler.ir.existence`, over whether some decisions leave a source out."""

    decisions: Mapping[str, Decision]

    def candidate(self, payload: Weigh, source: Source) -> bool:
        """Where its source may be; that it may not be taken is asked of all candidates together (`gathered`)."""
        return source[1]

    def mixture(self, payload: Mix, sources: Sequence[Source]) -> bool:
        """Where any item may be."""
        return any(missing for _, missing in sources)

    def gathered(self, sources: Sequence[Source]) -> bool:
        """Where nothing is always there: neither a source, nor one of the candidates that a pick has to take."""
        doubtful: dict[str, int] = {}
        for payload, missing in sources:
            if isinstance(payload, Weigh):
                doubtful[payload.decision] = doubtful.get(payload.decision, 0) + missing
            elif not missing:
                return False
        return all(number >= self.decisions[path].least for path, number in doubtful.items())

    def applied(self, sources: Sequence[Source]) -> bool:
        """Where any source may be."""
        return any(missing for _, missing in sources)
