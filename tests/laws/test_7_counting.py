"""Law 7: the number of architectures is that of exhaustive enumeration, and the published one where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from math import comb, prod
from textwrap import dedent
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from compiler.analysis.counting.count import architectures
from compiler.analysis.counting.errors import UncountableError
from compiler.elaborate import Elaborated, elaborate
from compiler.elaborate.values import Function, Value
from compiler.ir.combinatorics.circuit import ONE, either
from compiler.ir.combinatorics.count_formula import Choose, Decide, Factor, Given, Mention, Product, Ways, count
from compiler.ir.combinatorics.count_formula import given as written_given
from compiler.reports.facts import cardinality
from hdas_dsl.files import Loader
from hdas_dsl.tree import ast
from hdas_dsl.units import Entity, Instance
from tests.support.paths import SPACES
from tests.support.random_spaces import Plan, plans


def space(instance: Instance, network: Function | None = None, **args: Value) -> Elaborated:
    """A network of a file, by default the last."""
    if network is None:
        definitions = [d for d in instance.unit.module.definitions if isinstance(d, ast.GraphDef)]
        network = Function(definitions[-1], instance)
    found, diagnostics = elaborate(network, dict(args))
    assert found is not None, [d.render() for d in diagnostics]
    return found


def named(instance: Instance, name: str) -> Function:
    """A definition that a file sees."""
    entity = instance.lookup(name)
    assert isinstance(entity, Entity)
    assert isinstance(entity.plain, ast.GraphDef)
    return Function(entity.plain, entity.instance)


def file(name: str) -> Instance:
    loader = Loader()
    instance = loader.load(SPACES / f"{name}.hsp")
    assert instance is not None, loader.diagnostics
    return instance


def shipped(name: str, **args: Any) -> Elaborated:
    return space(file(name), **args)


def written(text: str, **args: Any) -> Elaborated:
    loader = Loader()
    instance = loader.load_text(dedent(text), "test.hsp", SPACES)
    assert instance is not None, [d.render() for d in loader.diagnostics]
    return space(instance, **args)


# ---------------------------------------------------------------- published numbers

CELL = 1_037_664_180
"""Normal or reduction cells of DARTS: prod over four nodes of C(n, 2) * 7^2."""

TRELLIS_CELL = prod(comb(n + 2, 2) * 49 for n in range(5))

PUBLISHED = {
    "darts": CELL**2,
    "hdas_cells": CELL**5,
    "hdas_stages": 3**51,
    "nasbench201": 15_625,
    "ofa_mobilenetv3": sum(9**n for n in (2, 3, 4)) ** 5,
    "autoformer_tiny": 3 * (4**12 + 4**13 + 4**14),
    "fbnet": 9**22,
    "hierarchical_nb201": 75_549_915 * 15_625,
    "nats_size": 32_768,
    "autodeeplab": 28_657 * TRELLIS_CELL,
    "tree": 2 + 22**2 + 22**4,
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published(name: str) -> None:
    assert cardinality(shipped(name)) == PUBLISHED[name]


def test_distribution_search() -> None:
    """Where stages end: the network is that of the stage search, with another stage."""
    instance = file("hdas_dist")
    found = space(instance, named(instance, "Hdas"), Stage=named(instance, "Open"), cells=8)
    assert cardinality(found) == 97_764_063_507**3
    assert found.alphas == 3 * 92 + 15


# ---------------------------------------------------------------- exhaustive enumeration


@given(plan=plans())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_enumeration(plan: Plan) -> None:
    found = plan.list(most=3000)
    assume(found is not None and len(found) > 0)
    assert found is not None
    assert len(found) == len(set(found)), "the enumeration itself repeats one"
    assert cardinality(written(plan.text)) == len(found)


@given(plan=plans(mixable=True, prunes=False))
@settings(max_examples=50, deadline=None)
def test_mixable_spaces_can_be_mixed(plan: Plan) -> None:
    assert not written(plan.text).refusals


# Formulas by themselves, where elaboration rarely or never writes one: what depends on a decision far away, copies that
# depend on decisions of others.


TWO = either((ONE, ONE))

BOUNDS = ((0, 3), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2), (1, 3))


def outcomes(formula: Product, copies: dict[str, Product], made: dict[str, int]) -> Iterator[dict[str, int]]:
    """All ways to go through a formula from left to right."""
    if not formula:
        yield made
        return
    first, rest = formula[0], formula[1:]
    ways: list[tuple[dict[str, int], Product]] = []
    match first:
        case Decide(name, items):
            ways = [({name: i}, item) for i, item in enumerate(items) if item is not None]
        case Choose(_, least, most, candidates):
            sizes = range(least, most + 1)
            ways = [({}, sum(chosen, ())) for size in sizes for chosen in combinations(candidates, size)]
        case Given(names, cases):
            ways = [({}, dict(cases)[tuple(made[name] for name in names)])]
        case Mention(copy):
            ways = [({}, ())] if copy in made else [({copy: 1}, copies[copy])]
        case Ways(terms):
            ways = [({}, term) for part, term in terms for _ in range(part.number)]
    for more, inner in ways:
        for after in outcomes(inner, copies, {**made, **more}):
            yield from outcomes(rest, copies, after)


@st.composite
def formulas(draw: st.DrawFn) -> tuple[Product, dict[str, Product]]:
    """A formula and its copies; copies may depend on the decisions of the whole, which come first."""
    numbers = iter(range(1000))

    def build(depth: int, known: tuple[str, ...], mentions: list[str]) -> Product:
        factors: list[Factor] = []
        for _ in range(draw(st.integers(0, 2 if depth else 3))):
            kinds = ("decide", "choose", "given", "given", "mention", "ways") if depth < 3 else ("mention",)
            kind = draw(st.sampled_from(kinds))
            size = 2 if kind in ("decide", "choose", "ways") else 0
            parts = [build(depth + 1, known, mentions) for _ in range(size)]
            if kind == "decide":
                name = f"d{next(numbers)}"
                end: Product | None = draw(st.sampled_from((None, ())))
                factors.append(Decide(name, (*parts, end)))
                known = known if end is not None else (*known, name)
            elif kind == "choose":
                factors.append(Choose(f"d{next(numbers)}", *draw(st.sampled_from(BOUNDS)), (*parts, ())))
            elif kind == "given" and known:
                names = tuple(draw(st.lists(st.sampled_from(known), min_size=1, max_size=2, unique=True)))
                cases = {key: build(depth + 1, known, mentions) for key in product(range(2), repeat=len(names))}
                factors += written_given(names, cases)
            elif kind == "mention" and mentions:
                factors.append(Mention(draw(st.sampled_from(mentions))))
            elif kind == "ways":
                factors.append(Ways(((TWO, parts[0]), (ONE, parts[1]))))
        return tuple(factors)

    first = tuple(Decide(f"g{i}", ((), ())) for i in range(2))
    copies: dict[str, Product] = {}
    for i in range(3):
        copies[f"c{i}"] = build(1, ("g0", "g1"), list(copies))
    return (*first, *build(0, ("g0", "g1"), list(copies))), copies


@given(formulas())
@settings(max_examples=100, deadline=None)
def test_formulas(case: tuple[Product, dict[str, Product]]) -> None:
    formula, copies = case
    expected = sum(1 for _, _ in zip(range(20_000), outcomes(formula, copies, {}), strict=False))
    assume(expected < 20_000)
    assert count(formula, copies) == expected


# ---------------------------------------------------------------- prune


def benchmark_101(vertices: int, edges: int) -> Elaborated:
    """NAS-Bench-101 with fewer vertices."""
    text = (SPACES / "nasbench101.hsp").read_text()
    text = text.replace("n[i < 5]", f"n[i < {vertices}]").replace("edges <= 9", f"edges <= {edges}")
    return written(text)


def labelled(vertices: int, edges: int) -> int:
    """Labelled graphs in which every vertex lies between input and output, with one of three operations each."""
    pairs = list(combinations(range(vertices + 2), 2))

    def whole(size: int) -> Iterator[int]:
        last = size + 1
        inner = [(a, b) for a, b in pairs if b <= last]
        for number in range(edges + 1):
            for chosen in combinations(inner, number):
                ahead, back = {0}, {last}
                for a, b in chosen:
                    ahead |= {b} if a in ahead else set()
                for a, b in reversed(chosen):
                    back |= {a} if b in back else set()
                if len(ahead) == len(back) == size + 2:
                    yield 3**size

    return sum(comb(vertices, size) * sum(whole(size)) for size in range(vertices + 1))


@pytest.mark.parametrize(("vertices", "edges"), [(1, 9), (2, 9), (2, 3), (3, 4), (3, 9), (4, 7)])
def test_benchmark_101_small(vertices: int, edges: int) -> None:
    assert cardinality(benchmark_101(vertices, edges)) == labelled(vertices, edges)


def test_benchmark_101() -> None:
    """Distinct pruned graphs with at most 9 edges; the benchmark's 423,624 are these up to isomorphism."""
    assert cardinality(shipped("nasbench101")) == 1_824_025


