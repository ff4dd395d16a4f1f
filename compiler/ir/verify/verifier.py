"""The verifier: the table of legal forms of payloads, and a walk that finds the first node that breaks a rule."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

from compiler.ir.decision import Decision
from compiler.ir.graph import Call, SpaceGraph
from compiler.ir.payloads import Input, Mix, Prim, Weigh
from compiler.ir.sums import Item, Sum, Sums

from . import node_rules, sum_rules
from .graph_rules import WHOLE
from .rules import Context, Form, Stage


class MalformedGraphError(ValueError):
    """A graph breaks a rule; the message names the node, the rule, and how it is broken."""


BOTH = frozenset(Stage)
FLAT = frozenset({Stage.FLAT})


FORMS: Mapping[type, Form] = {
    Input: Form(BOTH, {"an input has no sources": node_rules.no_sources}),
    Prim: Form(
        BOTH,
        {
            "a primitive has its number of inputs": node_rules.arity,
            "only widths are undecided": node_rules.parameters,
            "the shape is that of the operator's rule": node_rules.result,
        },
    ),
    Mix: Form(
        BOTH,
        {
            "a mix has one row for each source": node_rules.mix_rows,
            "a mix has the shape of its sources": node_rules.mix_shapes,
        },
    ),
    Weigh: Form(BOTH, {"a candidate is of a pick": node_rules.weigh}),
    Call: Form(frozenset({Stage.HIERARCHICAL}), {"a call has the shapes of its block": node_rules.call}),
    Sum: Form(FLAT, sum_rules.SUM_RULES),
    Sums: Form(FLAT, {**sum_rules.SUM_RULES, "items alone read sums": sum_rules.sums_readers}),
    Item: Form(FLAT, {"an item is one of several sums": sum_rules.item}),
}
"""The legal forms of payloads."""


def verify(
    graph: SpaceGraph, decisions: Mapping[str, Decision] | None = None, stage: Stage = Stage.FLAT, when: str = ""
) -> None:
    """Check that a graph, and every block in it, is well-formed.

    Args:
        graph: the graph.
        decisions: the decisions of the space, by path; without them only the graph itself is checked.
        stage: how far it has come.
        when: what made it, for the message.

    Raises:
        MalformedGraphError: it breaks a rule.
    """
    pending, seen = [graph], {id(graph)}
    while pending:
        part = pending.pop()
        for name, rule, how in _broken(part, decisions, stage):
            after = f" after {when}" if when else ""
            raise MalformedGraphError(f"'{name}'{after} breaks the rule '{rule}': {how}")
        for _, node in part.order():
            if isinstance(node.payload, Call) and id(node.payload.block.graph) not in seen:
                seen.add(id(node.payload.block.graph))
                pending.append(node.payload.block.graph)


def is_asked_for() -> bool:
    """Whether graphs are to be verified outside of tests as well."""
    return os.environ.get("HDAS_VERIFY") == "1"


def _broken(
    graph: SpaceGraph, decisions: Mapping[str, Decision] | None, stage: Stage
) -> Iterator[tuple[str, str, str]]:
    """Each node that breaks a rule, the rule, and how."""
    for rule_name, whole in WHOLE.items():
        for name, how in whole(graph, stage):
            yield name, rule_name, how
    for index, node in graph.order():
        context = Context(graph, index, node, stage, decisions)
        form = FORMS[type(node.payload)]
        if stage not in form.stages:
            kind = type(node.payload).__name__
            yield node.name, "the payload is of this stage", f"a {stage.value} graph holds no {kind}"
        for rule_name, rule in {**node_rules.EVERY, **form.rules}.items():
            for how in rule(context, node.payload):
                yield node.name, rule_name, how
