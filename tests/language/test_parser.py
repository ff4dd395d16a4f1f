"""From text to tree: what every form means, where its nodes stand, and how deep it may go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hdas_dsl.parse import tables
from hdas_dsl.parse.parser import parse, parse_expression, parse_text
from hdas_dsl.text.diagnostics import Code, HspError
from hdas_dsl.text.source import Source
from hdas_dsl.tree import ast
from hdas_dsl.tree.ast import Binary, Call, Choice, If, Item, Name, Number, Pick, Pipe, Take, Tuple, Unary
from hdas_dsl.tree.depth import MAX_DEPTH, check_depth
from hdas_dsl.tree.printer import print_expression, print_module
from tests.support.paths import FIXTURES, ROOT
from tests.support.strategies import modules

PROGRAMS = sorted((FIXTURES / "programs").rglob("*.hsp"))


def expr(text: str) -> ast.Expr:
    found, report = parse_expression(text)
    assert found is not None, "\n".join(diagnostic.render() for diagnostic in report)
    return found


def body(text: str) -> tuple[ast.BodyLine, ...]:
    (cell,) = parse_text(f"hsp 1\ncell F(x) {{\n{text}\n}}\n").definitions
    assert isinstance(cell, ast.GraphDef)
    return cell.body.lines


def codes(text: str) -> list[Code]:
    return [diagnostic.code for diagnostic in parse(Source("t", text))[1]]


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_programs_parse(path: Path) -> None:
    module = parse_text(path.read_text(), path.name)
    assert module.lines


A, B, C, F, G = map(Name, "abcfg")


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b * c", Binary("+", A, Binary("*", B, C))),
        ("a - b - c", Binary("-", Binary("-", A, B), C)),
        ("a ** b ** c", Binary("**", A, Binary("**", B, C))),
        ("-a ** b", Unary("-", Binary("**", A, B))),
        ("a ** -b", Binary("**", A, Unary("-", B))),
        ("-a * b", Binary("*", Unary("-", A), B)),
        ("not a == b", Unary("not", Binary("==", A, B))),
        ("a or b and c", Binary("or", A, Binary("and", B, C))),
        ("a in (b, c)", Binary("in", A, Tuple((B, C)))),
        ("a | b if c", Choice((Item(A), Item(B, C)))),
        ("a if c", Choice((Item(A, C),))),
        ("a -> f if c", Choice((Item(Pipe((A, F)), C),))),
        ("4 | .. | 8", Choice((Item(Number("4")), Item(ast.Dots()), Item(Number("8"))))),
        ("if a then b else c | f", If(A, B, Choice((Item(C), Item(F))))),
        ("if a then b if c else f", If(A, Choice((Item(B, C),)), F)),
        ("last of a -> f", Pipe((Take(ast.End.LAST, None, A), F))),
        ("first 2 of a", Take(ast.End.FIRST, Number("2"), A)),
        ("pick 2 of last 3 of a", Pick(Number("2"), Take(ast.End.LAST, Number("3"), A))),
        ("pick any of a", Pick(None, A)),
        ("pick 0..2 of a", Pick(ast.Range(Number("0"), Number("2")), A)),
        ("pick a .. b + 1 of f", Pick(ast.Range(A, Binary("+", B, Number("1"))), F)),
        ("pick 1 of a + b", Binary("+", Pick(Number("1"), A), B)),
        ("f(each earlier a)", Call(F, (ast.Arg(None, ast.Each(ast.Earlier(ast.Ident("a")))),))),
        ("f(a = each b)", Call(F, (ast.Arg(ast.Ident("a"), ast.Each(B)),))),
        ("f@a(b)", Call(ast.Copy(F, A), (ast.Arg(None, B),))),
        ("f@(a)(b)", Call(ast.Copy(F, A), (ast.Arg(None, B),))),
        ("f@1.a", ast.Field(ast.Copy(F, Number("1")), ast.Ident("a"))),
        ("a[1..4]", ast.Index(A, (ast.Range(Number("1"), Number("4")),))),
        ("a[b - 1, c .. c + 1]", ast.Index(
            A, (Binary("-", B, Number("1")), ast.Range(C, Binary("+", C, Number("1")))))),
        ("(a | b)(c)", Call(Choice((Item(A), Item(B))), (ast.Arg(None, C),))),
        ("((a))", A),
        ("()", Tuple(())),
        (r'"a \"b\" \\"', ast.String(r'a "b" \\'[:-1])),
        ("a\n  -> f\n  -> g", Pipe((A, F, G))),
        ("f(\n  a,\n  b\n)", Call(F, (ast.Arg(None, A), ast.Arg(None, B)))),
    ],
)  # fmt: skip
def test_expression(text: str, tree: ast.Expr) -> None:
    assert expr(text) == tree


@pytest.mark.parametrize(
    ("text", "value"), [("4", 4), ("0.5", 0.5), ("3e-4", 3e-4), ("4M", 4_000_000), ("1.5M", 1_500_000), ("2K", 2000)]
)
def test_number(text: str, value: float) -> None:
    number = expr(text)
    assert isinstance(number, Number)
    assert number.value == value
    assert type(number.value) is type(value)


def test_where_binds_several_names_and_a_family_has_dimensions() -> None:
    (line,) = body("s[j < 5] = f(c) where (c, n) = rows[j], m = 1")
    assert isinstance(line, ast.Binding)
    assert line.target == ast.Target((ast.Ident("s"),), (ast.Dim(ast.Ident("j"), Number("5")),))
    assert [local.target.names for local in line.where] == [("c", "n"), ("m",)]


def test_copy_names() -> None:
    module = parse_text("hsp 1\ncell Stage@1.Cell@fresh(a; c) { output a }")
    (cell,) = module.definitions
    assert isinstance(cell, ast.GraphDef)
    assert [(part.name, str(part.label)) for part in cell.copy.parts] == [("Stage", "1"), ("Cell", "fresh")]
    assert cell.copy == ast.CopyName.of("Stage@1.Cell@fresh")
    assert (cell.name, str(cell.copy)) == ("Cell", "Stage@1.Cell@fresh")


def test_n2_is_left_as_written() -> None:
    assert expr("n2") != expr("n[2]")


# ---------------------------------------------------------------- lines and comments


def test_where_a_line_goes_on() -> None:
    lines = body(
        "a = b\n  + c\nd = f(\n b\n)\ne =\n  b |\n  c\nf = if a\n  then b\n  else c\ng = a where\n  b = 1,\n  c = 2"
    )
    names = [line.target.name for line in lines if isinstance(line, ast.Binding)]
    assert names == ["a", "d", "e", "f", "g"]


def test_comments_and_notes_and_gaps() -> None:
    text = "x = a  # note of x\n\n# alone\ny = f(a,  # inside\n  b)  # note of y"
    x, alone, inside, y = body(text)
    assert (x.note, y.note) == ("# note of x", "# note of y")
    assert alone == ast.Comment("# alone")
    assert inside == ast.Comment("# inside")
    assert [line.gap for line in (x, alone, inside, y)] == [False, True, False, False]


def test_comments_around_braces() -> None:
    module = parse_text("# before\nhsp 1  # heading\ncell F(x) {  # opened\n  output x\n  # last\n}  # closed\n# end")
    heading, before, cell, end = module.lines
    assert [heading, before, end] == [ast.Comment("# heading"), ast.Comment("# before"), ast.Comment("# end")]
    assert isinstance(cell, ast.GraphDef)
    assert cell.note == "# closed"
    assert cell.body.lines == (ast.Comment("# opened"), ast.Output(Name("x")), ast.Comment("# last"))


def test_a_gap_moves_to_the_comment_hoisted_above_its_line() -> None:
    _, comment, line = body("x = a\n\ny = f(a, # inside\n  b)")
    assert (comment.gap, line.gap) == (True, False)


# ---------------------------------------------------------------- spans


def test_spans_are_exact() -> None:
    module = parse_text("hsp 1\nop f(x; k: [3] = 1) = (a + b) * c  # note\n")
    (definition,) = module.definitions
    assert definition.span.text == "op f(x; k: [3] = 1) = (a + b) * c"
    texts = [node.span.text for node in definition.walk() if not isinstance(node, Name | Number | ast.Ident)]
    assert texts == [definition.span.text, "x", "k: [3] = 1", "(a + b) * c", "a + b"]


# ---------------------------------------------------------------- errors


def test_all_errors_of_a_file_come_at_once() -> None:
    text = "hsp 1\nop f(x) = \nop g(x) = a b\ncell F(x) {\n  y = $\n  output x +\n}\nchoice = 3\n"
    report = parse(Source("t", text))[1]
    assert [diagnostic.span.line for diagnostic in report] == [2, 3, 5, 6, 8]


def test_an_unclosed_bracket_costs_one_error() -> None:
    report = parse(Source("t", "hsp 1\ncell F(x) {\n  y = f(x\n  z = g(y)\n  output z\n}\n"))[1]
    (only,) = report
    assert only.code == Code.UNCLOSED
    assert only.other is not None
    assert (only.span.line, only.other[0].line) == (4, 3)


@pytest.mark.parametrize(
    "text", ["", "\n", "# only a comment", "cell F(x) { output x }", 'hsp 2\nuse "a"', "hsp 1.0", "hsp", "hsp x"]
)
def test_version(text: str) -> None:
    assert codes(text) == [Code.VERSION]


def test_errors_are_raised_at_the_edge() -> None:
    with pytest.raises(HspError) as caught:
        parse_text("hsp 1\nop f(x) = a b\nop g(x) =\n", "name.hsp")
    assert len(caught.value.diagnostics) == 2
    assert str(caught.value).startswith("name.hsp:2:13: error[E101]")


@pytest.mark.parametrize(
    "value",
    [
        "(" * 10_000 + "a" + ")" * 10_000,
        "(" * 10_000,
        "+".join("a" * 5_000),
        "-" * 10_000 + "a",
        "not " * 10_000 + "a",
        "f(" * 40 + "a + 1" + ")" * 40 + " + a" * 90,
        "pick 1 of " * 3_000 + "a",
        "if a then b else " * 3_000 + "c",
        "a" + ".b" * 5_000,
        "2 ** " * 5_000 + "2",
    ],
    ids=lambda value: value[:12],
)
def test_depth(value: str) -> None:
    assert Code.DEPTH in codes(f"hsp 1\nop f(x) = {value}\n")
    assert Code.DEPTH in [diagnostic.code for diagnostic in parse_expression(value)[1]]


def test_what_is_not_too_deep() -> None:
    """Neither wide lists nor a tree just above the limit; such a tree can be printed and read again."""
    wide = "f(" + ", ".join(["a"] * 5_000) + ") -> " + " -> ".join(["f"] * 5_000)
    assert expr(wide)


@pytest.mark.parametrize(
    "text",
    [
        "a + {}",
        "{} + a",
        "a -> ({})",
        "({}) -> a",
        "f({})",
        "a[{}]",
        "f@({})",
        "(a, {})",
        "-{}",
        "if a then {} else b",
        "a | ({})",
        "pick 1 of ({})",
        "({}).b",
        "(a if {})()",
    ],
)
def test_what_is_just_not_too_deep(text: str) -> None:
    tree = expr("a")
    while check_depth(bigger := expr(text.format(print_expression(tree)))) is None and depth(bigger) < MAX_DEPTH - 3:
        tree = bigger
    module = ast.Module((ast.OpDef(ast.Ident("f"), (), (), tree),))
    assert parse_text(print_module(module)) == module


def depth(node: ast.Node) -> int:
    return 1 + max(map(depth, node.children()), default=0)


def test_braces_in_braces_are_errors_like_any_other() -> None:
    assert Code.UNCLOSED in codes("hsp 1\ncell F(x) " + "{" * 1_000)


@given(modules())
@settings(deadline=None)
def test_no_text_raises_anything_but_diagnostics(module: ast.Module) -> None:
    """Programs with every third word left out."""
    words = print_module(module).split(" ")
    text = " ".join(word for i, word in enumerate(words) if i % 3)
    found, report = parse(Source("t", text))
    assert (found is None) == bool(report)


WORDS = "x n 4 hsp op choice cell search use output prune phase if then else pick of last each where with as in"
SIGNS = '-> | .. + - == = . @ : , ; ( ) [ ] { } "t" " # $ \u2192'
SOUP = st.sampled_from([*WORDS.split(), *SIGNS.split(), "\n", "\n"])


@given(st.lists(SOUP, max_size=60), st.booleans())
@settings(deadline=None)
def test_soup(words: list[str], headed: bool) -> None:
    text = "hsp 1\n" * headed + " ".join(words)
    found, report = parse(Source("t", text))
    assert (found is None) == bool(report)
    value, report = parse_expression(text)
    assert (value is None) == bool(report)


# ---------------------------------------------------------------- the grammar


def test_the_grammar_is_strict() -> None:
    """No conflict in the tables, no terminal that could be mistaken for another."""
    pytest.importorskip("interegular")
    import lark

    options = {**vars(tables.grammar_parser().options)["options"], "strict": True}
    lark.Lark(tables.GRAMMAR.read_text(), **options)


def test_parsing_needs_no_torch() -> None:
    code = (
        "import sys, hdas_dsl.parse.parser, hdas_dsl.tree.printer; "
        "assert not {'torch', 'networkx', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
