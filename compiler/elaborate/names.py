"""Resolution of names and fields in a scope."""

from __future__ import annotations

from dataclasses import replace

from compiler.ir.shape import Shape
from compiler.ir.undecided import Var, lift
from hdas_dsl.text.diagnostics import Code, suggest
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import BUILTINS, CONSTANTS, element_of
from hdas_dsl.units import Entity, Found, Instance, Namespace, Replacement

from .body_elaboration import BodyElaboration
from .bundles import Bundles, family_value, known, member
from .errors import ElaborationError
from .frame import Evaluate, Frame
from .session import Session
from .values import (
    Builtin,
    Bundle,
    Copies,
    Extents,
    Function,
    Menu,
    NamespaceValue,
    Picked,
    Tensor,
    Value,
    kind,
    shown,
)


def module_frame(instance: Instance, namespaces: dict[str, Value] | None = None) -> Frame:
    """A frame outside of any body, for expressions that stand at the top of a file."""
    nobody = ast.MenuDef(ast.Ident(""), (), ast.Number("0"))
    return Frame.unrecorded(BodyElaboration(nobody, instance, "", "op", relaxed=False), locals=namespaces)


class Names:
    """Looks up names: local ones, those of the body, those of the language, then those of the file."""

    def __init__(self, session: Session, bundles: Bundles, evaluate: Evaluate) -> None:
        self.session = session
        self.bundles = bundles
        self.evaluate = evaluate

    def name(self, expr: ast.Name, frame: Frame) -> Value:
        """The value of a name, in the innermost scope that has it.

        Raises:
            ElaborationError: no scope has it.
            AlreadyReportedError: the line that it is bound to has an error.
        """
        word = expr.id
        if word in frame.locals:
            return _mentioned(frame.locals[word], expr, frame)
        found = None if frame.in_menu else _of_body(expr, frame)
        if found is None:
            found = self._of_language(word, frame)
        if found is None and (entity := frame.instance.lookup(word)) is not None:
            found = _mentioned(self._found(entity), expr, frame)
        if found is not None:
            return found
        return Builtin(word) if word in BUILTINS else _missing(expr, frame)

    def _of_language(self, word: str, frame: Frame) -> Value | None:
        """A word that no file can define."""
        if word == "relaxed":
            return self._relaxed(frame)
        if word == "open":
            return self.session.open()
        return CONSTANTS.get(word)

    def _relaxed(self, frame: Frame) -> bool:
        """The value of `relaxed`: whether the network is elaborated as a supernet."""
        if frame.relaxed is not None:
            return frame.relaxed
        frame.body.reads_relaxed = True
        return frame.body.relaxed

    def _found(self, found: Found) -> Value:
        """The value of a module-level name."""
        match found:
            case Namespace(instance=instance):
                return NamespaceValue(instance)
            case Replacement(value=value, instance=instance):
                with self.session.budget.nested(value.span):
                    return self.evaluate(value, module_frame(instance))
            case Entity(name=name, definitions=definitions, instance=instance):
                plain = found.plain
                if isinstance(plain, ast.MenuDef):
                    return Menu(plain, instance)
                if plain is not None:
                    return Function(plain, instance)
                return Copies(name, tuple(d for d in definitions if isinstance(d, ast.GraphDef)), instance)

    # ------------------------------------------------------------ fields

    def field(self, expr: ast.Field, frame: Frame) -> Value:
        """``n2.mix``, ``alias.D``, ``x.c``."""
        fields = self.bundles.where_names(expr.base, frame)
        if fields is not None and expr.name in fields:
            return fields[expr.name]
        base = self.evaluate(expr.base, frame)
        match base:
            case NamespaceValue(instance=instance):
                found = instance.lookup(expr.name) if expr.name in instance.unit.names else None
                if found is None:
                    hint = suggest(expr.name, instance.unit.names)
                    where = instance.unit.source.name
                    raise ElaborationError(Code.UNKNOWN_NAME, expr.span, f"'{where}' defines no '{expr.name}'", hint)
                return _mentioned(self._found(found), expr, frame)
            case Tensor(shape=shape):
                return _dimension(shape, expr)
            case Picked(items=items) | Bundle(items=items) if items and isinstance(items[0], Tensor):
                raise ElaborationError(Code.KIND, expr.span, f"a bundle has no '{expr.name}'; take one element of it")
            case Var(values=(Tensor(shape=shape), *_)):
                return _dimension(shape, expr)
        raise ElaborationError(Code.KIND, expr.span, f"{kind(base)} has no '{expr.name}'")

    # ------------------------------------------------------------ copies

    def copy(self, expr: ast.Copy, frame: Frame) -> Value:
        """``D@label``: the copy of a definition with that label."""
        base = self.evaluate(expr.base, frame)
        if not isinstance(base, Function | Copies):
            raise ElaborationError(
                Code.COPY, expr.span, f"'@' makes a copy of a cell, stage or network, not of {kind(base)}"
            )
        label = self._label(expr.label, frame)
        body = frame.body
        if isinstance(base, Copies):
            name, definitions = base.name, base.definitions
        elif isinstance(base.definition, ast.OpDef):
            return base
        else:
            name, definitions = self.session.title(replace(base, label=None)), _siblings(base)
        owner = "" if body.root or not body.copy else f"{body.copy}."
        path = f"{owner}{name}@{label}"
        for definition in definitions:
            if str(definition.copy) == path:
                return Function(definition, base.instance, path)
        if isinstance(base, Copies):
            have = ", ".join(str(definition.copy) for definition in base.definitions)
            raise ElaborationError(Code.COPY, expr.span, f"there is no '{path}'", f"there are {have}")
        return replace(base, label=path)

    def _label(self, expr: ast.Expr, frame: Frame) -> str:
        body = frame.body
        if isinstance(expr, ast.Name):
            if expr.id == "fresh":
                return body.fresh_label(frame.name)
            is_bound = expr.id in frame.locals or (not frame.in_menu and expr.id in body.bindings)
            if not is_bound:
                return expr.id
        value = self.evaluate(expr, frame)
        if isinstance(value, bool) or not isinstance(value, int | str):
            message = f"a label is a whole number or a name, not {shown(value)}"
            hint = "give the copy a name that no line has, in each place that shares it: `Cell@shared`"
            is_line = isinstance(expr, ast.Name) and expr.id in body.bindings
            raise ElaborationError(Code.COPY, expr.span, message, hint if is_line else None)
        return str(value)


