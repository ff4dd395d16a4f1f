"""The structures that Python writes and C++ reads, and the check that both mean the same bytes.

A library states the size and the offset of every field as its compiler placed it (layout.h). They are compared when it
is loaded: a field that one side has and the other has not, or has elsewhere, would silently be read as something else.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from ctypes import c_double, c_int64, c_void_p

from compiler.util.errors import RunError

from .filters import Filter


class Geometry(ctypes.Structure):
    """The sizes of a filter's input and output, in pixels and channels; a pitch is numbers from pixel to pixel."""

    _fields_ = (
        ("images", c_int64),
        ("height", c_int64),
        ("width", c_int64),
        ("channels", c_int64),
        ("kind", c_int64),
        ("side", c_int64),
        ("stride", c_int64),
        ("dilation", c_int64),
        ("padding", c_int64),
        ("out_height", c_int64),
        ("out_width", c_int64),
        ("input_pitch", c_int64),
        ("output_pitch", c_int64),
    )

    @classmethod
    def of(cls, shape: Sequence[int], geometry: Filter, input_pitch: int, output_pitch: int) -> Geometry:
        """The sizes for an input (n, h, w, c) and what a filter makes of it."""
        n, h, w, c = shape
        g = geometry
        window = g.kind, g.k, g.stride, g.dilation, g.pad
        return cls(n, h, w, c, *window, g.size(h), g.size(w), input_pitch, output_pitch)


class Term(ctypes.Structure):
    """A term ``share * norm(matrix * filter * relu(before(x)))``: its sizes, and where among all tensors its own are.

    ``source``, ``weight`` and ``parameters`` (gamma and beta of the norm before, filter, matrix, gamma and beta of the
    norm) are places among the tensors of a call, ``moments_before`` and ``moments`` places in the moments of all norms;
    -1 is what is not there. The term has ``out_channels``, added to the sum from ``first_column`` on.
    """

    _fields_ = (
        ("geometry", Geometry),
        ("out_channels", c_int64),
        ("relu", c_int64),
        ("source", c_int64),
        ("weight", c_int64),
        ("parameters", c_int64 * 6),
        ("first_column", c_int64),
        ("moments_before", c_int64),
        ("moments", c_int64),
        ("eps_before", c_double),
        ("eps", c_double),
    )


class PlainTerms(ctypes.Structure):
    """Terms that are their sources, each times a scalar; ``rows`` are pixels, ``columns`` channels.

    The last three are addresses of arrays with a number or address for each term.
    """

    _fields_ = (
        ("count", c_int64),
        ("rows", c_int64),
        ("columns", c_int64),
        ("sum_pitch", c_int64),
        ("is_first", c_int64),
        ("threads", c_int64),
        ("pitches", c_void_p),
        ("sources", c_void_p),
        ("weights", c_void_p),
    )


STRUCTURES: tuple[type[ctypes.Structure], ...] = (Geometry, Term, PlainTerms)


class KernelLayoutError(RunError):
    """A kernel library and Python disagree on the bytes of a structure."""


def layouts() -> dict[str, str]:
    """The size of each structure, and the offset and size of each of its fields, in bytes, by name."""
    found = {}
    for structure in STRUCTURES:
        found[structure.__name__] = str(ctypes.sizeof(structure))
        for name, *_ in structure._fields_:
            field = getattr(structure, name)
            found[f"{structure.__name__}.{name}"] = f"{field.offset} {field.size}"
    return found


def check_layouts(text: str) -> None:
    """Compare what a library states with the structures here.

    Args:
        text: lines ``NAME SIZE`` of structures and ``NAME.FIELD OFFSET SIZE`` of fields.

    Raises:
        KernelLayoutError: they differ; the message names each field that does.
    """
    ours, theirs = layouts(), dict(line.split(" ", 1) for line in text.splitlines())
    wrong = [
        f"{name} is at {ours.get(name, 'no place')} in Python, at {theirs.get(name, 'no place')} in C++"
        for name in {**ours, **theirs}
        if ours.get(name) != theirs.get(name)
    ]
    if wrong:
        raise KernelLayoutError(f"layout.py and the C++ kernel do not fit together: {'; '.join(wrong)}")
