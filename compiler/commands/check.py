"""`hdas check FILE`, or `hdas-compile FILE`: what is in a file."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from compiler.util.errors import UsageError
from hdas_dsl.files import Loader
from hdas_dsl.text.diagnostics import HspError, to_json

from .command import Command
from .console import OK, WRONG_FILE, show
from .groups import Source, network_option, recipe_option
from .option import flag, group
from .output import line

EVERY = 0.2
"""After so many seconds `--watch` looks at the files again: a look at a few, on any file system, misses no change."""


@dataclass(frozen=True, kw_only=True)
class Check(Command):
    """Check and compile a file, and print what is in it: costs, choices, how many architectures."""

    name: ClassVar[str] = "check"
    action: ClassVar[str | None] = ""
    summary: ClassVar[str] = "check a file and print what is in it"
    answer: ClassVar[str] = "facts"

    source: Source = group(Source)
    json: bool = flag("--json", "print one JSON object; of a wrong file, its errors")
    watch: bool = flag("--watch", "check again whenever the file changes, or one that it uses, until interrupted")
    network: str | None = network_option()
    recipe: Path | None = recipe_option()

    def run(self) -> int:
        """Compile the file and print its facts, as a page or as JSON; again after every change, where it is watched."""
        if not self.watch:
            return self._check()
        if self.source.file == "-":
            raise UsageError("--watch looks at a file: standard input is not one")
        while True:
            seen = _seen(files := self._files())
            if self._files() != files:
                continue  # a file was written meanwhile: it may use others by now
            self._check_and_go_on()
            while _seen(files) == seen:
                time.sleep(EVERY)
            line(f"{'-' * 20} {datetime.now():%H:%M:%S}")

    def _files(self) -> list[Path]:
        """The file, and what it uses now: also what is not there yet, or cannot be read."""
        loader = Loader()
        loader.load(self.source.path)
        used = [unit.beside(use.path) for unit in loader.units.values() for use in unit.module.uses]
        recipe = [] if self.recipe is None else [self.recipe]
        return [self.source.path, *recipe, *loader.units, *filter(None, used)]

    def _check_and_go_on(self) -> None:
        try:
            self._check()
        except HspError as error:
            show(error.diagnostics)
        sys.stdout.flush()

    def _check(self) -> int:
        from compiler.analysis.architectures.grammar_items import reviewed
        from compiler.reports.facts import describe

        try:
            program = reviewed(self.source.request(network=self.network, recipe=self.recipe).compile())
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


def _seen(files: Sequence[Path]) -> list[tuple[int, int] | None]:
    """When each file was written, in nanoseconds, and its size; None of one that is not there."""
    found: list[tuple[int, int] | None] = []
    for path in files:
        try:
            stat = path.stat()
            found.append((stat.st_mtime_ns, stat.st_size))
        except OSError:
            found.append(None)
    return found


def _print_json(value: object) -> None:
    line(json.dumps(value, indent=2))
