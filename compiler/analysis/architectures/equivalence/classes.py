"""How many architectures there are up to an equivalence, exactly.

Copies with choices are compared one by one: the number of a network is that of its own text, in which each copy stands
for as many labels as it has architectures of its own. So tied cells are compared once, and independent ones multiply.
In a text, a decision that changes nothing but the label of one vertex is not made either: the graphs are enumerated
without it, and Burnside's lemma counts their labellings up to symmetry. That leaves 180 graphs of a DARTS cell.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

from compiler.analysis.counting.count import counted
from compiler.elaborate import Copy, Elaborated
from compiler.ir.combinatorics.circuit import Circuit, narrowed, way
from compiler.ir.decision import Selection
from compiler.ir.graph import Block, Call
from compiler.ir.undecided import is_plain
from compiler.program.equivalence import Compare, Equivalence
from compiler.util.errors import UsageError

from .canonical import Canonical, Form, TooSymmetricError, Vertex, canonical
from .expression_text import written
from .free_decisions import FreeDecision, free_decisions
from .operations import Operations, decisions_in
from .reading import Reader
from .terms import Label, Term, Variable

MOST = 20_000
"""How many graphs of one text are compared unless more are asked for: a few seconds."""


class UncountableClassesError(UsageError):
    """The number up to an equivalence is not known; says why."""


def unique(space: Elaborated, same: Equivalence, graphs: int = MOST) -> int:
    """The number of architectures of a space up to an equivalence, of texts with at most so many graphs.

    Raises:
        UncountableClassesError: the choices of a text are not its own alone, or too many.
    """
    return _Unique(space, same, graphs).number()


class EquivalenceKeys:
    """Computes the keys by which architectures of a space are equivalent, one at a time."""

    def __init__(self, space: Elaborated, same: Equivalence) -> None:
        # Copies are met innermost first.
        self.copies = [copy for copy in space.copies.values() if copy.live and not copy.body.root] + [space.root]
        variables = {copy.path: Variable(copy.path, frozenset()) for copy in self.copies}
        self.reader = Reader(Operations(space, variables), same)
        self.labels = Numbers()

    def key(self, chosen: Selection) -> object:
        """A key that equivalent architectures share, and no others; instances are labelled by the form of their cell.

        Raises:
            UncountableClassesError: a graph has too many symmetries.
        """
        form: object = None
        forms: dict[str, Variable] = {}
        for copy in self.copies:
            if copy.body.root or any(name in chosen for name in copy.body.decisions):
                form = self._form(self.reader.terms(copy, chosen, copies=forms))
                forms[copy.path] = Variable(copy.path, frozenset([(id(copy.definition), id(copy.instance), form)]))
        return form

    def _form(self, terms: list[Term]) -> object:
        if self.reader.same.compare is Compare.TEXTS:
            return written(terms)
        try:
            # A vertex without variables, since each copy is a label by now.
            return canonical([replace(self.labels.vertex(term), variables=()) for term in terms]).form
        except TooSymmetricError:
            raise UncountableClassesError("a graph has too many symmetries") from None


@dataclass(eq=False)
class _Unique:
    space: Elaborated
    same: Equivalence
    most: int
    """How many graphs of one text are compared."""
    found: dict[str, int] = field(default_factory=dict)
    """How many there are of each copy."""

    def number(self) -> int:
        live = [copy for copy in self.space.copies.values() if copy.live and not copy.body.root]
        inside = {copy.path: self.inside(copy) for copy in (*live, self.space.root)}
        owners: dict[str, list[str]] = {}
        for path, copies in inside.items():
            for inner in copies:
                owners.setdefault(inner, []).append(path)
        for inner, paths in owners.items():
            if len(paths) > 1:
                raise self.unclear(f"'{inner}' belongs to {' and '.join(map(repr, sorted(paths)))}")
        # Copies are met innermost first: an inner one is complete before the text around it.
        for copy in (*live, self.space.root):
            self.found[copy.path] = _Text(self, copy, frozenset(inside[copy.path])).number()
        return self.found[self.space.root.path]

    def inside(self, copy: Copy) -> set[str]:
        """The copies with choices in a text, not those inside of these."""
        found: set[str] = set()

        def visit(block: Block) -> None:
            for _, node in block.graph.order():
                if isinstance(node.payload, Call):
                    inner = node.payload.block
                    if inner.copy is not None and self.space.copies[inner.copy].live:
                        found.add(inner.copy)
                    else:
                        visit(inner)

        visit(copy.block)
        return found

    def variable(self, path: str) -> Variable:
        """The label that a copy may be any of: equal for copies of one definition."""
        copy = self.space.copies[path]
        numbers = tuple((name, str(value)) for name, value in copy.block.params.items() if is_plain(value))
        return Variable(path, frozenset([(id(copy.definition), id(copy.instance), numbers, self.found[path])]))

    def unclear(self, reason: str) -> UncountableClassesError:
        return UncountableClassesError(
            f"the architectures of '{self.space.name}' are not counted up to `{self.same.name}`: {reason}"
        )


class _Text:
    """One text with choices of its own."""

    def __init__(self, whole: _Unique, copy: Copy, inside: frozenset[str]) -> None:
        self.whole = whole
        self.copy = copy
        self.operations = Operations(whole.space, {path: whole.variable(path) for path in inside})
        self.reader = Reader(self.operations, whole.same)
        self.labels = Numbers()
        foreign = self._decisions() - set(copy.body.decisions)
        if foreign:
            raise whole.unclear(f"'{copy.path}' depends on '{min(foreign)}', which is decided elsewhere")
        for path in inside:
            handed = set(copy.body.decisions) & decisions_in(whole.space.copies[path].block.graph)
            if handed:
                raise whole.unclear(f"'{path}' depends on '{min(handed)}', which is decided in '{copy.path}'")

    def _decisions(self) -> set[str]:
        """The decisions that this text reads, not those that its copies do."""
        return decisions_in(self.copy.block.graph, closed=self.operations.is_copy)

    def number(self) -> int:
        """How many there are of it."""
        texts = self.whole.same.compare is Compare.TEXTS and bool(self.copy.body.decisions)
        if texts and self.operations.copies:
            raise self.whole.unclear(f"'{self.copy.path}' has cells with choices of their own, which have no one text")
        circuit = self.own()
        if texts:
            return len({written(terms) for terms in self.every(circuit, {})})
        free = free_decisions(self.whole.space, self.copy, self.operations, self.whole.same)
        narrow = narrowed(circuit, lambda path, items: path not in free or not {*items} & {*free[path].rest})
        try:
            found = self.classes(narrow, free)
        except TooSymmetricError:
            raise self.whole.unclear(f"a graph of '{self.copy.path}' has too many symmetries") from None
        if found is None:
            found = self.classes(circuit, {})
        assert found is not None
        return found

    def own(self) -> Circuit:
        """The ways to decide in this text, whatever its copies decide."""
        circuit, _ = counted(self.whole.space, only=self.copy.path)
        return circuit

    def every(self, circuit: Circuit, free: Mapping[str, FreeDecision]) -> Iterator[list[Term]]:
        """The terms of each way."""
        most = self.whole.most
        if circuit.number > most:
            message = (
                f"'{self.copy.path}' has {circuit.number:,} graphs, and {most:,} are compared unless --graphs says more"
            )
            raise self.whole.unclear(message)
        for rank in range(circuit.number):
            chosen: Selection = way(circuit, rank)
            labels = {path: item.variable for path, item in free.items() if chosen.get(path) == (item.first,)}
            yield self.reader.terms(self.copy, chosen, labels)

    def classes(self, circuit: Circuit, free: Mapping[str, FreeDecision]) -> int | None:
        """The classes of all labelled graphs; None where free labels could make two graphs equivalent."""
        forms: dict[Form, int] = {}
        untied: dict[Form, Form] = {}
        kinds: dict[int, Term] = {}
        for terms in self.every(circuit, free):
            vertices = [self.labels.vertex(term) for term in terms]
            found = canonical(vertices)
            for vertex, term in zip(vertices, terms, strict=True):
                kinds.setdefault(vertex.label, term)
            if found.form not in forms:
                if untied.setdefault(self.untied(vertices, found), found.form) != found.form:
                    raise self.whole.unclear(f"copies in '{self.copy.path}' are tied in some of its graphs only")
                sizes = {v.name: self.size(v) for term in terms for v in term.variables}
                forms[found.form] = found.labellings(sizes)
        full: dict[Label, int] = {}
        for number, term in kinds.items() if free else ():
            for label in _full(term.label):
                if full.setdefault(label, number) != number:
                    return None
        return sum(forms.values())

    def untied(self, vertices: list[Vertex], found: Canonical) -> Form:
        """The form of a graph whose copies are all independent of each other: one that ties them may look the same.

        Raises:
            UncountableClassesError: the graph has symmetries that would tie other copies.
        """
        names = [name for vertex in vertices for name in vertex.variables]
        if len(set(names)) == len(names):
            return found.form
        owner: dict[str, str] = {}
        loose: list[Vertex] = []
        for vertex in vertices:
            mine = tuple(f"{name} {len(owner) + place}" for place, name in enumerate(vertex.variables))
            owner |= dict(zip(mine, vertex.variables, strict=True))
            loose.append(replace(vertex, variables=mine))
        apart = canonical(loose)
        for symmetry in apart.symmetries:
            moves = {(owner[name], owner[image]) for name, image in symmetry.items()}
            if len(moves) > len(set(names)):
                raise self.whole.unclear(f"a graph of '{self.copy.path}' has symmetries that tie other copies")
        return apart.form

    def size(self, variable: Variable) -> int:
        return self.whole.found.get(variable.name, len(variable.domain))


@dataclass(eq=False)
class Numbers:
    """Labels as numbers: equal for labels that only the names of variables tell apart."""

    skeletons: dict[Label, int] = field(default_factory=dict)
    told: dict[Label, tuple[int, bool, tuple[str, ...]]] = field(default_factory=dict)
    """The number, the symmetry and the variables of each label so far."""

    def vertex(self, term: Term) -> Vertex:
        """A term for the canonical form."""
        found = self.told.get(term.label)
        if found is None:
            number = self.skeletons.setdefault(_skeleton(term.label), len(self.skeletons))
            found = number, term.symmetric, tuple(variable.name for variable in term.variables)
            self.told[term.label] = found
        number, symmetric, names = found
        return Vertex(number, term.sources, symmetric, names)


def _skeleton(label: Label) -> Label:
    """A label with the domain in the place of each variable."""
    return tuple(part.domain if isinstance(part, Variable) else part for part in label)


def _full(label: Label) -> Iterator[Label]:
    """All labels that the variables of a label allow, each with its parameters in the order of their names."""
    if len(label) == 1 and isinstance(label[0], Variable):
        labels: Iterable[Label] = (item for item in label[0].domain if isinstance(item, tuple))
    else:
        labels = product(*(sorted(p.domain, key=str) if isinstance(p, Variable) else (p,) for p in label))
    for what, *parts in labels:
        # A variable stands for all parameters that depend on its decision.
        flat: list[object] = []
        for part in parts:
            flat += part if isinstance(part, tuple) and part and isinstance(part[0], tuple) else (part,)
        yield (what, *sorted(flat, key=str))