def _of_body(expr: ast.Name, frame: Frame) -> Value | None:
    """A line, a family or an element of the body around."""
    word, body = expr.id, frame.body
    if word in body.bindings:
        return _mentioned(known(body.bindings[word]), expr, frame)
    if word in body.families:
        return family_value(body.families[word])
    name, index = element_of(word) or ("", ())
    family = body.families.get(name)
    return member(family, index, expr.span) if family is not None and index in family.elements else None


def _missing(expr: ast.Name, frame: Frame) -> Value:
    """Raise the error of a name that no scope has."""
    word, body = expr.id, frame.body
    name, index = element_of(word) or ("", ())
    if name in body.families and not frame.in_menu:
        return member(body.families[name], index, expr.span)
    visible = [*frame.locals, *body.bindings, *body.families, *frame.instance.unit.visible(), *BUILTINS]
    raise ElaborationError(Code.UNKNOWN_NAME, expr.span, f"unknown name '{word}'", suggest(word, visible))


def _mentioned(value: Value, node: ast.Expr, frame: Frame) -> Value:
    """A menu remembers who mentions it: the decision will be made, and written, there."""
    if isinstance(value, Menu):
        return Menu(value.definition, value.instance, value.args, frame.mention(node))
    return value


def _siblings(function: Function) -> tuple[ast.GraphDef, ...]:
    """The definitions of the same name, labelled ones included."""
    definitions = function.instance.unit.names.get(function.name, [])
    return tuple(d for d in definitions if isinstance(d, ast.GraphDef))


def _dimension(shape: Shape, expr: ast.Field) -> Value:
    """``x.c``, ``x.d``, ``x.h``, ``x.w``, ``x.n``, ``x.rest``, ``x.size`` of a tensor."""
    match expr.name, len(shape.dims):
        case "c", _:
            return shape.c
        case "d", 4:
            return shape.dims[1]
        case "h", 3 | 4:
            return shape.dims[-2]
        case "w", 3 | 4:
            return shape.dims[-1]
        case "n", 2:
            return shape.dims[1]
        case "rest", _:
            return Extents(shape.space)
        case "size", _:
            size: Value = 1
            for dim in shape.dims:
                size = lift(lambda a, b: a * b, size, dim)
            return size
    message = f"a tensor of shape {shape} has no '{expr.name}'"
    own = {4: "c, d, h, w,", 3: "c, h, w,", 2: "c, n,"}.get(len(shape.dims), "c,")
    raise ElaborationError(Code.SHAPE, expr.span, message, f"it has {own} rest and size")
