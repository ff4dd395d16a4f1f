"""Latency: tables of signatures, measuring them, and what they make of spaces and architectures."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from compiler import api
from compiler.analysis.costs.cost_polynomial import Costing
from compiler.analysis.costs.latency_table import BadTableError, Table, read_table
from compiler.analysis.costs.of_architecture import ArchitectureCosts
from compiler.analysis.costs.prices import Application, Latency, UndefinedQuantityError
from compiler.analysis.requirements.evaluate import Requirements
from compiler.commands import compile as cli
from compiler.commands.measure import main, networks
from compiler.program.compile_file import compile_file
from compiler.program.model import Program
from compiler.program.request import Request
from compiler.runs.measure_latency import Conditions, calibration, measure, operations, together
from compiler.util.errors import UsageError
from tests.analysis.test_constrained import every
from tests.searcher.test_requirements import written
from tests.support.programs import architecture, random_decisions, space

TOY = """hsp 1

op unit(x; k, f = relu) = x -> conv(k) -> f
op either(x; k) = (x -> unit(k)) + x

network Net(x: [4, 8, 8]) {
  w = 2 | 4
  a = x -> unit(k = 1 | 3)
  b = (identity | unit(k = 3, f = gelu) | either(k = 3))(a)
  output b -> conv(1, w) -> sigmoid
}
"""


def conv(k: int, c: int) -> str:
    return f"conv(k={k}, c={c}, stride=1, dilation=1, groups=1, bias=false, pad={k // 2}) 4x8x8"


MILLISECONDS = {
    conv(1, 2): 0.5,
    conv(1, 4): 1.0,
    conv(3, 4): 2.0,
    "relu 4x8x8": 0.125,
    "gelu 4x8x8": 0.25,
    "sigmoid 2x8x8": 0.0625,
    "sigmoid 4x8x8": 0.125,
    "add 4x8x8": 0.25,
}


def test_signatures() -> None:
    """Every operation at every decision, each once; what only looks at a tensor is none."""
    found = operations([space(TOY)])
    assert sorted(found) == sorted(MILLISECONDS)


def test_an_architecture_is_the_sum_of_its_operations() -> None:
    searched = space(TOY)
    costing = Costing(searched)
    price = Latency(Table("t.csv", MILLISECONDS))
    formula = costing.formula(price)
    wide, k, b = sorted(searched.decisions, key=lambda path: ("w", "k", "from_a").index(path.rpartition(".")[2]))
    assert formula.of({wide: (0,), k: (0,), b: (0,)}) == 1.0 + 0.125 + 0.5 + 0.0625
    assert formula.of({wide: (1,), k: (1,), b: (2,)}) == (2.0 + 0.125) + (2.0 + 0.125 + 0.25) + 1.0 + 0.125
    for chosen in every(searched):
        _, derived = architecture(searched, chosen)
        assert (
            ArchitectureCosts(searched).amount(price, chosen)
            == formula.of(chosen)
            == Costing(derived).formula(price).of({})
        )


def test_an_operation_may_have_a_row_as_a_whole() -> None:
    """Then what it is made of does not count, whatever it was decided inside."""
    searched = space(TOY)
    price = Latency(Table("t.csv", {**MILLISECONDS, "unit(k=3, f=relu) 4x8x8": 32.0}))
    plain = Costing(searched).formula(Latency(Table("t.csv", MILLISECONDS)))
    formula = Costing(searched).formula(price)
    for chosen in every(searched):
        text, derived = architecture(searched, chosen)
        whole = ("x -> unit(k = 3)" in text) + ("either" in text)
        assert formula.of(chosen) == pytest.approx(plain.of(chosen) + whole * (32.0 - 2.125))
        assert (
            ArchitectureCosts(searched).amount(price, chosen)
            == formula.of(chosen)
            == Costing(derived).formula(price).of({})
        )


NAMED = """\
hsp 1
use "one.hsp" as one
use "two.hsp" as two
choice Op = one.act | two.act
network Net(image: [1, 4, 4]) {
  output image -> conv(1, 2) -> Op -> relu -> classifier(2)
}
"""


@pytest.mark.parametrize(
    ("second", "rows", "expected"),
    [
        ("x -> relu", {}, (4 + 1.0, 4 + 1.0)),
        ("x -> relu", {"act 2x4x4": 32.0}, (4 + 32.0, 4 + 32.0)),
        ("x -> gelu", {}, (4 + 1.0, 4 + 2.0)),
        ("x -> gelu", {"act 2x4x4": 32.0}, None),
    ],
)
def test_rows_of_operations_of_one_name(
    tmp_path: Path, second: str, rows: dict[str, float], expected: tuple[float, float] | None
) -> None:
    """Two files have an operation `act`: a row is of both where they say the same, and else of nobody knows which."""
    (tmp_path / "one.hsp").write_text("hsp 1\nop act(x) = x -> relu\n")
    (tmp_path / "two.hsp").write_text(f"hsp 1\nop act(x) = {second}\n")
    (tmp_path / "space.hsp").write_text(NAMED)
    searched = Request(tmp_path / "space.hsp").compile().network
    known = {signature: 2.0 if signature.startswith("gelu") else 1.0 for signature in operations([searched])}
    price = Latency(Table("t.csv", {**known, **rows}))
    taken: list[dict[str, tuple[int, ...]]] = [dict.fromkeys(searched.decisions, (item,)) for item in (0, 1)]
    if expected is None:
        with pytest.raises(UndefinedQuantityError, match=r"rows of 'act', .* \(in '.*one.hsp' and '.*two.hsp'\)"):
            Costing(searched).formula(price)
    else:
        formula = Costing(searched).formula(price)
        assert (formula.of(taken[0]), formula.of(taken[1])) == expected


def test_an_operation_that_is_called_like_a_primitive_has_no_row_of_it(tmp_path: Path) -> None:
    """A table that was measured has a row of the primitive, which the file's own `relu` was priced by."""
    (tmp_path / "one.hsp").write_text("hsp 1\nop act(x) = x -> relu\n")
    (tmp_path / "two.hsp").write_text("hsp 1\n")
    own = NAMED.replace("one.act | two.act", "one.act | relu").replace(
        "choice", "op relu(x) = x -> gelu -> gelu\nchoice"
    )
    (tmp_path / "space.hsp").write_text(own.replace("Op -> relu", "Op -> tanh"))
    searched = Request(tmp_path / "space.hsp").compile().network
    known = {signature: 8.0 if signature.startswith("gelu") else 1.0 for signature in operations([searched])}
    formula = Costing(searched).formula(Latency(Table("t.csv", known)))
    assert [formula.of(dict.fromkeys(searched.decisions, (item,))) for item in (0, 1)] == [5.0, 4.0 + 16.0]


