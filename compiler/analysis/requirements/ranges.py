"""Between which values the quantities of a space lie."""

from __future__ import annotations

from collections.abc import Container, Iterator
from contextlib import suppress

from compiler.analysis.costs.elimination import Range, Variables, range_of
from compiler.analysis.costs.existence import ExistenceTooComplexError
from compiler.analysis.costs.prices import UndefinedQuantityError
from compiler.elaborate import Elaborated

from .evaluate import Requirements, reported_quantities


def ranges_of(space: Elaborated, names: Container[str] | None = None) -> Iterator[tuple[str, Range]]:
    """The smallest and the largest value of each quantity of a space over all its architectures, where known.

    ``names`` are those of the quantities that are asked for; without it, all. None is known of what a grammar derives.
    """
    if space.grammars:
        return
    wanted = Requirements(space)
    variables = Variables(space.decisions)
    for item in reported_quantities(space):
        if names is not None and str(item) not in names:
            continue
        with suppress(UndefinedQuantityError, ExistenceTooComplexError):
            yield str(item), range_of(wanted.formula(item), variables)
