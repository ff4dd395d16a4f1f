"""The derived file: every definition that an architecture still needs, and nothing else.

Definitions of the shipped library are used, those of other files are inlined, so that the file compiles anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from hdas_dsl.names import local_names, mentions
from hdas_dsl.text.diagnostics import Code, Diagnostic, HspError
from hdas_dsl.tree import ast

from .along import along
from .definitions import Definitions
from .presence import Presence, settle
from .references import References
from .remaining import remaining
from .training import Training, statements


def derive_module(
    space: Elaborated,
    chosen: Selection,
    train: Training | None = None,
    provenance: Iterable[ast.Setting] = (),
) -> ast.Module:
    """The architecture that decisions select, as a module of the language.

    Args:
        space: the elaborated space.
        chosen: item indices of every decision, by path; of a grammar, those of its productions.
        train: the `train` section to carry over, which is then about the derived network.
        provenance: settings of the provenance section.

    Raises:
        HspError: the decisions of a body with `prune` leave nothing of it.
    """
    if any(place.path in chosen for place in space.grammars):
        space = along(space, chosen)
    return _written(space, settle(space, chosen), train, provenance)


def derive_space(space: Elaborated, kept: Selection, provenance: Iterable[ast.Setting] = ()) -> ast.Module:
    """The part of a space in which each choice has these items, as a module of the language; picks stay as they are.

    A line none of whose choices loses items stays as it is written.

    Args:
        space: the elaborated space.
        kept: item indices of every choice, by path; at least one of each can be derived.
        provenance: settings of the provenance section.

    Raises:
        HspError: a choice cannot lose items, since it stands in a family whose end stays undecided.
    """
    left = remaining(space.decisions, kept)
    if not left.items:
        return derive_module(space, kept, provenance=provenance)
    chosen = {path: items[:1] for path, items in kept.items()}
    return _written(space, Presence(chosen, frozenset(), frozenset(), left), None, provenance)


def _written(
    space: Elaborated, presence: Presence, train: Training | None, provenance: Iterable[ast.Setting]
) -> ast.Module:
    aliased: frozenset[str] = frozenset()
    avoided: frozenset[str] = frozenset()
    while True:
        writer = _ModuleWriter(space, presence, aliased, avoided)
        module = writer.module(train, tuple(provenance))
        clashes = writer.references.clashes({*writer.done, space.name})
        hidden = writer.references.primitives & {inlined.title for inlined in writer.references.inlined.values()}
        if hidden & avoided:
            raise _unwritable(writer, min(hidden & avoided))
        if clashes <= aliased and not hidden:
            return module
        aliased |= clashes
        avoided |= hidden


def _unwritable(writer: _ModuleWriter, title: str) -> HspError:
    """The error of a cell that is called like a primitive which the architecture needs too."""
    message = f"an architecture cannot be written where a cell and a primitive that it needs are both called '{title}'"
    cell = next(inlined for inlined in writer.references.inlined.values() if inlined.title == title)
    return HspError([Diagnostic(Code.UNDERIVABLE, cell.definition.name_span, message, "give the cell another name")])


class _ModuleWriter:
    """Puts a derived file together."""

    def __init__(self, space: Elaborated, presence: Presence, aliased: frozenset[str], avoided: frozenset[str]) -> None:
        self.space = space
        self.references = References(space, aliased, avoided)
        self.definitions = Definitions(space, presence, self.references)
        self.done: dict[str, ast.Definition] = {}
        """The definitions that are written, by title."""

    def module(self, train: Training | None, provenance: tuple[ast.Setting, ...]) -> ast.Module:
        """All lines: uses, operations and menus, cells and stages, the network, its training, where it comes from."""
        network = self.definitions.network()
        section = None if train is None else train.about(network.name, self.references)
        self._inline()
        graphs: list[ast.TopLine] = []
        others: list[ast.TopLine] = []
        for definition in self._needed(network, *([] if section is None else [statements(section)])):
            (graphs if isinstance(definition, ast.GraphDef) else others).append(definition)
        graphs.sort(key=self._rank)
        lines: list[ast.TopLine] = [*self.references.uses()]
        for group in (others, graphs, [network]):
            for position, line in enumerate(group):
                first = position == 0 and bool(lines)
                lines.append(replace(line, gap=first or isinstance(line, ast.GraphDef)))
        if section is not None:
            lines.append(section)
        if provenance:
            lines.append(ast.Provenance(provenance, gap=True))
        return ast.Module(tuple(lines))

    def _rank(self, line: ast.TopLine) -> int:
        """Where a definition stands: in the order in which the space met its copies, inner ones first."""
        assert isinstance(line, ast.GraphDef)
        title = str(line.copy)
        paths = list(self.space.copies)
        names = [path.partition("@")[0] for path in paths]
        return paths.index(title) if title in paths else names.index(title) if title in names else len(paths)

    def _inline(self) -> None:
        """Write down what definitions and replacements so far mention, until nothing new comes up."""
        while True:
            self.references.uses()
            fresh = [inlined for inlined in self.references.inlined.values() if inlined.title not in self.done]
            if not fresh:
                return
            for inlined in fresh:
                made = self.definitions.titled(inlined.title, inlined.definition, inlined.instance)
                self.done[inlined.title] = made

    def _needed(self, *readers: ast.TopLine) -> list[ast.Definition]:
        """The inlined definitions that are mentioned, directly or not: some copies of the space are not."""
        kept: dict[str, ast.Definition] = {}
        pending: list[ast.TopLine] = [*readers, *self.references.uses()]
        while pending:
            reader = pending.pop()
            for name, label in mentions(reader, {"fresh", *local_names(reader)}):
                for title, definition in self.done.items():
                    own, _, given = title.rpartition(".")[2].partition("@")
                    if own == name and label in (None, given or label) and title not in kept:
                        kept[title] = definition
                        pending.append(definition)
        return [definition for title, definition in self.done.items() if title in kept]
