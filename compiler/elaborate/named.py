"""The definitions that a quantity names: of a name of the body, of its file, or of a file that it uses (`nb.skip`).

A section also names the results of phases, `micro.Normal`.
"""

from __future__ import annotations

from collections.abc import Mapping

from hdas_dsl.names import name_of_copy
from hdas_dsl.text.diagnostics import Code, suggest, suggest_or_list
from hdas_dsl.text.source import Span
from hdas_dsl.tree import ast
from hdas_dsl.units import Entity, Found, Instance, Namespace, Replacement

from .body_elaboration import BodyElaboration, Copy
from .errors import ElaborationError
from .values import Bound, Copies, Function, Menu, Partial


def named(expr: ast.Name | ast.Field, body: BodyElaboration) -> Entity | None:
    """The definitions that a name in a body refers to; None where nothing visible has the name.

    Raises:
        ElaborationError: it refers to something that has no applications of its own, such as a choice.
    """
    if isinstance(expr, ast.Name):
        entity = _bound(body.bindings.get(expr.id), expr.span)
        if entity is not None:
            return entity
        if expr.id in body.results:
            message = f"'{expr.id}' is a phase, not an operation of it"
            raise ElaborationError(Code.QUANTITY, expr.span, message, f"write `{expr.id}.` and a name")
    elif isinstance(expr.base, ast.Name) and expr.base.id in body.results:
        return of_result(body.results[expr.base.id], expr.name, body.instance, expr.span)
    return _entity(expr, body.instance, expr.span)


def of_result(result: Instance, name: str, own: Instance, span: Span) -> Entity:
    """The definition of a name in the result of a phase; an operation that the result lacks is the file's own.

    Args:
        result: the file that the phase derived.
        name: the name of a definition.
        own: the file that the phase stands in.
        span: the place of the name.

    Raises:
        ElaborationError: there is no such definition, or it is a choice.
    """
    found = _of(result.lookup(name) or own.lookup(name), span)
    if found is None or (found.instance is own and not isinstance(found.plain, ast.OpDef)):
        known = result.unit.names
        message = f"'{result.unit.source.name}' defines no '{name}'"
        raise ElaborationError(Code.UNKNOWN_NAME, span, message, suggest(name, known))
    return found


def copy_named(expr: ast.Expr, body: BodyElaboration, copies: Mapping[str, Copy]) -> str:
    """The name that the copies of a cell or stage have in paths; one of another file may be numbered there."""
    entity = named(expr, body) if isinstance(expr, ast.Field) else None
    if entity is not None:
        for path, copy in copies.items():
            if entity.has(copy.definition, copy.instance):
                return name_of_copy(path)
    return expr.span.text


def _bound(value: Bound | None, span: Span) -> Entity | None:
    """The definitions of an operation that a parameter or a line of the body is bound to."""
    match value:
        case Function(definition=definition, instance=instance):
            found = instance.lookup(definition.name)
            if isinstance(found, Entity) and any(own is definition for own in found.definitions):
                return found
            return Entity(definition.name, (definition,), instance)
        case Copies(name=name, definitions=definitions, instance=instance):
            return Entity(name, definitions, instance)
        case Partial(function=inner):
            return _bound(inner, span)
        case Menu():
            raise _is_choice(span)
    return None


def _entity(expr: ast.Expr, instance: Instance, span: Span) -> Entity | None:
    """The definitions that an expression names in a file."""
    match expr:
        case ast.Name(id=name):
            return _of(instance.lookup(name), span)
        case ast.Field(base=ast.Name(id=alias), name=name):
            used = instance.lookup(alias)
            if isinstance(used, Namespace) and name in used.instance.unit.names:
                return _of(used.instance.lookup(name), span)
            known = used.instance.unit.names if isinstance(used, Namespace) else ()
            raise ElaborationError(
                Code.UNKNOWN_NAME, expr.span, f"unknown name '{expr.span.text}'", suggest_or_list(name, known)
            )
    message = f"'{span.text}' is replaced by an expression without a name"
    raise ElaborationError(Code.QUANTITY, span, message, "define an operation that says it, and replace by that")


def _of(found: Found | None, span: Span) -> Entity | None:
    match found:
        case Replacement(value=value, instance=instance):
            return _entity(value, instance, span)
        case Entity(plain=ast.MenuDef()):
            raise _is_choice(span)
        case Namespace():
            raise ElaborationError(Code.QUANTITY, span, f"'{span.text}' is a file, not an operation of it")
    return found


def _is_choice(span: Span) -> ElaborationError:
    message = f"'{span.text}' is a choice, which is not applied itself"
    return ElaborationError(Code.QUANTITY, span, message, "name its items")
