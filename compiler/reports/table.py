"""The facts of a compiled file as a page on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from rich.console import Console
from rich.markup import escape

from compiler.analysis.requirements.evaluate import as_text as amount
from compiler.util.page import Page
from hdas_dsl.text.printable import printable

from .columns import columns
from .facts import human, power

MOST_BLOCKS = 500
"""Rows of the table of blocks that are printed."""


def show(facts: Mapping[str, Any], console: Console | None = None) -> None:
    """Print what `report.describe` found."""
    console = console or Page(highlight=False, soft_wrap=True)
    phases = facts.get("phases")
    if phases is None:
        _network(console, facts, facts["name"])
        return
    console.print(f"[bold]{facts['name']}[/]: {len(phases)} phases, {_total(facts)} architectures")
    for phase in phases:
        console.print()
        after = f", after {', '.join(phase['after'])}" if phase["after"] else ""
        optional = ", optional" if phase["optional"] else ""
        _network(console, phase, f"phase {phase['phase']}: {phase['name']}{after}{optional}")


def _given(facts: Mapping[str, Any]) -> tuple[str, str]:
    """The outputs of a network: classes, or several shapes."""
    if several := facts.get("outputs"):
        return "outputs", ", ".join("x".join(map(str, dims)) for dims in several)
    return "classes", str(facts["classes"])


def _network(console: Console, facts: Mapping[str, Any], title: str) -> None:
    console.print(f"[bold]{title}[/]")
    shape = "x".join(map(str, facts["input"]))
    is_space = facts["kind"] == "space"
    rows = [("input", shape), _given(facts)]
    rows.append(("arguments", ", ".join(f"{name} = {value}" for name, value in facts["arguments"].items())))
    if is_space:
        rows.append(("architectures", _number(facts)))
        rows.append(("choices", f"{len(facts['choices'])}, {facts['alphas']} alphas"))
    what = " (all candidates)" if is_space else ""
    later = (
        "not known before the phases that it comes after"
        if facts.get("after")
        else f"undefined: {facts['unknown'].get('params', 'a grammar derives it')}"
    )
    rows.append(("parameters", human(facts["params"]) + what if facts["params"] is not None else later))
    rows.append(("multiply-adds", human(facts["macs"]) + what if facts["macs"] is not None else later))
    if not is_space:
        rows.append(("memory", human(facts["memory"]) + " bytes" if facts["memory"] is not None else later))
    rows += [(name, f"{amount(value)} ms") for name, value in facts["latency"].items()]
    rows += _trained(facts)
    rows += [("of each", f"{name} {_range(span)}") for name, span in facts["ranges"].items()]
    for name, value in rows:
        console.print(f"  {name:<14} {escape(printable(value))}")
    for name, reason in facts["unknown"].items():
        if name in ("params", "macs", "memory"):  # They stand in rows of their own.
            continue
        console.print(f"  [yellow]not known[/]: {escape(printable(f'{name}: {reason}'))}")
    if "impossible" in facts:
        console.print(f"  [yellow]not to be searched[/]: {escape(printable(facts['impossible']))}")
    for message in facts["refusals"]:
        console.print(f"  [yellow]not to be relaxed by mixing[/]: {escape(printable(message))}")
    blocks = [
        (block["name"], block["definition"], _dims(block["shape"]), human(block["params"]), human(block["macs"]))
        for block in facts["blocks"][:MOST_BLOCKS]
    ]
    console.print()
    console.print(columns(("block", "of", "shape", "parameters", "macs"), blocks, left=3))
    if len(facts["blocks"]) > MOST_BLOCKS:
        console.print(f"... and {len(facts['blocks']) - MOST_BLOCKS:,} more; `--json` lists them all")


def _trained(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The facts of the trained and exported architecture, where they differ from those at the defaults."""
    trained = facts.get("trained")
    if trained is None:
        return []
    changed = {name: value for name, value in trained["arguments"].items() if facts["arguments"].get(name) != value}
    if trained["input"] != facts["input"]:
        changed["input"] = "x".join(map(str, trained["input"]))
    costs = [("params", trained["params"]), ("macs", trained["macs"]), ("memory", trained["memory"])]
    known = [f"{name} {human(value)}" for name, value in costs if value is not None]
    return [
        ("trained with", ", ".join(f"{name} = {value}" for name, value in changed.items()) + ": " + ", ".join(known))
    ]


def _dims(shape: Sequence[int | str | None]) -> str:
    """A shape; an open width has no number."""
    return "x".join("open" if dim is None else str(dim) for dim in shape)


def _total(facts: Mapping[str, Any]) -> str:
    return "an unknown number of" if facts["cardinality"] is None else power(int(Decimal(facts["cardinality"])))


def _number(facts: Mapping[str, Any]) -> str:
    """The number of architectures, before the requirements that it ignores."""
    said = " and ".join(facts["uncounted"])
    if facts["cardinality"] is None:
        return f"not counted: {said}"
    return power(int(Decimal(facts["cardinality"]))) + (f", before `require {said}`" if said else "")


def _range(span: Mapping[str, Any]) -> str:
    """Between which values a quantity of an architecture lies."""
    low, high = (
        f"at {word} {amount(span[end])}" if end in span.get("bounds", ()) else amount(span[end])
        for end, word in (("min", "least"), ("max", "most"))
    )
    return f"{low} to {high}"
