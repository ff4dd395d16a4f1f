"""Export of a discrete network: to ONNX, to an ExportedProgram, to a Python file that needs nothing but torch."""

from compiler.backend.export_kind import ExportError, ExportKind

from .network import ExportReport, export

__all__ = ["ExportError", "ExportKind", "ExportReport", "export"]
