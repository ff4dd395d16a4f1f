"""The residual of a line, with its decisions made: expressions in, expressions of the same language out.

A line without a decision stays as it is written. In a line with one, what was decided stands in the place of the
choice, and only what became constant through that (indices, `prev`, `each`) is folded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import cast

from compiler.elaborate.interpreter import addends
from compiler.elaborate.trace import ChoiceRecord
from compiler.elaborate.values import Builtin, Bundle, Function, Picked, Tensor, Value
from compiler.ir.numbers import BINARY, tidy
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import CONSTANTS

from .bundles import Bundles
from .recorded import Place, Recorded

Rename = Callable[[str, Place], "ast.Expr | None"]
"""The name of a definition in the derived file; None where it keeps its own."""


@dataclass(frozen=True, eq=False)
class Residual:
    """The residual of one line or element of a body.

    ``literal`` writes a value down, where the language has a literal for it.
    """

    recorded: Recorded
    rename: Rename
    literal: Callable[[Value], ast.Expr | None]

    @cached_property
    def bundles(self) -> Bundles:
        """Writes bundles out, of which this is the residual of each element."""
        return Bundles(self.recorded, self.expr, self.literal)

    # ------------------------------------------------------------ tensors, numbers, operations

    def expr(self, node: ast.Expr, at: Place) -> ast.Expr:
        """The residual of an expression; the node itself where nothing changes."""
        choice = at.choice(node)
        if choice is not None and self.recorded.presence.left.is_open(choice):
            return self.smaller(node, choice, at)
        if choice is not None and not isinstance(node, ast.Pick):
            return self.bundles.option(
                choice.options[0 if choice.path is None else self.recorded.presence.chosen[choice.path][0]]
            )
        return self.without_choice(node, at)

    def without_choice(self, node: ast.Expr, at: Place) -> ast.Expr:  # noqa: C901 (a table)
        """The residual of an expression that is not a choice, or of the mention of one that is left whole."""
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
                items = [part for item in node.items for part in self.bundles.spread(item, at)]
                return node if _same(items, node.items) else _bundle(items)
            case ast.Call() if isinstance(at.value(node), Bundle):
                return _bundle(self.bundles.spread(node, at))
            case ast.Call():
                return self.call(node, at)
            case ast.Pick() | ast.Earlier():
                return _bundle(self.bundles.spread(node, at))
            case ast.Take() if self.recorded.is_local(node.bundle, at):
                return _bundle(self.bundles.spread(node, at))
            case ast.Binary(op="+") if self.recorded.is_tensors(node, at):
                return _sum([term for leaf in addends(node) for term in self.bundles.spread(leaf, at)])
            case ast.Binary() | ast.Unary():
                return self.folded(node, at)
            case ast.If():
                return self.condition(node, at)
        return self.below(node, at)

    def smaller(self, node: ast.Expr, choice: ChoiceRecord[Value], at: Place) -> ast.Expr:
        """A choice that stays open, of the items that it keeps; a pick of all its candidates."""
        if isinstance(node, ast.Pick):
            count = node.count and cast("ast.Expr | ast.Range", self.node(node.count, at))
            return ast.Pick(count, _bundle([self.bundles.option(option) for option in choice.options]))
        left = self.recorded.presence.left
        if not left.changed(choice):
            return self.below(node, at) if isinstance(node, ast.Choice) else self.without_choice(node, at)
        assert choice.path is not None, "it is open"
        relaxed, weights = left.relaxed[choice.path], left.weights.get(choice.path, {})
        return ast.Choice(
            tuple(
                ast.Item(
                    self.bundles.option(choice.options[item]),
                    ast.Name("relaxed") if item in relaxed else None,
                    None if item not in weights else ast.Number(str(tidy(weights[item]))),
                )
                for item in left.items[choice.path]
            )
        )

    def below(self, node: ast.Expr, at: Place) -> ast.Expr:
        """The node with the residuals of the expressions in it."""
        return node.mapped(lambda child: self.node(child, at))

    def node(self, node: ast.Node, at: Place) -> ast.Node:
        """The residual of an expression, or of what holds expressions."""
        if isinstance(node, ast.Expr):
            return self.expr(node, at)
        return node.mapped(lambda child: self.node(child, at))

    def name(self, node: ast.Name, at: Place) -> ast.Expr:
        """A name: a local one by its value, a module's as it is called in the derived file."""
        if node.id in at.reading.locals:
            value = at.reading.locals[node.id]
            if isinstance(value, Tensor):
                return node
            binding = self.recorded.where(node, at)
            if binding is not None and self.recorded.stays_open(binding.value, at):
                return node
            if binding is None or (isinstance(value, int | float | str) and self.recorded.is_constant(node, at)):
                return self.literal(value) or node
            if len(binding.target.names) == 1:
                return self.expr(binding.value, at)
            return self.part(binding, node.id, at)
        return self.rename(node.id, at) or node

    def part(self, binding: ast.Binding, name: str, at: Place) -> ast.Expr:
        """One of several names that share out a bundle."""
        position = binding.target.names.index(name)
        whole = self.expr(binding.value, at)
        if isinstance(whole, ast.Tuple) and len(whole.items) == len(binding.target.names):
            return whole.items[position]
        return ast.Index(whole, (ast.Number(str(position)),))

    def index(self, node: ast.Index, at: Place) -> ast.Expr:
        """An element of a family by its name, where its index is written out."""
        value = at.value(node)
        if value is None or not self.recorded.substitutes(node, at):
            return self.below(node, at)
        if isinstance(value, Tensor) and value.name is not None:
            return ast.Name(value.name, span=node.span)
        return (self.literal(value) if self.recorded.is_constant(node, at) else None) or self.below(node, at)

    def copy(self, node: ast.Copy, at: Place) -> ast.Expr:
        """A copy by the label that it got."""
        base = self.expr(node.base, at)
        value = at.value(node)
        if not isinstance(value, Function) or value.label is None:
            return base if isinstance(value, Function) else self.below(node, at)
        is_fresh = isinstance(node.label, ast.Name) and node.label.id == "fresh"
        if not is_fresh and not self.recorded.substitutes(node.label, at):
            return node if base is node.base else replace(node, base=base)
        label = value.label.rpartition("@")[2]
        made: ast.Expr = ast.Number(label) if label.isdigit() else ast.Name(label)
        return ast.Copy(base, made, span=node.span)

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
        """An `if`: the branch taken, where the condition is constant now; else both, as far as they can be written."""
        if not self.recorded.substitutes(node.cond, at) and not self.recorded.chooses(node, at):
            return self.below(node, at)
        both = self.recorded.can_be_written(node.then, at) and self.recorded.can_be_written(node.orelse, at)
        if both and not _is_written_out(self.expr(node.cond, at)):
            return self.below(node, at)
        return self.expr(node.then if self.recorded.value(node.cond, at) else node.orelse, at)

    # ------------------------------------------------------------ calls

    def call(self, node: ast.Call, at: Place) -> ast.Expr:
        """A call, with bundles among its arguments written out where they have to be."""
        function = at.value(node.func)
        if function == Builtin("prev"):
            return _bundle(self.bundles.spread(node, at))
        if function == Builtin("sum") and self.expands(node, at):
            terms = [part for arg in node.args for part in self.bundles.spread(arg.value, at)]
            if _same(terms, [arg.value for arg in node.args]):
                return node
            is_open = self.recorded.stays_open(node, at)
            return replace(node, args=tuple(ast.Arg(None, term) for term in terms)) if is_open else _sum(terms)
        inputs: list[ast.Arg] = []
        params: list[ast.Arg] = []
        for arg in node.args:
            parts = self.argument(arg, isinstance(function, Builtin), at)
            same = len(parts) == 1 and parts[0] is arg.value
            feeds = arg.name is None and self.recorded.is_tensors(arg.value, at)
            (inputs if feeds else params).extend([arg] if same else [ast.Arg(arg.ident, part) for part in parts])
        made = self.expr(node.func, at)
        if made is node.func and _same([*inputs, *params], node.args):
            return node
        return _merged(made, inputs, params)

    def argument(self, arg: ast.Arg, is_builtin: bool, at: Place) -> list[ast.Expr]:
        """The residual of an argument: several arguments where it is a bundle that has to be written out."""
        if isinstance(arg.value, ast.Each):
            return [self.bundles.turn(arg.value, at)]
        if arg.name is None and (is_builtin or self.expands(arg, at)):
            return self.bundles.spread(arg.value, at)
        return [self.expr(arg.value, at)]

    def expands(self, node: ast.Node, at: Place) -> bool:
        """Whether an argument is a bundle that has to be written out."""
        parts = list(node.walk())
        if any(isinstance(p, ast.Pick | ast.Each | ast.Earlier) or self.recorded.lacks(p, at) for p in parts):
            return True
        names = [part.id for part in parts if isinstance(part, ast.Name)]
        return any(isinstance(at.reading.locals.get(name), Bundle | Picked) for name in names)


