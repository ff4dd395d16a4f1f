"""Messages about tokens that the grammar does not accept, in the words of the language."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from lark import Token

from hdas_dsl.text.diagnostics import Code, Diagnostic, suggest
from hdas_dsl.text.source import Source, Span

from .keywords import BODY_WORDS, OPERATORS, SETTING_WORDS, TOP_WORDS, words
from .lexer import END, LINE, NOTE, span_of

_COMPARISONS: Final = words("== != < <= > >= in")
_EXPRESSION: Final = frozenset({"NAME", "NUMBER", "STRING", "LPAR"})
_LINE_ENDS: Final = frozenset({LINE, NOTE, END, "RBRACE"})
# Tokens that may be required next, in the order of the message. All others only continue an expression.
_NAMED: Final = {
    "OF": "'of'",
    "THEN": "'then'",
    "ELSE": "'else'",
    "NAME": "a name",
    "NUMBER": "a number",
    "STRING": 'a text in "..."',
    "EXTERNAL": "'external'",
    "EQUAL": "'='",
    "LBRACE": "'{'",
    "RPAR": "')'",
    "RSQB": "']'",
    "COMMA": "','",
    "SEMICOLON": "';'",
}
_CONTINUED: Final = {"LPAR": "'('", "LSQB": "'['", "LT": "'<'", "VBAR": "'|'", "ANY": "'any'"}
_OPENERS: Final = {"of": ("pick", "last", "first"), "then": ("if",), "else": ("if",)}
_SEPARATORS: Final = words(", ; = | .. if then else where with weight of { }")


def explain(source: Source, tokens: Sequence[Token], i: int, accepts: set[str]) -> Diagnostic:
    """The error of token ``i``, where the parser would have accepted other kinds of tokens."""
    return _Error(source, tokens, i, accepts).diagnostic()


class _Error:
    def __init__(self, source: Source, tokens: Sequence[Token], i: int, accepts: set[str]) -> None:
        self.source = source
        self.tokens = tokens
        self.i = i
        self.accepts = accepts
        self.token = tokens[i]
        self.last = tokens[i - 1]
        # An error at the end of a line stands right behind its last token.
        behind = self.last.end_pos or 0
        below = "\n" in source.text[behind : self.token.start_pos]
        self.at_end = self.token.type in (LINE, NOTE, END) or (self.token.type == "RBRACE" and below)
        self.span = Span(source, behind, behind) if self.at_end else self._span(self.token)

    def diagnostic(self) -> Diagnostic:
        if self.token.value == "}" and self.accepts & {LINE, END}:
            return self._syntax("nothing is open here that '}' could close")
        if self.last.type == LINE and LINE not in self.accepts and not self.accepts >= _EXPRESSION:
            return self._wrong_start()
        return self._mixed() or self._chained() or self._reserved() or self._expected()

    def _span(self, token: Token) -> Span:
        return span_of(self.source, token)

    def _syntax(self, message: str, hint: str | None = None) -> Diagnostic:
        return Diagnostic(Code.SYNTAX, self.span, message, hint)

    def _wrong_start(self) -> Diagnostic:
        """A line that starts with the wrong word."""
        if self._is_word() and self.tokens[self.i + 1].value == "=":
            return self._not_a_name()
        words, message = self._lines()
        return self._syntax(message, suggest(self.token.value, words))

    def _lines(self) -> tuple[Sequence[str], str]:
        """The words a line may start with here, in a sentence."""
        if "CELL" in self.accepts:
            return TOP_WORDS, f"a definition starts with {', '.join(TOP_WORDS[:-1])} or {TOP_WORDS[-1]}"
        words = SETTING_WORDS if "PHASE" in self.accepts else BODY_WORDS
        return words, f"a line here is 'name = ...' or starts with {', '.join(words[:-1])} or {words[-1]}"

    def _mixed(self) -> Diagnostic | None:
        """A pipe and an operator at one level."""
        is_pipe = self.token.value == "->"
        if not (is_pipe or self.token.value in OPERATORS) or self.accepts >= _EXPRESSION:
            return None
        for before in self._level():
            if before.value in OPERATORS if is_pipe else before.value == "->":
                message = f"'{self.token}' and '{before}' need parentheses to say which comes first"
                operator = before if is_pipe else self.token
                left = "not" if operator.value == "not" else f"a {operator}"
                hint = f"write '({left} b) -> f' or '{left} (b -> f)'"
                return Diagnostic(Code.MIXED_PIPE, self.span, message, hint, (self._span(before), "mixed with this"))
        return None

    def _chained(self) -> Diagnostic | None:
        chained = self.token.value in _COMPARISONS and any(before.value in _COMPARISONS for before in self._level())
        if not chained or self.accepts >= _EXPRESSION:
            return None
        return self._syntax("comparisons do not chain", "write 'a < b and b < c'")

    def _backwards(self) -> Iterator[Token]:
        """The tokens of the line before this one, the last first."""
        for i in range(self.i - 1, -1, -1):
            if self.tokens[i].type == LINE:
                return
            yield self.tokens[i]

    def _level(self) -> Iterator[Token]:
        """The tokens before this one in the same expression, backwards, without the contents of brackets."""
        depth = 0
        for token in self._backwards():
            depth += (token.value in (")", "]")) - (token.value in ("(", "["))
            if depth < 0 or (depth == 0 and token.value in _SEPARATORS):
                return
            if depth == 0:
                yield token

    def _reserved(self) -> Diagnostic | None:
        if not self._is_word() or "NAME" not in self.accepts:
            return None
        if self.accepts >= _EXPRESSION:
            if self.token.value in _SEPARATORS | OPERATORS:
                return None
            if self.token.value == "each":
                return self._syntax("'each' stands only in front of an argument", "write 'f(each x)'")
        return self._not_a_name()

    def _is_word(self) -> bool:
        word: str = self.token.value
        return word != "" and self.token.type == word.upper()

    def _not_a_name(self) -> Diagnostic:
        return self._syntax(f"'{self.token}' is a word of the language, not a name")

    def _expected(self) -> Diagnostic:
        found = "" if self.at_end else f", found '{_short(self.token.value)}'"
        return self._syntax(f"expected {self._wanted()}{self._after()}{found}", self._hint())

    def _wanted(self) -> str:
        if self.accepts >= _EXPRESSION or self.i == 0:
            return "a network or '{'" if "LBRACE" in self.accepts else "an expression"
        named = [text for kind, text in _NAMED.items() if kind in self.accepts]
        if named and named[0] in ("'of'", "'then'", "'else'"):
            return named[0]
        if named:
            return _either([text for text in named if text != "'='" or "COMMA" not in self.accepts])
        if self.accepts & _LINE_ENDS:
            end = "the end of the line" if LINE in self.accepts else "the end of the text"
            return f"an operator or {end}" if "PLUS" in self.accepts else end
        continued = [text for kind, text in _CONTINUED.items() if kind in self.accepts]
        return _either(continued) if continued else "an operator"

    def _after(self) -> str:
        """``after 'pick 2'``: from the word that wants to be completed, otherwise the token before."""
        start = self.last
        if self.i == 0 or start.type == LINE:
            return ""
        openers = _OPENERS.get(self._wanted().strip("'"), ())
        for before in self._backwards():
            if before.value in openers:
                start = before
                break
        return f" after '{_short(self._span(start).to(self._span(self.last)).text)}'"

    def _hint(self) -> str | None:
        """The correct form of a typical mistake."""
        if self.i > 1 and self.tokens[self.i - 2].type == LINE and self.last.type == "NAME":
            return suggest(self.last.value, BODY_WORDS if "LSQB" in self.accepts else SETTING_WORDS)
        if self.token.value == "=" and "COMPARE" in self.accepts:
            then = self.tokens[self.i + 1].value
            return f"a comparison is written '{then}='" if then in ("<", ">") else "a comparison is written '=='"
        words = [token.value for token in self._backwards()]
        if self.last.type == "NUMBER" and self.token.value in ("K", "M", "G"):
            return f"write '{self.last}{self.token}'"
        if words and words[-1] in ("minimize", "maximize") and self.token.type == "NAME":
            return suggest(self.token.value, ["weight"])
        if words and words[-1] == "require" and self.token.value in (",", "&", "&&"):
            return "conditions are joined by 'and', or each has a line of its own"
        if self.token.value == "by" and words[1:] == ["method"]:
            return "no method builds on another: copy its lines, or write more in `search NET by METHOD { ... }`"
        if self.token.value == "," and "=" in words and LINE in self.accepts:
            return "write each on a line of its own"
        if self.last.value == "[" and self.accepts == {"NAME"}:
            return "a family is declared as 'n[i < 4] = ...', one element as 'n4 = ...'"
        return None


def _either(texts: Sequence[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} or {texts[-1]}"


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 30 else f"{line[:27]}..."
