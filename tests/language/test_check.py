"""Static checks: what they must not report, and how much work they are, in calls and never in seconds."""

from __future__ import annotations

import cProfile
import subprocess
import sys
from pathlib import Path

import pytest

from compiler.ir.numbers import COMPUTE
from compiler.program.compile_file import compile_file
from hdas_dsl.check.checker import check
from hdas_dsl.files import Loader
from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.tree.words import NUMERIC, QUANTITIES, element_name, element_of
from hdas_dsl.units import LIBRARY, Unit
from tests.support.paths import FIXTURES

SPACES = sorted(LIBRARY.rglob("*.hsp"))


def units(path: Path) -> list[Unit]:
    loader = Loader()
    assert loader.load(path) is not None
    return list(loader.units.values())


def calls(unit: Unit) -> int:
    """How many calls of functions it takes to find that nothing is wrong."""
    profile = cProfile.Profile()
    assert profile.runcall(check, unit) == []
    return sum(entry.callcount for entry in profile.getstats())


def checked(text: str, **files: str) -> list[Diagnostic]:
    """What is wrong with a text, seen beside some files."""
    folder = Path(files.pop("folder", "."))
    for name, content in files.items():
        (folder / f"{name}.hsp").write_text(f"hsp 1\n{content}\n")
    loader = Loader()
    instance = loader.load_text(f"hsp 1\n{text}\n", "test.hsp", folder)
    assert instance is not None, "\n".join(d.render() for d in loader.diagnostics)
    return check(instance.unit)


def codes(report: list[Diagnostic]) -> list[Code]:
    return [diagnostic.code for diagnostic in report]


# ---------------------------------------------------------------- what is right


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_finds_nothing_wrong_with_the_spaces(path: Path) -> None:
    assert [d.render() for unit in units(path) for d in check(unit)] == []


@pytest.mark.parametrize(
    "body",
    [
        "x2 = relu(x)\n  y = x2\n  output y",  # `x2` is not an element of the input `x`
        "n0 = x\n  n1 = relu(n0)\n  output concat(n)",
        "n[i < 2] = relu(x)\n  n2 = x\n  output concat(n)",
        "h[i < 2, j < i + 1] = relu(x)\n  output h1_1",
        "n[i < 3] = relu(prev(x))\n  output n[2]",
        "n[i < 2] = relu(y) where y = x, z = y\n  output n[0].z",
        "n[i < 2] = relu(x)\n  m[i < 2] = n[i]\n  output last of m",  # an index belongs to its line
        "relu = conv(x, 3)\n  output relu",  # hides the primitive from here on
        "y = relu(x)\n  relu = y\n  output relu",  # the primitive, until then
        "y = x -> conv(k = 3, c = 8) -> relu\n  output y",
        "y = conv(x, 3, x.c, 1, 1, 1, true, 1)\n  output y",
        "y = (conv(3) | max_pool(k = 3))(x, stride = 2)\n  output y",
        "y = Other@fresh(x) + Other@anything(x) + Other@(1 + 1)(x)\n  output y",
        "minimize loss * log(latency(\"t.csv\")) ** 2 weight 0.5\n  require macs <= 1M and x.c in (3, 4)\n  output x",
    ],
)  # fmt: skip
def test_says_nothing_of_what_is_right(body: str) -> None:
    other = "cell Other(x) {\n  output relu(x)\n}"
    assert [d.render() for d in checked(f"{other}\ncell Cell(x) {{\n  {body}\n}}")] == []


def test_a_definition_may_have_the_name_of_a_primitive() -> None:
    assert checked("op relu(x; k) = conv(x, k)\nop f(x) = relu(x, k = 3)") == []


def test_one_file_used_twice_is_no_conflict(tmp_path: Path) -> None:
    two = 'use "a.hsp"\nuse "b.hsp"\nop f(x) = g(h(x))'
    assert checked(two, folder=str(tmp_path), a="op g(x) = x", b="op h(x) = x") == []
    same = 'use "a.hsp"\nuse "a.hsp"\nop f(x) = g(x)'
    assert checked(same, folder=str(tmp_path), a="op g(x) = x") == []


def test_one_file_with_two_replacements_is_ambiguous(tmp_path: Path) -> None:
    text = 'use "a.hsp"\nuse "a.hsp" with h = relu\nop f(x) = g(x)'
    assert codes(checked(text, folder=str(tmp_path), a="op h(x) = x\nop g(x) = h(x)")) == [Code.AMBIGUOUS]


