"""Texts that ask for more work than is done, with calls counted, and mutated texts under the limits of the kernel."""

from __future__ import annotations

import cProfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from compiler.analysis.architectures import Architectures, sample
from compiler.backend.passes import PASSES
from compiler.commands.compile import compile_main
from compiler.program.compile_file import compile_file
from compiler.program.request import Request
from compiler.reports.emit import emit_program
from compiler.reports.facts import describe
from compiler.searcher.relaxations.objective import Objective, RelaxedQuantities
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
    "a sum": f"{NETWORK}  a = sum({', '.join(['relu(x)'] * 4000)}){END}",
    "menus in menus": (
        f"{HEAD}choice M0 = relu | identity\n"
        + "".join(f"choice M{i} = M{i - 1} | relu\n" for i in range(1, 100))
        + f"{NETWORK[6:]}  output M99(x)\n}}\n"
    ),
}
"""Texts of a size that is compiled."""


EMITTED = ("ast", "graph", PASSES[-1].name, "dot")
"""Forms that need no torch; each pass is in the last."""


@pytest.mark.parametrize("name", LARGE)
def test_large_texts_are_compiled_described_and_emitted(name: str) -> None:
    profile = cProfile.Profile()
    program, diagnostics = profile.runcall(compile_file, "large.hsp", text=LARGE[name])
    assert program is not None, diagnostics
    profile.runcall(describe, program)
    for kind in EMITTED:
        profile.runcall(emit_program, program, kind)
    assert sum(entry.callcount for entry in profile.getstats()) < MOST_CALLS


def test_a_long_sequence_is_derived() -> None:
    text = f"{NETWORK}  a[i < 2000] = prev(x) -> (relu | identity){END}"
    found = Architectures(Request(Path("long.hsp"), text=text))
    profile = cProfile.Profile()
    profile.runcall(lambda: next(sample(found, 1)).text)
    assert sum(entry.callcount for entry in profile.getstats()) < MOST_CALLS / 3


FORMS = ("entropy", "squares", "params / 1K", "log(macs)")


def test_statements_read_what_they_share_once() -> None:
    """Four quantities of 200 decisions, each preferred by 100 statements."""
    stated = "".join(f"  minimize {form} weight 0.{i + 1}\n" for form in FORMS for i in range(100))
    program, diagnostics = compile_file(
        "stated.hsp", text=f"{NETWORK}  a[i < 200] = prev(x) -> (conv(3, 4) | identity)\n{stated}{END[1:]}"
    )
    assert program is not None, diagnostics
    space = program.network
    alphas = {path: torch.zeros(2, requires_grad=True) for path in space.decisions}
    profile = cProfile.Profile()
    objective = profile.runcall(Objective, space)
    quantities = RelaxedQuantities(space.decisions, alphas, expectations=objective.expectations)
    terms = profile.runcall(objective.terms, quantities)
    assert len(terms) == len(stated.splitlines())
    assert sum(entry.callcount for entry in profile.getstats()) < MOST_CALLS / 60


DOUBLED = (
    f"{HEAD}op D0(x) = relu(x)\n"
    + "".join(f"op D{i}(x) = x -> D{i - 1} -> D{i - 1}\n" for i in range(1, 15))
    + f"{NETWORK[6:]}  output D14(x)\n}}\n"
)


def test_an_operation_composed_with_itself_is_compiled_and_not_traced(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """2 ** 14 operations: one block each time, but torch would trace each for some ten milliseconds."""
    path = tmp_path / "doubled.hsp"
    path.write_text(DOUBLED)
    profile = cProfile.Profile()
    assert profile.runcall(compile_main, [str(path), "--export", "torch", "--out", str(tmp_path / "out.pt2")]) == 2
    message = "this network has 16,384 operations, and torch traces 10,000 at most for an export to torch"
    assert message in capsys.readouterr().err
    assert sum(entry.callcount for entry in profile.getstats()) < MOST_CALLS / 10


def used(path: Path, number: int, text: Callable[[int], str]) -> Path:
    """A file whose operation `o0` is that of the first of many files that use each other."""
    for i in range(number):
        (path / f"f{i}.hsp").write_text(f"{HEAD}{text(i)}")
    (path / "all.hsp").write_text(f'{HEAD}use "f0.hsp"\n{NETWORK[6:]}  output o0(x)\n}}\n')
    return path / "all.hsp"


def both(i: int) -> str:
    """An operation of that of the next file under either of two replacements."""
    if i == 29:
        return "op r(x) = relu(x)\nop o29(x) = r(x)\n"
    uses = "".join(f'use "f{i + 1}.hsp" as {name} with r = {by}\n' for name, by in (("p", "relu"), ("q", "sigmoid")))
    return f"{uses}op r(x) = relu(x)\nop o{i}(x) = p.o{i + 1}(x) + q.o{i + 1}(r(x))\n"


FILES: dict[str, tuple[int, Callable[[int], str], Code]] = {
    "a chain": (600, lambda i: f'use "f{i + 1}.hsp"\nop o{i}(x) = relu(x)\n', Code.LARGE),
    "a circle": (600, lambda i: f'use "f{(i + 1) % 600}.hsp"\nop o{i}(x) = relu(x)\n', Code.LARGE),
    "each all later ones": (
        110,
        lambda i: "".join(f'use "f{j}.hsp"\n' for j in range(i + 1, 110)) + f"op o{i}(x) = relu(x)\n",
        Code.LARGE,
    ),
    "each the next in two ways": (30, both, Code.LARGE),
}


@pytest.mark.parametrize("name", FILES)
def test_files_that_use_each_other_are_refused_with_their_reason(name: str, tmp_path: Path) -> None:
    number, text, code = FILES[name]
    path = used(tmp_path, number, text)
    profile = cProfile.Profile()
    program, diagnostics = profile.runcall(compile_file, path)
    assert program is None
    assert code in {diagnostic.code for diagnostic in diagnostics}
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
