"""Sums of terms as plain data for the algebra: which source, module and weight each term takes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from typing import TypeAlias

from compiler.ir.decision import Decision
from compiler.ir.payloads import Weigh
from compiler.ir.primitives.roles import Corner, Pointwise, Reduction, Window
from compiler.ir.sums import Columns, Part, Share, Sum, Term

from .kernel import Filter, Kind


@dataclass(frozen=True)
class TermPlan:
    """One term: ``weight * norm(projection(filter(relu(before(source)))))``; a part that is None is left out.

    ``source`` is an index into the distinct sources; ``before``, ``filter``, ``projection`` and ``norm`` are indices
    into the modules that hold the parameters, ``weight`` into the mixing weights. The running statistics of ``tied``
    norms follow those of ``norm``. ``geometry`` is that of the filter, or of the pixels that the projection reads.
    ``columns`` are the channels of the sum that the term is added to, None for all.
    """

    source: int
    weight: int | None = None
    before: int | None = None
    relu: bool = False
    filter: int | None = None
    geometry: Filter | None = None
    projection: int | None = None
    norm: int | None = None
    tied: tuple[int, ...] = ()
    columns: Columns | None = None

    @cached_property
    def is_plain(self) -> bool:
        """Whether the term is its source, weighted."""
        return not self.relu and self.filter is self.projection is self.norm is None

    @property
    def first(self) -> int:
        """The first channel of the sum that the term is added to."""
        return 0 if self.columns is None else self.columns.first

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Indices into the parameters, of which each module has two, a weight and a bias; -1 for a missing module.

        In order: gamma and beta of the norm before, filter, matrix, gamma and beta of the norm.
        """
        before, norm = (-1 if at is None else 2 * at for at in (self.before, self.norm))
        taps, matrix = (-1 if at is None else 2 * at for at in (self.filter, self.projection))
        return before, before if before < 0 else before + 1, taps, matrix, norm, norm if norm < 0 else norm + 1


@dataclass(frozen=True, eq=False)
class SumPlan:
    """A sum of terms; with ``keep``, what the filters give is kept for the backward pass, else computed again.

    Without it the sum itself is computed again, too, where it `is_convolution` of few channels that another sum reads.
    With ``keep_sum`` the sum is kept, too, where that saves computing what is normed: where its readers hold it anyway.
    Each is equal to itself only, so that what is made of one is found fast.
    """

    terms: tuple[TermPlan, ...]
    keep: bool = True
    keep_sum: bool = False

    @cached_property
    def plain(self) -> tuple[TermPlan, ...]:
        """The terms that are a source, weighted."""
        return tuple(term for term in self.terms if term.is_plain)

    @cached_property
    def is_convolution(self) -> bool:
        """Whether the sum is one separable convolution, which is computed again like what filters give."""
        if len(self.terms) != 1 or self.keep or self.keep_sum:
            return False
        (term,) = self.terms
        is_bare = term.before is None and term.weight is None and term.columns is None
        return is_bare and term.filter is not None and term.projection is not None

    @cached_property
    def has_norm(self) -> bool:
        """Whether some term ends in a norm."""
        return any(term.norm is not None for term in self.terms)


KINDS = {
    Reduction.WEIGHTS: Kind.CONVOLUTION,
    Reduction.MAX: Kind.MAX_POOL,
    Reduction.MEAN: Kind.AVG_POOL,
    Reduction.MEAN_COUNTING_PADDING: Kind.AVG_POOL_COUNTING_PAD,
}


def geometry_of(part: Part | None, projection: Part | None) -> Filter | None:
    """The geometry of a depthwise convolution, a pool or a crop, and of the strides of the projection behind it."""
    behind = None if projection is None else projection.op.role
    stride = behind.stride if isinstance(behind, Pointwise) else 1
    if part is None:
        return None if stride == 1 else Filter(1, stride)
    match part.op.role:
        case Corner(top=top):
            return Filter(1, stride, 1, -top)
        case Window() as window:
            return Filter(window.k, window.stride, window.dilation, window.pad, KINDS[window.reduction])
    raise ValueError(f"'{part.name}' is not a filter")


def plan_of(total: Sum, sources: Sequence[int], distinct: Sequence[int], before: Sequence[Term] = ()) -> SumPlan:
    """The plan of a sum.

    Args:
        total: the sum.
        sources: what each of its terms reads.
        distinct: the same without repetition; a plan counts these.
        before: the terms of earlier sums of the same call: modules and weights are counted on from theirs.
    """
    modules = count(sum(len(term.parts) for term in before))
    weights = count(sum(bool(term.weight) for term in before))
    terms = []
    for term, source in zip(total.terms, sources, strict=True):
        chain = (term.before, term.filter, term.projection, term.norm)
        place_before, filter_, projection, norm = (None if part is None else next(modules) for part in chain)
        terms.append(
            TermPlan(
                source=distinct.index(source),
                weight=next(weights) if term.weight else None,
                before=place_before,
                relu=term.relu,
                filter=filter_,
                geometry=geometry_of(term.filter, term.projection),
                projection=projection,
                norm=norm,
                tied=tuple(next(modules) for _ in term.tied),
                columns=term.columns,
            )
        )
    return SumPlan(tuple(terms), total.keep)


WeightPlan: TypeAlias = "tuple[tuple[tuple[int, ...], ...], ...]"
"""For each term with a weight its factors: positions, in the concatenation of all vectors, that are added up."""


def weight_plan(
    terms: Sequence[Term], vectors: Sequence[tuple[str, ...]], decisions: Mapping[str, Decision]
) -> WeightPlan:
    """Where the weights of the terms stand in the joint weights of these groups of decisions, one after the other."""
    starts, start = {}, 0
    for group in vectors:
        starts[group] = start
        start += math.prod(len(decisions[path].items) for path in group)

    def positions(factor: Share | Weigh) -> tuple[int, ...]:
        if isinstance(factor, Weigh):
            return (starts[factor.decision,] + factor.index,)
        sizes = [len(decisions[path].items) for path in factor.decisions]
        return tuple(starts[factor.decisions] + place_of(joint, sizes) for joint in factor.row)

    return tuple(tuple(positions(factor) for factor in term.weight) for term in terms if term.weight)


def place_of(assignment: Sequence[int], sizes: Sequence[int]) -> int:
    """The position of a joint assignment in lexicographic order."""
    at = 0
    for item, size in zip(assignment, sizes, strict=True):
        at = at * size + item
    return at
