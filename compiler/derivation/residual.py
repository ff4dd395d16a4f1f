"""What is left of a line when its decisions are made: expressions in, expressions of the same language out.

A line without a decision stays as it is written. In a line with one, what was decided stands in the place of the
choice, and only what became constant through that (indices, `prev`, `each`) is folded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from compiler.elaborate import BodyElaboration
from compiler.elaborate.interpreter import addends
from compiler.elaborate.numbers import BINARY, tidy
from compiler.elaborate.trace import ChoiceRecord, Option, Position
from compiler.elaborate.values import Builtin, Bundle, Function, Picked, Tensor, Value, flatten, is_tensors
from compiler.ir.undecided import Var, settle
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import element_name

from .presence import Presence

Place = Position[Value]
"""Where an expression was read; see `compiler.elaborate.trace`."""

Rename = Callable[[str, Place], "ast.Expr | None"]
"""What a name of a module is called in the derived file; None where it keeps its name."""


@dataclass(frozen=True, eq=False)
class Residual:
    """The residual of one line or element of a body.

    ``wheres`` are its local bindings; ``literal`` writes a value down, where the language has a literal for it.
    """

    presence: Presence
    body: BodyElaboration
    wheres: Mapping[str, ast.Binding]
    rename: Rename
    literal: Callable[[Value], ast.Expr | None]

    # ------------------------------------------------------------ tensors, numbers, operations

    def expr(self, node: ast.Expr, at: Place) -> ast.Expr:
        """The residual of an expression; the node itself where nothing changes."""
        choice = at.choice(node)
        if choice is not None and not isinstance(node, ast.Pick):
            return self.option(choice.options[0 if choice.path is None else self.presence.chosen[choice.path][0]])
        match node:
            case ast.Name():
                return self.name(node, at)
            case ast.Field():
                renamed = self.rename(f"{node.base.id}.{node.name}", at) if isinstance(node.base, ast.Name) else None
                return renamed or self.below(node, at)
            case ast.Index():
                return self.index(node, at)
            case ast.Copy():
                return self.copy(node, at)
            case ast.Tuple():
                items = tuple(part for item in node.items for part in self.spread(item, at))
                return node if _same(items, node.items) else ast.Tuple(items)
            case ast.Call():
                return self.call(node, at)
            case ast.Pick() | ast.Earlier():
                return _bundle(self.spread(node, at))
            case ast.Take() if self.is_local(node.bundle, at):
                return _bundle(self.spread(node, at))
            case ast.Binary(op="+") if self.is_tensors(node, at):
                return _sum([term for leaf in addends(node) for term in self.spread(leaf, at)])
            case ast.Binary() | ast.Unary():
                return self.folded(node, at)
            case ast.If():
                return self.condition(node, at)
        return self.below(node, at)

    def below(self, node: ast.Expr, at: Place) -> ast.Expr:
        """The node with the residuals of the expressions in it."""
        return node.mapped(lambda child: self.node(child, at))

    def node(self, node: ast.Node, at: Place) -> ast.Node:
        """The residual of an expression, or of what holds expressions."""
        if isinstance(node, ast.Arg | ast.Dots | ast.Range | ast.Item):
            return node.mapped(lambda child: self.node(child, at))
        return self.expr(node, at)  # type: ignore[arg-type]

    def option(self, option: Option[Value]) -> ast.Expr:
        """The residual of an item that was taken."""
        return self.expr(option.expr, option.position)

    def name(self, node: ast.Name, at: Place) -> ast.Expr:
        """A name: a local one by its value, a module's as it is called in the derived file."""
        if node.id in at.reading.locals:
            value = at.reading.locals[node.id]
            if isinstance(value, Tensor):
                return node
            if node.id in self.wheres and not at.reading.in_menu:
                binding = self.wheres[node.id]
                if len(binding.target.names) == 1 and not isinstance(value, int | float | str):
                    return self.expr(binding.value, at)
            return self.literal(value) or node
        return self.rename(node.id, at) or node

    def index(self, node: ast.Index, at: Place) -> ast.Expr:
        """An element of a family by its name, where its index is written out."""
        value = at.value(node)
        if value is None or not self.substitutes(node, at):
            return self.below(node, at)
        if isinstance(value, Tensor) and value.name is not None:
            return ast.Name(value.name, span=node.span)
        return self.literal(value) or self.below(node, at)

    def copy(self, node: ast.Copy, at: Place) -> ast.Expr:
        """A copy by the label that it got."""
        base = self.expr(node.base, at)
        value = at.value(node)
        if not isinstance(value, Function) or value.label is None:
            return base if isinstance(value, Function) else self.below(node, at)
        is_fresh = isinstance(node.label, ast.Name) and node.label.id == "fresh"
        if not is_fresh and not self.substitutes(node.label, at):
            return node if base is node.base else replace(node, base=base)
        label = value.label.rpartition("@")[2]
        made: ast.Expr = ast.Number(label) if label.isdigit() else ast.Name(label)
        return ast.Copy(base, made, span=node.span)

    # ------------------------------------------------------------ questions about an expression

    def is_tensors(self, node: ast.Expr, at: Place) -> bool:
        """Whether an expression fed inputs."""
        value = at.value(node)
        return value is not None and is_tensors(value)

    def is_local(self, node: ast.Node, at: Place) -> bool:
        """Whether a bundle mentions something that only this element knows."""
        return self.substitutes(node, at) or any(isinstance(p, ast.Earlier | ast.Pick | ast.Each) for p in node.walk())

    def substitutes(self, node: ast.Node, at: Place) -> bool:
        """Whether an expression mentions something that is written out: an index, a where-name."""
        return any(isinstance(part, ast.Name) and part.id in at.reading.locals for part in node.walk())

    def lacks(self, node: ast.Node, at: Place) -> bool:
        """Whether part of what a node was does not exist."""
        value = at.value(node)
        return value is not None and self.presence.lacks(value)

    def chooses(self, node: ast.Node, at: Place) -> bool:
        """Whether there is a choice in an expression."""
        return any(at.choice(part) is not None for part in node.walk())

    # ------------------------------------------------------------ numbers and conditions

    def folded(self, node: ast.Binary | ast.Unary, at: Place) -> ast.Expr:
        """Arithmetic, with what became constant folded."""
        made = self.below(node, at)
        if made is node or not isinstance(made, ast.Binary):
            return made
        left, right = made.left, made.right
        if isinstance(left, ast.Number) and isinstance(right, ast.Number) and made.op in BINARY:
            return self.literal(tidy(BINARY[made.op](left.value, right.value))) or made
        one = {"*": 1, "/": 1, "//": 1, "**": 1, "+": 0, "-": 0}.get(made.op)
        is_new = isinstance(node, ast.Unary) or right is not node.right
        if isinstance(right, ast.Number) and right.value == one and is_new:
            return left
        if isinstance(left, ast.Number) and left.value == one and made.op in ("*", "+"):
            return right
        return made

    def condition(self, node: ast.If, at: Place) -> ast.Expr:
        """An `if`: the branch taken, where that depends on what is written out or decided in this line."""
        if self.substitutes(node.cond, at) or self.chooses(node, at):
            return self.expr(node.then if self.holds(node.cond, at) else node.orelse, at)
        return self.below(node, at)

    def holds(self, node: ast.Expr, at: Place) -> bool:
        """Whether a condition is true, under the decisions where it depends on any."""
        value = at.value(node)
        if isinstance(value, Var):
            value = settle(value, value.decisions, tuple(self.presence.chosen[path][0] for path in value.decisions))
        return bool(value)

    # ------------------------------------------------------------ calls

    def call(self, node: ast.Call, at: Place) -> ast.Expr:
        """A call, with bundles among its arguments written out where they have to be."""
        function = at.value(node.func)
        if function == Builtin("prev"):
            return _bundle(self.spread(node, at))
        if function == Builtin("sum") and self.expands(node, at):
            return _sum([part for arg in node.args for part in self.spread(arg.value, at)])
        args: list[ast.Arg] = []
        for arg in node.args:
            if isinstance(arg.value, ast.Each):
                parts = [self.element(arg.value, at)]
            elif arg.name is None and (isinstance(function, Builtin) or self.expands(arg, at)):
                parts = self.spread(arg.value, at)
            else:
                parts = [self.expr(arg.value, at)]
            same = len(parts) == 1 and parts[0] is arg.value
            args += [arg] if same else [ast.Arg(arg.name, part) for part in parts]
        made = self.expr(node.func, at)
        if made is node.func and _same(args, node.args):
            return node
        return _merged(made, tuple(args), self.inputs(node, at))

    def inputs(self, node: ast.Call, at: Place) -> int:
        """How many of the first arguments are tensors."""
        return sum(
            arg.name is None and (isinstance(arg.value, ast.Each) or self.is_tensors(arg.value, at))
            for arg in node.args
        )

    def expands(self, node: ast.Node, at: Place) -> bool:
        """Whether an argument is a bundle that has to be written out."""
        parts = list(node.walk())
        if any(isinstance(p, ast.Pick | ast.Each | ast.Earlier) or self.lacks(p, at) for p in parts):
            return True
        names = [part.id for part in parts if isinstance(part, ast.Name)]
        return any(isinstance(at.reading.locals.get(name), Bundle | Picked) for name in names)

    def element(self, node: ast.Each, at: Place) -> ast.Expr:
        """The element of the bundle that this turn of `each` takes."""
        return self.spread(node.bundle, at.outside_each(), whole=True)[at.each[-1]]

    # ------------------------------------------------------------ bundles

    def spread(self, node: ast.Expr, at: Place, whole: bool = False) -> list[ast.Expr]:
        """The elements of a bundle, written out; ``whole`` writes out families that could stand by their name."""
        local = at.reading.locals
        match node:
            case ast.Tuple():
                return [part for item in node.items for part in self.spread(item, at, whole)]
            case ast.Pick():
                return self.picked(at.choice(node))
            case ast.Call() if any(isinstance(arg.value, ast.Each) for arg in node.args):
                return [self.expr(node, at.turn(number)) for number in range(self.turns(node, at))]
            case ast.Call() if at.value(node.func) == Builtin("prev"):
                return self.previous(node, at)
            case ast.Name() if node.id in local and node.id in self.wheres and not at.reading.in_menu:
                if isinstance(local[node.id], Bundle | Picked):
                    return self.spread(self.wheres[node.id].value, at)
                return [self.expr(node, at)]
            case ast.Take() if whole or self.is_local(node.bundle, at):
                parts = self.spread(node.bundle, at, whole=True)
                count = 1 if node.count is None else at.value(node.count)
                assert isinstance(count, int), "a plain whole number"
                return parts[-count:] if node.end is ast.End.LAST else parts[:count]
        value = at.value(node)
        if value is not None and not self.presence.exists(value):
            return []
        by_name = isinstance(node, ast.Earlier | ast.Index) or (whole and isinstance(node, ast.Name))
        if by_name and isinstance(value, Bundle | Tensor):
            names = [item.name for item in flatten(value) if isinstance(item, Tensor) and item.name]
            if len(names) == len(flatten(value)):
                return [ast.Name(name, span=node.span) for name in names]
            literals = [self.literal(item) for item in flatten(value)]
            if (whole or isinstance(node, ast.Earlier)) and all(literals):
                return [part for part in literals if part is not None]
        return [self.expr(node, at)]

    def picked(self, choice: ChoiceRecord[Value] | None) -> list[ast.Expr]:
        """The candidates that a pick takes."""
        assert choice is not None, "a pick decides"
        assert choice.path is not None, "a pick decides"
        return [self.option(choice.options[index]) for index in self.presence.chosen[choice.path]]

    def turns(self, node: ast.Call, at: Place) -> int:
        """How many calls `each` makes."""
        each = next(arg.value for arg in node.args if isinstance(arg.value, ast.Each))
        bundle = at.value(each.bundle)
        return 0 if bundle is None else len(flatten(bundle))

    def previous(self, node: ast.Call, at: Place) -> list[ast.Expr]:
        """What `prev` gave: seeds as they are written, then the elements before this one by their names."""
        seeds = [part for arg in node.args for part in self.spread(arg.value, at)]
        names: list[ast.Expr] = []
        if at.reading.element is not None:
            family, index = at.reading.element
            names = [ast.Name(element_name(family, i)) for i in self.body.families[family].elements if i < index]
        return [*seeds, *names][-len(seeds) :]


def _same(left: Sequence[ast.Node], right: Sequence[ast.Node]) -> bool:
    return len(left) == len(right) and all(a is b for a, b in zip(left, right, strict=True))


def _sum(terms: list[ast.Expr]) -> ast.Expr:
    total = terms[0]
    for term in terms[1:]:
        total = ast.Binary("+", total, term)
    return total


def _bundle(parts: list[ast.Expr]) -> ast.Expr:
    return parts[0] if len(parts) == 1 else ast.Tuple(tuple(parts))


def _merged(function: ast.Expr, args: tuple[ast.Arg, ...], inputs: int) -> ast.Expr:
    """``f(k = 3)(x, c = 8)`` as ``f(x, k = 3, c = 8)``."""
    if not isinstance(function, ast.Call):
        return ast.Call(function, args) if args else function
    feeds = args[:inputs]
    rest = args[inputs:]
    positional = tuple(a for a in (*function.args, *rest) if a.name is None)
    named = tuple(a for a in (*function.args, *rest) if a.name is not None)
    return ast.Call(function.func, (*feeds, *positional, *named))
