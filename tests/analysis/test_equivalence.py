"""Up to an equivalence: the published numbers, and brute force with networkx as the judge of isomorphism."""

from itertools import product
from pathlib import Path
from random import Random

import networkx as nx
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from compiler.analysis.architectures import Architectures, count
from compiler.analysis.architectures.equivalence.canonical import TooSymmetricError, Vertex, canonical
from compiler.analysis.architectures.equivalence.classes import EquivalenceKeys, UncountableClassesError, unique
from compiler.analysis.architectures.equivalence.operations import Operations
from compiler.analysis.architectures.equivalence.reading import Reader
from compiler.analysis.architectures.equivalence.terms import Term, Variable
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.program.equivalence import FUNCTIONAL, ISOMORPHIC, PRUNED, Equivalence, equivalence
from compiler.program.request import Request
from compiler.util.errors import UsageError
from tests.support.paths import SPACES
from tests.support.random_spaces import Plan, plans

HEAD = "hsp 1\nop a(x) = x -> relu\nop b(x) = x -> gelu\nop same(x) = x\nop none(x) = zero(x)\n"


def listed(text: str, path: str = "space.hsp") -> Architectures:
    return Architectures(Request(Path(path), text=text))


def net(*lines: str, more: str = "") -> str:
    return HEAD + more + "network N(x: [4, 8, 8]) {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


def cell(*lines: str) -> str:
    return "cell C(x) {\n" + "".join(f"  {line}\n" for line in lines) + "}\n"


# ---------------------------------------------------------------- published numbers


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("benchmark", 6_466),  # as its authors count
        ("isomorphic", 14_125),
        ("pruned", 8_765),
        ("functional", 6_055),
    ],
)
def test_benchmark_201(kind: str, expected: int) -> None:
    found = count(Architectures(Request(SPACES / "nasbench201.hsp")), same=kind)
    assert (found.exact, found.number) == (expected, expected)


def test_benchmark_201_without_zeros() -> None:
    """The number of its paper that sees through a skip, but takes `none` for an operation like others."""
    text = (SPACES / "nasbench201.hsp").read_text().replace("zero = term", "zero = kept")
    assert count(listed(text), same="benchmark").exact == 12_751


@pytest.mark.slow
def test_benchmark_101() -> None:
    assert unique(Request(SPACES / "nasbench101.hsp").compile().network, ISOMORPHIC) == 423_624


# ---------------------------------------------------------------- brute force


def graph_of(terms: list[Term]) -> nx.MultiDiGraph:
    graph = nx.MultiDiGraph()
    for index, term in enumerate(terms):
        graph.add_node(index, label=str(term.label))
        for slot, source in enumerate(term.sources):
            graph.add_edge(source, index, slot=0 if term.symmetric else slot)
    return graph


def slots(one: dict[int, dict[str, int]], other: dict[int, dict[str, int]]) -> bool:
    return sorted(edge["slot"] for edge in one.values()) == sorted(edge["slot"] for edge in other.values())


def by_force(space: Elaborated, circuit_choices: list[Selection], same: Equivalence) -> int:
    """One graph of the whole network for each architecture, sorted into classes of isomorphic ones.

    Cells are kept apart from the network: each is read by itself, and an instance is labelled by the class of its cell.
    """
    classes: dict[str, list[nx.MultiDiGraph]] = {}

    def class_of(kind: str, graph: nx.MultiDiGraph) -> int:
        known = classes.setdefault(kind, [])
        for number, other in enumerate(known):
            if nx.is_isomorphic(graph, other, node_match=lambda a, b: a["label"] == b["label"], edge_match=slots):
                return number
        known.append(graph)
        return len(known) - 1

    found = set()
    for chosen in circuit_choices:
        numbers: dict[str, Variable] = {}
        for path, copy in space.copies.items():
            if copy.live or copy.body.root:
                if not copy.body.root and not any(name in chosen for name in copy.body.decisions):
                    continue
                reader = Reader(Operations(space, numbers), same)
                kind = str(copy.definition.name)
                number = class_of(kind, graph_of(reader.terms(copy, chosen)))
                numbers[path] = Variable(f"{kind} {number}", frozenset())
        found.add(number)
    return len(found)


