"""The expressions for the grammars of a space in the text of an architecture, production by production.

Texts are compared as they are written: a mention of a menu matches whatever one of its items matches, numbers that
parameters make match as numbers, all else is the same. Whether the whole is the architecture is asked afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from compiler.elaborate import Copy, Elaborated
from compiler.elaborate.derivations import Taken
from compiler.elaborate.productions import Key, Production, Productions, literal
from compiler.elaborate.session import GrammarPlace
from compiler.elaborate.values import Deferred, Menu
from hdas_dsl.names import bare_name
from hdas_dsl.tree import ast
from hdas_dsl.units import Entity

from .found import Effort, NotInSpaceError
from .grammar_names import GrammarNames


@dataclass(frozen=True)
class Written:
    """The expression for a grammar in the text of an architecture, with the productions that derive it."""

    text: ast.Expr
    tree: Taken


def grammar_texts(
    space: Elaborated, copies: Mapping[str, Copy], productions: Productions | None = None
) -> dict[str, Written]:
    """The expressions in the text of an architecture for the grammars of the space, by path.

    Args:
        space: the space.
        copies: those of the architecture, by path.
        productions: those of the space, where they are known.

    Raises:
        NotInSpaceError: one has no derivation that is written there.
        UsageError: the texts match in too many ways to tell.
    """
    productions, effort = productions or Productions(space.externals), Effort()
    found: dict[str, Written] = {}
    for copy in space.copies.values():
        for path in copy.body.grammars:
            place = next(place for place in space.grammars if place.path == path)
            matching = GrammarMatching(productions, place, effort)
            pairs = _lines(copy, place, copies)
            if not any(matching.matches(None, mine, theirs) for mine, theirs in pairs) or matching.found is None:
                raise NotInSpaceError(path, f"'{place.menu.definition.name}' does not derive what stands there")
            found[path] = Written(matching.found, matching.tree(Key.of(place.menu), matching.found))
    return found


def _lines(copy: Copy, place: GrammarPlace, copies: Mapping[str, Copy]) -> Iterator[tuple[ast.Expr, ast.Expr]]:
    """The line that mentions a grammar, with the lines of that name in the architecture."""
    if copy.path not in copies:
        return
    name = place.path.removeprefix(f"{copy.path}.").partition(".")[0]
    for line in copy.definition.body.lines:
        if isinstance(line, ast.Binding | ast.Output) and any(node is place.node for node in line.walk()):
            for other in copies[copy.path].definition.body.lines:
                bound = isinstance(other, ast.Binding) and name in other.target.names
                if bound if isinstance(line, ast.Binding) else isinstance(other, ast.Output):
                    assert isinstance(other, ast.Binding | ast.Output)
                    theirs = copies[copy.path]
                    names = GrammarNames.of(place.menu.instance, line, copy.instance)
                    value = names.written(other.value, theirs.definition, theirs.instance)
                    yield line.value, value
                    yield from _ends(line.value, value, place)


def _ends(mine: ast.Expr, theirs: ast.Expr, place: GrammarPlace) -> Iterator[tuple[ast.Expr, ast.Expr]]:
    """A pipe from the grammar on, with the ends of another: what feeds it may be written otherwise in an element."""
    stages = _stages_of(theirs)
    for at, stage in enumerate(mine.stages if isinstance(mine, ast.Pipe) else ()):
        if at and stage is place.node:
            assert isinstance(mine, ast.Pipe)
            for start in range(1, len(stages)):
                yield _pipe(mine.stages[at:]), _pipe(stages[start:])


class GrammarMatching:
    """Matches one line. ``found`` is what stands for the grammar in the last match.

    Args:
        productions: those of the file.
        place: the mention of the grammar in the line.
        effort: what has been compared so far.
    """

    def __init__(self, productions: Productions, place: GrammarPlace, effort: Effort) -> None:
        self.productions, self.place, self.effort = productions, place, effort
        self.found: ast.Expr | None = None
        self._derived: dict[tuple[Key, tuple[int, ...]], Production | None] = {}
        self._menus: dict[int, tuple[Key, ast.Expr]] = {}
        """The derived expression of each mention of a menu in the last match, by the identity of the mention."""
        self._kept: list[ast.Expr] = []

    def matches(self, production: Production | None, mine: ast.Node, theirs: ast.Node) -> bool:
        """Whether a text of a production, or of the line, is written as another."""
        self.effort.step()
        if not isinstance(theirs, ast.Expr) or not isinstance(mine, ast.Expr):
            return self._same(production, mine, theirs)
        if mine is self.place.node:
            if self.derives(Key.of(self.place.menu), theirs):
                self.found = theirs
            return self.found is theirs
        key = None if production is None else self._menu(production, mine)
        if key is not None:
            self._menus[id(mine)] = key, theirs
            return self.derives(key, theirs)
        if production is not None and self.productions.is_number(production, mine):
            return literal(self.productions.value(production, mine)) == theirs
        if isinstance(mine, ast.Pipe):
            return self._stages(production, mine.stages, _stages_of(theirs))
        if production is not None:
            mine = self._in_names_of_top(production, mine)
        return self._same(production, mine, theirs)

    def derives(self, key: Key, expr: ast.Expr) -> bool:
        """Whether an expression is written as some derivation of a menu."""
        parts = tuple(map(id, _stages_of(expr)))
        if (key, parts) not in self._derived:
            self._kept.append(expr)  # so that no other expression gets its identity
            self._derived[key, parts] = None  # a menu that is an item of itself derives nothing more
            made = next((item for item in self.productions.of(key) if self.matches(item, item.expr, expr)), None)
            self._derived[key, parts] = made
        return self._derived[key, parts] is not None

    def tree(self, key: Key, expr: ast.Expr) -> Taken:
        """The productions by which a menu derives an expression that it does derive."""
        production = self._derived[key, tuple(map(id, _stages_of(expr)))]
        assert production is not None, "it derives it"
        self._menus.clear()
        self.matches(production, production.expr, expr)
        return Taken(production, {at: self.tree(*found) for at, found in tuple(self._menus.items())})

    def _in_names_of_top(self, production: Production, mine: ast.Expr) -> ast.Expr:
        """A name of a production of another file as the file of the grammar's menu has it."""
        top, own = self.place.menu.instance, production.key.instance
        found = None if own is top else own.meant(mine)
        if not isinstance(found, Entity):
            return mine
        return top.named(bare_name(mine), found.instance) or mine

    def _menu(self, production: Production, node: ast.Expr) -> Key | None:
        """The menu that an expression of a production mentions, with its parameters; None where it mentions none."""
        if not isinstance(node, ast.Choice):
            head = node.func if isinstance(node, ast.Call) else node
            if any(isinstance(part, ast.Name) and part.id in production.names for part in head.walk()):
                return None
            entity = production.key.instance.meant(head)
            if not isinstance(entity, Entity) or not isinstance(entity.plain, ast.MenuDef):
                return None
        value = self.productions.value(production, node)
        if isinstance(value, Deferred):
            value = value.menu
        return Key.of(value) if isinstance(value, Menu) else None

    def _stages(self, production: Production | None, mine: Sequence[ast.Expr], theirs: Sequence[ast.Expr]) -> bool:
        """Whether the stages of a pipe are written as those of another, where a menu may be several of them."""
        if not mine or not theirs:
            return not mine and not theirs
        for end in range(1, len(theirs) - len(mine) + 2):
            if self.matches(production, mine[0], _pipe(theirs[:end])) and self._stages(
                production, mine[1:], theirs[end:]
            ):
                return True
        return False

    def _same(self, production: Production | None, mine: ast.Node, theirs: ast.Node) -> bool:
        """Whether two nodes are of one kind and have the same fields, whose nodes match one by one."""
        ours, others = tuple(mine.children()), tuple(theirs.children())
        if type(mine) is not type(theirs) or len(ours) != len(others):
            return False
        for field in fields(mine):
            value, other = getattr(mine, field.name), getattr(theirs, field.name)
            if field.compare and not isinstance(value, ast.Node | tuple) and value != other:
                return False
        return all(self.matches(production, one, another) for one, another in zip(ours, others, strict=True))


def _pipe(stages: Sequence[ast.Expr]) -> ast.Expr:
    """Stages as a pipe; one alone as it is."""
    return stages[0] if len(stages) == 1 else ast.Pipe(tuple(stages))


def _stages_of(expr: ast.Expr) -> tuple[ast.Expr, ...]:
    """The stages of a pipe, without parentheses; an expression that is none is one stage."""
    if not isinstance(expr, ast.Pipe):
        return (expr,)
    return tuple(part for stage in expr.stages for part in _stages_of(stage))