def _same(left: Sequence[ast.Node], right: Sequence[ast.Node]) -> bool:
    return len(left) == len(right) and all(a is b for a, b in zip(left, right, strict=True))


def _is_written_out(expr: ast.Expr) -> bool:
    """Whether an expression mentions nothing that is defined anywhere."""
    return all(
        isinstance(p, ast.Name) and p.id in CONSTANTS for p in expr.walk() if isinstance(p, ast.Name | ast.Field)
    )


def _sum(terms: list[ast.Expr]) -> ast.Expr:
    total = terms[0]
    for term in terms[1:]:
        total = ast.Binary("+", total, term)
    return total


def _bundle(parts: list[ast.Expr]) -> ast.Expr:
    return parts[0] if len(parts) == 1 else ast.Tuple(tuple(parts))


def _merged(function: ast.Expr, inputs: list[ast.Arg], params: list[ast.Arg]) -> ast.Expr:
    """``f(k = 3)(x, c = 8)`` as ``f(x, k = 3, c = 8)``."""
    if not isinstance(function, ast.Call):
        return ast.Call(function, (*inputs, *params)) if inputs or params else function
    given = (*function.args, *params)
    positional = (arg for arg in given if arg.name is None)
    named = (arg for arg in given if arg.name is not None)
    return ast.Call(function.func, (*inputs, *positional, *named))
