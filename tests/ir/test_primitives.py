"""Primitives: their records and their signatures agree, wrong parameters are refused, and a new one is one class."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from compiler.ir.primitives.base import Operator
from compiler.ir.primitives.parameters import Flag, Parameter, Share
from compiler.ir.primitives.registry import PRIMITIVES
from compiler.ir.primitives.shared_weights import MATRIX
from compiler.program.compile_file import compile_file
from compiler.program.model import Program
from hdas_dsl.files import PRELUDE
from hdas_dsl.parse.parser import parse_text
from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_expression
from tests.ir.test_traits import SAMPLES, Sample

MADE = {"add", "concat", "mul", "channels_last"}
"""The primitives that only the compiler makes: of ``+``, ``sum``, ``concat``, ``*``, and for the layout."""


def signatures() -> dict[str, ast.OpDef]:
    """The declarations of the prelude, by the name of the primitive."""
    module = parse_text(PRELUDE.read_text(encoding="utf-8"), PRELUDE.name)
    operations = [item for item in module.definitions if isinstance(item, ast.OpDef)]
    return {d.body.name.removeprefix("hsp:"): d for d in operations if isinstance(d.body, ast.External)}


def test_the_prelude_declares_every_primitive() -> None:
    assert signatures().keys() | MADE == {op.name for op in PRIMITIVES}
    assert not signatures().keys() & MADE
    assert all(definition.name == name for name, definition in signatures().items())


@pytest.mark.parametrize("op", [op for op in PRIMITIVES if op.name not in MADE], ids=lambda op: op.name)
def test_signatures_agree(op: type[Operator]) -> None:
    """Names, order, and each default that is a plain value; one that is an expression is the signature's alone."""
    params = signatures()[op.name].params
    assert [param.name for param in params] == [parameter.name for parameter in op.parameters()]
    for param, parameter in zip(params, op.parameters(), strict=True):
        written = "" if param.default is None else print_expression(param.default)
        plain = written if isinstance(param.default, ast.Number) or written in ("true", "false") else "none"
        assert plain == str(parameter.default).lower(), param.name


# ---------------------------------------------------------------- wrong parameters


def compiled(text: str) -> tuple[Program | None, list[Diagnostic]]:
    return compile_file("test.hsp", text=text)


def applied(sample: Sample, arguments: dict[str, str]) -> str:
    given = "".join(f", {name} = {value}" for name, value in arguments.items())
    inputs = ", ".join(f"weight_matrix(x, {s[0]}, {s[1]})" if s[2:] == MATRIX else "x" for s in sample.inputs)
    sizes = ", ".join(map(str, sample.inputs[0]))
    return f"hsp 1\nnetwork Net(x: [{sizes}]) {{\n  output {sample.op.name}({inputs}{given})\n}}\n"


def wrong(parameter: Parameter) -> Iterator[str]:
    """Values that a parameter refuses: other kinds, and what is below its range."""
    yield from ("1.5", '"x"', "(1, 2)", "relu")
    if isinstance(parameter.kind, Flag | Share):
        yield "1"
    else:
        yield from ("true", str(parameter.kind.least - 1))
        if not parameter.kind.width:
            yield "open"


PARAMETERS = [
    (sample, parameter)
    for sample in {sample.op.name: sample for sample in SAMPLES if sample.op.name not in MADE}.values()
    for parameter in sample.op.parameters()
]


@pytest.mark.parametrize(("sample", "parameter"), PARAMETERS, ids=[f"{s.op.name}-{p.name}" for s, p in PARAMETERS])
def test_wrong_parameters_are_refused(sample: Sample, parameter: Parameter) -> None:
    """With a code, the place and a sentence that names the parameter: never later, never by a traceback."""
    op = sample.op
    right = {key: str(given).lower() for key, given in op.attributes}
    assert compiled(applied(sample, right))[0] is not None
    for value in wrong(parameter):
        program, diagnostics = compiled(applied(sample, right | {parameter.name: value}))
        assert program is None, value
        (found,) = diagnostics
        assert found.code is Code.ARGUMENT
        assert found.span.line == 3
        assert f"'{parameter.name}' of '{op.name}'" in found.message
        assert " must be " in found.message
        assert "object at" not in found.message


CHOSEN = """\
hsp 1
cell Cell(x) {{
  a = x -> {}
  output sum(a)
}}
network Net(x: [4, 8, 8]) {{
  output x -> Cell
}}
"""


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("conv(k = 3 | 0)", "parameter 'k' of 'conv', the kernel size, must be a whole number of at least 1, not 0"),
        ("conv(3, c = 8 | 0)", "'c' of 'conv', the number of output channels, must be a whole number of at least 1"),
        ("conv(3, c = 8 | 2.5)", "must be a whole number of at least 1, not 2.5"),
        ("conv(3, groups = 2 | -2)", "parameter 'groups' of 'conv' must be a whole number of at least 1, not -2"),
        ("conv(3, bias = true | 1)", "parameter 'bias' of 'conv' must be true or false, not 1"),
        ("max_pool(3, pad = 2)", "'max_pool' pads by 2, which is more than half of its 3x3 window"),
        ("avg_pool(k = 5 | 3, pad = 2)", "'avg_pool' pads by 2, which is more than half of its 3x3 window"),
    ],
)
def test_every_value_of_a_choice_is_checked(layer: str, message: str) -> None:
    program, diagnostics = compiled(CHOSEN.format(layer))
    assert program is None
    assert [found.message for found in diagnostics if message in found.message]


@pytest.mark.parametrize("layer", ["conv(3, c = 4 | 8)", "conv(3, 4, groups = 2 | 4)", "conv(k = 1 | 3)"])
def test_choices_of_right_values(layer: str) -> None:
    assert compiled(CHOSEN.format(layer))[0] is not None


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ("op f(x; k) = external", "'conv' needs a parameter 'c'"),
        ("op f(x; k, c = 4, pad = 1, size = 3) = external", "'conv' has no parameter 'size'"),
    ],
)
def test_declarations_of_other_parameters(declared: str, message: str) -> None:
    program, diagnostics = compiled(
        f'hsp 1\n{declared} "hsp:conv"\nnetwork Net(x: [3, 8, 8]) {{\n  output f(x, 3)\n}}\n'
    )
    assert program is None
    assert [(found.code, found.message) for found in diagnostics] == [(Code.PLUGIN, message)]


def test_a_declaration_may_leave_out_what_has_a_default() -> None:
    text = 'hsp 1\nop f(x; k, c, pad) = external "hsp:conv"\nnetwork Net(x: [3, 8, 8]) {\n  output f(x, 3, 3, 1)\n}\n'
    program, _ = compiled(text)
    assert program is not None
    attributes = "k=3, c=3, stride=1, dilation=1, groups=1, bias=False, pad=1"
    assert f"conv[{attributes}]" in program.network.block.graph.pretty()
