"""`minimize` and `maximize` statements: from syntax to quantities as plain data."""

from __future__ import annotations

from collections.abc import Callable

from compiler.ir.graph import Decision, DecisionKind
from compiler.ir.quantities import (
    Arithmetic,
    Constant,
    Depth,
    DepthForm,
    Edge,
    Length,
    Logarithm,
    Loss,
    Preference,
    Quantity,
    Total,
)
from compiler.ir.undecided import Var
from hdas_dsl.text.diagnostics import Code, suggest
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import FAMILY_QUANTITIES, QUANTITIES, element_of

from .body_elaboration import BodyElaboration, Family
from .errors import Fault

Plain = Callable[[ast.Expr, BodyElaboration], object]
FORMS = {
    "depth": "depth(n)",
    "length": "length(n)",
    "latency": 'latency("table.csv")',
    "count": "count(Op)",
    "log": "log(q)",
}


def read_preference(
    line: ast.Preference, text: BodyElaboration, decisions: dict[str, Decision], plain: Plain
) -> Preference:
    """A preference of a text, about its own families or about the whole network."""
    weight = 1.0 if line.weight is None else plain(line.weight, text)
    if isinstance(weight, Var) or not isinstance(weight, int | float):
        span = line.span if line.weight is None else line.weight.span
        raise Fault(Code.VALUE, span, "the weight of a preference is a plain number")
    quantity = read_quantity(line.quantity, text, decisions, plain)
    return Preference(unused(f"{_called(line.quantity)} {text.copy}", text), line.sense, quantity, float(weight))


def _called(expr: ast.Expr) -> str:
    match expr:
        case ast.Name(id=name) | ast.Call(func=ast.Name(id=name)):
            return name
    return "preference"


def unused(name: str, text: BodyElaboration) -> str:
    """A name that no other preference of the text has."""
    taken = {preference.name for preference in text.preferences}
    number, found = 1, name
    while found in taken:
        number += 1
        found = f"{name} {number}"
    return found


def read_total(expr: ast.Node, text: BodyElaboration) -> Total | None:
    """The quantity of a network that an expression names, if it does; `edges` and `count` are about the text alone."""
    copy = None if text.root else text.copy
    match expr:
        case ast.Name(id="edges"):
            return Total("edges", None, copy)
        case ast.Name(id="params" | "macs" | "memory" as name) if name not in text.bindings:
            return Total(name)
        case ast.Call(func=ast.Name(id="count"), args=(ast.Arg(name=None, value=ast.Name(id=argument)),)):
            return Total("count", argument, copy)
        case ast.Call(func=ast.Name(id="latency"), args=(ast.Arg(name=None, value=ast.String(value=argument)),)):
            return Total("latency", argument, None, text.instance.unit.beside(argument))
    return None


def check_condition(condition: ast.Expr, text: BodyElaboration) -> None:
    """Refuse a `require` with a quantity that lacks what it is about."""
    functions = {node.func for node in condition.walk() if isinstance(node, ast.Call)}
    for node in condition.walk():
        if isinstance(node, ast.Name) and node.id in FORMS and node not in functions and node.id not in text.bindings:
            hint = f"write `{FORMS[node.id]}`"
            raise Fault(Code.QUANTITY, node.span, f"'{node.id}' needs something to speak of", hint)


def read_quantity(expr: ast.Expr, text: BodyElaboration, decisions: dict[str, Decision], plain: Plain) -> Quantity:
    if (total := read_total(expr, text)) is not None:
        return total
    match expr:
        case ast.Number():
            return Constant(float(expr.value))
        case ast.Name(id="loss"):
            return Loss()
        case ast.Binary(op=op, left=left, right=right) if op in ("+", "-", "*", "/", "**"):
            return Arithmetic(
                op, read_quantity(left, text, decisions, plain), read_quantity(right, text, decisions, plain)
            )
        case ast.Call(func=ast.Name(id="log"), args=(ast.Arg(name=None, value=inner),)):
            return Logarithm(read_quantity(inner, text, decisions, plain))
        case ast.Call(func=ast.Name(id=name), args=(first, *rest)) if name in FAMILY_QUANTITIES:
            family = _family(first, text)
            options = {arg.name: arg for arg in rest}
            if name == "length":
                _only(options, (), expr)
                return _length(family, text)
            _only(options, ("ends", "form"), expr)
            ends = bool(plain(options["ends"].value, text)) if "ends" in options else False
            form = _form(options["form"]) if "form" in options else DepthForm.WINDOW
            return _depth(family, text, decisions, form, ends, expr)
    name = expr.id if isinstance(expr, ast.Name) else expr.span.text
    if isinstance(expr, ast.Call) and isinstance(expr.func, ast.Name):
        name = expr.func.id
    if name in FORMS:
        raise Fault(Code.QUANTITY, expr.span, f"'{name}' needs something to speak of", f"write `{FORMS[name]}`")
    hint = suggest(name, QUANTITIES) or f"known: {', '.join(QUANTITIES)}"
    raise Fault(Code.QUANTITY, expr.span, f"'{expr.span.text if name in QUANTITIES else name}' is no quantity", hint)


def _only(options: dict[str | None, ast.Arg], known: tuple[str, ...], expr: ast.Expr) -> None:
    for name, arg in options.items():
        if name not in known:
            raise Fault(Code.ARGUMENT, arg.span, f"this quantity takes {' and '.join(known) or 'a family'} only")


def _form(arg: ast.Arg) -> DepthForm:
    word = arg.value.id if isinstance(arg.value, ast.Name) else ""
    try:
        return DepthForm(word)
    except ValueError:
        known = " or ".join(form.value for form in DepthForm)
        raise Fault(Code.VALUE, arg.span, f"the form of a depth is {known}") from None


def _family(arg: ast.Arg, text: BodyElaboration) -> Family:
    name = arg.value.id if isinstance(arg.value, ast.Name) else ""
    if name not in text.families:
        hint = suggest(name, text.families)
        raise Fault(Code.QUANTITY, arg.span, "a family of this text is needed here", hint)
    return text.families[name]


def _length(family: Family, text: BodyElaboration) -> Length:
    if family.size is None:
        return Length(f"{text.copy}.{family.name}", None, (len(family.elements),))
    return Length(f"{text.copy}.{family.name}", family.size.path, tuple(int(n) for n in family.size.numbers))


def _depth(
    family: Family, text: BodyElaboration, decisions: dict[str, Decision], form: DepthForm, ends: bool, expr: ast.Expr
) -> Depth | Constant:
    """The edges into each element: the candidates of its pick. A family without picks has a depth already."""
    nodes: list[tuple[Edge, ...]] = []
    for index in family.elements:
        prefix = f"{text.copy}.{family.name}{'_'.join(map(str, index))}."
        picks = [
            decisions[path]
            for path in text.decisions
            if path.startswith(prefix) and decisions[path].kind is DecisionKind.PICK
        ]
        if len(picks) != 1 or not picks[0].candidates:
            if not text.decisions:
                return Constant(0.0)
            message = f"depth needs one `pick` between menus in every element of '{family.name}'"
            raise Fault(Code.QUANTITY, expr.span, message)
        edges = []
        for decision, source in zip(picks[0].candidates, picks[0].sources, strict=True):
            element = element_of(source or "")
            inside = element is not None and element[0] == family.name and element[1] in family.elements
            edges.append(Edge(decision or "", element[1][0] if element and inside else None))
        nodes.append(tuple(edges))
    return Depth(f"{text.copy}.{family.name}", tuple(nodes), form, ends, _length(family, text))