@pytest.mark.parametrize(("layers", "paths"), [(1, 1), (2, 2), (3, 5), (4, 13), (5, 34), (12, 28_657)])
def test_trellis_paths(layers: int, paths: int) -> None:
    assert cardinality(shipped("autodeeplab", layers=layers)) == paths * TRELLIS_CELL


HEAD = "hsp 1\nop a(x) = x -> relu\nop b(x) = x -> gelu\ncell C(x) { output (a | b)(x) }\n"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        # A decision read twice is one, reached by either way.
        ("k = 1 | 3\n u = conv(x, k)\n v = conv(x, k)\n output pick 1 of (u, v, x)", 2 + 2 + 1),
        # A copy behind an item exists with that item only.
        ("u = C(x)\n output pick 1 of (u, x)", 2 + 1),
        ("u = C(x)\n v = C(x)\n output sum(x, pick any of (u, v))", 1 + 2 + 2 + 2),
        ("u = C@p(x)\n v = C@q(x)\n output sum(x, pick any of (u, v))", 1 + 2 + 2 + 4),
        # Nothing comes of nothing: the output must exist, what is picked too.
        ("u = (a | b)(sum(pick any of (x)))\n output pick 1 of (u, x)", 2 + 1),
        ("u = sum(pick any of (x))\n v = sum(pick any of (x))\n output u + v", 3),
        ("u = (a | b)(sum(pick any of (x)))\n output x + u", 2 + 1),
        ("u = sum(pick any of (x))\n output u", 1),
        ("output x + a(x) + (a | b)(x)", 2),
        ("p = pick any of (x, a(x))\n output sum(p) + (sum(p) -> a)", 3),
        ("p = pick any of (x, C(x))\n output sum(p) + (sum(p) -> a) + x", 1 + 1 + 2 + 2),
        # Requirements on structure.
        ("output sum(pick any of (x, a(x), b(x)))\n require edges == 2", 3),
        ("u = (a | b)(x)\n v = (a | b)(u)\n output v\n require count(a) == 1", 2),
        ("u = (a | b)(x)\n v = (a | b)(u)\n output v\n require not count(a) + 1 == 2 or params > 3", 4),
        ("u = (a | b)(x)\n output u\n require count(a) > 1", 0),
    ],
)
def test_pruned(body: str, expected: int) -> None:
    text = f"{HEAD}network N(x: [4, 8, 8]) {{\n {body}\n prune\n}}\n"
    assert cardinality(written(text)) == expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("output sum(x, pick any of (x, a(x)))\n require edges <= 1", 3),
        ("u = (a | b)(x)\n v = sum(pick 1 of (x, u))\n output x + v\n require count(a) == 0 and edges == 1", 2),
        ("n[i < 1 | 2 | 3] = prev(x) -> (a | b)\n output last of n\n require count(a) == 1", 1 + 2 + 3),
        ("n[i < 1 | 2] = prev(x) -> (a | b)\n output a(x)\n require count(a) == 1", 1 + 1),
        ("u = C(x)\n v = (C | a)(u)\n output v\n require count(C) == 1", 2),
        ("output sum(x, pick any of (x, a(x))) | b(x)\n require edges <= 1", 3 + 1),
    ],
)
def test_required_without_prune(body: str, expected: int) -> None:
    assert cardinality(written(f"{HEAD}network N(x: [4, 8, 8]) {{\n {body}\n}}\n")) == expected


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("k = 1 | 3\n output sum(x, pick any of (x, a(x)))\n require edges <= 1", "read by nothing"),
        ("u = C(x)\n output u\n require count(a) <= 1\n prune", "inside the cells"),
        ("n[i < 1 | 2] = prev(x) -> a\n output last of n\n require depth(n) <= 1\n prune", "cannot be counted"),
    ],
)
def test_refused(body: str, words: str) -> None:
    with pytest.raises(UncountableError, match=words) as caught:
        architectures(written(f"{HEAD}network N(x: [4, 8, 8]) {{\n {body}\n}}\n"))
    assert "require" in caught.value.diagnostics[0].render()


