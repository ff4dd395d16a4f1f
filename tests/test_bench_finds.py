"""Placing what searches find in a table of truth: ranks by hand on a generated table, and one run of the program."""

from __future__ import annotations

import importlib
import os
import random
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from statistics import median
from types import ModuleType
from typing import Any

import pytest

from hdas_dsl.parse.parser import parse_text
from tests.support.paths import ROOT

BENCH = ROOT / "bench"

SPACE = """hsp 1

choice Op = identity | max_pool(3) | conv(3)

network Tiny(image: [1, 8, 8]; classes = 10) {
  stem = image -> conv(3, 2)
  n[i < 2] = prev(stem) -> Op
  output last of n -> classifier(classes)
}

train Tiny {
  data = digits(images = 200)
  epochs = 3
  batch = 50
}
"""


@pytest.fixture
def finds(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    return importlib.import_module("finds")


@pytest.fixture
def truth(finds: ModuleType) -> ModuleType:
    return importlib.import_module("truth")


def made(truth: ModuleType, path: Path, accuracies: list[list[float]]) -> Any:
    """A table of these test accuracies by number and seed."""
    table = truth.Table(path)
    for number, row in enumerate(accuracies):
        architecture = truth.Architecture(number, f"{number:016x}", 1, 1, "{}")
        for seed, accuracy in enumerate(row):
            table.add(architecture, seed, truth.Training(accuracy, accuracy, 6.0))
    return table


def test_seconds_count_as_those_of_the_table(finds: ModuleType, truth: ModuleType, tmp_path: Path) -> None:
    """The quicker of two whole seeds took 4 seconds a training; here one takes 2; a third seed is not whole."""
    table = truth.Table(tmp_path / "t.csv")
    for number in range(20):
        architecture = truth.Architecture(number, f"{number:016x}", 1, 1, "{}")
        for seed, seconds in enumerate([6.0, 4.0, 1.0] if number < 5 else [6.0, 4.0]):
            table.add(architecture, seed, truth.Training(0.5, 0.5, seconds))
    asked: list[tuple[int, int]] = []

    class Space:
        def train(self, number: int, seed: int, epochs: int | None = None) -> tuple[None, Any]:
            if epochs is None:
                asked.append((number, seed))
            return None, truth.Training(0.5, 0.5, 2.0)

    assert finds.quicker(table) == 1
    assert finds.pace(Space(), table) == pytest.approx(2)
    assert asked == [(number, 1) for number in range(finds.PACED)]


@pytest.mark.filterwarnings("error")
def test_equal_values_have_no_rank_correlation(truth: ModuleType, tmp_path: Path) -> None:
    """scipy warned of them, and the report said nan."""
    said = list(made(truth, tmp_path / "t.csv", [[0.5, 0.6], [0.7, 0.9], [0.6, 0.7]]).report())
    assert "seeds 0, 1: rank correlation of the test accuracy 1.000 (3)" in said
    said = list(made(truth, tmp_path / "u.csv", [[0.5, 0.6], [0.5, 0.9], [0.5, 0.7]]).report())
    assert "seeds 0, 1: rank correlation of the test accuracy undefined, as all values are equal (3)" in said


def test_ranks_of_a_generated_table(finds: ModuleType, truth: ModuleType, tmp_path: Path) -> None:
    """Two seeds of ten architectures: means 0.55, 0.60, ..., 0.95, and two that are equal."""
    means = [0.50 + 0.05 * number for number in range(9)] + [0.70]
    table = made(truth, tmp_path / "t.csv", [[mean - 0.01, mean + 0.01] for mean in means])
    more = made(truth, tmp_path / "m.csv", [])
    assert finds.better_than(0.90, means) == pytest.approx(0.95)  # the best: better than nine, equal to itself
    assert finds.better_than(0.70, means) == pytest.approx(0.5)  # better than 4, equal to 2 of 10
    assert finds.better_than(0.10, means) == 0
    found = [finds.Found("darts", seed, number, 5.0, 50) for seed, number in enumerate([8, 7, 0])]
    place = finds.placed(found, table, more)
    assert place.shares == pytest.approx((0.95, 0.85, 0.05))
    assert place.accuracies == pytest.approx((0.90, 0.85, 0.50))
    # One that the table lacks is placed by the other table, and does not move the ranks.
    more.add(truth.Architecture(99, "f" * 16, 1, 1, "{}"), 0, truth.Training(0.87, 0.87, 6.0))
    place = finds.placed([finds.Found("darts", 0, 99, 5.0, 50)], table, more)
    assert place.shares == pytest.approx((0.9,))
    assert finds.placed([finds.Found("darts", 0, None, 0.0, 50, "why")], table, more) is None


def test_the_report(finds: ModuleType, truth: ModuleType, tmp_path: Path) -> None:
    table = made(truth, tmp_path / "t.csv", [[0.5 + number / 100] for number in range(20)])
    more = made(truth, tmp_path / "m.csv", [])
    kept = finds.Finds(tmp_path / "f.csv")
    for seed, (left, right) in enumerate(zip([19, 18, 17], [3, 2, 1], strict=True)):
        kept.add(finds.Found("darts", seed, left, 5.0, 50))
        kept.add(finds.Found(finds.HALVING, seed, right, 6.0, 50))
    kept.add(finds.Found("fairnas", 0, None, 0.0, 50, "items differ"))
    again = finds.Finds(tmp_path / "f.csv")
    assert {*again.all} == {*kept.all}
    assert again.has("fairnas", 4)
    assert not again.has("darts", 3)
    lines = list(finds.report(again, table, more))
    # Shares 97.5, 92.5, 87.5%; regrets 0, 1, 2 points; all three above all three of the rival: p = 1 / 20. In the time
    # of a search one architecture is drawn, of which a tenth is as good; the mean of three of their ranks deviates by
    # 0.289 / 3 ** 0.5 from a half, of which 0.925 is 2.55 times as far: p = 0.005.
    assert lines[2] == "| `darts` | 3 | 92.5% | 98%, 92%, 88% | 1.00% | 0.016 | 52.5% | 0.025 | 0.005 | 0.050 | 5 |"
    assert lines[3].startswith("| `halving` | 3 | 12.5% |")
    assert lines[4] == "| `fairnas` | refused: items differ | | | | | | | | | |"
    later = list(finds.report(again.between(1, 3), table, more))
    assert [line.split(" | ")[:3] for line in later[2:4]] == [
        ["| `darts`", "2", "90.0%"],
        ["| `halving`", "2", "10.0%"],
    ]
    assert later[4] == lines[4]


def test_the_plot(finds: ModuleType, truth: ModuleType, tmp_path: Path) -> None:
    """A row for each method, a dot for each search, and the same bytes for the same figures."""
    table = made(truth, tmp_path / "t.csv", [[0.5 + number / 100] for number in range(20)])
    kept = finds.Finds(tmp_path / "f.csv")
    for seed, number in enumerate([3, 2, 1]):
        kept.add(finds.Found("gdas", seed, number, 5.0, 50))
    kept.add(finds.Found("darts", 0, 19, 5.0, 50))
    kept.add(finds.Found("fairnas", 0, None, 0.0, 50, "items differ"))
    rows = finds.ranking(kept, table, made(truth, tmp_path / "m.csv", []))
    assert [(row.method, len(row.shares)) for row in rows] == [("darts", 1), ("gdas", 3)]
    for name in ("one.svg", "two.svg"):
        finds.plot(rows, table, "what searches find", tmp_path / name)
    drawing = (tmp_path / "one.svg").read_text()
    assert drawing == (tmp_path / "two.svg").read_text()
    assert all(f">{text}</text>" in drawing for text in ("darts", "gdas", "what searches find", "a search"))
    assert "fairnas" not in drawing


def test_methods_with_a_supernet(finds: ModuleType) -> None:
    """Those without learn no weights here, and are compared in the time of their trainings."""
    without = {method.name for method in finds.library_methods()} - set(finds.with_supernets())
    assert {"random_search", "regularized_evolution", "forest_predictor", "bananas", "local_search"} <= without
    assert not without & {"darts", "snas", "spos", "bignas", "fairnas"}


@pytest.mark.parametrize(
    ("method", "epochs"), [("forest_predictor", 0), ("tse_predictor", 0), ("darts, levels = 1", 7)]
)
def test_epochs_are_those_of_a_supernet(finds: ModuleType, truth: ModuleType, method: str, epochs: int) -> None:
    space = truth.Space(ROOT / "spaces/truth/stages.hsp", Path("data"))
    text = finds.Setting(7, 64, "fashion_mnist", Path("data")).text(space, method)
    assert f"\nepochs = {epochs}\n" in text.split("search Stages")[-1]


def test_random_draws_in_the_time_of_a_search(finds: ModuleType, truth: ModuleType, tmp_path: Path) -> None:
    """Trainings of 6 s: in 20 s three, of which the best validation accuracy is taken."""
    table = made(truth, tmp_path / "t.csv", [[0.5 + number / 100] for number in range(20)])
    source, expected = random.Random(1), []
    for _ in range(20_000):
        expected.append((max(source.sample(range(20), 3)) + 0.5) / 20)
    found = finds.drawn(table, 20.0)
    assert found == sorted(found)
    assert sum(found) / len(found) == pytest.approx(sum(expected) / len(expected), abs=0.01)
    assert median(finds.drawn(table, 1.0)) == pytest.approx(0.5, abs=0.03), "one at least"
    assert set(finds.drawn(table, 1e9)) == {0.975}
    medians = [median(source.choice(expected) for _ in range(5)) for _ in range(20_000)]
    likely = sum(middle >= 0.875 for middle in medians) / len(medians)
    assert finds.chance_in(0.875, 5, expected) == pytest.approx(likely, abs=0.01)
    medians = [median(source.choice(expected) for _ in range(4)) for _ in range(20_000)]
    likely = sum(middle >= 0.875 for middle in medians) / len(medians)
    assert finds.chance_in(0.875, 4, expected) == pytest.approx(likely, abs=0.01)


def test_a_third_training_steers_random_draws(finds: ModuleType, truth: ModuleType, tmp_path: Path) -> None:
    """It places nothing: where it says the reverse of the others, the longest draw finds the worst architecture."""
    rows = [[number / 100, number / 100, (20 - number) / 100] for number in range(20)]
    table = made(truth, tmp_path / "t.csv", rows)
    assert finds.tested(table.rows[3]) == pytest.approx(0.03)
    assert set(finds.drawn(table, 1e9)) == {0.025}
    assert finds.placed([finds.Found("darts", 0, 19, 5.0, 50)], table, made(truth, tmp_path / "m.csv", [])).shares == (
        0.975,
    )


@pytest.mark.parametrize("count", [4, 5])
def test_chance_of_a_median(finds: ModuleType, count: int) -> None:
    source = random.Random(0)
    drawn = [median(source.random() for _ in range(count)) for _ in range(20_000)]
    for value in (0.5, 0.8, 0.95):
        assert finds.chance_of(value, count) == pytest.approx(sum(x > value for x in drawn) / len(drawn), abs=0.01)


def test_halving_spends_its_budget(finds: ModuleType) -> None:
    assert finds.rungs(8) == [1, 3, 8]
    assert finds.rungs(1) == [1]
    # Nine at one epoch, three at three, one at nine: 27 epochs of two seconds.
    assert finds.first_rung(54.0, 2.0, [1, 3, 9]) == 9
    assert finds.first_rung(1.0, 2.0, [1, 3, 9]) == 1


def test_one_class_of_alike_architectures(truth: ModuleType, tmp_path: Path) -> None:
    """Two lines may swap what they do where the file says so: nine architectures, six that differ up to order."""
    (tmp_path / "space.hsp").write_text(SPACE)
    space = truth.Space(tmp_path / "space.hsp", tmp_path)
    assert len(space.numbers) == 9
    for number in range(9):
        assert space.classes[space.key(space.listing.choices(number))] == number


@pytest.mark.bench
def test_a_run(finds: ModuleType, truth: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "spaces" / "space.hsp"
    path.parent.mkdir()
    (path.parent / "ops.hsp").write_text("hsp 1\n\nop small(x) = x -> conv(3)\n")
    path.write_text(SPACE.replace("hsp 1\n", 'hsp 1\nuse "ops.hsp"\n').replace("| conv(3)", "| small"))
    space = truth.Space(path, tmp_path)
    table = truth.Table(path.with_suffix(".csv"))
    for number in range(0, 9, 2):
        architecture, result = space.train(number, 0)
        table.add(architecture, 0, result)
    methods = ["darts", "fairnas", "drnas", "halving"]
    args = ["--seeds", "1", "--epochs", "2", "--data", str(tmp_path), "--methods", *methods]
    args += ["--from-data", "digits(images = 200, weights_share = 0.5)"]
    command = [sys.executable, str(BENCH / "finds.py"), str(path), *args]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    first = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert first.returncode == 0, first.stderr
    kept = finds.Finds(path.with_suffix(".finds.csv"))
    assert [item.method for item in kept.all] == ["darts", "drnas", "fairnas", "halving"]
    known = {*table.rows, *truth.Table(path.with_suffix(".more.csv")).rows}
    assert all(item.number in known for item in kept.all if not item.refusal)
    before = path.with_suffix(".finds.csv").read_bytes()
    again = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert path.with_suffix(".finds.csv").read_bytes() == before
    assert again.stdout == "\n".join(line for line in first.stdout.splitlines() if line[0] == "|") + "\n"
    names = {"ops.hsp", "space.csv", "space.finds.csv", "space.more.csv", "space.hsp"}
    assert {item.name for item in path.parent.iterdir()} == names
    assert any(item.number is not None for item in kept.all)


def test_regret_against_trials(
    monkeypatch: pytest.MonkeyPatch, finds: ModuleType, truth: ModuleType, tmp_path: Path
) -> None:
    """Nine architectures, of which the table lacks one; the best on the validation images is not the best of all."""
    regret = importlib.import_module("regret")
    path = tmp_path / "tiny.hsp"
    path.write_text(SPACE)
    table = truth.Table(tmp_path / "tiny.csv")
    tests = [0.50, 0.60, 0.90, 0.55, 0.99, 0.70, 0.80, 0.65, 0.75]
    for number, accuracy in enumerate(tests):
        if number != 4:
            validation = 0.95 if number == 6 else accuracy
            architecture = truth.Architecture(number, f"{number:016x}", 1, min(number, 7), "{}")
            table.add(architecture, 0, truth.Training(validation, accuracy, 6.0))
    known = regret.Known.of(path)
    assert known.largest == pytest.approx(0.90 - (0.65 + 0.75) / 2), "of two that are largest the mean"
    within = regret.Known.of(path, [regret.Limit.read("macs=6"), regret.Limit.read("params=1")])
    assert sorted(within.judge.table.rows) == [0, 1, 2, 3, 5, 6]
    assert within.largest == pytest.approx(0.90 - 0.80)
    assert max(within.run(regret.explorers(200)["random"], 0, 6).regrets) <= 0.40 + 1e-9
    for number in (0, 1, 2, 3, 5, 6, 7, 8):
        again = truth.Training(0.5, 1 - tests[number], 6.0)
        table.add(table.rows[number].architecture, 1, again)
    other = regret.Known.of(path, tested_by=(1,))
    drawn = other.run(regret.explorers(200)["random"], 1, 8).regrets
    assert drawn[-1] == pytest.approx(0.50 - 0.20), "what looked best with seed 0 is the worst but one with seed 1"
    for number in (3, 6, 7):
        third = truth.Training(0.5, 0.5, 6.0, loss=number / 10)
        table.add(table.rows[number].architecture, 2, third)
    by_loss = regret.Known.of(path, steered_by=2, by=regret.Measured.LOSS)
    assert sorted(by_loss.judge.table.rows) == [3, 6, 7], "rows without a loss are left out"
    assert by_loss.run(regret.explorers(200)["random"], 0, 3).regrets[-1] == pytest.approx(0.80 - 0.55)
    again = truth.Table(path.with_suffix(".csv"))
    assert again.render() == table.render()
    assert "less training loss of seed 2, test accuracy of seed 0: -0.500 (3)" in list(again.report())
    third = regret.Known.of(path, steered_by=2, tested_by=(0, 1))
    assert sorted(third.judge.table.rows) == [3, 6, 7], "rows without that training are left out"
    assert third.best == pytest.approx((0.80 + 1 - 0.80) / 2)
    with pytest.raises(SystemExit, match="no row within the limits, with the trainings that are asked for"):
        regret.Known.of(path, steered_by=3)
    with pytest.raises(ValueError, match="seconds0"):
        regret.Limit.read("seconds0=6")
    assert sorted(known.judge.table.rows) == [0, 1, 2, 3, 5, 6, 7, 8]
    for name, word in regret.explorers(200).items():
        run = known.run(word, 0, 8)
        found = run.regrets
        assert len(found) == 8 or name == "local", name
        assert run.seconds[0] >= 6
        assert all(after - before >= 6 for before, after in pairwise(run.seconds)), "a trial takes its training's time"
        assert {round(value, 9) for value in found} <= {round(0.90 - accuracy, 9) for accuracy in tests}, name
    drawn = known.run(regret.explorers(200)["random"], 1, 8).regrets
    assert drawn[-1] == pytest.approx(0.10), "what looked best is 0.80, the best is 0.90"
    draws = [regret.Run([value] * 100, []) for value in (0.02, 0.04)]
    lines = list(regret.report({"random": draws, "local": [regret.Run([0.01], [])] * 2}, 100))
    assert lines[0] == "| explorer | 10 trials | 25 trials | 50 trials | 100 trials | p, 25 | p, 50 | p, 100 |"
    assert lines[3].startswith("| `local` | 1.00 (1.00 to 1.00)")
    assert [*regret.report({"random": draws}, 100, 0.0123)][-1] == f"| largest |{' 1.23 |' * 4} | | |"
    runs = {"random": [regret.Run(values, []) for values in ([0.5, 0.2], [0.4, 0.2])], "local": draws}
    regret.plot(runs, 2, "regret", tmp_path / "one.svg")
    regret.plot(runs, 2, "regret", tmp_path / "two.svg")
    drawing = (tmp_path / "one.svg").read_text()
    assert drawing == (tmp_path / "two.svg").read_text(), "the same figures make the same bytes"
    assert all(f">{text}<" in drawing for text in ("random", "local", "architectures trained"))
    # Trainings take 6 s: in the time of one the slow explorer has one trial, the quick one three.
    slow, quick = regret.Run([0.4, 0.0], [6.0, 13.0]), regret.Run([0.3, 0.2, 0.1, 0.0], [2.0, 4.0, 6.0, 8.0])
    assert [quick.within(seconds) for seconds in (1.0, 5.9, 6.0, 99.0)] == [1, 2, 3, 4]
    lines = list(regret.timed({"random": [slow] * 3, "quick": [quick] * 3}, known, [1, 2]))
    assert lines[2] == "| `random` | 1 | 1 | 40.00 (40.00 to 40.00) | 6.2% |  |"
    assert lines[3].startswith("| `quick` | 1 | 3 | 10.00 (10.00 to 10.00) | 81.2% | 0.0")
    assert lines[4].startswith("| `random` | 2 | 1 | 40.00")
    assert lines[5].startswith("| `quick` | 2 | 4 | 0.00 (0.00 to 0.00) | 93.8% |")


def test_what_a_method_counts_in_epochs_is_scaled(finds: ModuleType, tmp_path: Path) -> None:
    setting = finds.Setting(20, 64, "digits", tmp_path)
    assert setting.scaled("pc_darts", SPACE) == "alphas_from = 6"
    assert setting.scaled("darts_plus", "skip_connect") == 'until = taken("skip_connect", 2)'
    assert {*finds.SCALED} <= {method.name for method in finds.library_methods()}
    text = "".join(f"method {name} {{\n{setting.scaled(name, SPACE)}\n}}\n" for name in finds.SCALED)
    assert [method.name for method in parse_text(f"hsp 1\n{text}").methods] == [*finds.SCALED]


def test_proxies_beside_a_table(
    monkeypatch: pytest.MonkeyPatch, finds: ModuleType, truth: ModuleType, tmp_path: Path
) -> None:
    """Eight architectures whose multiply-adds say half; one proxy says the rest, one nothing, one is not defined."""
    proxies = importlib.import_module("proxies")
    tests = [0.50, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85]
    macs = [1, 2, 3, 4, 1, 2, 3, 4]
    table = truth.Table(tmp_path / "tiny.csv")
    for number, accuracy in enumerate(tests):
        architecture = truth.Architecture(number, f"{number:016x}", 1, macs[number], "{}")
        table.add(architecture, 0, truth.Training(accuracy, accuracy, 6.0))
    values: dict[str, list[float]] = {"synflow": tests, "naswot": [-x for x in tests], "macs": [*map(float, macs)]}
    values["zen"] = [*tests[:7], float("nan")]
    known = {number: dict.fromkeys(proxies.ProxyName, 1.0) for number in range(8)}
    for name, column in values.items():
        for number, value in enumerate(column):
            known[number][name] = value
    proxies.write(tmp_path / "tiny.proxies.csv", known)
    again = proxies.read(tmp_path / "tiny.proxies.csv")
    assert proxies.read(tmp_path / "none.csv") == {}
    lines = {line.split("`")[1]: line for line in proxies.report(again, table) if line.startswith("| `")}
    assert lines["synflow"] == "| `synflow` | 1.00 (1.00 to 1.00) | 1.00 | 1.00 | 93.8% |"
    assert lines["naswot"].endswith("| -1.00 | -1.00 | 6.2% |")
    assert "| 0.00 (0.00 to 0.00) | 0.00 | 0.00 | 50.0% |" in lines["snip"], "of equals the mean"
    assert "| `macs` | 0.49 " in lines["macs"]
    assert lines["zen"].endswith("| 81.2% |"), "what is not defined is last"
    # Of macs, ranks tie in pairs: r(ab) = 0.488, so that what is left of a proxy that is the accuracy itself is 1.
    assert proxies.given(tests, tests, macs) == pytest.approx(1)
    assert proxies.given(macs, tests, macs) == 0

    regret = importlib.import_module("regret")
    path = tmp_path / "tiny.hsp"
    path.write_text(SPACE)
    known_rows = regret.Known.of(path)
    best = regret.written("predictor(1, start = 8, features = synflow, initial = best, among = 200)", 8)
    found = known_rows.run(best, 0, 8, proxy_seconds=1.0)
    assert found.regrets[0] == 0, "the best by the proxy is first"
    assert 14 <= found.seconds[0] < 15, "eight architectures are measured, and one is trained"
    worst = regret.written("predictor(1, start = 8, features = naswot, initial = best, among = 200)", 8)
    assert known_rows.run(worst, 0, 8).regrets[0] == pytest.approx(0.35)
    for text, reason in (
        ("strongest", "no explorer"),
        ("predictor(5, starts = 3)", "starts"),
        ("predictor(", "expected"),
    ):
        with pytest.raises(SystemExit, match=reason):
            regret.written(text, 5)


def test_of_a_group_of_searches_the_loss_of_a_third_training_chooses(
    finds: ModuleType, truth: ModuleType, tmp_path: Path
) -> None:
    """Its test accuracies, and those of the first two trainings, have no part in the choice."""
    best_of = importlib.import_module("best_of")
    table = made(truth, tmp_path / "t.csv", [[number / 10] * 2 for number in range(10)])
    for number, loss in {3: 0.5, 5: 0.4, 8: 0.9, 9: 0.3}.items():
        architecture = table.rows[number].architecture
        table.add(architecture, 2, truth.Training(1 - number / 10, 1 - number / 10, 6.0, loss))
    found = [(8, 20.0), (3, 20.0), (5, 20.0), (8, 10.0), (9, 30.0), (9, 20.0), (3, 1.0)]
    first, second = best_of.groups(found, 3, table.rows, table)
    assert first.shares == pytest.approx((0.85, 0.35, 0.55))
    assert first.chosen == pytest.approx(0.55)
    assert first.seconds == pytest.approx(3 * 20 + 3 * 6)
    assert second.chosen == pytest.approx(0.95)
    assert second.seconds == pytest.approx(60 + 3 * 6)


def test_the_best_by_one_training_are_ranked_by_another(truth: ModuleType) -> None:
    """Of forty the best two: they are the third best and the median by the other training, where two are equal."""
    first = [number / 100 for number in range(40)]
    second = [number / 100 for number in range(40)]
    second[39], second[37] = second[37], second[39]
    second[38], second[20] = 0.195, second[38]
    assert sorted(second)[20] == 0.195
    assert truth.found_again(first, second) == pytest.approx(((37 + 0.5) / 40 + (20 + 0.5) / 40) / 2)
    second[38] = second[19]
    assert truth.found_again(first, second) == pytest.approx(((37 + 0.5) / 40 + (19 + 1) / 40) / 2)


def test_what_the_table_lacks_is_trained_as_often_as_its_rows(
    finds: ModuleType, truth: ModuleType, tmp_path: Path
) -> None:
    class Space:
        def train(self, number: int, seed: int) -> Any:
            asked.append((number, seed))
            return truth.Architecture(number, f"{number:016x}", 1, 1, "{}"), truth.Training(0.5, 0.5, 6.0)

    asked: list[tuple[int, int]] = []
    table, more = made(truth, tmp_path / "t.csv", [[0.5, 0.5]]), truth.Table(tmp_path / "m.csv")
    more.add(truth.Architecture(7, f"{7:016x}", 1, 1, "{}"), 0, truth.Training(0.5, 0.5, 6.0))
    finds.known([0, 7, None, 9, 7], table, more, Space())
    assert asked == [(7, 1), (9, 0), (9, 1)]
    finds.known([0, 7, 9], table, more, Space())
    assert len(asked) == 3