@pytest.mark.parametrize("name", ["darts.hsp", "nats_size.hsp", "ofa_mobilenetv3.hsp", "fbnet.hsp"])
def test_spaces_and_derived_networks_speak_of_the_same_operations(name: str) -> None:
    """Any numbers will do: here the length of a signature."""
    searched = space(name)
    table = Table("t.csv", {signature: len(signature) for signature in operations([searched])})
    formula = Costing(searched).formula(Latency(table))
    for seed in range(2):
        chosen = random_decisions(searched, seed)
        assert formula.of(chosen) == Costing(architecture(searched, chosen)[1]).formula(Latency(table)).of({})


def test_what_a_table_lacks_is_listed() -> None:
    table = Table("t.csv", {name: value for name, value in MILLISECONDS.items() if not name.startswith("conv")})
    with pytest.raises(UndefinedQuantityError, match=r"'t.csv' has no row for `conv.*`hdas-measure FILE --out t.csv`"):
        Costing(space(TOY)).formula(Latency(table))


# ---------------------------------------------------------------- tables


def test_tables_are_read_as_they_were_written(tmp_path: Path) -> None:
    table = Table("t.csv", MILLISECONDS, {"threads": "2", "machine": "a = b"})
    table.write(tmp_path / "t.csv")
    assert read_table(tmp_path / "t.csv", "t.csv") == table


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "there are no rows"),
        ("a,b\n", "t.csv:1: the first row must be `signature,milliseconds`"),
        ("signature,milliseconds\nrelu 1x2,fast\n", "t.csv:2: a row is a signature and its milliseconds"),
        ("signature,milliseconds\nrelu 1x2,-1\n", "t.csv:2: a row"),
        ("signature,milliseconds\nrelu 1x2,nan\n", "t.csv:2: a row"),
        ("# x = 1\nsignature,milliseconds\nrelu,1\nrelu,2\n", "t.csv:4: there are two rows of `relu`"),
        (b"\xff\xfe", "'t.csv' cannot be read"),
    ],
)
def test_wrong_tables(tmp_path: Path, text: str | bytes, why: str) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadTableError) as error:
        read_table(path, "t.csv")
    assert why in str(error.value)


