"""Export of a discrete network: to ONNX, to an ExportedProgram, to a Python file that needs nothing but torch."""

from .network import ExportError, ExportKind, ExportReport, export

__all__ = ["ExportError", "ExportKind", "ExportReport", "export"]
