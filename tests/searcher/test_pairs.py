"""Every shipped method on every shipped space: the table of what cannot be combined refuses it, or it is searched.

Nothing is trained. `docs/searchers.md` holds the outcome as a table, which this test writes (``UPDATE_GOLDEN=1``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from compiler.backend.passes.flatten import flatten
from compiler.elaborate import elaborate
from compiler.program import elaborations, refusals
from compiler.program.compilation import Compilation
from compiler.program.compile_file import compile_file
from compiler.program.methods import library_methods
from compiler.program.overrides import Override
from compiler.program.phases import read_phases
from compiler.program.section_settings import read_section, search_settings
from compiler.searcher.settings.words import Applied
from hdas_dsl.files import Loader
from hdas_dsl.units import LIBRARY
from tests.support import golden
from tests.support.paths import DOCS

SPACES = sorted(path for path in LIBRARY.glob("*.hsp"))
METHODS = [method.name for method in library_methods()]
PAGE = DOCS / "searchers.md"
START, END = "<!-- pairs: written by tests/searcher/test_pairs.py -->\n", "<!-- end of pairs -->\n"
PARTICULAR = re.compile(
    r"'[^']+'|(?<=has )\d+|(?<=width )(\d+|open)|(?<=undecided )width, \{[^}]+\} of \S+|(?<=partial\()\d+"
)
"""What a message says of one space alone."""


def by(method: str) -> Override:
    return Override("method", Applied(method), f"--method {method}")


def outcomes(path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Why each method is refused on a space, or nothing where it is not; the space is elaborated once."""
    spaces: dict[str, Any] = {}
    flat: dict[int, Any] = {}

    def elaborated(function: Any, args: Any = None, copies: Any = None, *rest: Any, **named: Any) -> Any:
        key = f"{function.name} {args} {copies} {rest[2:]} {named}"
        if key not in spaces:
            spaces[key] = elaborate(function, args, copies, *rest, **named)
        return spaces[key]

    def flattened(graph: Any) -> Any:
        if id(graph) not in flat:
            flat[id(graph)] = flatten(graph)
        return flat[id(graph)]

    loader = Loader()
    instance = loader.load(path, path.name)
    assert instance is not None
    search, found = next(iter(instance.unit.module.searches)), {}
    with monkeypatch.context() as patch:
        patch.setattr(elaborations, "elaborate", elaborated)
        patch.setattr(import_module("compiler.backend.passes.flatten"), "flatten", flattened)
        for method in METHODS:
            compilation = Compilation(loader, instance, [by(method)])
            section = read_section(compilation, search)
            settings = search_settings(compilation, section.values, "")
            phases = read_phases(compilation, search, section, settings, {}, None)
            for phase in phases.phases if phases is not None else ():
                compilation.report(refusals.refusals(phase.network, phase.settings, phase.span))
            found[method] = next((wrong.message for wrong in compilation.diagnostics), "")
    return found


def table(pairs: Mapping[str, Mapping[str, str]]) -> str:
    """The pairs as a table: for each space the methods that are refused, with the numbers of the reasons."""
    reasons: dict[str, int] = {}
    rows = []
    for space, found in pairs.items():
        refused: dict[int, list[str]] = {}
        for method, message in found.items():
            if message:
                number = reasons.setdefault(PARTICULAR.sub("…", message), len(reasons) + 1)
                refused.setdefault(number, []).append(f"`{method}`")
        cell = "; ".join(f"{number}: {', '.join(methods)}" for number, methods in sorted(refused.items()))
        rows.append(f"| `{space}` | {sum(not message for message in found.values())} | {cell} |\n")
    lines = [f"{number}. {reason}\n" for reason, number in reasons.items()]
    head = "| space | methods that search it | refused, and why |\n|---|---|---|\n"
    return f"{head}{''.join(rows)}\n{''.join(lines)}"


def test_every_method_on_every_space(monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = {path.stem: outcomes(path, monkeypatch) for path in SPACES}
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(START)
    _, _, after = rest.partition(END)
    golden.check(PAGE, f"{before}{START}{table(pairs)}{END}{after}")


@pytest.mark.parametrize("method", ["darts", "bignas", "pc_darts"])
def test_a_file_is_refused_as_the_table_says(monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    path = LIBRARY / "nasbench201.hsp"
    program, wrong = compile_file(path, [by(method)])
    message = outcomes(path, monkeypatch)[method]
    assert (program is None) == bool(message)
    assert [found.message for found in wrong] == ([message] if message else [])
