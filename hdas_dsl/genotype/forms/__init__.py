"""The forms in which the field writes genotypes, each read by a module of its own.

A form is a name, what it looks like, and a reader from literal values (`literals`) to a part of a genotype (`model`).
To add one, write a module with a `Form` and add it to `FORMS`.
"""

from __future__ import annotations

from hdas_dsl.genotype.literals import Literal

from . import constructors, lattice, matrix, pairs, widths
from .base import Form

FORMS: tuple[Form, ...] = (
    constructors.CELLS,
    constructors.STAGES,
    lattice.STRING,
    lattice.STRUCTURE,
    matrix.FORM,
    pairs.FORM,
    widths.FORM,
)
"""All forms, in the order in which they are tried."""


def form_of(value: Literal) -> Form | None:
    """The form of a value; None where it is not a genotype."""
    return next((form for form in FORMS if form.looks(value)), None)
