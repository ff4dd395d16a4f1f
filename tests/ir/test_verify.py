"""The verifier: graphs of spaces are well-formed at every stage, and each rule notices a graph that breaks it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest

from compiler.backend.passes import PASSES
from compiler.elaborate import Elaborated
from compiler.ir.decision import Decision, DecisionKind
from compiler.ir.graph import Call, Node, Payload, SpaceGraph
from compiler.ir.payloads import Input, Mix, Prim, Weigh
from compiler.ir.primitives.convolution import Conv
from compiler.ir.primitives.structure import Add
from compiler.ir.shape import Shape
from compiler.ir.sums import Item, Share, Sum, Sums, Term
from compiler.ir.undecided import Var
from compiler.ir.verify import MalformedGraphError, Stage, verify
from compiler.ir.verify.graph_rules import WHOLE
from compiler.ir.verify.node_rules import EVERY
from compiler.ir.verify.verifier import FORMS
from tests.support.programs import space

SMALL = """hsp 1
use "lib/prim.hsp"

op skip(x) = x
op conv3(x) = x -> relu -> conv(3, x.c) -> batch_norm
choice Op = skip | conv3

cell Cell(x) {
  n[i < 3] = sum(pick 1 of Op(each (x, earlier n)))
  output last of n
}

network Net(image: [3, 8, 8]; classes = 10) {
  w = 2 | 4
  a = image -> conv(3, w) -> relu
  b = (relu | skip)(image)
  output Cell(a) -> conv(1, 5) -> classifier(classes)
  aux b -> classifier(classes)
}
"""
SPACES = [
    "darts.hsp",
    "nasbench101.hsp",
    "nasbench201.hsp",
    "proxyless.hsp",
    "fbnet.hsp",
    "nats_size.hsp",
    "autoformer_tiny.hsp",
    "tree.hsp",
    "hdas_stages.hsp",
]


def small() -> Elaborated:
    """A space with every payload that elaboration makes, and an undecided width."""
    return space(SMALL)


def optimised() -> tuple[Elaborated, SpaceGraph]:
    """A space with every payload that passes make."""
    found = space("darts.hsp", size=8, c=2, cells=1)
    graph = found.block.graph
    for item in PASSES:
        graph = item.run(graph)
    return found, graph


@pytest.mark.parametrize("name", SPACES)
def test_graphs_are_well_formed_before_and_after_every_pass(name: str) -> None:
    found = space(name)
    graph = found.block.graph
    verify(graph, found.decisions, Stage.HIERARCHICAL)
    for item in PASSES:
        graph = item.run(graph)
        verify(graph, found.decisions, when=item.name)


def test_a_concatenation_is_as_wide_as_what_is_picked() -> None:
    body = "u = concat(image, pick any of (image)) -> conv(1, 3)\n  output u -> classifier(classes)"
    text = f'hsp 1\nuse "lib/prim.hsp"\nnetwork Net(image: [3, 8, 8]; classes = 10) {{\n  {body}\n}}\n'
    found = space(text)
    verify(found.block.graph, found.decisions, Stage.HIERARCHICAL)


# ---------------------------------------------------------------- one mutation for each rule


Edit = Callable[[int, Node, tuple[int, ...]], tuple[Node, tuple[int, ...]] | None]


def edited(graph: SpaceGraph, kind: type[Payload], edit: Edit) -> SpaceGraph:
    """The graph, with the first node of a kind of payload changed for which ``edit`` gives something."""
    made, is_done = SpaceGraph(), False
    for index, node in graph.order():
        new: tuple[Node, tuple[int, ...]] | None = None
        if not is_done and isinstance(node.payload, kind):
            new = edit(index, node, graph.sources(index))
            is_done = new is not None
        made.add(*(new or (node, graph.sources(index))))
    assert is_done
    made.output, made.aux = graph.output, graph.aux
    return made


@dataclass(frozen=True)
class Broken:
    """A malformed graph, and what it is verified against."""

    graph: SpaceGraph
    decisions: dict[str, Decision]
    stage: Stage = Stage.HIERARCHICAL


def in_small(kind: type[Payload], edit: Edit) -> Broken:
    """The network of the small space with an edit, or else its cell."""
    found = small()
    graphs = [found.block.graph, *(copy.block.graph for copy in found.copies.values())]
    for graph in graphs:
        if any(isinstance(node.payload, kind) for _, node in graph.order()):
            return Broken(edited(graph, kind, edit), found.decisions)
    raise AssertionError(kind)


def in_optimised(kind: type[Payload], edit: Edit) -> Broken:
    found, graph = optimised()
    return Broken(edited(graph, kind, edit), found.decisions, Stage.FLAT)


def with_payload(change: Callable[[Payload], Payload | None]) -> Edit:
    """An edit of the payload alone."""

    def edit(index: int, node: Node, sources: tuple[int, ...]) -> tuple[Node, tuple[int, ...]] | None:
        made = change(node.payload)
        return None if made is None else (replace(node, payload=made), sources)

    return edit


def with_shape(index: int, node: Node, sources: tuple[int, ...]) -> tuple[Node, tuple[int, ...]]:
    return replace(node, shape=Shape(tuple(7 for _ in node.shape.dims))), sources


def order() -> Broken:
    found = small()
    graph = edited(found.block.graph, Prim, lambda i, node, sources: (node, sources))
    graph._sources[1] = (len(graph) - 1,)
    return Broken(graph, found.decisions)


def readers() -> Broken:
    found = small()
    graph = edited(found.block.graph, Prim, lambda i, node, sources: (node, sources))
    graph._readers[0].pop()
    return Broken(graph, found.decisions)


def ends() -> Broken:
    found = small()
    graph = edited(found.block.graph, Prim, lambda i, node, sources: (node, sources))
    graph.output = None
    return Broken(graph, found.decisions)


def unknown_width() -> Broken:
    found = small()
    return Broken(
        found.block.graph, {path: d for path, d in found.decisions.items() if d.kind is not DecisionKind.NUMBER}
    )


def undecided_kernel(payload: Payload) -> Payload | None:
    if not isinstance(payload, Prim) or not isinstance(payload.op, Conv):
        return None
    width = payload.op.c
    if not isinstance(width, Var):
        return None
    kernels = Var(width.decisions, width.sizes, (1, 3))
    return Prim(replace(payload.op, k=kernels))  # type: ignore[arg-type] # That is what breaks the rule.


def on_terms(change: Callable[[Term], Term | None]) -> Callable[[Payload], Payload | None]:
    """The change of the first term of a sum for which ``change`` gives something."""

    def edit(payload: Payload) -> Payload | None:
        assert isinstance(payload, Sum)
        for place, term in enumerate(payload.terms):
            made = change(term)
            if made is not None:
                return replace(payload, terms=(*payload.terms[:place], made, *payload.terms[place + 1 :]))
        return None

    return edit


def of_unknown(term: Term) -> Term | None:
    shares = [factor for factor in term.weight if isinstance(factor, Share)]
    return replace(term, weight=(replace(shares[0], decisions=("nobody",)),)) if shares else None


def of_no_norm(term: Term) -> Term | None:
    return None if term.norm is None else replace(term, norm=replace(term.norm, op=Add()))


def of_other_shape(term: Term) -> Term | None:
    if term.norm is None:
        return None
    wide = Shape((99, *term.norm.shape.space))
    return replace(term, norm=replace(term.norm, inputs=(wide,), shape=wide))


def renamed(index: int, node: Node, sources: tuple[int, ...]) -> tuple[Node, tuple[int, ...]]:
    return replace(node, name="image"), sources


MUTATIONS: dict[str, Callable[[], Broken]] = {
    "sources come first": order,
    "readers are those of the sources": readers,
    "inputs and outputs are nodes of the graph": ends,
    "names are unique": lambda: in_small(Prim, renamed),
    "scopes are prefixes": lambda: in_small(Prim, lambda i, node, s: (replace(node, scope=("k0",)), s)),
    "undecided values are of decisions": unknown_width,
    "the payload is of this stage": lambda: replace(in_small(Prim, lambda i, n, s: (n, s)), stage=Stage.FLAT),
    "an input has no sources": lambda: in_small(Prim, lambda i, node, s: (replace(node, payload=Input(1)), s)),
    "a primitive has its number of inputs": lambda: in_small(Prim, lambda i, node, s: (node, (*s, *s))),
    "only widths are undecided": lambda: in_small(Prim, with_payload(undecided_kernel)),
    "the shape is that of the operator's rule": lambda: in_small(Prim, with_shape),
    "a mix has one row for each source": lambda: in_small(
        Mix, with_payload(lambda mix: replace(mix, rows=mix.rows[1:]) if isinstance(mix, Mix) else None)
    ),
    "a mix has the shape of its sources": lambda: in_small(Mix, with_shape),
    "a candidate is of a pick": lambda: in_small(
        Weigh, with_payload(lambda one: replace(one, index=99) if isinstance(one, Weigh) else None)
    ),
    "a call has the shapes of its block": lambda: in_small(Call, with_shape),
    "a sum has one source for each term": lambda: in_optimised(Sum, lambda i, node, s: (node, s[1:])),
    "weights are of decisions": lambda: in_optimised(Sum, with_payload(on_terms(of_unknown))),
    "the parts of a term have roles": lambda: in_optimised(Sum, with_payload(on_terms(of_no_norm))),
    "the parts of a term fit together": lambda: in_optimised(Sum, with_payload(on_terms(of_other_shape))),
    "items alone read sums": lambda: in_optimised(Item, lambda i, node, s: (replace(node, payload=Prim(Add())), s)),
    "an item is one of several sums": lambda: in_optimised(Item, with_payload(lambda _: Item(99))),
}


def test_every_rule_has_a_mutation() -> None:
    rules = {*WHOLE, *EVERY, *(name for form in FORMS.values() for name in form.rules), "the payload is of this stage"}
    assert rules == MUTATIONS.keys()


@pytest.mark.parametrize("rule", MUTATIONS)
def test_each_rule_notices_what_breaks_it(rule: str) -> None:
    broken = MUTATIONS[rule]()
    with pytest.raises(MalformedGraphError, match=f"breaks the rule '{rule}'"):
        verify(broken.graph, broken.decisions, broken.stage, "a mutation")


@pytest.mark.parametrize(("kind", "stage"), [(Sums, Stage.FLAT), (Call, Stage.HIERARCHICAL)])
def test_the_graphs_that_are_mutated_are_well_formed(kind: type[Payload], stage: Stage) -> None:
    found, graph = optimised() if stage is Stage.FLAT else (small(), small().block.graph)
    assert any(isinstance(node.payload, kind) for _, node in graph.order())
    verify(graph, found.decisions, stage)


def test_elaboration_and_passes_verify_where_the_environment_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setenv("HDAS_VERIFY", "1")
    monkeypatch.setattr("compiler.elaborate.entry.verify", lambda *_, **__: seen.append("elaboration"))
    monkeypatch.setattr("compiler.backend.passes.verify", lambda *_, when: seen.append(when))
    graph = small().block.graph
    for item in PASSES[:2]:
        graph = item.run(graph)
    assert seen == ["elaboration", "the pass 'flatten'", "the pass 'idle'"]
