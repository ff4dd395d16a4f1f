"""Graphviz text for `--emit dot`: the network and each of its cells and stages, one cluster each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from compiler.elaborate import Elaborated

from .diagram import Arrow, Picture, Role, Spot, pictures

FONT = "Helvetica, Arial, sans-serif"
INK, GREY, LINE, PAPER, BORDER, CHOICE = "#1f2328", "#59636e", "#6e7781", "#fbfcfd", "#d1d9e0", "#8250df"
FILLS = {Role.INPUT: "#c5ecc8", Role.VALUE: "#cfe8f7", Role.OUTPUT: "#f6ecb5", Role.AUX: "#fbf7e1"}
INSTANCES = ("#d9e4ff", "#ffdfc9", "#e6dcf8", "#d3f0e9", "#fbd9e3", "#eeeec8")
"""Fills of instances: one for each definition, in order of first use; its own cluster is titled in it."""


def dot(space: Elaborated) -> str:
    """A network with its cells and stages as Graphviz text."""
    drawn = pictures(space)
    names = dict.fromkeys(picture.definition for picture in drawn if picture.level != "network")
    fills = {name: INSTANCES[i % len(INSTANCES)] for i, name in enumerate(names)}
    lines = [
        f"digraph {_quoted(space.name)} {{",
        f'  graph [rankdir=LR, newrank=true, fontname="{FONT}", fontsize=13, nodesep=0.18, ranksep=0.45, pad=0.2]',
        f'  node [shape=box, style="rounded,filled", fontname="{FONT}", fontsize=12, fontcolor="{INK}",'
        f' color="{LINE}", penwidth=0.8, height=0.42, margin="0.12,0.05"]',
        f'  edge [fontname="{FONT}", fontsize=10, fontcolor="{INK}", color="{LINE}", penwidth=0.9, arrowsize=0.6]',
    ]
    for number, picture in reversed([*enumerate(drawn)]):  # Graphviz stacks clusters from the bottom up
        lines += ["", *_cluster(picture, number, fills)]
    return "\n".join([*lines, "}"]) + "\n"


def _cluster(picture: Picture, number: int, fills: Mapping[str, str]) -> Iterator[str]:
    yield f"  subgraph cluster_{number} {{"
    yield f"    label=<{_title(picture, fills.get(picture.definition, PAPER))}>"
    yield f'    graph [labeljust=l, style="rounded,filled", fillcolor="{PAPER}", color="{BORDER}", margin=14]'
    for spot in picture.spots:
        yield f"    {_id(picture, spot.key)} [{_spot(spot, fills)}]"
    for arrow in picture.arrows:
        yield f"    {_id(picture, arrow.source)} -> {_id(picture, arrow.target)}{_arrow(arrow)}"
    yield "  }"


def _title(picture: Picture, fill: str) -> str:
    several = f" ×{picture.instances}" if picture.instances > 1 else ""
    name = f'<FONT POINT-SIZE="13"><B>{escape(picture.title)}</B></FONT>'
    level = _font(f"  {picture.level}{several}", GREY, 10)
    chosen = "".join(_font(f"  {text}", CHOICE, 10) for text in picture.choices)
    cell = f'<TD BGCOLOR="{fill}" STYLE="ROUNDED" CELLPADDING="4">{name}</TD><TD>{level}{chosen}</TD>'
    return f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="2" CELLPADDING="0"><TR>{cell}</TR></TABLE>'


def _spot(spot: Spot, fills: Mapping[str, str]) -> str:
    fill = fills.get(spot.of or "", INSTANCES[0]) if spot.role is Role.INSTANCE else FILLS[spot.role]
    rows = [escape(spot.label), *(_font(fact, GREY, 9) for fact in spot.facts)]
    rows += [_font(choice, CHOICE, 9) for choice in spot.choices]
    more = ", peripheries=2" if spot.folded else ""
    more += ', style="rounded,filled,dashed"' if spot.role is Role.AUX else ""
    return f'label=<{"<BR/>".join(rows)}>, fillcolor="{fill}"{more}'


def _arrow(arrow: Arrow) -> str:
    if not arrow.label:
        return ""
    colour = f', color="{CHOICE}", fontcolor="{CHOICE}"' if arrow.choice else ""
    return f" [label={_quoted(*arrow.label)}{colour}]"


def _font(text: str, colour: str, size: int) -> str:
    return f'<FONT POINT-SIZE="{size}" COLOR="{colour}">{escape(text)}</FONT>'


def _id(picture: Picture, key: str) -> str:
    return _quoted(f"{picture.copies[0]}.{key}")


def _quoted(*lines: str) -> str:
    """A text of Graphviz, of one or more lines."""
    return '"' + "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in lines) + '"'
