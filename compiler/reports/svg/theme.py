"""The colours of pictures, in light and in dark, as a style sheet.

Every class begins with ``hd-``, so that several pictures, and the page that they stand in, do not disturb each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FONT = "Helvetica, Arial, 'Liberation Sans', 'DejaVu Sans', Aileron, sans-serif"
INSTANCES = 6
"""How many fills there are for instances of definitions; further definitions take them again."""


@dataclass(frozen=True)
class Theme:
    """One set of colours."""

    page: str
    panel: str
    border: str
    ink: str
    soft: str
    line: str
    choice: str
    added: str
    removed: str
    changed: str
    input: str
    value: str
    output: str
    aux: str
    instances: tuple[str, ...]


LIGHT = Theme(
    page="#ffffff",
    panel="#fbfcfd",
    border="#d1d9e0",
    ink="#1f2328",
    soft="#59636e",
    line="#8b949e",
    choice="#7a3fd1",
    added="#14733b",
    removed="#b4232f",
    changed="#9a5b00",
    input="#d3f0d6",
    value="#d9ecf9",
    output="#f7ecc0",
    aux="#fbf7e1",
    instances=("#dde7ff", "#ffe3cf", "#e9e0fa", "#d7f2ec", "#fbe0e8", "#eeeecb"),
)
DARK = Theme(
    page="#0d1117",
    panel="#151b23",
    border="#30363d",
    ink="#e6edf3",
    soft="#9aa5b1",
    line="#6e7984",
    choice="#c4a1ff",
    added="#56d37f",
    removed="#ff7b80",
    changed="#f0b34a",
    input="#1f4429",
    value="#1b3c55",
    output="#4d4318",
    aux="#3b3722",
    instances=("#263763", "#5a3720", "#40305f", "#1e4a41", "#572b3b", "#444420"),
)


def style_sheet() -> str:
    """The rules of both themes; the reader's system chooses. Programs without media queries draw in light."""
    dark = " ".join(f"{selector} {{ {rule} }}" for selector, rule in _rules(DARK).items())
    light = "\n".join(f"{selector} {{ {rule} }}" for selector, rule in _rules(LIGHT).items())
    return f"{light}\n@media (prefers-color-scheme: dark) {{ {dark} }}"


def _rules(theme: Theme) -> Mapping[str, str]:
    fills = {f"hd-of-{at}": fill for at, fill in enumerate(theme.instances)}
    fills |= {f"hd-{role}": getattr(theme, role) for role in ("input", "value", "output", "aux")}
    return {
        ".hd-page": f"fill: {theme.page}",
        ".hd-panel": f"fill: {theme.panel}; stroke: {theme.border}",
        ".hd-box": f"stroke: {theme.line}; stroke-width: 0.9",
        **{f".{name}": f"fill: {fill}" for name, fill in fills.items()},
        ".hd-ink": f"fill: {theme.ink}",
        ".hd-soft": f"fill: {theme.soft}",
        ".hd-line": f"fill: none; stroke: {theme.line}; stroke-width: 1.1",
        ".hd-head": f"fill: {theme.line}",
        ".hd-mask": f"fill: {theme.panel}",
        ".hd-choice": f"fill: {theme.choice}",
        ".hd-choice-line": f"stroke: {theme.choice}",
        ".hd-added": f"fill: {theme.added}",
        ".hd-removed": f"fill: {theme.removed}",
        ".hd-changed": f"fill: {theme.changed}",
        ".hd-changed-line": f"stroke: {theme.changed}; stroke-width: 2",
        ".hd-added-line": f"stroke: {theme.added}; stroke-width: 2",
        ".hd-removed-line": f"stroke: {theme.removed}; stroke-width: 2; stroke-dasharray: 5 4",
    }
