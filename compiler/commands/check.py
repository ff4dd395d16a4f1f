"""`hdas check FILE`, or `hdas-compile FILE`: what is in a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from hdas_dsl.text.diagnostics import HspError, to_json

from .command import Command
from .console import OK, WRONG_FILE, show
from .groups import Source, network_option, recipe_option
from .option import flag, group
from .output import line


@dataclass(frozen=True, kw_only=True)
class Check(Command):
    """Check and compile a file, and print what is in it: costs, choices, how many architectures."""

    name: ClassVar[str] = "check"
    action: ClassVar[str | None] = ""
    summary: ClassVar[str] = "check a file and print what is in it"

    source: Source = group(Source)
    json: bool = flag("--json", "print one JSON object; of a wrong file, its errors")
    network: str | None = network_option()
    recipe: Path | None = recipe_option()

    def run(self) -> int:
        """Compile the file and print its facts, as a page or as JSON."""
        from compiler.reports.facts import describe

        try:
            program = self.source.request(network=self.network, recipe=self.recipe).compile()
        except HspError as error:
            if not self.json:
                raise
            _print_json({"diagnostics": [to_json(item) for item in error.diagnostics]})
            return WRONG_FILE
        facts = describe(program)
        if self.json:
            warnings = [to_json(item) for item in program.warnings]
            _print_json({**facts, "diagnostics": warnings} if warnings else facts)
            return OK
        from compiler.reports.table import show as show_facts

        show(program.warnings)
        show_facts(facts)
        return OK


def _print_json(value: object) -> None:
    line(json.dumps(value, indent=2))
