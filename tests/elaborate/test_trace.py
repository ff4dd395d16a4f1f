"""The record of an elaboration: which occurrence of an expression became what, and by which decision."""

from __future__ import annotations

from compiler.elaborate import Elaborated
from compiler.elaborate.trace import NodeIndex
from compiler.elaborate.values import Bundle, Tensor, shown
from compiler.ir.undecided import Var
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_expression
from tests.support.programs import load, space

HEAD = "hsp 1\nop f(x) = relu(x)\nop g(x) = gelu(x)\nchoice Op = f | g\n"


def net(*lines: str) -> str:
    return HEAD + "network Net(image: [4, 8, 8]) {\n" + "\n".join(lines) + "\n}\n"


def lines_of(definition: ast.Definition) -> tuple[ast.BodyLine, ...]:
    assert isinstance(definition, ast.GraphDef)
    return definition.body.lines


def record(found: Elaborated, path: str) -> list[str]:
    """The record of a copy: line, turns, expression and value of each occurrence, with the decision of a choice."""
    lines = []
    for occurrence in found.copies[path].body.trace.occurrences():
        value, choice = occurrence.value, occurrence.choice
        match value:
            case Tensor():
                word = f"node {found.copies[path].body.graph.node(value.index).name}"
            case Bundle():
                word = f"{len(value.items)} values"
            case _:
                word = shown(value)
        turns = "".join(f"[{turn}]" for turn in occurrence.each)
        text = print_expression(occurrence.node) if isinstance(occurrence.node, ast.Expr) else "?"
        decision = "" if choice is None else f" by {choice.path}"
        lines.append(f"{occurrence.line}{turns}: {text} = {word}{decision}")
    return lines


def test_every_occurrence_of_a_line() -> None:
    found = space(net("a = relu(image)", "n[i < 2] = (f | g)(a) + sum(a)", "output n1"))
    assert record(found, "Net") == [
        "a: relu = an operation",
        "a: image = node image",
        "a: relu(image) = node a.relu",
        "n0: a = node a.relu",
        "n0: f = an operation",
        "n0: g = an operation",
        "n0: f | g = an undecided value by Net.n0.from_a",
        "n0: (f | g)(a) = node n0.from_a",
        "n0: sum = an operation",
        "n0: a = node a.relu",
        "n0: sum(a) = node a.relu",
        "n0: (f | g)(a) + sum(a) = node n0",
        "n1: a = node a.relu",
        "n1: f = an operation",
        "n1: g = an operation",
        "n1: f | g = an undecided value by Net.n1.from_a",
        "n1: (f | g)(a) = node n1.from_a",
        "n1: sum = an operation",
        "n1: a = node a.relu",
        "n1: sum(a) = node a.relu",
        "n1: (f | g)(a) + sum(a) = node n1",
        "output: n1 = node n1",
    ]


def test_numbers_are_those_of_the_text() -> None:
    """A node's number depends on the text alone; equal expressions at different places are different nodes."""
    first, second = (load(net("a = relu(image) + relu(image)", "output a")).unit for _ in range(2))
    indexes = [NodeIndex(unit.names["Net"][0]) for unit in (first, second)]
    assert [type(node) for node in indexes[0].nodes] == [type(node) for node in indexes[1].nodes]
    calls = [[n for n in index.definition.walk() if isinstance(n, ast.Call)] for index in indexes]
    for found in calls:
        found.sort(key=lambda call: call.span.start)
    assert calls[0][0] == calls[0][1] == calls[1][0]
    numbers = [[index.number(call) for call in found] for index, found in zip(indexes, calls, strict=True)]
    assert numbers[0] == numbers[1]
    left, right = numbers[0][:2]
    assert left is not None
    assert right is not None
    assert 0 < left < right, "source order, after the definition itself"
    assert indexes[0].number(indexes[0].definition) == 0
    assert indexes[0].number(calls[1][0]) is None
    assert [indexes[0].nodes[number or 0] for number in numbers[0]] == calls[0]


def test_turns_of_each() -> None:
    found = space(net("output sum(f(each (image, relu(image))))"))
    body = found.root.body
    (line,) = lines_of(body.definition)
    (reading,) = body.trace.readings(line)
    each = next(node for node in line.walk() if isinstance(node, ast.Each))
    made = [reading.value(each, (turn,)) for turn in (0, 1)]
    names = [body.graph.node(value.index).name for value in made if isinstance(value, Tensor)]
    assert names == ["image", "output.from_image.relu"]
    assert reading.value(each, ()) is None
    assert reading.value(each, (2,)) is None


def test_items_of_a_menu_are_read_once_for_each_mention() -> None:
    found = space(net("a = Op(image)", "b = Op(a)", "output b"))
    body = found.root.body
    choices = [occurrence.choice for occurrence in body.trace.occurrences() if occurrence.choice is not None]
    assert [choice.path for choice in choices] == ["Net.a.from_image", "Net.b.from_a"]
    assert [[print_expression(option.expr) for option in choice.options] for choice in choices] == [["f", "g"]] * 2
    readings = [choice.options[0].position.reading for choice in choices]
    assert readings[0] is not readings[1]
    assert all(reading.in_menu for reading in readings)
    menu = body.instance.unit.names["Op"][0]
    assert [reading.index.definition for reading in readings if reading.index is not None] == [menu, menu]
    assert [shown(value) for value in readings[0].values] == ["an operation"] * 2


def test_what_leaves_no_record() -> None:
    """Operations hold no choice, guards say nothing of the architecture; defaults do, where they are read."""
    found = space(HEAD + "cell C(x; k = 1 + 2) { output (f if k > 2 | g)(x) }\n" + net("output C(image)")[len(HEAD) :])
    texts = {line.partition(": ")[2].partition(" = ")[0] for line in record(found, "C")}
    assert texts == {"1", "2", "1 + 2", "f", "g", "f if k > 2 | g", "x", "(f if k > 2 | g)(x)"}


def test_each_instance_is_read_but_the_first_is_kept() -> None:
    found = space(HEAD + "cell C(x) { output Op(x) }\n" + net("a = C(image)", "output C(conv(a, 1, 8))")[len(HEAD) :])
    (line,) = lines_of(found.copies["C"].definition)
    (reading,) = found.copies["C"].body.trace.readings(line)
    assert reading.has_choices
    assert isinstance(line, ast.Output)
    tensor = reading.value(line.value, ())
    assert isinstance(tensor, Tensor)
    assert tensor.shape.dims == (4, 8, 8)


def test_undecided_values_are_recorded_as_such() -> None:
    found = space(net("k = 1 | 3", "output conv(image, 2 * k, 4)"))
    body = found.root.body
    line = lines_of(body.definition)[1]
    product = next(node for node in line.walk() if isinstance(node, ast.Binary))
    value = body.trace.readings(line)[0].value(product, ())
    assert value == Var(("Net.k",), (2,), (2, 6))
