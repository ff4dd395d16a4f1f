"""The raw tokens of a text with newlines and comments between them, and lookahead over them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lark import Token

from .keywords import FIRST_WORDS, INFIX, LISTS, OPEN, TOP_WORDS

_LONGEST_INDEX: Final = 200
"""Tokens in the brackets of ``n[i < 4, j < 3] =``; a longer index starts no line."""


class RawTokens:
    """The tokens of a text, by position.

    Attributes:
        tokens: all but newlines and comments; characters of no token that touch each other are one.
        before: the newlines and comments before each token, and before the end of the text.
    """

    def __init__(self, raw: Iterable[Token]) -> None:
        self.tokens: list[Token] = []
        self.before: list[list[Token]] = [[]]
        self._closed_later: set[int] = set()
        for token in raw:
            last = self.tokens[-1] if self.tokens else None
            if token.type in ("NEWLINE", "COMMENT"):
                self.before[-1].append(token)
            elif last is not None and token.type == last.type == "OTHER" and last.end_pos == token.start_pos:
                self.tokens[-1] = Token("OTHER", last + token, last.start_pos, end_pos=token.end_pos)
            else:
                self.tokens.append(token)
                self.before.append([])

    def value(self, i: int) -> str:
        """The text of a token; nothing beyond the end."""
        return self.tokens[i].value if i < len(self.tokens) else ""

    def on_new_line(self, i: int) -> bool:
        """Whether the token is the first on its physical line."""
        return any(gap.type == "NEWLINE" for gap in self.before[i])

    def goes_on(self, i: int) -> bool:
        """Whether the token, first on its physical line, continues the line before."""
        token, last = self.tokens[i], self.tokens[i - 1]
        if token.value in FIRST_WORDS:
            return False
        if last.value in LISTS:
            return True
        return (last.value in OPEN or token.value in INFIX) and not self._binds(i)

    def _binds(self, i: int) -> bool:
        """Whether ``name =`` or ``name[...] =`` stands here: then a line starts, even if the last one is unfinished."""
        if self.tokens[i].type != "NAME":
            return False
        after = i + 1
        if self.value(after) == "[":
            while self.value(after) not in ("]", "") and after < i + _LONGEST_INDEX:
                after += 1
            after += 1
        return self.value(after) == "="

    def defines(self, i: int) -> bool:
        """Whether a definition or a section starts with this token."""
        return self.tokens[i].value in TOP_WORDS and self.value(i + 1) != "="

    def is_glued(self, i: int) -> bool:
        """``4x``: a number with a word right behind it."""
        token, last = self.tokens[i], self.tokens[i - 1] if i else None
        glued = last is not None and last.type == "NUMBER" and last.end_pos == token.start_pos
        return glued and (token[0].isalnum() or token[0] == "_")

    def abandons(self, i: int, opened: Token) -> bool:
        """Whether the token, first on its physical line, cannot belong inside the bracket ``opened`` before it."""
        token, last = self.tokens[i], self.tokens[i - 1]
        if token.value in FIRST_WORDS:
            return True
        ends = last.type in ("NAME", "NUMBER", "STRING") or last.value in (")", "]")
        begins = token.type in ("NAME", "NUMBER", "STRING")
        return ends and begins and not self._closes_later(i, opened.start_pos or 0)

    def _closes_later(self, i: int, opened: int) -> bool:
        """Whether the innermost bracket is closed from here on: then a comma is missing, not the bracket."""
        if opened in self._closed_later:
            return True
        depth = 1
        for j in range(i, len(self.tokens)):
            value = self.tokens[j].value
            if value in FIRST_WORDS or value in ("{", "}"):
                return False
            depth += (value in ("(", "[")) - (value in (")", "]"))
            if depth == 0:
                self._closed_later.add(opened)
                return True
        return False
