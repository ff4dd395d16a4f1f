"""Pictures of spaces: the text of each cell, stage and network as spots and arrows. Plain data.

A spot is an input, a line or the output; what is done on the way from one line to another stands on the arrow. A sum
is the spot itself, and a menu is one arrow, however many operations it mixes.
"""

from __future__ import annotations

from dataclasses import replace

from compiler.elaborate import Elaborated

from .difference import difference
from .drawing import Drawing
from .instances import Survey
from .model import Arrow, Mark, Picture, Role, Spot

__all__ = ["Arrow", "Mark", "Picture", "Role", "Spot", "difference", "pictures"]


def pictures(space: Elaborated) -> list[Picture]:
    """The network, then each cell and stage in order of first use; copies that look the same are one picture."""
    survey = Survey()
    survey.visit(space.block)
    groups: dict[object, list[str]] = {}
    drawn: dict[str, Picture] = {}
    for path, block in survey.blocks.items():
        drawn[path] = Drawing(block, space, survey.recurrence(block)).picture()
        alike = id(space.copies[path].definition), drawn[path].spots, drawn[path].arrows
        groups.setdefault(alike, []).append(path)
    return [
        replace(drawn[copies[0]], copies=tuple(copies), instances=sum(survey.instances[path] for path in copies))
        for copies in groups.values()
    ]
