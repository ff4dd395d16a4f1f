"""Bundles and families: elements by index, the elements before this one, the first or last of several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from compiler.ir.undecided import Var
from compiler.util.plural import plural
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import element_name

from .arithmetic import Arithmetic
from .body_elaboration import Family
from .errors import AlreadyReportedError, ElaborationError
from .frame import Evaluate, Frame, Site
from .mixtures import Mixtures
from .values import Bound, Bundle, Tensor, Unknown, Value, flatten, is_tensors, kind


def known(value: Bound) -> Value:
    """The value of a name.

    Raises:
        AlreadyReportedError: its line has an error.
    """
    if isinstance(value, Unknown):
        raise AlreadyReportedError
    return value


def family_value(family: Family) -> Value:
    """All elements; as many as the size says where that is a decision."""
    elements = family.values()
    if family.size is None:
        return Bundle(elements)
    sizes = family.size.numbers
    return Var((family.size.path,), (len(sizes),), tuple(Bundle(elements[:size]) for size in sizes))


def member(family: Family, index: tuple[int, ...], span: Span) -> Value:
    """An element of a family, which has to exist whatever is decided."""
    if index not in family.elements:
        have = f"{len(family.elements)} of them"
        if len(family.elements) <= MOST_LISTED:
            names = ", ".join(element_name(family.name, other) for other in family.elements)
            have = names if len(names) < 60 else have
        hint = f"the elements of '{family.name}' here: {have or 'none'}"
        raise ElaborationError(Code.RANGE, span, f"'{element_name(family.name, index)}' does not exist", hint)
    if family.size is not None and index[0] >= min(family.size.numbers):
        message = f"'{element_name(family.name, index)}' may not exist: '{family.size.path}' may end before it"
        raise ElaborationError(Code.RANGE, span, message)
    return known(family.elements[index])


MOST_LISTED = 20
"""How many elements a message names."""


@dataclass(frozen=True)
class Turn:
    """One call of those that `each` makes: its frame, and the elements of the bundles by position of the argument."""

    frame: Frame
    elements: dict[int, Value]


class Bundles:
    """Reads elements of bundles and families."""

    def __init__(self, arithmetic: Arithmetic, mixtures: Mixtures, evaluate: Evaluate) -> None:
        self.arithmetic = arithmetic
        self.mixtures = mixtures
        self.evaluate = evaluate

    # ------------------------------------------------------------ by index

    def index(self, expr: ast.Index, frame: Frame) -> Value:
        """``n[2]``, ``n[0 .. 2]`` of a family; ``B[0]`` of a bundle."""
        if isinstance(expr.base, ast.Name) and not frame.in_menu and expr.base.id in frame.body.families:
            return self._elements(frame.body.families[expr.base.id], expr, frame)
        base = self.evaluate(expr.base, frame)
        if isinstance(base, Tensor):
            base = Bundle((base,))  # one tensor is a bundle of one
        if isinstance(base, Bundle) and len(expr.indices) == 1 and not isinstance(expr.indices[0], ast.Range):
            at = self.arithmetic.whole(expr.indices[0], frame)
            if not -len(base.items) <= at < len(base.items):
                raise ElaborationError(Code.RANGE, expr.span, f"there is no element {at} of {len(base.items)}")
            return base.items[at]
        raise ElaborationError(Code.KIND, expr.span, f"{kind(base)} has no elements to index")

    def _elements(self, family: Family, expr: ast.Index, frame: Frame) -> Value:
        """An element of a family; with a range among the indices, all elements in it."""
        axes: list[range] = []
        for index in expr.indices:
            if isinstance(index, ast.Range):
                low, high = self.arithmetic.whole(index.low, frame), self.arithmetic.whole(index.high, frame)
                axes.append(range(low, high + 1))
            else:
                at = self.arithmetic.whole(index, frame)
                axes.append(range(at, at + 1))
        arity = len(next(iter(family.elements), axes))
        if len(axes) != arity:
            have = plural(arity, "index", "indices")
            raise ElaborationError(Code.RANGE, expr.span, f"'{family.name}' has {have}, not {len(axes)}")
        if not any(isinstance(index, ast.Range) for index in expr.indices):
            return member(family, tuple(axis.start for axis in axes), expr.span)
        return Bundle(family.within(axes))

    def where_names(self, base: ast.Expr, frame: Frame) -> dict[str, Value] | None:
        """The where-names of an element, if ``base`` names one."""
        if frame.in_menu:
            return None
        name: str | None = None
        if isinstance(base, ast.Name):
            name = base.id
        elif isinstance(base, ast.Index) and isinstance(base.base, ast.Name):
            found = [None if isinstance(i, ast.Range) else self.evaluate(i, frame) for i in base.indices]
            indices = tuple(index for index in found if isinstance(index, int))
            if len(indices) == len(found):
                name = element_name(base.base.id, indices)
        fields = frame.body.fields.get(name) if name else None
        return None if fields is None else dict(fields)

    # ------------------------------------------------------------ by order

    def earlier(self, expr: ast.Earlier, frame: Frame, last: int | None) -> Value:
        """The elements before this one, or those that hold the last so many values."""
        if frame.element is None or frame.element[0] != expr.family:
            message = f"`earlier {expr.family}` stands only in a line of '{expr.family}'"
            raise ElaborationError(Code.NOT_EARLIER, expr.span, message)
        family = frame.body.families.get(expr.family)
        if family is None:
            return Bundle(())
        return Bundle(family.values() if last is None else family.last(last))

    def take(self, expr: ast.Take, site: Site) -> Value:
        """``last k of B``, ``first of B``."""
        frame = site.frame
        count = None if expr.count is None else self.arithmetic.whole(expr.count, frame)
        most = (1 if count is None else count) if expr.end is ast.End.LAST else None
        bundle = self.evaluate(expr.bundle, frame, last=most)
        parts: tuple[Value, ...] = (bundle,)
        if isinstance(bundle, Bundle) and any(isinstance(item, Var) and is_tensors(item) for item in bundle.items):
            parts = bundle.items  # families whose ends are searched stand among them

        def cut(values: Sequence[Value]) -> Value:
            items = [item for value in values for item in flatten(value)]
            if count is not None:
                kept = items[-count:] if expr.end is ast.End.LAST else items[:count]
                return Bundle(tuple(kept if count else ()))
            if not items:
                hint = None
                if any(isinstance(part, Var) for part in parts):
                    hint = "the family may end before its first: name what then takes its place, `last of (x, b)`"
                raise ElaborationError(Code.FEW, expr.span, "there is no element to take", hint)
            return items[-1 if expr.end is ast.End.LAST else 0]

        return self.mixtures.expand(parts, cut, site, expr.end.value)

    def previous(self, expr: ast.Call, frame: Frame) -> Value:
        """``prev(s1 ... sk)``: the last k of the seeds and the earlier elements of this family."""
        seeds = [part for arg in expr.args for part in flatten(self.evaluate(arg.value, frame))]
        earlier: list[Value] = []
        if frame.element is not None and frame.element[0] in frame.body.families:
            earlier = list(frame.body.families[frame.element[0]].last(len(seeds)))
        kept = [*seeds, *earlier][-len(seeds) :] if seeds else []
        if not kept:
            raise ElaborationError(Code.FEW, expr.span, "`prev` needs what comes before the first element")
        return kept[0] if len(kept) == 1 else Bundle(tuple(kept))

    def turns(self, expr: ast.Call, frame: Frame) -> list[Turn]:
        """One turn per element of the bundles under `each`, in step."""
        bundles: dict[int, list[Value]] = {}
        for position, arg in enumerate(expr.args):
            if isinstance(arg.value, ast.Each):
                bundles[position] = flatten(self.evaluate(arg.value.bundle, frame))
        lengths = {len(bundle) for bundle in bundles.values()}
        if len(lengths) > 1:
            have = " and ".join(map(str, sorted(lengths)))
            raise ElaborationError(Code.RANGE, expr.span, f"bundles of different lengths under `each`: {have}")
        result: list[Turn] = []
        for number in range(lengths.pop()):
            inner = frame.turn(number)
            elements = {position: bundle[number] for position, bundle in bundles.items()}
            for position, element in elements.items():
                inner.position.reading.record_value(expr.args[position].value, inner.turns, element)
            result.append(Turn(inner, elements))
        return result
