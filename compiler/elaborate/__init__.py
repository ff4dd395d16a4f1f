"""Elaboration: a program of the language becomes a space graph, with its decisions and how many there are."""

from .body import elaborate
from .space import Elaborated, Origin, Requirement
from .state import Copy, Decided, Frame, Option, Text

__all__ = ["Copy", "Decided", "Elaborated", "Frame", "Option", "Origin", "Requirement", "Text", "elaborate"]