def check(text: str, same: Equivalence, most: int) -> int | None:
    listing = listed(text)
    if not 1 < listing.number <= most:
        return None
    (part,) = listing.parts
    try:
        number = unique(part.space, same)
    except UncountableClassesError:
        return None
    choices = [listing.choices(rank)[0] for rank in range(listing.number)]
    assert number == by_force(part.space, choices, same), text
    return number


KINDS = (ISOMORPHIC, PRUNED, FUNCTIONAL)


@given(plans(), st.sampled_from(KINDS))
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_by_brute_force(plan: Plan, same: Equivalence) -> None:
    assume(check(plan.text, same, 120) is not None)


SMALL = {
    "parallel": net("output (a | b)(x) + (a | b)(x) + (a | b)(x)"),
    "domains that overlap": net("output (a | b)(x) + (b | same)(x) + b(x)"),
    "chains": net("u = (a | b)(x)", "v = (a | b)(x)", "output (a | same)(u) + (a | same)(v)"),
    "picks": net("n[i < 2] = (a | b)(sum(x, pick any of (x, earlier n)))", "output concat(n) -> conv(1, 4)"),
    "zeros": net("n[i < 2] = sum((a | b | none | same)(each (x, earlier n)))", "output last of n"),
    "numbers": net("output conv(x, k = 1 | 3) + conv(x, k = 1 | 3 | 5) + conv(x, k = 1 | 3)"),
    "numbers that overlap": net(
        "u = f(x, k = 1 | 3)",
        "v = sum(pick 1 of (a | f(k = 3))(each (x, u)))",
        "output v",
        more="op f(x; k) = x -> conv(k)\n",
    ),
    "one decision twice": net("f = a | b", "output (x -> f -> f) + (x -> f)"),
    "sizes": net("n[i < 1 | 2 | 3] = prev(x) -> (a | b)", "m[i < 1 | 2] = prev(x) -> (a | b)", "output n0 + last of m"),
    "a tied cell": net("output C(x) + C(C(x))", more=cell("output (a | b)(x) + (a | b)(x)")),
    "cells that swap": net("output C@p(x) + C@q(x) + C@r(x)", more=cell("output (a | b)(x) + (a | b)(x)")),
    "cells or not": net("output (C@p | a)(x) + (C@q | a)(x)", more=cell("output (a | b | same)(x)")),
    "cells in cells": net(
        "output D@p(x) + D@q(x) + (C@r | a)(x)",
        more=cell("output (a | b)(x)") + "cell D(x) {\n  output C@p(C@q(x)) + (a | b)(x)\n}\n",
    ),
    "pruned": net("n[i < 2] = (a | b)(sum(pick any of (x, earlier n)))", "output sum(x, pick any of n)", "prune"),
    "required": net("n[i < 3] = (a | b)(sum(x, pick any of (x, earlier n)))", "output last of n", "require edges == 2"),
}


@pytest.mark.parametrize("same", KINDS, ids=lambda same: same.name)
@pytest.mark.parametrize("name", SMALL)
def test_small(name: str, same: Equivalence) -> None:
    assert check(SMALL[name], same, 2000) is not None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("parallel", 4), ("one decision twice", 2), ("a tied cell", 3), ("cells that swap", 10), ("cells or not", 10)],
)
def test_by_hand(name: str, expected: int) -> None:
    """Multisets: 3 of 2 operations; 3 of 3 cells; 2 of 3 + 1 operations."""
    assert count(listed(SMALL[name]), same="isomorphic").exact == expected