@dataclass(frozen=True)
class Line:
    """``menu`` says whether its operation is a choice; ``plain`` are the lines that its sum reads for certain, then the
    candidates of its pick of any number, each a line and whether an operation to be chosen stands before it."""

    menu: bool
    plain: tuple[int, ...]
    candidates: tuple[tuple[int, bool], ...]
    shared: bool = False

    def written(self, name: str) -> str:
        any_of = ", ".join(f"(a | b)(u{line})" if menu else f"u{line}" for line, menu in self.candidates)
        terms = [f"u{line}" for line in self.plain] + ["p"] * self.shared
        terms += [f"pick any of ({any_of})"] if self.candidates else []
        return f"{name} {'(a | b)' if self.menu else 'a'}(sum({', '.join(terms)}))"


@st.composite
def sparse(draw: st.DrawFn) -> tuple[Line, ...]:
    """Lines of which the last is the output; line 0 is the input. A pick ``p`` of it and of line 1 may be read too."""
    lines: list[Line] = []
    for index in range(1, draw(st.integers(2, 5))):
        before = st.integers(0, index - 1)
        plain = draw(st.lists(before, max_size=2, unique=True))
        shared = draw(st.booleans()) and index > 1
        least = 0 if plain or shared else 1
        candidates = draw(st.lists(st.tuples(before, st.booleans()), min_size=least, max_size=2, unique=True))
        lines.append(Line(draw(st.booleans()), tuple(plain), tuple(candidates), shared))
    return tuple(lines)


