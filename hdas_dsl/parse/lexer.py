"""The layout of a text: starts and ends of lines, the lines that comments belong to, open brackets.

Lark splits the text into raw tokens, newlines and comments among them. `lay_out` turns these into the stream that the
grammar is written for: ``LINE`` before every line, ``COMMENT`` for a comment that is a line of its own, ``NOTE`` for
one behind a line. Errors of characters, numbers and brackets are reported here, so that the parser only ever
sees balanced brackets; a ``BROKEN`` token then marks a line that gets no second error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from lark import Token

from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.text.limits import ErrorList
from hdas_dsl.text.source import Source, Span
from hdas_dsl.tree.depth import MAX_DEPTH, nested_too_deeply

from .number_hints import meant_number
from .raw_tokens import RawTokens

RAW_TERMINALS: Final = ("COMMENT", "NEWLINE", "BAD_STRING", "OTHER")
"""Terminals that only the layout reads, not the grammar."""

LINE: Final = "LINE"
NOTE: Final = "NOTE"
BY: Final = "_BY"
BROKEN: Final = "BROKEN"
END: Final = "$END"

_CLOSERS: Final = {"(": ")", "[": "]"}
_MEANT: Final = {
    "'": 'a text stands between double quotes: "..."',
    "→": "a pipe is written '->'",
    "&": "write 'and'",
    "!": "write 'not'",
    "^": "a power is written '**'",
}


def span_of(source: Source, token: Token) -> Span:
    """The place of a token."""
    return Span(source, token.start_pos or 0, token.end_pos or 0)


def lay_out(source: Source, raw: Iterable[Token], report: ErrorList) -> Iterator[Token]:
    """The tokens of the grammar, up to and with the end of the text."""
    return _Layout(source, raw, report).run()


class _Layout:
    def __init__(self, source: Source, raw: Iterable[Token], report: ErrorList) -> None:
        self.source = source
        self.report = report
        self.raw = RawTokens(raw)
        # The line being collected; after a '}' it is the rest of the line that the '{' stands in.
        self.line: list[Token] = []
        self.is_broken = False  # whether it has a BROKEN token
        self.is_rest = False
        self.gap = False
        self.hoisted: list[Token] = []
        self.brackets: list[Token] = []
        self.deeper = 0  # brackets open beyond the deepest that are kept
        self.braces: list[Token] = []

    def run(self) -> Iterator[Token]:
        raw = self.raw
        for i, token in enumerate(raw.tokens):
            newline = raw.on_new_line(i)
            if self.brackets and (token.value in ("{", "}") or (newline and raw.abandons(i, self.brackets[-1]))):
                self._break(self._unclosed(self.brackets[-1], self._span(token)))
                self._forget_brackets()
            forgotten = len(self.braces) if newline and raw.defines(i) else 0
            starts = i == 0 or token.value == "}" or raw.value(i - 1) == "{"
            if starts or forgotten or (newline and not self.brackets and not raw.goes_on(i)):
                yield from self._end_line(raw.before[i])
            else:
                self.hoisted += [gap for gap in raw.before[i] if gap.type == "COMMENT"]
            if forgotten:
                self.report.add(self._unclosed(self.braces[-1], self._span(token)))
                yield from (Token("RBRACE", "}", token.start_pos, end_pos=token.start_pos) for _ in self.braces)
                self.braces.clear()
            self._take(i, token)
        yield from self._end(raw.before[-1])

    def _end(self, between: list[Token]) -> Iterator[Token]:
        last = self.raw.tokens[-1].end_pos if self.raw.tokens else 0
        end = last if last is not None else 0
        point = Span(self.source, end, end)
        if self.brackets:
            self._break(self._unclosed(self.brackets[-1], point))
        elif self.braces:
            self.report.add(self._unclosed(self.braces[-1], point))
        yield from self._end_line(between)
        for _ in self.braces:
            yield Token("RBRACE", "}", end, end_pos=end)
        yield Token(END, "", end, end_pos=end)

    # ------------------------------------------------------------ lines

    def _end_line(self, between: list[Token]) -> Iterator[Token]:
        """The line collected so far with its note, then the comments that follow it on lines of their own."""
        note = None
        if between and between[0].type == "COMMENT" and self.line and self.line[-1].value != "{":
            note, *between = between
        if self.line:
            for comment in self.hoisted:
                yield from self._comment(comment, self.gap)
                self.gap = False
            if not self.is_rest:
                yield self._start(self.line[0], self.gap)
            yield from self.line
            if note is not None:
                yield Token(NOTE, note.rstrip(), note.start_pos, end_pos=note.end_pos)
        newlines = 0
        for gap in between:
            if gap.type == "NEWLINE":
                newlines += 1
            else:
                yield from self._comment(gap, newlines > 1)
                newlines = 0
        self.gap = newlines > 1
        self.line, self.hoisted, self.is_broken, self.is_rest = [], [], False, False

    def _comment(self, comment: Token, gap: bool) -> Iterator[Token]:
        yield self._start(comment, gap)
        yield Token("COMMENT", comment.rstrip(), comment.start_pos, end_pos=comment.end_pos)

    def _start(self, token: Token, gap: bool) -> Token:
        """The mark before a line; its text is a newline if a blank line comes before."""
        return Token(LINE, "\n" if gap else "", token.start_pos, end_pos=token.start_pos)

    # ------------------------------------------------------------ tokens and brackets

    def _take(self, i: int, token: Token) -> None:
        """Adds a token to the line, or its error to the report."""
        if token.type == "OTHER":
            some = "characters" if len(token) > 1 else "character"
            self._wrong(Code.CHARACTER, self._span(token), f"unexpected {some} '{token}'", _MEANT.get(token[0]))
        elif token.type == "BAD_STRING":
            self._bad_string(token)
        elif self.raw.is_glued(i):
            span = self._span(self.raw.tokens[i - 1]).to(self._span(token))
            self._wrong(Code.SYNTAX, span, f"'{span.text}' is neither a number nor a name", meant_number(span.text))
        else:
            self._match(token)
            self.line.append(Token(BY, token, token.start_pos, end_pos=token.end_pos) if self._is_by(i) else token)

    def _is_by(self, i: int) -> bool:
        """Whether a token is the `by` of ``search NET by METHOD {``: elsewhere the word is a name."""
        if self.raw.value(i) != "by" or self.brackets or not self.line or self.line[0].type != "SEARCH":
            return False
        return self.raw.value(i + 2) == "{" and not any(token.type == BY for token in self.line)

    def _match(self, token: Token) -> None:
        if token.value in ("(", "["):
            if len(self.brackets) == MAX_DEPTH:
                self.deeper += 1
                return
            self.brackets.append(token)
            if len(self.brackets) == MAX_DEPTH:
                self._break(nested_too_deeply(self._span(token)))
        elif token.value in (")", "]"):
            self._close(token)
        elif token.value == "{":
            self.braces.append(token)
        elif token.value == "}":
            self.is_rest = True
            if self.braces:
                self.braces.pop()

    def _close(self, token: Token) -> None:
        """Takes the bracket that a closing one closes; one error for a line is enough."""
        if self.deeper:
            self.deeper -= 1
            return
        wanted = [_CLOSERS[opened.value] for opened in self.brackets]
        if not wanted and not self.is_broken:
            self._wrong(Code.SYNTAX, self._span(token), f"nothing is open here that '{token}' could close")
        elif wanted and wanted[-1] != token.value and not self.is_broken:
            self._break(self._unclosed(self.brackets[-1], self._span(token)))
        while wanted and token.value in wanted[:-1] and wanted[-1] != token.value:
            wanted.pop()
        del self.brackets[max(0, len(wanted) - 1) :]

    def _forget_brackets(self) -> None:
        self.brackets.clear()
        self.deeper = 0

    # ------------------------------------------------------------ errors

    def _bad_string(self, token: Token) -> None:
        if len(token) > 1 and token.endswith('"') and not token.endswith('\\"'):
            self._wrong(Code.SYNTAX, self._span(token), "only '\\\"' and '\\\\' may follow a '\\' in a text")
        else:
            self._wrong(Code.UNCLOSED, self._span(token), "this text has no closing '\"'")
            self._forget_brackets()  # the brackets that close them are inside the text

    def _unclosed(self, opened: Token, span: Span) -> Diagnostic:
        closer = _CLOSERS.get(opened.value, "}")
        found = f"found '{span.text}'" if span.text else "where the text ends"
        other = (self._span(opened), f"this '{opened}' is not closed")
        return Diagnostic(Code.UNCLOSED, span, f"expected '{closer}' here, {found}", other=other)

    def _wrong(self, code: Code, span: Span, message: str, hint: str | None = None) -> None:
        self._break(Diagnostic(code, span, message, hint))

    def _break(self, diagnostic: Diagnostic) -> None:
        self.report.add(diagnostic)
        self.line.append(Token(BROKEN, "", diagnostic.span.start, end_pos=diagnostic.span.end))
        self.is_broken = True

    def _span(self, token: Token) -> Span:
        return span_of(self.source, token)
