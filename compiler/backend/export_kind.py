"""Kinds of exports, apart from the exporter, which needs torch: a command refuses a kind without it."""

from __future__ import annotations

import importlib.util
from enum import Enum

from compiler.util.errors import UsageError

WEIGHTS_OF_PY = ".pt"
"""The suffix of the weights beside a Python file."""

MOST_TRACED = 10_000
"""How many operations torch is asked to trace, at some ten milliseconds each; published networks have a thousand."""


class ExportError(UsageError):
    """The network was not exported; the message says why, and what to do, in a sentence."""


class ExportKind(Enum):
    """The kind of an export: a file of ONNX, an ExportedProgram of torch, a Python file that needs only torch."""

    ONNX = "onnx"
    TORCH = "torch"
    PY = "py"

    @property
    def suffix(self) -> str:
        """The usual end of a file's name."""
        match self:
            case ExportKind.ONNX:
                return ".onnx"
            case ExportKind.TORCH:
                return ".pt2"
            case ExportKind.PY:
                return ".py"

    @property
    def tolerance(self) -> float:
        """The largest difference of an output, as a share of the largest output; a ``py`` file runs in float64."""
        match self:
            case ExportKind.ONNX | ExportKind.TORCH:
                return 1e-3
            case ExportKind.PY:
                return 1e-9

    def check_installed(self) -> None:
        """Check that the packages are installed that this kind needs.

        Raises:
            ExportError: one is missing.
        """
        needed = ("onnx", "onnxscript", "onnxruntime") if self is ExportKind.ONNX else ()
        missing = [name for name in needed if importlib.util.find_spec(name) is None]
        if missing:
            raise ExportError(f"an export to ONNX needs {' and '.join(missing)}: run `pip install 'hdas-dsl[onnx]'`")

    def check_size(self, operations: int) -> None:
        """Check that a network of so many operations is written in this form.

        Raises:
            ExportError: it is too large to be traced.
        """
        if self is not ExportKind.PY and operations > MOST_TRACED:
            message = f"this network has {operations:,} operations, and torch traces {MOST_TRACED:,} at most"
            raise ExportError(f"{message} for an export to {self.value}: `hdas export FILE py` has no limit of its own")
