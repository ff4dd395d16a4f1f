"""Names and fields: what a word of the text means where it stands."""

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

    def name(self, expr: ast.Name, frame: Frame) -> Value:  # noqa: C901
        """What a name means."""
        word, body, locals_ = expr.id, frame.body, frame.locals
        if word in locals_:
            return _mentioned(locals_[word], expr, frame)
        if not frame.in_menu:
            if word in body.bindings:
                return _mentioned(known(body.bindings[word]), expr, frame)
            if word in body.families:
                return family_value(body.families[word])
            if element := element_of(word):
                family = body.families.get(element[0])
                if family is not None and element[1] in family.elements:
                    return member(family, element[1], expr.span)
        if word in CONSTANTS:
            return CONSTANTS[word]
        if word == "relaxed":
            return self._relaxed(frame)
        if word == "open":
            return self.session.open()
        found = frame.instance.lookup(word)
        if found is not None:
            return _mentioned(self._found(found), expr, frame)
        if word in BUILTINS:
            return Builtin(word)
        element = element_of(word)
        if element is not None and element[0] in body.families and not frame.in_menu:
            return member(body.families[element[0]], element[1], expr.span)
        visible = [*locals_, *body.bindings, *body.families, *frame.instance.unit.visible(), *BUILTINS]
        raise ElaborationError(Code.UNKNOWN_NAME, expr.span, f"unknown name '{word}'", suggest(word, visible))

    def _relaxed(self, frame: Frame) -> bool:
        """Whether the relaxed variant of the network is meant."""
        if frame.relaxed is not None:
            return frame.relaxed
        frame.body.reads_relaxed = True
        return frame.body.relaxed

    def _found(self, found: Found) -> Value:
        """What a module-level name stands for."""
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
                return body.unique(frame.name.replace(".", "_"), body.used)
            is_bound = expr.id in frame.locals or (not frame.in_menu and expr.id in body.bindings)
            if not is_bound:
                return expr.id
        value = self.evaluate(expr, frame)
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ElaborationError(Code.COPY, expr.span, f"a label is a whole number or a name, not {shown(value)}")
        return str(value)


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
    """``x.c``, ``x.h``, ``x.w``, ``x.n``, ``x.rest``, ``x.size`` of a tensor."""
    match expr.name, len(shape.dims):
        case "c", _:
            return shape.c
        case "h", 3:
            return shape.dims[1]
        case "w", 3:
            return shape.dims[2]
        case "n", 2:
            return shape.dims[1]
        case "rest", _:
            return Bundle(shape.space)
        case "size", _:
            size: Value = 1
            for dim in shape.dims:
                size = lift(lambda a, b: a * b, size, dim)
            return size
    message = f"a tensor of shape {shape} has no '{expr.name}'"
    has = {3: "c, h, w, rest and size", 2: "c, n, rest and size"}.get(len(shape.dims), "c, rest and size")
    raise ElaborationError(Code.SHAPE, expr.span, message, f"it has {has}")
