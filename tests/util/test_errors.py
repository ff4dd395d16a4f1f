"""Exceptions: those that a user may meet have one root and an exit code; the others never leave their package."""

from __future__ import annotations

import ast
import importlib

from hdas_dsl.text.errors import HdasError
from tests.support.paths import ROOT

SIGNALS = {
    "compiler.analysis.architectures.grammar_counts.NothingFitsError",
    "compiler.analysis.architectures.equivalence.canonical.TooSymmetricError",
    "compiler.analysis.membership.found.NotInSpaceError",
    "compiler.commands.console.Ended",
    "compiler.derivation.selected_steps.NothingSelectedError",
    "compiler.elaborate.errors.ElaborationError",
    "compiler.elaborate.errors.AlreadyReportedError",
    "compiler.elaborate.productions.MisfitError",
    "compiler.ir.primitives.parameters.ParameterError",
    "compiler.ir.primitives.parameters.SignatureError",
    "compiler.ir.undecided.TooManyCasesError",
    "compiler.ir.verify.verifier.MalformedGraphError",
    "compiler.program.elaborations._NoKeyError",
    "compiler.searcher.data.image_files.BrokenImageError",
    "compiler.searcher.engine.loop._StopSignal",
    "compiler.searcher.settings.reader.ConflictError",
    "compiler.searcher.settings.reader.OverrideError",
    "hdas_dsl.genotype.extract.InexpressibleError",
    "hdas_dsl.genotype.problems.InvalidPartError",
    "hdas_dsl.text.diagnostics.DiagnosticError",
    "hdas_dsl.text.limits.LimitError",
}
"""Exceptions that steer control flow, or that say that the program itself is wrong."""


def exceptions() -> dict[str, type[BaseException]]:
    """The exception classes of the packages by their full names."""
    found = {}
    for path in [*(ROOT / "compiler").rglob("*.py"), *(ROOT / "hdas_dsl").rglob("*.py")]:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and node.bases:
                name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
                made = getattr(importlib.import_module(name), node.name)
                if isinstance(made, type) and issubclass(made, BaseException):
                    found[f"{name}.{node.name}"] = made
    return found


def test_one_root() -> None:
    found = exceptions()
    outside = {name for name, made in found.items() if not issubclass(made, HdasError)}
    assert outside == SIGNALS
    assert len(found) > 25


def test_exit_codes() -> None:
    codes = {
        name.rpartition(".")[2]: made.exit_code for name, made in exceptions().items() if issubclass(made, HdasError)
    }
    assert {code: {name for name in codes if codes[name] == code} for code in set(codes.values())} == {
        1: {"ExistenceTooComplexError", "HspError", "LoweringError", "UncountableError"},
        2: {
            "BadTableError", "DataError", "DifferentDecisionsError", "ExportError", "IncompatiblePartsError",
            "LackingError", "MissingDataError", "MissingFileError", "NoDeviceError", "NoneMeetsError",
            "SingleValueError", "UncountableClassesError", "UndefinedQuantityError", "UnsatisfiableError", "UsageError",
        },
        3: {
            "CheckpointError", "DivergedError", "EngineError", "HdasError", "KernelLayoutError", "OutOfMemoryError",
            "RunError", "TwiceDifferentiatedError", "WorkerError",
        },
        130: {"RunInterruptedError"},
    }  # fmt: skip
