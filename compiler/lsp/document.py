"""A text in an editor as one value: its names, what is wrong with it, and the program that it is.

Names and mistakes of the text are known at once; the program when it is first asked for: its networks are elaborated,
unless they would come out as for an earlier state of the text. Of a text that is half typed the wrong lines are left
out, so that the others still have names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from compiler.analysis.architectures.grammar_items import of_program
from compiler.program.compilation import Compilation
from compiler.program.compile_file import checked, compiled, in_order
from compiler.program.elaborations import Elaborations
from compiler.program.model import Program
from compiler.util.errors import UsageError
from hdas_dsl.files import Loader
from hdas_dsl.parse.parser import parse
from hdas_dsl.text.diagnostics import Diagnostic, HspError, has_errors
from hdas_dsl.text.reading import read_text
from hdas_dsl.text.source import Source
from hdas_dsl.tree import ast
from hdas_dsl.units import Instance, Unit

from .mentions import Mention, mentions_of
from .values import Occurrences, occurrences_of

TRIES = 300
"""How many times items of grammars are tried while a text is typed: less than a tenth of a second."""
ATTEMPTS = 5
"""How often lines are left out before the last text that could be read is used instead."""


@dataclass(frozen=True, eq=False)
class Document:
    """A text, and what is known of it.

    Attributes:
        source: the text, under the name of its file.
        folder: where its uses look first.
        loader: what read it and the files that it uses.
        instance: the text, or what is left of it without wrong lines; None where nothing can be read.
        diagnostics: what is wrong before anything is elaborated.
        elaborations: its networks as they were elaborated, for earlier states of the text too.
    """

    source: Source
    folder: Path
    loader: Loader
    instance: Instance | None
    diagnostics: tuple[Diagnostic, ...]
    elaborations: Elaborations

    @property
    def unit(self) -> Unit | None:
        """The names and definitions of the text."""
        return None if self.instance is None else self.instance.unit

    @property
    def is_right(self) -> bool:
        """Whether it can be elaborated; where lines were left out, that is an error."""
        return not has_errors(self.diagnostics)

    @cached_property
    def mentions(self) -> tuple[Mention, ...]:
        """Every name of the text that refers to something, with what it refers to."""
        return () if self.unit is None else mentions_of(self.unit, self.loader)

    @cached_property
    def _compiled(self) -> tuple[Program | None, tuple[Diagnostic, ...]]:
        if not self.is_right or self.instance is None:
            return None, ()
        if not self.instance.unit.module.searches and not _networks(self.instance.unit):
            return None, ()  # A library: its definitions are elaborated where a network applies them.
        return self._program(None)

    def _program(self, network: str | None) -> tuple[Program | None, tuple[Diagnostic, ...]]:
        assert self.instance is not None
        try:
            compilation = Compilation(self.loader, self.instance, known=self.elaborations)
            program, wrong = compiled(compilation, Path(self.source.name).stem, network)
        except (HspError, UsageError):
            return None, ()
        return program, tuple(map(self.elaborations.here, wrong))

    @property
    def program(self) -> Program | None:
        """The program that the text is; None where it is wrong, or has no network."""
        return self._compiled[0]

    def program_of(self, network: str) -> Program | None:
        """The program of one network of the text by itself."""
        return self._program(network)[0] if self.is_right and self.instance is not None else None

    @property
    def every_diagnostic(self) -> tuple[Diagnostic, ...]:
        """All diagnostics of the text, those of elaboration included."""
        return tuple(in_order([*self.diagnostics, *self._compiled[1], *self._of_grammars]))

    @cached_property
    def _of_grammars(self) -> tuple[Diagnostic, ...]:
        """The diagnostics of items of grammars that are not in the first tree."""
        program = self.program
        return () if program is None else tuple(map(self.elaborations.here, of_program(program, TRIES)))

    @cached_property
    def occurrences(self) -> Occurrences:
        """The occurrences of each expression of the text."""
        program = self.program
        return {} if program is None or self.unit is None else occurrences_of(program, self.elaborations.is_own)


def read_document(text: str, path: Path, before: Document | None = None) -> Document:
    """A text in an editor.

    Args:
        text: the text as it stands there.
        path: its file, which may hold another text, or not be there.
        before: the document as it was before; its names are used where those of the text cannot be read.
    """
    source, folder = Source(path.name, text), path.parent
    shared = {} if before is None else _unchanged(before.loader.units)
    loader, instance = _loaded(text, source.name, folder, shared)
    earlier = None if before is None else before.elaborations
    if instance is not None:
        found = tuple(in_order(checked(loader, instance)))
        return Document(source, folder, loader, instance, found, Elaborations(instance, earlier))
    wrong = tuple(in_order(loader.diagnostics))
    mended = _mended(source)
    if mended is not None:
        loader, instance = _loaded(mended, source.name, folder, shared)
    if instance is None and before is not None:
        return replace(before, source=source, diagnostics=wrong)
    return Document(source, folder, loader, instance, wrong, earlier or Elaborations(None))


def _loaded(text: str, name: str, folder: Path, shared: Mapping[Path, Unit]) -> tuple[Loader, Instance | None]:
    loader = Loader()
    loader.units.update(shared)
    return loader, loader.load_text(text, name, folder)


def _unchanged(units: Mapping[Path, Unit]) -> dict[Path, Unit]:
    """Those of the files that were read which, with all that they use, still say the same: they are not read again."""

    def same(unit: Unit) -> bool:
        if unit.path is None or any(used is None or not same(used) for _, used in unit.imports):
            return False
        try:
            return read_text(unit.path) == unit.source.text
        except (OSError, UnicodeDecodeError):
            return False

    return {path: unit for path, unit in units.items() if same(unit)}


def _mended(source: Source) -> str | None:
    """The text with spaces in place of the wrong lines; None where that does not help."""
    for _ in range(ATTEMPTS):
        module, wrong = parse(source)
        if module is not None:
            return source.text
        if not wrong:
            return None
        lines = source.text.split("\n")
        for number in {item.span.line - 1 for item in wrong if item.span.source is source}:
            lines[number] = " " * len(lines[number])
        if (text := "\n".join(lines)) == source.text:
            return None
        source = Source(source.name, text)
    return None


def _networks(unit: Unit) -> list[str]:
    return [d.name for d in unit.module.definitions if isinstance(d, ast.GraphDef) and d.level is ast.Level.NETWORK]
