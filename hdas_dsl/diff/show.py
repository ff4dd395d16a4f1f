"""Pieces of a tree in the texts of a difference."""

from __future__ import annotations

from hdas_dsl.tree.ast import Block, Expr, Node, Use
from hdas_dsl.tree.printer import print_line

from .model import Change, Kind


def show(node: Node) -> str:
    """A piece of a tree on one line, in the language; a block is not written out."""
    match node:
        case Block():
            return "{ ... }"
        case Use():
            return print_line(node).removeprefix("use ")
    return print_line(node)


def show_shape(shape: tuple[Expr, ...] | None) -> str:
    """``[3, 32, 32]``, or ``nothing`` where no shape is written."""
    return "nothing" if shape is None else f"[{', '.join(map(show, shape))}]"


def change(path: str, kind: Kind, left: Node | None, right: Node | None, note: str = "") -> Change:
    """A change between two pieces of trees."""
    return Change(path, kind, None if left is None else show(left), None if right is None else show(right), note)
