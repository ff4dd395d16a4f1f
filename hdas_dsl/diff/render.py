"""A difference as text: for a terminal, in one line, or as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import groupby
from typing import TypeAlias

from hdas_dsl.text.printable import printable

from .model import Change, Kind

_Styled: TypeAlias = tuple[str, str]
"""A text and its style, in the words of rich."""


def summary(changes: Iterable[Change], agreeing: int, edges: int) -> str:
    """How many changes of each kind there are, and how many of the edges agree."""
    counts = Counter(change.kind for change in changes)
    parts = [kind.count(counts[kind]) for kind in Kind if counts[kind]]
    verb = "differs" if counts.total() == 1 else "differ"
    differing = f"{', '.join(parts)} {verb}" if parts else "no difference"
    return f"{differing}; {agreeing} of {edges} edges agree" if edges else differing


def to_text(changes: Sequence[Change], last: str, colour: bool) -> str:
    """The changes grouped by definition, then the line ``last``; ``colour`` adds the codes of a terminal."""
    lines = [*_groups(changes), [(last, "bold" if changes else "bold green")]]
    if not colour:
        return "".join("".join(text for text, _ in line).rstrip() + "\n" for line in lines)
    from io import StringIO

    from rich.console import Console
    from rich.text import Text

    stream = StringIO()
    console = Console(file=stream, force_terminal=True, color_system="standard", highlight=False)
    for line in lines:
        console.print(Text.assemble(*((printable(text), style) for text, style in line)), soft_wrap=True)
    return stream.getvalue()


def to_html(changes: Iterable[Change], last: str) -> str:
    """A table of the changes, then the line ``last``; for a notebook."""
    cells = [(change.path, change.kind.value, change.left or "", change.right or "") for change in changes]
    rows = "".join(f"<tr>{''.join(f'<td>{escape(printable(text))}</td>' for text in row)}</tr>" for row in cells)
    heads = "<tr><th>path</th><th>what</th><th>left</th><th>right</th></tr>"
    return f"<table>{heads}{rows}</table><p>{escape(last)}</p>"


def to_json(changes: Iterable[Change], agreeing: int, edges: int) -> str:
    """One JSON object on one line."""
    items = [{"path": c.path, "kind": c.kind.value, "left": c.left, "right": c.right, "note": c.note} for c in changes]
    found = {"same": not items, "edges": {"agree": agreeing, "total": edges}, "changes": items}
    return json.dumps(found, ensure_ascii=False)


def _groups(changes: Sequence[Change]) -> Iterator[list[_Styled]]:
    for copy, group in groupby(changes, key=lambda change: change.copy):
        inside = list(group)
        slots = [change.path.removeprefix(copy).removeprefix(".") for change in inside]
        if not any(slots) and len(slots) == 1:
            yield [(copy, "bold"), ("  ", ""), *_words(inside[0])]
        else:
            yield [(copy, "bold")]
            width = max(map(len, slots))
            for slot, change in zip(slots, inside, strict=True):
                yield [(f"  {slot:{width}}  " if slot else "  ", ""), *_words(change)]
        yield []


def _words(change: Change) -> Iterator[_Styled]:
    family = change.kind is Kind.FAMILY
    kind = f"{change.kind.value} {'' if family else change.note}".rstrip()
    if change.right is None:
        yield from [(f"{kind} only in the left file: ", "yellow"), (change.left or "", "red")]
    elif change.left is None:
        yield from [(f"{kind} only in the right file: ", "yellow"), (change.right, "green")]
    else:
        yield from [(f"{kind}: ", "yellow"), (change.left, "red"), (" → ", ""), (change.right, "green")]
    if family:
        yield f" ({change.note})", ""
