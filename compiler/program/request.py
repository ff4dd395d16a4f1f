"""A file with overrides, to be compiled as often as needed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from compiler.ir.primitives.external import NO_PLUGINS, Externals
from hdas_dsl.text.diagnostics import HspError

from .compile_file import compile_file
from .model import Program
from .overrides import Override


@dataclass(frozen=True, eq=False)
class Request:
    """A file with the overrides of the command line, so that it can be compiled again after each phase."""

    path: Path
    overrides: Sequence[Override] = ()
    network: str | None = None
    text: str | None = None
    recipe: Path | None = None
    externals: Externals = NO_PLUGINS

    def compile(self, found: Mapping[str, str] | None = None) -> Program:
        """The program; raises `HspError` where the file is wrong."""
        program, diagnostics = compile_file(
            self.path, self.overrides, self.network, self.text, found, self.recipe, self.externals
        )
        if program is None:
            raise HspError(diagnostics)
        return program
