"""A lexer of the language for Pygments, which rich and Sphinx ask for by the name `hsp`."""

from __future__ import annotations

from typing import ClassVar

from pygments.lexer import RegexLexer, words
from pygments.token import Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace, _TokenType

from .parse.keywords import BODY_WORDS, FIRST_WORDS, INSIDE_WORDS, OPERATOR_WORDS, TOP_WORDS
from .tree.words import BUILTINS, WORDS

Rule = tuple[object, _TokenType]

STATEMENTS = sorted(FIRST_WORDS - {*TOP_WORDS, "hsp"} | {*BODY_WORDS})


class HspLexer(RegexLexer):  # type: ignore[misc]
    """Tokens of a text, also of one that is wrong."""

    name = "hsp"
    aliases: ClassVar[list[str]] = ["hsp"]
    filenames: ClassVar[list[str]] = ["*.hsp"]
    tokens: ClassVar[dict[str, list[Rule]]] = {
        "root": [
            (r"\s+", Whitespace),
            (r"#[^\n]*", Comment.Single),
            (r'"(?:[^"\\\n]|\\["\\])*"', String.Double),
            (r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?[KMG]?\b", Number),
            (words(("hsp", *TOP_WORDS), suffix=r"\b"), Keyword.Declaration),
            (words(STATEMENTS, suffix=r"\b"), Keyword),
            (words(INSIDE_WORDS, suffix=r"\b"), Keyword),
            (words(OPERATOR_WORDS, suffix=r"\b"), Operator.Word),
            (words(WORDS, suffix=r"\b"), Keyword.Constant),
            (words(BUILTINS, suffix=r"\b"), Name.Builtin),
            (r"[A-Za-z_]\w*(?=\s*\()", Name.Function),
            (r"[A-Za-z_]\w*", Name),
            (r"->|\.\.|\*\*|//|[=!<>]=|[-+*/%<>|=@.]", Operator),
            (r"[\[\](){},:;]", Punctuation),
        ]
    }
