"""How deeply a program may nest, so that no pass over the tree has to fear for its stack."""

from __future__ import annotations

from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.text.source import Span

from .ast import Node

MAX_DEPTH = 100
"""Levels of the syntax tree, or open brackets; a pass may spend eight of Python's thousand frames on each."""


def check_depth(root: Node) -> Diagnostic | None:
    """The error of a tree that is too deep, at the first node below the limit."""
    level = 0
    nodes = [root]
    while nodes:
        if level >= MAX_DEPTH:
            return nested_too_deeply(nodes[0].span)
        nodes = [child for node in nodes for child in node.children()]
        level += 1
    return None


def nested_too_deeply(span: Span) -> Diagnostic:
    """The error of a nesting beyond `MAX_DEPTH`."""
    return Diagnostic(Code.DEPTH, span, "nested too deeply", hint="give a part of it a name on a line of its own")