def test_a_grammar() -> None:
    """Two trees of depth 1 in a diamond swap, and so do four leaves by branches: 2 + 4 + 10 of 2 + 4 + 16."""
    text = (SPACES / "tree.hsp").read_text().replace("depth = 2", "depth = 1")
    listing = listed(text)
    assert listing.number == 22
    assert count(listing, same="isomorphic").exact == 16


def test_a_smaller_benchmark_101() -> None:
    text = (SPACES / "nasbench101.hsp").read_text().replace("n[i < 5]", "n[i < 2]").replace("edges <= 9", "edges <= 4")
    assert check(text, ISOMORPHIC, 1000) is not None


def test_independent_cells_and_levels_multiply() -> None:
    """Three normal cells and two reductions, each with as many as in the network of one of both; cells with stages."""
    one, five, stages, joint = (
        count(Architectures(Request(SPACES / f"{name}.hsp")), same="isomorphic").number
        for name in ("darts", "hdas_cells", "hdas_stages", "hdas_cifar_joint")
    )
    normal = five // one**2
    assert five == normal * one**2
    assert one % normal == 0
    assert 10**8 < normal < 1_037_664_180
    assert joint == five * stages


# ---------------------------------------------------------------- equivalences of a file


def test_what_a_section_may_say() -> None:
    text = net("output (a | same)(x) + (a | same)(x)", more="")
    section = "equivalence mine {{\n  {}\n}}\n"
    for setting, expected in {"identity = kept": 3, "identity = transparent": 3, "dead = unread": 3}.items():
        assert count(listed(text + section.format(setting)), same="mine").exact == expected
    sums = net("output same(x + (a | b)(x)) + (a | b)(x)")
    for setting, expected in {"identity = transparent": 4, "identity = transparent\n  sums = flat": 3}.items():
        assert count(listed(sums + section.format(setting)), same="mine").exact == expected


def test_an_unknown_name() -> None:
    with pytest.raises(UsageError, match="it is one of isomorphic, pruned, functional, benchmark"):
        equivalence(Request(SPACES / "nasbench201.hsp").compile().equivalences, "benchmarks")


# ---------------------------------------------------------------- what is refused

MANY = net("n[i < 18] = (a | same)(x)", "output " + " + ".join(f"n{i}" for i in range(18)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (net("k = 1 | 3", "output D(x, k)"), "'D' depends on 'N.k', which is decided elsewhere"),
        (net("output (E@p | E@q)(x)"), "'F' belongs to 'E@p' and 'E@q'"),
        (net("u = F(x)", "output u + (F | F@p)(x)"), "copies in 'N' are tied in some of its graphs only"),
        (net("output F(x) + F(x) + F@p(F(x)) + F@p(F@q(x))"), "symmetries that tie other copies"),
        (MANY, "262,144 graphs, and 20,000"),
    ],
)
def test_refused(text: str, words: str) -> None:
    more = "cell D(x; k) {\n  output (a | b)(x) -> conv(k)\n}\n"
    more += "cell F(x) {\n  output (a | b)(x)\n}\ncell E(x) {\n  output (a | b)(F(x))\n}\n"
    listing = listed(text.replace("network", more + "network"))
    with pytest.raises(UncountableClassesError, match=words) as refused:
        count(listing, same="functional")
    assert "pairs that were drawn are alike: it is" in str(refused.value) or "by 95% confidence" in str(refused.value)


@pytest.mark.parametrize("same", KINDS, ids=lambda same: same.name)
@pytest.mark.parametrize("name", ["a tied cell", "cells that swap", "cells or not", "zeros", "sizes"])
def test_pairs_are_told_alike_as_classes_are_counted(name: str, same: Equivalence) -> None:
    """The bound of a refusal comes from keys, one for each architecture: as many differ as there are classes."""
    (part,) = (listing := listed(SMALL[name])).parts
    alike = EquivalenceKeys(part.space, same)
    keys = {alike.key(listing.choices(rank)[0]) for rank in range(listing.number)}
    assert len(keys) == unique(part.space, same)


# ---------------------------------------------------------------- canonical forms by themselves