def test_a_replaced_definition_may_take_other_arguments(tmp_path: Path) -> None:
    text = 'use "a.hsp" with g = mine\nop mine(x; more) = x\nop f(x) = g(x, more = 1)'
    assert checked(text, folder=str(tmp_path), a="op g(x) = x") == []


def test_a_file_that_cannot_be_read_hides_no_further_errors() -> None:
    loader = Loader()
    instance = loader.load_text('hsp 1\nuse "gone.hsp"\nop f(x) = theirs(x)\nop f(x) = x\n', "test.hsp")
    assert instance is not None
    assert codes(loader.diagnostics + check(instance.unit)) == [Code.NO_FILE, Code.DUPLICATE]


# ---------------------------------------------------------------- where it is wrong


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("cell C(image) {\n  output relu(( image.z ))\n}", ["2:23:z"]),
        ("op\tf(x; k = (1, 2).f) = x\nop f(x) = x", ["2:4:f", "1:4:f"]),
        ("cell  C@1 (x) {\n  output x\n}\ncell C @ 1(x) {\n  output x\n}", ["4:6:C @ 1", "1:7:C@1"]),
        ("op g(x; x = 1) = conv(x, k = 1,  k\t= 2)", ["1:9:x", "1:6:x", "1:34:k", "1:26:k"]),
        ("cell C(x) {\n  y = a where (a,  a) = (x, x)\n  output y\n}", ["2:20:a", "2:16:a"]),
    ],
)  # fmt: skip
def test_a_caret_marks_the_name_itself(text: str, places: list[str]) -> None:
    """The place of every error, and of the other place that it names, as line below the heading, column and text."""
    spans = [span for d in checked(text) for span in (d.span, *([] if d.other is None else [d.other[0]]))]
    assert [f"{span.line - 1}:{span.column}:{span.text}" for span in spans] == places


# ---------------------------------------------------------------- the rest of the promise


def test_every_definition_is_checked_though_nobody_uses_it() -> None:
    wrong = "op a(x) = b(x)\nchoice C = d | e\ncell D(x) {\n  y = f(x)\n}\nsearch G {\n}"
    unknown = [Code.UNKNOWN_NAME]
    assert codes(checked(wrong)) == [*unknown, *unknown, *unknown, Code.NO_OUTPUT, *unknown, *unknown]


def test_errors_come_in_source_order() -> None:
    report = checked("search N {\n  a = 1\n  a = 2\n}\nop f(x) = b(c(x), d)\nop f(x) = e")
    starts = [d.span.start for d in report]
    assert len(starts) > 5
    assert starts == sorted(starts)


def test_a_search_over_all_files_of_a_program_is_fast() -> None:
    """A hundred thousand calls take some ten milliseconds."""
    assert sum(calls(unit) for unit in units(LIBRARY / "hdas_cifar.hsp")) < 100_000


def test_the_work_grows_with_the_text() -> None:
    def spent(lines: int) -> int:
        body = "\n".join(f"  y{i} = relu(y{i - 1}) where z = x" for i in range(1, lines))
        loader = Loader()
        instance = loader.load_text(f"hsp 1\ncell C(x) {{\n  y0 = x\n{body}\n  output y1\n}}\n", "test.hsp")
        assert instance is not None
        return calls(instance.unit)

    assert spent(2000) < 11 * spent(200)


def test_the_language_knows_nothing_of_the_compiler() -> None:
    loaded = "{m.split('.')[0] for m in sys.modules}"
    code = f"import sys, hdas_dsl.check.checker; print({{'torch', 'networkx', 'compiler'}} & {loaded})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_words() -> None:
    assert COMPUTE.keys() == NUMERIC.keys()
    assert len(set(QUANTITIES)) == len(QUANTITIES)


@pytest.mark.parametrize(
    ("name", "element"),
    [("n2", ("n", (2,))), ("h3_1", ("h", (3, 1))), ("x", None), ("n_", None), ("conv2d", None),
     ("a1b22", ("a1b", (22,))), ("n99999999999999", None)],
)  # fmt: skip
def test_names_of_elements(name: str, element: tuple[str, tuple[int, ...]] | None) -> None:
    assert element_of(name) == element
    if element is not None:
        assert element_name(*element) == name


# ---------------------------------------------------------------- no user error is a traceback


def diagnosed(text: str) -> list[str]:
    program, diagnostics = compile_file("test.hsp", text=text)
    assert program is not None or diagnostics
    return [diagnostic.render() for diagnostic in diagnostics]


def test_a_program_with_everything_compiles() -> None:
    assert diagnosed((FIXTURES / "everything.hsp").read_text()) == []