# ---------------------------------------------------------------- measuring


class Clock:
    """Goes on by a second at each look, and by a hundred more at some."""

    def __init__(self, *late: int) -> None:
        self.now, self.looks, self.late = 0.0, 0, late

    def __call__(self) -> float:
        self.looks += 1
        self.now += 101.0 if self.looks in self.late else 1.0
        return self.now


def test_operations_take_turns_and_the_median_counts() -> None:
    """Two operations, three turns to warm up and three that count: looks 7 to 18."""
    wanted = dict(list(operations([space(TOY)]).items())[:2])
    table = measure(wanted, Conditions(batch=2, rounds=3), Clock(2, 8, 10))
    assert table.milliseconds == dict.fromkeys(wanted, 1000.0)
    assert (table.facts["batch"], table.facts["threads"], table.facts["rounds"]) == ("2", "1", "3")
    # The second operation is late in two of its turns.
    assert list(measure(wanted, Conditions(rounds=3), Clock(10, 14)).milliseconds.values()) == [1000.0, 101_000.0]


def test_operations_take_turns_as_far_as_memory_holds_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Convolutions of 63 MiB of weights, of which eight take turns together."""
    wide = "  ".join(f"b{i}x = conv(x, 1, {4000 + i})\n" for i in range(20))
    text = f"hsp 1\nnetwork Net(x: [4096, 1, 1]) {{\n  {wide}  output concat(b0x, b19x)\n}}\n"
    wanted = operations([space(text)])
    assert [len(group) for group in together(wanted, 1)] == [9, 8, 4]
    monkeypatch.setattr("compiler.runs.measure_latency.physical_memory", lambda: 2**30)
    with pytest.raises(UsageError, match=r"'concat .*' takes 60 GiB of memory, and this machine has 1 GiB"):
        list(together(wanted, 1_000_000))


def test_rows_are_scaled_to_whole_networks() -> None:
    """By this clock a network takes a second; the fastest architecture has 1.6875 ms in its rows, all others more."""
    searched = space(TOY)
    table = Table("t.csv", MILLISECONDS)
    factor = calibration(searched, table, Conditions(rounds=1), Clock())
    assert factor == pytest.approx(1000 / 1.6875)
    scaled = table.scaled(factor)
    assert scaled.milliseconds["relu 4x8x8"] == pytest.approx(0.125 * factor)
    assert scaled.facts["scale"] == "592.6"


def test_every_primitive_of_the_shipped_spaces_can_be_measured() -> None:
    found: dict[str, Application] = {}
    for name in ("darts.hsp", "ofa_mobilenetv3.hsp", "autoformer_tiny.hsp", "autodeeplab.hsp"):
        args: dict[str, Any] = {"layers": 4, "levels": 3, "size": 65} if name == "autodeeplab.hsp" else {}
        for signature, application in operations([space(name, **args)]).items():
            if application.name not in {known.name for known in found.values()}:
                found[signature] = application
    table = measure(found, Conditions(rounds=1))
    assert len(table.milliseconds) > 15
    assert all(value > 0 for value in table.milliseconds.values())


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "toy.hsp"
    path.write_text(TOY)
    out = tmp_path / "t.csv"
    assert main([str(path), "--out", str(out), "--rounds", "1"]) == 0
    first = read_table(out, "t.csv")
    assert sorted(first.milliseconds) == sorted(MILLISECONDS)
    shown = capsys.readouterr().out
    assert "8 operations measured (batch 1, threads 1" in shown
    assert "Net: " in shown
    # Only what is missing is measured the next time, and not under other conditions.
    path.write_text(TOY.replace("sigmoid", "swish"))
    assert main([str(path), "--out", str(out), "--rounds", "1"]) == 0
    second = read_table(out, "t.csv")
    assert first.milliseconds.items() <= second.milliseconds.items()
    assert "2 operations measured, 8 kept" in capsys.readouterr().out
    assert main([str(path), "--out", str(out), "--batch", "2"]) == 2
    assert "was measured with batch = 1: --force" in capsys.readouterr().err
    assert main([str(tmp_path / "none.hsp")]) == 2
    assert main([str(path), "--rounds", "0"]) == 2
    assert main([str(path), "--threads", "1000000"]) == 2
    assert "1000000 is more than 1,024" in capsys.readouterr().err


PHASES = """\
hsp 1
cell Cell(x) {
  a = x -> (conv(3, x.c) | conv(5, x.c))
  output a
}
cell Wide(x) {
  a = x -> conv(3, 2 | 4)
  output a
}
network Net(image: [1, 4, 4]; c = 2) {
  output image -> conv(1, c) -> Cell -> Wide -> classifier(2)
}
network Deep(image: [1, 4, 4]; c = 4, Body) {
  a = image -> conv(1, c) -> Body
  output a -> (relu | gelu) -> classifier(2)
}
network Sum(image: [1, 4, 4]; Body) {
  a = image -> conv(1, 2) -> relu
  output (a + Body(a)) -> (relu | gelu) -> classifier(2)
}
search {
  epochs = 1
  phase one = Net
  phase two = Deep(Body = one.Cell)
}
"""


def test_a_phase_is_measured_with_all_that_the_ones_before_it_may_find(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table had no row for the wider convolution at the width of the later phase, and the range was too small."""
    path = tmp_path / "phases.hsp"
    path.write_text(PHASES)
    table_path = tmp_path / "t.csv"
    assert main([str(path), "--out", str(table_path), "--rounds", "1"]) == 0
    said = capsys.readouterr().out
    assert "Net of phase 'one': " in said
    assert "by the table, whatever 'one' may find" in said
    table = read_table(table_path, "t.csv")
    assert conv(5, 4).replace("8x8", "4x4") in table.milliseconds
    replace(table, milliseconds={name: 16.0 * ("k=5" in name) for name in table.milliseconds}).write(table_path)
    assert main([str(path), "--out", str(table_path), "--rounds", "1"]) == 0
    assert "Deep of phase 'two': 0 ms to 16 ms by the table, whatever 'one' may find" in capsys.readouterr().out


