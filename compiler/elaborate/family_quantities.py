"""The depth and the expected length of a family, as quantities of its picks and of the decision on its size."""

from __future__ import annotations

from collections.abc import Mapping

from compiler.ir.decision import Decision, DecisionKind
from compiler.ir.quantities import Constant, Depth, DepthForm, Edge, Length
from hdas_dsl.text.diagnostics import Code, suggest
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import element_of

from .body_elaboration import BodyElaboration, Family
from .errors import ElaborationError


def only(options: dict[str | None, ast.Arg], known: tuple[str, ...]) -> None:
    """Refuse options that a quantity does not have; raises `ElaborationError`."""
    for name, arg in options.items():
        if name not in known:
            raise ElaborationError(
                Code.ARGUMENT, arg.span, f"this quantity takes {' and '.join(known) or 'a family'} only"
            )


def form_of(arg: ast.Arg) -> DepthForm:
    """The form of a depth that an option names; raises `ElaborationError` where it names none."""
    word = arg.value.id if isinstance(arg.value, ast.Name) else ""
    try:
        return DepthForm(word)
    except ValueError:
        known = " or ".join(form.value for form in DepthForm)
        raise ElaborationError(Code.VALUE, arg.span, f"the form of a depth is {known}") from None


def family_of(arg: ast.Arg, body: BodyElaboration) -> Family:
    """The family of a body that an argument names; raises `ElaborationError` where it names none."""
    name = arg.value.id if isinstance(arg.value, ast.Name) else ""
    if name not in body.families:
        hint = suggest(name, body.families)
        raise ElaborationError(Code.QUANTITY, arg.span, "a family of this text is needed here", hint)
    return body.families[name]


def length_of(family: Family, body: BodyElaboration) -> Length:
    """The number of elements that a family may have."""
    if family.size is None:
        return Length(f"{body.copy}.{family.name}", None, (len(family.elements),))
    return Length(f"{body.copy}.{family.name}", family.size.path, family.size.numbers)


def depth_of(
    family: Family,
    body: BodyElaboration,
    decisions: Mapping[str, Decision],
    form: DepthForm,
    ends: bool,
    expr: ast.Expr,
) -> Depth | Constant:
    """The edges into each element: the candidates of its pick. A body without decisions has the depth 0.

    Raises:
        ElaborationError: an element of the family has no pick between menus, or more than one.
    """
    nodes: list[tuple[Edge, ...]] = []
    for index in family.elements:
        prefix = f"{body.copy}.{family.name}{'_'.join(map(str, index))}."
        picks = [
            decisions[path]
            for path in body.decisions
            if path.startswith(prefix) and decisions[path].kind is DecisionKind.PICK
        ]
        if len(picks) != 1 or not picks[0].candidates:
            if not body.decisions:
                return Constant(0.0)
            message = f"depth needs one `pick` between menus in every element of '{family.name}'"
            raise ElaborationError(Code.QUANTITY, expr.span, message)
        edges = []
        for decision, source in zip(picks[0].candidates, picks[0].sources, strict=True):
            element = element_of(source or "")
            inside = element is not None and element[0] == family.name and element[1] in family.elements
            edges.append(Edge(decision or "", element[1][0] if element and inside else None))
        nodes.append(tuple(edges))
    return Depth(f"{body.copy}.{family.name}", tuple(nodes), form, ends, length_of(family, body))
