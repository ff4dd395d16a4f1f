"""Undecided values: what depends on decisions is built once per joint assignment, and tensors among it are mixed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from compiler.ir.combinatorics.count_formula import Product
from compiler.ir.payloads import Mix
from compiler.ir.shape import Extent, Shape
from compiler.ir.undecided import Open, Var, assignments, lift, settle, spread
from hdas_dsl.text.source import Span

from .frame import Site
from .session import Session
from .values import Tensor, Value


class Mixtures:
    """Builds values for every joint assignment of decisions, and `Mix` nodes of the tensors among them."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def expand(
        self, values: Sequence[Value], build: Callable[[Sequence[Value]], Value], site: Site, slot: str = ""
    ) -> Value:
        """Build something once per joint assignment of the undecided values.

        Args:
            values: some of which may be undecided.
            build: makes a value of them, settled.
            site: where it stands; ``slot`` names the node of a mixture that has no other name.

        Returns:
            What was built: tensors mixed, else an undecided value; as it is where nothing is undecided.

        Raises:
            TooManyCasesError: there are more than `MOST` joint assignments.
        """
        decisions, sizes = spread(values)
        if not decisions:
            return build(values)
        cases: dict[tuple[int, ...], Product] = {}
        results: list[Value] = []
        for assignment in assignments(sizes):
            with self.session.formula.part() as factors:
                results.append(build([settle(value, decisions, assignment) for value in values]))
            cases[assignment] = tuple(factors)
        self.session.formula.add_cases(decisions, cases)
        tensors = [result for result in results if isinstance(result, Tensor)]
        if len(tensors) == len(results):
            return self.weighted_sum(decisions, dict(zip(cases, tensors, strict=True)), site.at(site.name(slot)))
        return Var(decisions, sizes, tuple(results))

    def weighted_sum(self, decisions: tuple[str, ...], cases: Mapping[tuple[int, ...], Tensor], site: Site) -> Tensor:
        """The weighted sum of one tensor per assignment, in their order; equal tensors stand in it once."""
        rows: dict[Tensor, list[tuple[int, ...]]] = {}
        for assignment, tensor in cases.items():
            rows.setdefault(tensor, []).append(assignment)
        tensors = tuple(rows)
        if len(tensors) == 1:
            return tensors[0]
        sizes = tuple(1 + max(items) for items in zip(*cases, strict=True))
        shape = self.shape_of_one(decisions, sizes, tuple(cases.values()), site.span)
        payload = Mix(decisions, tuple(tuple(rows[tensor]) for tensor in tensors))
        return site.frame.body.add(site.name("mix"), payload, shape, tensors, site.span)

    def shape_of_one(
        self, decisions: tuple[str, ...], sizes: tuple[int, ...], tensors: Sequence[Tensor], span: Span
    ) -> Shape:
        """The shape of one of several tensors, one for each assignment: where they differ, it is undecided."""
        shapes = [tensor.shape for tensor in tensors]
        first, other = shapes[0], next((shape for shape in shapes if shape != shapes[0]), None)
        if other is None:
            return first
        path = " and ".join(decisions)
        here, there = ("x".join(map(str, shape.largest)) for shape in (first, other))
        here, there = (here, there) if here != there else (str(first), str(other))
        self.session.refuse(span, f"cannot be mixed: {here} here, {there} there ({path})")
        if any(len(shape.dims) != len(first.dims) for shape in shapes):
            return first
        which = Var(decisions, sizes, tuple(range(len(shapes))))
        return Shape(tuple(_extent_of_one(which, dims) for dims in zip(*(s.dims for s in shapes), strict=True)))


def _extent_of_one(which: Var[int], dims: tuple[Extent, ...]) -> Extent:
    """One of several extents; an open one follows from its readers, whichever it is."""
    if any(isinstance(dim, Open) for dim in dims):
        return dims[0]

    def chosen(index: int, *each: int) -> int:
        return each[index]

    return lift(chosen, which, *dims)
