"""Python code laid out as `ruff format` would: on one line where it fits, else one item a line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

WIDTH = 120


@dataclass(frozen=True)
class Tree:
    """Code in brackets, that is written on one line where it fits and else one item a line."""

    head: str
    items: tuple[Code, ...]
    tail: str = ")"
    is_sum: bool = False


Code: TypeAlias = "str | Tree"


def _flat(code: Code) -> str:
    return code if isinstance(code, str) else f"{code.head}{', '.join(map(_flat, code.items))}{code.tail}"


def laid(code: Code, indent: int, used: int = 0) -> str:
    """Code from column ``indent + used`` on, broken where it must be; continuation lines are indented by ``indent``."""
    flat = _flat(code)
    if isinstance(code, str) or indent + used + len(flat) <= WIDTH:
        return flat
    return exploded(code, indent)


def exploded(code: Tree, indent: int) -> str:
    """Code with one item a line, those of a sum on one where they fit."""
    inner = " " * (indent + 4)
    if code.is_sum:
        terms = [_flat(item) for item in code.items]
        line = " + ".join(terms)
        items = (
            f"{inner}{line}\n"
            if len(inner + line) <= WIDTH
            else "".join(f"{inner}{'+ ' if n else ''}{term}\n" for n, term in enumerate(terms))
        )
        return f"{code.head}\n{items}{' ' * indent}{code.tail}"
    items = "".join(f"{inner}{laid(item, indent + 4, 1)},\n" for item in code.items)
    return f"{code.head}\n{items}{' ' * indent}{code.tail}"


def prefixed(prefix: str, code: Code) -> Code:
    """Code with a text before its head."""
    return prefix + code if isinstance(code, str) else replace(code, head=prefix + code.head)
