"""`hdas emit FILE KIND`, or `hdas-compile FILE --emit KIND`: a stage of the pipeline as text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .command import Command
from .console import OK, show
from .groups import Source, method_option, method_overrides, network_option
from .option import action_value, group
from .output import put


@dataclass(frozen=True, kw_only=True)
class Emit(Command):
    """Print a stage of the pipeline, from the syntax tree to the code that the network is lowered to."""

    name: ClassVar[str] = "emit"
    action: ClassVar[str | None] = "--emit"
    summary: ClassVar[str] = "print ast, graph, search, dot, code, genotype, or the graph after a pass"

    source: Source = group(Source)
    kind: str = action_value("KIND", "ast, graph, search, dot, code, passes, genotype, or the name of a pass")
    network: str | None = network_option()
    method: str | None = method_option()

    def run(self) -> int:
        """Compile the file and print it in the form asked for."""
        from compiler.reports.emit import emit_program

        program = self.source.request(network=self.network, overrides=method_overrides(self.method)).compile()
        show(program.warnings)
        put(emit_program(program, self.kind))
        return OK
