"""Diagnostics as JSON: what a message says, and where it begins and ends."""

from __future__ import annotations

import json

from hdas_dsl.parse.parser import parse
from hdas_dsl.text.diagnostics import Code, Diagnostic, Severity, to_json
from hdas_dsl.text.source import Source, Span

TEXT = "hsp 1\nop f(x) = relu(\n  x,\n  y)\n"


def place(start: str, end: str) -> Span:
    """The span from one piece of the text to the end of another."""
    return Span(Source("f.hsp", TEXT), TEXT.index(start), TEXT.index(end) + len(end))


def test_all_of_a_message() -> None:
    other = (place("f(x)", "f"), "defined here")
    made = to_json(Diagnostic(Code.ARGUMENT, place("relu", "y)"), "too many", "take y away", other, Severity.WARNING))
    assert json.loads(json.dumps(made)) == {
        "code": "E301",
        "severity": "warning",
        "message": "too many",
        "hint": "take y away",
        "file": "f.hsp",
        "line": 2,
        "column": 11,
        "end_line": 4,
        "end_column": 5,
        "related": [
            {"message": "defined here", "file": "f.hsp", "line": 2, "column": 4, "end_line": 2, "end_column": 5}
        ],
    }


def test_no_hint_and_no_other_place() -> None:
    made = to_json(Diagnostic(Code.SYNTAX, place("x,", "x,"), "wrong"))
    assert (made["hint"], made["related"], made["severity"]) == (None, [], "error")
    assert (made["line"], made["column"], made["end_line"], made["end_column"]) == (3, 3, 3, 5)


def test_the_end_of_a_text_has_a_place() -> None:
    _, (found,) = parse(Source("end.hsp", "hsp 1\nop f(x) = relu(x\n"))
    made = to_json(found)
    assert (made["code"], made["line"], made["column"]) == ("E103", 2, 17)
    assert (made["end_line"], made["end_column"]) == (2, 17)


def test_nothing_in_a_text_commands_a_terminal() -> None:
    text = "hsp 1\nop f(x) = '\x1b[2J\u202e' \x00y\n"
    made = Diagnostic(Code.SYNTAX, Span(Source("\x1b[31m.hsp", text), 24, 25), "no \u2066name", "try\x07")
    assert made.render().splitlines() == [
        "\\x1b[31m.hsp:2:19: error[E101]: no \\u2066name",
        "    op f(x) = '\\x1b[2J\\u202e' \\x00y",
        "                              ^^^^",
        "  hint: try\\x07",
    ]
