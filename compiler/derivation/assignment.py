"""Values under decisions that are made: what depends on them becomes plain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from compiler.elaborate.values import Bundle, Compose, Partial, Value
from compiler.ir.decision import Selection
from compiler.ir.existence import Monomial
from compiler.ir.primitives.parameters import Attribute
from compiler.ir.shape import Extent, Shape
from compiler.ir.undecided import Var, settle


@dataclass(frozen=True)
class Assignment:
    """One item of each of some decisions."""

    decisions: tuple[str, ...] = ()
    items: tuple[int, ...] = ()

    @classmethod
    def of(cls, chosen: Selection) -> Self:
        """The decisions of a selection that take one item: values depend on no others."""
        single = {path: items[0] for path, items in chosen.items() if len(items) == 1}
        return cls(tuple(single), tuple(single.values()))

    @property
    def monomial(self) -> Monomial:
        """The items that are taken."""
        return frozenset(zip(self.decisions, self.items, strict=True))

    def value(self, value: Value) -> Value:
        """A value, what is inside of it included."""
        match value:
            case Var():
                return self.value(settle(value, self.decisions, self.items))
            case Partial(function=function, positional=positional, named=named):
                return Partial(
                    self.value(function),
                    tuple(map(self.value, positional)),
                    tuple((name, self.value(item)) for name, item in named),
                )
            case Compose(stages=stages):
                return Compose(tuple(map(self.value, stages)))
            case Bundle(items=items):
                return Bundle(tuple(map(self.value, items)))
        return value

    def attribute(self, value: Attribute) -> Attribute:
        """A parameter of a primitive."""
        return settle(value, self.decisions, self.items)

    def extent(self, extent: Extent) -> Extent:
        """An extent of a shape."""
        return settle(extent, self.decisions, self.items)

    def shape(self, shape: Shape) -> Shape:
        """A shape; the same where nothing in it is undecided."""
        return Shape(tuple(map(self.extent, shape.dims))) if _is_undecided(shape.dims) else shape


def undecided(value: Value) -> Iterator[Var[Value]]:
    """The undecided values inside a value."""
    match value:
        case Var(values=values):
            yield value
            for item in values:
                yield from undecided(item)
        case Partial(function=function, positional=positional, named=named):
            for item in (function, *positional, *(item for _, item in named)):
                yield from undecided(item)
        case Compose(stages=items) | Bundle(items=items):
            for item in items:
                yield from undecided(item)


def _is_undecided(values: Iterable[object]) -> bool:
    return any(isinstance(value, Var) for value in values)
