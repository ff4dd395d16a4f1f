"""Parsing that goes on after an error, so that all errors of a text come at once.

After an error the parser returns to the state that it had at the start of the wrong line, treats the line as a comment,
and goes on with the next one. The states are copies of lark's interactive parser, one for every open block.
"""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from lark import Token, Tree, UnexpectedToken
from lark.parsers.lalr_interactive_parser import InteractiveParser

from hdas_dsl.text.limits import ErrorList
from hdas_dsl.text.source import Source

from .keywords import TOP_WORDS
from .lexer import BROKEN, END, LINE
from .syntax_errors import explain

_SIGNATURE = (("NAME", "_"), ("LPAR", "("), ("RPAR", ")"))
_HEADINGS = {
    "cell": (("CELL", "cell"), *_SIGNATURE),
    "op": (("OP", "op"), *_SIGNATURE),
    "equivalence": (("EQUIVALENCE", "equivalence"), ("NAME", "_")),
    "method": (("METHOD", "method"), ("NAME", "_")),
    **dict.fromkeys(("search", "train", "provenance"), (("PROVENANCE", "provenance"),)),
}
"""For a word that may open a block, the tokens of a right line that opens one."""

_LAST_OF_HEADING = 2
"""The position of the version in ``LINE hsp NUMBER``, which is always right; a brace may follow without a line."""


def _copy(parser: InteractiveParser) -> InteractiveParser:
    """A parser in the same state; trees that are finished are shared, since nothing reads them after an error."""
    made: InteractiveParser = parser.copy(deepcopy_values=False)
    return made


class RecoveringParser:
    """One parse of a laid out text.

    Args:
        source: The text.
        parser: lark's parser in its start state.
        tokens: The tokens of the text, up to and with the end.
        report: Takes the errors.
        recovers: Whether the text has lines to go on with after an error.
    """

    def __init__(
        self,
        source: Source,
        parser: InteractiveParser,
        tokens: Sequence[Token],
        report: ErrorList,
        recovers: bool = True,
    ) -> None:
        self._source = source
        self._parser = parser
        self._tokens = tokens
        self._report = report
        self._recovers = recovers
        self._line = 0  # the token that the current line starts with
        self._wrong: set[int] = set()  # the tokens that were errors; none is one twice
        self._starts = [parser]  # behind the LINE of the current line in every open block, the outermost first

    def run(self) -> Tree[Token] | None:
        """The parse tree; None, or one to be thrown away, where there were errors."""
        i = 0
        result = None
        while i < len(self._tokens):
            token = self._tokens[i]
            try:
                result = self._feed(token)
            except UnexpectedToken:
                i = i + 1 if i in self._wrong else self._recover(i)
                continue
            if token.type == LINE:
                self._line = i
            elif i == _LAST_OF_HEADING:
                self._starts = [_copy(self._parser)]
            i += 1
        return result if isinstance(result, Tree) else None

    def _feed(self, token: Token) -> Any:
        """Takes one token; keeps the states that `_drop_line` returns to."""
        result = self._parser.feed_token(token)
        if token.type == LINE:
            self._starts[-1] = _copy(self._parser)
        elif token.type == "LBRACE":
            self._starts.append(self._starts[-1])
        elif token.type == "RBRACE":
            self._starts.pop()
        return result

    def _drop_line(self) -> None:
        """Returns to the start of the current line, and reads a comment in its place."""
        self._parser = _copy(self._starts[-1])
        if "COMMENT" in self._parser.choices():
            at = self._tokens[self._line].start_pos
            self._parser.feed_token(Token("COMMENT", "#", at, end_pos=at))

    def _recover(self, i: int) -> int:
        """Reports the error at token ``i``; returns the token to go on with."""
        self._wrong.add(i)
        token = self._tokens[i]
        if len(self._starts) > 1 and self._leaves_block(i):
            del self._starts[1:]
            self._drop_line()
            return i if token.type == END else i - 1
        accepts: set[str] = self._parser.accepts()
        if token.type != BROKEN:
            self._report.add(explain(self._source, self._tokens, i, accepts))
        if not self._recovers:
            return len(self._tokens)
        if token.type == LINE and "LBRACE" in accepts and self._tokens[i + 1].value not in TOP_WORDS:
            # A block without its '{'
            self._feed(Token("LBRACE", "{", token.start_pos, end_pos=token.start_pos))
            return i
        self._drop_line()
        while self._tokens[i].type not in (LINE, END):
            kind = self._tokens[i].type
            if kind == "RBRACE" and len(self._starts) > 1:
                break
            if kind == "LBRACE":
                if self._feed_heading():
                    break
                i = self._closing(i)
            i += 1
        return i

    def _leaves_block(self, i: int) -> bool:
        """Whether a block ends here whose '{' was put in, so that the layout does not know of it."""
        is_first = self._tokens[i - 1].type == LINE and self._tokens[i].value in TOP_WORDS
        return self._tokens[i].type == END or (is_first and self._tokens[i + 1].value != "=")

    def _feed_heading(self) -> bool:
        """Puts a right line in place of a wrong one that opens a block, so that the block is read all the same."""
        if len(self._starts) > 1:
            return False
        first = self._tokens[self._line + 1].value
        word = next(iter(get_close_matches(first, TOP_WORDS, n=1)), "cell")
        at = self._tokens[self._line].start_pos
        for kind, text in ((LINE, ""), *_HEADINGS.get(word, _HEADINGS["cell"])):
            self._feed(Token(kind, text, at, end_pos=at))
        return True

    def _closing(self, i: int) -> int:
        """The '}' of the '{' at token ``i``."""
        depth = 0
        while self._tokens[i].type != END:
            depth += (self._tokens[i].type == "LBRACE") - (self._tokens[i].type == "RBRACE")
            if depth == 0:
                return i
            i += 1
        return i - 1