@st.composite
def drawn(draw: st.DrawFn) -> list[Vertex]:
    size = draw(st.integers(1, 6))
    vertices = []
    for index in range(size):
        sources = draw(st.lists(st.integers(0, index - 1), max_size=3)) if index else []
        vertices.append(Vertex(draw(st.integers(0, 2)), tuple(sources), draw(st.booleans())))
    # Whether sources are in order is part of what a vertex is.
    return [Vertex(2 * v.label + v.symmetric, v.sources, v.symmetric) for v in vertices]


def moved(vertices: list[Vertex], order: list[int]) -> list[Vertex]:
    place = {index: rank for rank, index in enumerate(order)}
    return [
        Vertex(vertices[i].label, tuple(place[s] for s in vertices[i].sources), vertices[i].symmetric) for i in order
    ]


def as_graph(vertices: list[Vertex]) -> nx.MultiDiGraph:
    graph = nx.MultiDiGraph()
    for index, vertex in enumerate(vertices):
        graph.add_node(index, label=vertex.label)
        for slot, source in enumerate(vertex.sources):
            graph.add_edge(source, index, slot=0 if vertex.symmetric else slot)
    return graph


@given(drawn(), drawn(), st.integers(0, 99))
@settings(max_examples=150, deadline=None)
def test_canonical(one: list[Vertex], other: list[Vertex], seed: int) -> None:
    order = list(range(len(one)))
    Random(seed).shuffle(order)
    assert canonical(moved(one, order)).form == canonical(one).form
    same = nx.is_isomorphic(
        as_graph(one), as_graph(other), node_match=lambda a, b: a["label"] == b["label"], edge_match=slots
    )
    assert (canonical(one).form == canonical(other).form) is same


@given(drawn())
@settings(max_examples=100, deadline=None)
def test_symmetries(vertices: list[Vertex]) -> None:
    """As many labellings as brute force tells apart."""
    named = [Vertex(v.label, v.sources, v.symmetric, (f"v{i}",)) for i, v in enumerate(vertices)]
    assume(len(named) <= 5)
    seen = set()
    for labels in product(range(2), repeat=len(named)):
        full = [Vertex(10 * v.label + label, v.sources, v.symmetric) for v, label in zip(vertices, labels, strict=True)]
        seen.add(canonical(full).form)
    # Forms of different label numbers are compared by their own rows, which hold them.
    assert canonical(named).labellings({v.variables[0]: 2 for v in named}) == len(seen)


def test_too_symmetric(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vertices that are all alike are no trouble, unless each has a variable of its own."""
    assert len(canonical([Vertex(0, ()), *(Vertex(1, (0,)) for _ in range(30))]).symmetries) == 1
    leaves = [Vertex(0, ()), *(Vertex(1, (0,), False, (f"v{i}",)) for i in range(9))]
    assert len(canonical(leaves[:5]).symmetries) == 24
    monkeypatch.setattr("compiler.analysis.architectures.equivalence.canonical.MOST", 500)
    with pytest.raises(TooSymmetricError):
        canonical(leaves)


# ---------------------------------------------------------------- what exists, and how far it goes


def test_a_gate_is_missing_where_one_side_is() -> None:
    """Not the other side by itself."""
    lines = ("p = relu(sum(pick any of (x)))", "q = gelu(x) * p", "output concat(q, x) -> conv(1, 4)", "prune")
    (part,) = listed(net(*lines)).parts
    reader = Reader(Operations(part.space, {}), ISOMORPHIC)
    sizes = [len(reader.terms(part.space.root, {"N.p.in": items})) for items in ((), (0,))]
    assert sizes == [3, 7]  # the input, what is left of the concatenation, the output; and gelu, relu, the gate


def test_a_text_may_be_long() -> None:
    lines = [f"n{i} = relu({f'n{i - 1}' if i else 'x'})" for i in range(900)]
    found = count(listed(net(*lines, "output n899 -> (a | b)")), same="isomorphic")
    assert found.exact == 2
