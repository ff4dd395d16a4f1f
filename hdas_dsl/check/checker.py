"""The check of one file without elaborating it: names, duplicates, signatures, calls, sections.

Every definition is checked, those that no network uses included. Nothing is an error that could be right in some
network.
"""

from __future__ import annotations

from hdas_dsl.text.diagnostics import Diagnostic
from hdas_dsl.text.limits import LimitError
from hdas_dsl.units import Unit

from .bodies import Bodies
from .definitions import Definitions
from .expressions import Expressions
from .names import Names
from .quantities import Quantities
from .report import Report
from .sections import Sections
from .uses import Uses


def check(unit: Unit) -> list[Diagnostic]:
    """The errors of one file in source order, `MAX_ERRORS` at most; those of files that it uses are not among them."""
    report = Report()
    names = Names(unit, report)
    expressions = Expressions(names, report)
    quantities = Quantities(expressions, names, report)
    bodies = Bodies(expressions, quantities, report)
    last: list[Diagnostic] = []
    try:
        Uses(expressions, names, report).check()
        Definitions(bodies, expressions, names, report).check()
        Sections(expressions, quantities, names, report).check()
    except LimitError as limit:
        last = [limit.diagnostic]
    return [*sorted(report.diagnostics, key=lambda diagnostic: diagnostic.span.start), *last]