def test_a_result_that_must_be_known_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sum needs to know how wide its terms are, which the first phase decides."""
    path = tmp_path / "phases.hsp"
    path.write_text(PHASES.replace("phase two = Deep(Body = one.Cell)", "phase two = Sum(Body = one.Wide)"))
    assert main([str(path), "--rounds", "1", "--json"]) == 0
    _, two = json.loads(capsys.readouterr().out)["networks"]
    assert (two["phase"], two["after"], two["first"]) == ("two", ["one"], ["one"])
    assert main([str(path), "--rounds", "1"]) == 0
    assert "with the first architecture of 'one': what it will find is not known yet" in capsys.readouterr().out


def test_a_search_within_a_budget(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The whole way: measure a space, require something between its limits, search, and look at what was derived."""
    path = written(tmp_path, required='require latency("t.csv") <= 1000000000')
    assert main([str(path), "--out", str(tmp_path / "t.csv"), "--rounds", "1"]) == 0
    capsys.readouterr()
    span = ranges(path, capsys)['latency("t.csv")']
    assert 0 < span["min"] < span["max"] < 1_000_000_000
    budget = (2 * span["min"] + span["max"]) / 3
    path = written(tmp_path, required=f'require latency("t.csv") <= {budget:.6f}', trained="require macs <= 1M")
    report = api.search(path, tmp_path / "run", seed=1)
    cli.compile_main([str(report.derived), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert span["min"] - 1e-9 <= found["latency"]['latency("t.csv")'] <= budget


def test_a_search_prefers_fast_networks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """FBNet's objective with a measured table, whose numbers are made large enough for its logarithm."""
    statement = 'minimize loss * log(latency("t.csv")) ** 0.6\n  alphas = adam(lr = 0.3)'
    path = written(tmp_path, stated=statement)
    spaces = networks(program(path))
    Table("t.csv", {name: 2.0 + 50 * ("k=5" in name) for name in operations(spaces)}).write(tmp_path / "t.csv")
    text = api.search(path, tmp_path / "run", seed=0, epochs=2).text
    assert "k = 5" not in text


def program(path: Path) -> Program:
    found, diagnostics = compile_file(path)
    assert found is not None, diagnostics
    return found


def ranges(path: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    cli.compile_main([str(path), "--json"])
    found: dict[str, Any] = json.loads(capsys.readouterr().out)["ranges"]
    return found


@pytest.mark.parametrize("choices", ["1 | 3", "3"], ids=["space", "architecture"])
def test_a_check_says_which_tables_are_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], choices: str
) -> None:
    path = tmp_path / "x.hsp"
    stated = 'require latency("t.csv") <= 9\n  minimize latency("u.csv")\n'
    path.write_text(TOY.replace("1 | 3", choices).replace("  output", f"  {stated}  output"))
    partial = {name: value for name, value in MILLISECONDS.items() if name.startswith("conv")}
    Table("u.csv", partial).write(tmp_path / "u.csv")
    assert cli.compile_main([str(path)]) == 0
    page = " ".join(capsys.readouterr().out.split())
    assert "not known: latency(\"t.csv\"): 't.csv' cannot be read: No such file or directory; `hdas-measure" in page
    assert "not known: latency(\"u.csv\"): 'u.csv' has no row for " in page
    assert cli.compile_main([str(path), "--json"]) == 0
    assert list(json.loads(capsys.readouterr().out)["unknown"]) == ['latency("u.csv")', 'latency("t.csv")']
    os.mkfifo(tmp_path / "t.csv")
    assert cli.compile_main([str(path)]) == 0
    assert "'t.csv' cannot be read: it is a pipe" in capsys.readouterr().out


def test_tables_lie_where_uses_do(tmp_path: Path) -> None:
    """Beside the file that speaks of them or below, and nowhere else."""
    inner = tmp_path / "in"
    inner.mkdir()
    Table("t.csv", dict.fromkeys(MILLISECONDS, 1.0)).write(tmp_path / "t.csv")
    for place, reason in (("../t.csv", "lies outside"), (str(tmp_path / "t.csv"), "lies outside")):
        path = inner / "x.hsp"
        path.write_text(TOY.replace("  output", f'  require latency("{place}") <= 9\n  output'))
        found = program(path)
        wanted = Requirements(found.network)
        with pytest.raises(UndefinedQuantityError, match=reason):
            wanted.met(dict.fromkeys(found.network.decisions, (0,)))