def architectures_of(lines: tuple[Line, ...]) -> set[frozenset[object]]:
    """All of them by definition, each as what is decided in the lines that its output reaches."""
    spots: list[range] = [range(4)]  # what the pick p takes
    for line in lines:
        spots += [range(2 if line.menu else 1), *(range(3 if menu else 2) for _, menu in line.candidates)]
    found: set[frozenset[object]] = set()
    for items in product(*spots):
        made = iter(items[1:])
        shared = [line for line in (0, 1) if items[0] >> line & 1]
        exists, reads, said = [True], [set[int]()], [frozenset[object]()]
        for line in lines:
            op, taken = next(made), [(index, next(made)) for index, _ in enumerate(line.candidates)]
            picked = {line.candidates[index][0] for index, item in taken if item}
            wrong = not all(exists[source] for source in (*picked, *(shared if line.shared else ())))
            some = [s for s in line.plain if exists[s]] + [*picked] + (shared if line.shared else [])
            exists.append(bool(some))
            reads.append(set(some))
            pairs = ("p", items[0]) if line.shared else ()
            said.append(frozenset([(len(said), op, tuple(taken), pairs, "wrong" if wrong else "")]))
        alive, pending = set[int](), [len(lines)]
        while pending:
            here = pending.pop()
            if here not in alive:
                alive.add(here)
                pending += reads[here]
        whole = frozenset[object]().union(*(said[line] for line in alive))
        if exists[-1] and not any("wrong" in str(fact) for fact in whole):
            found.add(whole)
    return found


@given(sparse())
@settings(max_examples=80, deadline=None)
def test_picks_that_may_take_nothing(lines: tuple[Line, ...]) -> None:
    """Under `prune`, against all architectures one by one."""
    names = [f"u{index} =" for index in range(1, len(lines))]
    body = [" u0 = x", *(f" {line.written(name)}" for name, line in zip((*names, "output"), lines, strict=True))]
    if any(line.shared for line in lines):
        body.insert(2, " p = pick any of (u0, u1)")
    text = f"{HEAD}network N(x: [4, 8, 8]) {{\n" + "\n".join(body) + "\n prune\n}\n"
    assert cardinality(written(text)) == len(architectures_of(lines))


def wide(nodes: int, op: str = "a") -> str:
    """A cell in which every line takes any of all lines before it, and the output any of all lines."""
    body = f"n[i < {nodes}] = {op}(sum(x, pick any of {op}(each (x, earlier n))))\n output sum(pick any of n)"
    return f"{HEAD}network N(x: [4, 8, 8]) {{\n {body}\n prune\n}}\n"


def test_many_candidates_are_counted() -> None:
    """The number of states grows with the lines, not with the candidates."""
    ops = ", ".join(f"conv(each (x, earlier n), {k})" for k in range(1, 41, 2))
    body = f"n[i < 3] = sum(pick any of ({ops}))\n output sum(pick any of n)\n prune"
    found = cardinality(written(f"{HEAD}network N(x: [4, 8, 8]) {{\n {body}\n}}\n"))
    first, both = 2**20 - 1, 2**40 - 1

    # n0 is always made of x; n1 and n2 of any lines before that exist.
    def kept(n1: int, n2: int) -> int:
        return n1 * n2

    assert found > kept(first, both)


def test_lines_open_at_once_are_refused() -> None:
    with pytest.raises(UncountableError, match="open at once"):
        architectures(written(wide(16)))


# ---------------------------------------------------------------- what must not explode


@pytest.mark.parametrize("depth", [3])
def test_deep_tree(depth: int) -> None:
    def trees(d: int) -> int:
        return 2 if d == 0 else 2 + trees(d - 1) ** 2 + trees(d - 1) ** 4

    assert cardinality(shipped("tree", depth=depth)) == trees(depth)


def test_many_optional_copies() -> None:
    """Twenty cells that may or may not exist, and one cell that all of them share."""
    lines = "\n".join(f" u{i} = (C@p{i} | D | a)({f'u{i - 1}' if i else 'x'})" for i in range(20))
    text = f"{HEAD}cell D(x) {{ output (a | b | relu)(x) }}\nnetwork N(x: [4, 8, 8]) {{\n{lines}\n output u19\n}}\n"
    assert cardinality(written(text)) == 3**20 + 3 * (4**20 - 3**20)
