"""The base class of nodes: their fields, their place in a text, and the nodes below them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Self

from hdas_dsl.text.source import NOWHERE, Span


@dataclass(frozen=True)
class Node:
    """A node of the syntax tree; ``span`` is the text that it was read from, `NOWHERE` if it was built."""

    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)

    def children(self) -> Iterator[Node]:
        """The nodes directly below this one, in source order."""
        for name in self._parts():
            value = getattr(self, name)
            if isinstance(value, Node):
                yield value
            elif isinstance(value, tuple):
                for part in value:
                    if isinstance(part, Node):
                        yield part

    @classmethod
    @cache
    def _parts(cls) -> tuple[str, ...]:
        """The fields that may hold nodes: all but the place."""
        return tuple(name for name in cls.__dataclass_fields__ if name != "span")

    def mapped(self, change: Callable[[Node], Node]) -> Self:
        """A copy with ``change`` applied to each node directly below; the node itself where nothing changed."""
        changes: dict[str, Any] = {}
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            made: object = value
            if isinstance(value, Node):
                made = change(value)
            elif isinstance(value, tuple):
                made = tuple(change(part) if isinstance(part, Node) else part for part in value)
                if all(a is b for a, b in zip(made, value, strict=True)):
                    made = value
            if made is not value:
                changes[name] = made
        return replace(self, **changes) if changes else self

    def walk(self) -> Iterator[Node]:
        """This node and all below it, depth first, in source order."""
        pending: list[Node] = [self]
        while pending:
            node = pending.pop()
            yield node
            below = list(node.children())
            below.reverse()
            pending += below


@dataclass(frozen=True)
class Ident(Node):
    """An identifier outside of expressions: where a name is defined, or refers to something that is not a value."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Named(Node):
    """A node that defines, or refers to, one identifier."""

    ident: Ident

    @property
    def name(self) -> str:
        """The text of the identifier."""
        return self.ident.name
