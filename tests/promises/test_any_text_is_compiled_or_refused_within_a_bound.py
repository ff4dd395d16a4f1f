"""Texts that ask for more work than is done, with calls counted, and mutated texts under the limits of the kernel."""

from __future__ import annotations

import cProfile
from pathlib import Path

import pytest

from compiler.analysis.architectures import Architectures, sample
from compiler.program.compile_file import compile_file
from compiler.program.request import Request
from compiler.reports.facts import describe
from hdas_dsl.text.diagnostics import Code
from hdas_dsl.text.limits import MAX_CHARACTERS, MAX_ERRORS, MAX_TOKENS
from tests.support.soak.case import Case, Kind
from tests.support.soak.texts import check_text
from tests.support.soak.worker import Limits, outcomes

MOST_CALLS = 15_000_000
"""Calls of functions that compiling makes at most: a few seconds, without the profiler."""

HEAD = "hsp 1\n"
NETWORK = f"{HEAD}network N(x: [4, 6, 6]) {{\n"
END = "\n  output x\n}\n"

FRESH = "".join(f"cell D{i}(x) {{ output D{i - 1}@fresh(x) + D{i - 1}@fresh(x) }}\n" for i in range(1, 20))
SHARED = "".join(f"op D{i}(x) = D{i - 1}(x) + D{i - 1}(x)\n" for i in range(1, 50))

BOMBS = {
    "open brackets": (NETWORK + "  a = " + "(" * 40_000 + END, Code.DEPTH),
    "closed brackets": (NETWORK + "  a = " + "(" * 20_000 + "x" + ")" * 20_000 + END, Code.DEPTH),
    "signs": (NETWORK + "  a = x" + " + x" * MAX_TOKENS + END, Code.LARGE),
    "one comment": (HEAD + "#" * MAX_CHARACTERS + "\n", Code.LARGE),
    "unknown names": (NETWORK + "".join(f"  a{i}x = unknown{i}y(x)\n" for i in range(2000)) + END, Code.UNKNOWN_NAME),
    "replacements": (
        HEAD + 'use "lib/ops.hsp" with ' + ", ".join(f"a{i}x = a{i + 1}x" for i in range(9000)) + "\n",
        Code.LARGE,
    ),
    "a cell in itself, twice": (
        f"{HEAD}cell A(x) {{\n a = A(x)\n b = A(x)\n output a + b\n}}\n{NETWORK[6:]}  a = A(x){END}",
        Code.DEPTH,
    ),
    "a menu in itself": (
        f"{HEAD}choice T(d) = relu | T(d - 1) -> T(d - 1) if d > 0\n{NETWORK[6:]}  a = x -> T(20){END}",
        Code.LARGE,
    ),
    "fresh copies in fresh copies": (
        f"{HEAD}cell D0(x) {{ output (relu | identity)(x) }}\n{FRESH}{NETWORK[6:]}  a = D19(x){END}",
        Code.LARGE,
    ),
    "a shared operation in another": (
        f"{HEAD}op D0(x) = relu(x)\n{SHARED}{NETWORK[6:]}  output D49(x)\n}}\n",
        Code.LARGE,
    ),
    "widths": (f"{NETWORK}  w = 1 | 2 | .. | 9999{END}", Code.LARGE),
    "a pick of thousands": (f"{NETWORK}  c[i < 3000] = relu(x)\n  a = sum(pick 1500 of c){END}", Code.LARGE),
    "half of a thousand": (f"{NETWORK}  c[i < 1000] = relu(x)\n  a = sum(pick 500 of c){END}", Code.LARGE),
    "requirements": (
        f"{NETWORK}{''.join(f'  require params < {i}{chr(10)}' for i in range(7000, 14000))}{END}",
        Code.LARGE,
    ),
    "a grid that reads its rows": (
        f"{NETWORK}  a[i < 100, j < 80] = if i == 0 then x else sum(a[i - 1, 0 .. 10 ** 12]){END}",
        Code.LARGE,
    ),
    "elements that do not exist": (f"{NETWORK}  a[i < 5000] = if i == 0 then x else a[i + 1]{END}", Code.RANGE),
    "ends of a family": (f"{NETWORK}  c[i < 1 | 2 | .. | 900] = relu(x){END}", Code.LARGE),
}


LARGE = {
    "a sum": f"{NETWORK}  a = sum({', '.join(['relu(x)'] * 5000)}){END}",
    "menus in menus": (
        f"{HEAD}choice M0 = relu | identity\n"
        + "".join(f"choice M{i} = M{i - 1} | relu\n" for i in range(1, 100))
        + f"{NETWORK[6:]}  output M99(x)\n}}\n"
    ),
}
"""Texts of a size that is compiled."""


@pytest.mark.parametrize("name", LARGE)
def test_large_texts_are_compiled_and_described(name: str) -> None:
    profile = cProfile.Profile()
    program, diagnostics = profile.runcall(compile_file, "large.hsp", text=LARGE[name])
    assert program is not None, diagnostics
    profile.runcall(describe, program)
    assert sum(entry.callcount for entry in profile.getstats()) < MOST_CALLS


def test_a_long_sequence_is_derived() -> None:
    text = f"{NETWORK}  a[i < 2000] = prev(x) -> (relu | identity){END}"
    found = Architectures(Request(Path("long.hsp"), text=text))
    profile = cProfile.Profile()
    profile.runcall(lambda: next(sample(found, 1)).text)
    assert sum(entry.callcount for entry in profile.getstats()) < MOST_CALLS / 3


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_with_their_reason(name: str) -> None:
    text, code = BOMBS[name]
    profile = cProfile.Profile()
    program, diagnostics = profile.runcall(compile_file, "bomb.hsp", text=text)
    assert program is None
    assert code in {diagnostic.code for diagnostic in diagnostics}
    assert len(diagnostics) <= 2 * (MAX_ERRORS + 1)
    assert all(len(diagnostic.render()) < 10_000 for diagnostic in diagnostics)
    assert sum(entry.callcount for entry in profile.getstats()) < MOST_CALLS


CASES = [Case(0, Kind.TEXT, number) for number in range(400)]


def test_mutated_texts() -> None:
    assert [item for item in outcomes(check_text, CASES, Limits(cpu=20)) if item.wrong] == []


def test_a_wrong_setting_beside_settings_that_exclude_each_other() -> None:
    """Found by the soak: the second mistake is seen once the first is out of the way."""
    settings = "batch = 0\n  order = second\n  relax = sample\n"
    text = f"hsp 1\nnetwork N(x: [4, 6, 6]) {{\n  output x -> (relu | identity)\n}}\nsearch N {{\n  {settings}}}\n"
    _, diagnostics = compile_file("x.hsp", text=text)
    assert ["'batch'" in diagnostics[0].message, "`order = second`" in diagnostics[1].message] == [True, True]
