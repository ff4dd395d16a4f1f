"""What is left of a text when its decisions are made: expressions in, expressions of the same language out.

A line without a decision stays as it is written. In a line with one, what was decided stands in the place of the
choice, and only what became constant through that (indices, `prev`, `each`) is folded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from compiler.elaborate import Frame, Option
from compiler.elaborate.core import flatten, is_tensors
from compiler.elaborate.values import Builtin, Bundle, Function, Picked, Tensor, Value
from compiler.ir.decision import DecisionKind
from compiler.ir.numbers import BINARY, tidy
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import element_name

from .presence import Presence

Rename = Callable[[str, Frame], "ast.Expr | None"]
"""What a name of a module is called in the derived file; None where it keeps its name."""


@dataclass(frozen=True, eq=False)
class Residual:
    """The residual of one line or element. ``wheres`` are its local bindings; ``literal`` writes a value down."""

    presence: Presence
    kinds: Mapping[str, DecisionKind]
    wheres: Mapping[str, ast.Binding]
    rename: Rename
    literal: Callable[[Value, Span], ast.Expr | None]

    # ------------------------------------------------------------ tensors, numbers, operations

    def expr(self, node: ast.Expr, frame: Frame) -> ast.Expr:
        """The residual of an expression; the node itself where nothing changes."""
        decided = frame.decided.get(frame.key(node))
        if decided is not None and not isinstance(node, ast.Pick):
            if decided.path is None:
                return self.option(decided.options[0])
            return self.option(decided.options[self.presence.chosen[decided.path][0]])
        match node:
            case ast.Name():
                return self.name(node, frame)
            case ast.Field():
                renamed = self.rename(f"{node.base.id}.{node.name}", frame) if isinstance(node.base, ast.Name) else None
                return renamed or self.below(node, frame)
            case ast.Index():
                return self.index(node, frame)
            case ast.Copy():
                return self.copy(node, frame)
            case ast.Tuple():
                items = tuple(part for item in node.items for part in self.spread(item, frame))
                return node if _same(items, node.items) else ast.Tuple(items)
            case ast.Call():
                return self.call(node, frame)
            case ast.Pick() | ast.Earlier():
                return _bundle(self.spread(node, frame))
            case ast.Take() if self.is_local(node.bundle, frame):
                return _bundle(self.spread(node, frame))
            case ast.Pipe():
                return self.below(node, frame)
            case ast.Binary(op="+") if is_tensors(self.value(node, frame)):
                return _sum([term for leaf in _addends(node) for term in self.spread(leaf, frame)])
            case ast.Binary() | ast.Unary():
                return self.folded(node, frame)
            case ast.If():
                return self.condition(node, frame)
        return self.below(node, frame)

    def below(self, node: ast.Expr, frame: Frame) -> ast.Expr:
        return node.mapped(lambda child: self.node(child, frame))

    def node(self, node: ast.Node, frame: Frame) -> ast.Node:
        if isinstance(node, ast.Arg):
            return node.mapped(lambda child: self.node(child, frame))
        if isinstance(node, ast.Dots | ast.Range | ast.Item):
            return node.mapped(lambda child: self.node(child, frame))
        return self.expr(node, frame)  # type: ignore[arg-type]

    def option(self, option: Option) -> ast.Expr:
        return self.expr(option.value, option.frame)

    def value(self, node: ast.Node, frame: Frame) -> Value:
        """What a node was when the space was elaborated; None where it was not read."""
        return frame.seen.get(frame.key(node))

    def name(self, node: ast.Name, frame: Frame) -> ast.Expr:
        if node.id in frame.locals:
            value = frame.locals[node.id]
            if isinstance(value, Tensor):
                return node
            if node.id in self.wheres and not frame.foreign:
                binding = self.wheres[node.id]
                if len(binding.target.names) == 1 and not isinstance(value, int | float | str):
                    return self.expr(binding.value, frame)
            return self.literal(value, node.span) or node
        return self.rename(node.id, frame) or node

    def index(self, node: ast.Index, frame: Frame) -> ast.Expr:
        value = self.value(node, frame)
        if isinstance(value, Tensor) and value.name is not None and self.substitutes(node, frame):
            return ast.Name(value.name, span=node.span)
        if self.substitutes(node, frame):
            return self.literal(value, node.span) or self.below(node, frame)
        return self.below(node, frame)

    def copy(self, node: ast.Copy, frame: Frame) -> ast.Expr:
        """A copy by the label that it got."""
        base = self.expr(node.base, frame)
        value = self.value(node, frame)
        if not isinstance(value, Function) or value.label is None:
            return base if isinstance(value, Function) else self.below(node, frame)
        is_name = isinstance(node.label, ast.Name)
        if not self.substitutes(node.label, frame) and not (is_name and getattr(node.label, "id", "") == "fresh"):
            return node if base is node.base else replace(node, base=base)
        label = value.label.rpartition("@")[2]
        made: ast.Expr = ast.Number(label) if label.isdigit() else ast.Name(label)
        return ast.Copy(base, made, span=node.span)

    def substitutes(self, node: ast.Node, frame: Frame) -> bool:
        """Whether an expression mentions something that is written out: an index, a where-name."""
        return any(isinstance(part, ast.Name) and part.id in frame.locals for part in node.walk())

    def is_local(self, node: ast.Node, frame: Frame) -> bool:
        """Whether a bundle mentions something that only this element knows."""
        return self.substitutes(node, frame) or any(
            isinstance(p, ast.Earlier | ast.Pick | ast.Each) for p in node.walk()
        )

    # ------------------------------------------------------------ numbers and conditions

    def folded(self, node: ast.Binary | ast.Unary, frame: Frame) -> ast.Expr:
        made = self.below(node, frame)
        if made is node or not isinstance(made, ast.Binary):
            return made
        left, right = made.left, made.right
        if isinstance(left, ast.Number) and isinstance(right, ast.Number) and made.op in BINARY:
            return self.literal(tidy(BINARY[made.op](left.value, right.value)), node.span) or made
        one = {"*": 1, "/": 1, "//": 1, "**": 1, "+": 0, "-": 0}.get(made.op)
        if isinstance(right, ast.Number) and right.value == one and right is not node.right:  # type: ignore[union-attr]
            return left
        if isinstance(left, ast.Number) and left.value == one and made.op in ("*", "+"):
            return right
        return made

    def condition(self, node: ast.If, frame: Frame) -> ast.Expr:
        taken = node.then if self.value(node.cond, frame) else node.orelse
        if self.substitutes(node.cond, frame) or self.chooses(node, frame):
            return self.expr(taken, frame)
        return self.below(node, frame)

    def lacks(self, node: ast.Node, frame: Frame) -> bool:
        """Whether part of what a node was does not exist."""
        return self.presence.lacks(self.value(node, frame))

    def chooses(self, node: ast.Node, frame: Frame) -> bool:
        return any((id(part), frame.each) in frame.decided for part in node.walk())

    # ------------------------------------------------------------ calls

    def call(self, node: ast.Call, frame: Frame) -> ast.Expr:
        function = self.value(node.func, frame)
        if function == Builtin("prev"):
            return _bundle(self.spread(node, frame))
        if function == Builtin("sum") and self.expands(node, frame):
            return _sum([part for arg in node.args for part in self.spread(arg.value, frame)])
        args: list[ast.Arg] = []
        for arg in node.args:
            if isinstance(arg.value, ast.Each):
                parts = [self.element(arg.value, frame)]
            elif arg.name is None and (isinstance(function, Builtin) or self.expands(arg, frame)):
                parts = self.spread(arg.value, frame)
            else:
                parts = [self.expr(arg.value, frame)]
            same = len(parts) == 1 and parts[0] is arg.value
            args += [arg] if same else [ast.Arg(arg.ident, part) for part in parts]
        made = self.expr(node.func, frame)
        if (
            made is node.func
            and len(args) == len(node.args)
            and all(a is b for a, b in zip(args, node.args, strict=True))
        ):
            return node
        return _merged(made, tuple(args), self.inputs(node, frame))

    def inputs(self, node: ast.Call, frame: Frame) -> int:
        """How many of the first arguments are tensors."""
        count = 0
        for arg in node.args:
            each = isinstance(arg.value, ast.Each)
            if arg.name is None and (each or is_tensors(self.value(arg.value, frame))):
                count += 1
        return count

    def expands(self, node: ast.Node, frame: Frame) -> bool:
        """Whether an argument is a bundle that has to be written out."""
        parts = list(node.walk())
        if any(isinstance(p, ast.Pick | ast.Each | ast.Earlier) or self.lacks(p, frame) for p in parts):
            return True
        names = [part.id for part in parts if isinstance(part, ast.Name)]
        return any(isinstance(frame.locals.get(name), Bundle | Picked) for name in names)

    def element(self, node: ast.Each, frame: Frame) -> ast.Expr:
        """The element of the bundle that this turn of `each` takes."""
        outer = frame.sub(each=frame.each[:-1])
        return self.spread(node.bundle, outer, whole=True)[frame.each[-1]]

    # ------------------------------------------------------------ bundles

    def spread(self, node: ast.Expr, frame: Frame, whole: bool = False) -> list[ast.Expr]:
        """The elements of a bundle, written out; ``whole`` writes out families that could stand by their name."""
        match node:
            case ast.Tuple():
                return [part for item in node.items for part in self.spread(item, frame, whole)]
            case ast.Pick():
                decided = frame.decided[frame.key(node)]
                assert decided.path is not None
                return [self.option(decided.options[index]) for index in self.presence.chosen[decided.path]]
            case ast.Call() if any(isinstance(arg.value, ast.Each) for arg in node.args):
                each = next(arg.value for arg in node.args if isinstance(arg.value, ast.Each))
                turns = len(flatten(self.value(each.bundle, frame)))
                return [self.expr(node, frame.sub(each=(*frame.each, turn))) for turn in range(turns)]
            case ast.Call() if self.value(node.func, frame) == Builtin("prev"):
                return self.previous(node, frame)
            case ast.Name() if node.id in frame.locals and node.id in self.wheres and not frame.foreign:
                if isinstance(frame.locals[node.id], Bundle | Picked):
                    return self.spread(self.wheres[node.id].value, frame)
                return [self.expr(node, frame)]
            case ast.Take() if whole or self.is_local(node.bundle, frame):
                parts = self.spread(node.bundle, frame, whole=True)
                count = 1 if node.count is None else self.value(node.count, frame)
                return parts[-count:] if node.end is ast.End.LAST else parts[:count]
        value = self.value(node, frame)
        if not self.presence.exists(value):
            return []
        by_name = isinstance(node, ast.Earlier | ast.Index) or (whole and isinstance(node, ast.Name))
        if by_name and isinstance(value, Bundle | Tensor):
            names = [getattr(item, "name", None) for item in flatten(value)]
            if all(names):
                return [ast.Name(name or "", span=node.span) for name in names]
        return [self.expr(node, frame)]

    def previous(self, node: ast.Call, frame: Frame) -> list[ast.Expr]:
        """What `prev` gave: seeds as they are written, then the elements before this one by their names."""
        seeds = [part for arg in node.args for part in self.spread(arg.value, frame)]
        names: list[ast.Expr] = []
        if frame.element is not None:
            family, index = frame.element
            names = [ast.Name(element_name(family, i)) for i in frame.text.families[family].elements if i < index]
        return [*seeds, *names][-len(seeds) :]


def _same(left: tuple[ast.Expr, ...], right: tuple[ast.Expr, ...]) -> bool:
    return len(left) == len(right) and all(a is b for a, b in zip(left, right, strict=True))


def _addends(node: ast.Expr) -> list[ast.Expr]:
    if isinstance(node, ast.Binary) and node.op == "+":
        return [*_addends(node.left), *_addends(node.right)]
    return [node]


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
