"""`hdas emit FILE KIND`, or `hdas-compile FILE --emit KIND`: a stage of the pipeline as text."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from compiler.util.errors import UsageError

from .command import Command
from .console import OK, show
from .groups import Source, method_option, method_overrides, network_option
from .option import action_value, group, option
from .output import complain, put, put_bytes


@dataclass(frozen=True, kw_only=True)
class Emit(Command):
    """Print a stage of the pipeline, from the syntax tree to the code that the network is lowered to, or a picture."""

    name: ClassVar[str] = "emit"
    action: ClassVar[str | None] = "--emit"
    summary: ClassVar[str] = "print ast, graph, search, code, genotype, dot, svg, png, or the graph after a pass"
    no_json: ClassVar[str] = "each kind is a form of its own, for people or for other programs"

    source: Source = group(Source)
    kind: str = action_value("KIND", "ast, graph, search, code, passes, genotype, dot, svg, png, or the name of a pass")
    out: Path | None = option("-o", "--out", "FILE", "write it there", read=Path, otherwise="standard output")
    network: str | None = network_option()
    method: str | None = method_option()

    def run(self) -> int:
        """Compile the file and print it in the form asked for."""
        from compiler.reports.emit import OF_THE_TEXT, PNG, emit_png, emit_program
        from compiler.util.files import atomic_write

        program = self.source.request(network=self.network, overrides=method_overrides(self.method)).compile()
        show(program.warnings)
        for network in program.networks if self.kind not in OF_THE_TEXT else ():
            if network.grammars:
                complain(f"'{network.name}' has a grammar, and this is its first tree: `hdas sample` draws others")
        picture = emit_png(program) if self.kind == PNG else None
        if self.out is not None:
            atomic_write(self.out, emit_program(program, self.kind) if picture is None else picture)
        elif picture is None:
            put(emit_program(program, self.kind))
        elif sys.stdout.isatty():
            raise UsageError("a terminal shows no picture: name a file with -o")
        else:
            put_bytes(picture)
        return OK
