"""Exploring after a search: the best architecture is derived; killed and resumed, with the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
import torch

from compiler import contains, load, search
from compiler.analysis.architectures import Architectures
from compiler.analysis.counting import structural
from compiler.commands.compile import compile_main
from compiler.program.compile_file import compile_file
from compiler.program.overrides import Override
from compiler.program.request import Request
from compiler.runs import trained_alone
from compiler.runs.config import RunConfig
from compiler.runs.data import matching_data
from compiler.runs.explore import warnings
from compiler.runs.plan import plan_training
from compiler.runs.train import train
from compiler.searcher.data.load import Data, halves
from compiler.searcher.engine import RunInterruptedError
from compiler.searcher.engine.retrain import TrainOutcome, _Training, run_train
from compiler.searcher.explore.trial_log import TrialLog
from compiler.util.errors import UsageError
from tests.support.interruption import at_step, at_trial, killed, terminated

TEXT = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = unit | unit(k = 3) | identity
network Net(image: [1, 8, 8]; classes = 3) {
  stem = image -> conv(3, 4) -> batch_norm
  n[i < 3] = prev(stem) -> Op
  output last of n -> classifier(classes)
}

search Net {
  data = fake(classes = 3, count = 48, channels = 1, size = 8)
  epochs = 2
  batch = 8
  relax = sample
  alphas = fixed
  derive = evolution(9, population = 3, tournament = 2)
  judge = shared(images = 16, calibrate = 1)
}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.hsp"
    path.write_text(TEXT)
    return path


def trials(folder: Path) -> list[dict[str, object]]:
    """The trials in a folder, without how long they took; the first line is that of the run."""
    lines = [json.loads(line) for line in (folder / "trials.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("seconds", None)
    return lines


def half_written(folder: Path) -> None:
    with (folder / "trials.jsonl").open("ab") as file:
        file.write(b'{"id":4,"num')


def test_the_best_is_derived(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = file.parent / "run"
    assert compile_main([str(file), "--search", "--out", str(said)]) == 0
    shown = capsys.readouterr()
    found = trials(said)[1:]
    assert len(found) == 9
    best = max(found, key=lambda trial: trial["score"])  # type: ignore[arg-type, return-value]
    text = (said / "derived.hsp").read_text()
    named = Architectures(Request(file)).architecture(best["number"]).text  # type: ignore[arg-type]
    assert text.partition("provenance")[0] == named.partition("provenance")[0]
    lines = f'number = "{best["number"]}"', f"score = {best['score']:.4f}", "trials = 9", "judge = shared(batches = 0,"
    assert all(line in text for line in lines)
    assert contains(file, said / "derived.hsp")
    assert "trial 9/9 | score" in shown.out
    assert "explored 9 architectures" in shown.err + shown.out
    assert f"the best has score {best['score']:.1%}, `id` {best['id']} in trials.jsonl" in shown.err + shown.out


@pytest.mark.parametrize("happens", [killed, terminated])
@pytest.mark.parametrize("places", [[(at_step, 3), (at_trial, 1)], [(at_trial, 2), (at_trial, 5), (at_trial, 9)]])
def test_killed_and_resumed(
    file: Path, places: list[tuple[Callable[..., object], int]], happens: Callable[[], None]
) -> None:
    whole, broken = file.parent / "whole", file.parent / "broken"
    search(file, whole)
    for count, (at, number) in enumerate(places):
        with at(number, happens), pytest.raises(RunInterruptedError):  # type: ignore[attr-defined]
            search(file, broken, resume=count > 0)
        if at is at_trial:
            half_written(broken)
    search(file, broken, resume=True)
    assert (broken / "derived.hsp").read_bytes() == (whole / "derived.hsp").read_bytes()
    assert trials(broken) == trials(whole)


def test_trials_of_another_run_are_refused(file: Path) -> None:
    out = file.parent / "run"
    with at_trial(3, killed), pytest.raises(RunInterruptedError):
        search(file, out)
    log = (out / "trials.jsonl").read_text()
    (out / "trials.jsonl").write_text(log.replace('{"run":"', '{"run":"0'))
    with pytest.raises(UsageError, match="trials of another run; --force starts anew"):
        search(file, out, resume=True)
    first = json.loads(log.splitlines()[1])["number"]
    for number in (27, (first + 1) % 27):
        (out / "trials.jsonl").write_text(log.replace(f'"number":{first}', f'"number":{number}', 1))
        with pytest.raises(UsageError, match="damaged: trial 0 is not of the architecture that its number says"):
            search(file, out, resume=True)
    search(file, out, force=True)
    assert len(TrialLog(out / "trials.jsonl", json.loads(log.splitlines()[0])["run"]).start(resume=True)) == 9


def test_requirements_are_met(file: Path) -> None:
    file.write_text(TEXT.replace("  output last", "  require count(unit) == 1\n  require params <= 200\n  output last"))
    report = search(file, file.parent / "run", derive="random(20)")
    for trial in trials(file.parent / "run")[1:]:
        assert sum(item.startswith("unit") for item in trial["decisions"].values()) == 1  # type: ignore[attr-defined]
    assert contains(file, report.derived)


def test_what_an_explorer_does_not_see_is_said(file: Path) -> None:
    file.write_text(
        TEXT.replace("  output last", "  minimize macs\n  minimize params\n  output last").replace(
            "= sample", "= softmax"
        )
    )
    phase = compile_file(file)[0].phases[0]  # type: ignore[union-attr]
    unseen, mixed = warnings(phase)
    assert "in which 'macs Net', 'params Net' have no part: use `require`" in unseen
    assert "no weight ever ran alone" in mixed
    file.write_text(TEXT.replace("  alphas = fixed\n", ""))
    (idle,) = warnings(compile_file(file)[0].phases[0])  # type: ignore[union-attr]
    assert "alphas learn, and no explorer proposes by them" in idle


def test_a_space_that_is_not_counted_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(structural, "MOST_MOVES", 0)
    file.write_text(TEXT.replace("prev(stem) -> Op", "Op(sum(pick any of (stem, earlier n)))\n  prune"))
    with pytest.raises(UsageError, match=r"draws architectures by their numbers, and those of 'Net' have none: .*open"):
        search(file, file.parent / "run")


# ---------------------------------------------------------------- trained from scratch

ALONE = (
    TEXT.partition("search Net")[0]
    + """
search Net {
  data = fake(weights_share = 0.6)
  relax = none
  epochs = 0
  derive = evolution(5, population = 2, tournament = 2)
  judge = trained(epochs = 2)
  seed = 3
}

train Net {
  data = fake(classes = 3, count = 96, channels = 1, size = 8, crop = 4, cutout = 6)
  batch = 8
  epochs = 3
  seed = 5
}
"""
)


def held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `--train` learn on 60% of the images, as seed 3 divides them, and test on the others without changes."""

    def parts(*arguments: Any) -> Data:
        data = matching_data(*arguments)
        learned, held = halves(data, 0.6, 3)
        return replace(data, train=learned, test=replace(held, finishing=data.test.finishing))

    monkeypatch.setattr("compiler.runs.train.matching_data", parts)


def test_a_trial_is_a_training_of_the_derived_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(ALONE)
    weights: list[bytes] = []
    monkeypatch.setattr(
        trained_alone, "rmtree", lambda folder: weights.append((folder / "weights.safetensors").read_bytes())
    )
    search(file, file.parent / "run")
    held_out(monkeypatch)
    listing = Architectures(Request(file))
    found = [trial for trial in trials(file.parent / "run")[1:] if "same" not in trial]
    assert len(found) == len(weights) > 2
    for index, (trial, expected) in enumerate(zip(found, weights, strict=True)):
        derived, out = file.parent / f"{index}.hsp", file.parent / str(index)
        derived.write_text(listing.architecture(trial["number"]).text)  # type: ignore[arg-type]
        epochs = Override("epochs", 2, "--set epochs=2")
        outcome = train(plan_training(Request(derived, (epochs,)), RunConfig(out, quiet=True)))
        assert outcome.accuracy == trial["score"]
        assert outcome.weights.read_bytes() == expected


def test_a_trial_takes_several_devices(file: Path) -> None:
    """Each process begins with the same command, and proposes and trains the same; one of them writes and speaks."""
    file.write_text(ALONE)
    out = file.parent / "run"
    command = [sys.executable, "-m", "compiler", "search", str(file), "--device", "cpu", "--devices", "2"]
    run = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stderr
    assert json.loads((out / "run.json").read_text())["processes"] == 2
    found = trials(out)[1:]
    assert [trial["id"] for trial in found] == [*range(len(found))]
    assert not any("failed" in trial for trial in found)
    assert run.stdout.count(f"explored {len(found)} architectures") == 1
    assert contains(file, out / "derived.hsp")


def test_the_score_is_the_mean_over_seeds_and_neither_test_images_nor_those_of_the_search_are_asked(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = ALONE.replace("epochs = 2)", "epochs = 1, seeds = 2)").replace("evolution(5", "random(1) # ")
    file.write_text(text.replace("weights_share = 0.6", "weights_share = 0.6, images = 20"))
    seen: dict[int, float] = {}

    def untested(*arguments: Any) -> Data:
        data = matching_data(*arguments)
        return replace(data, test=replace(data.test, samples=None))  # type: ignore[arg-type]

    def noted(*arguments: Any) -> TrainOutcome:
        outcome = run_train(*arguments)
        seen[arguments[2].seed] = outcome.accuracy
        return outcome

    monkeypatch.setattr(trained_alone, "matching_data", untested)
    monkeypatch.setattr(trained_alone, "run_train", noted)
    assert compile_main([str(file), "--search", "--out", str(file.parent / "run")]) == 0
    assert seen.keys() == {5, 6}
    assert [trial["score"] for trial in trials(file.parent / "run")[1:]] == [sum(seen.values()) / 2]
    assert not (file.parent / "run" / "trials").exists()
    said = "of the `train` section (fake, all images), not of the search's (fake, 20 images)"
    assert said in "".join(capsys.readouterr())


def test_how_fast_it_learns_is_the_mean_loss_of_its_steps_and_repeats_have_other_seeds(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = ALONE.replace("epochs = 2)", "epochs = 2, seeds = 2, by = loss)").replace("evolution(5", "random(1) # ")
    file.write_text(text.replace("  seed = 3", "  seed = 3\n  confirm = best(1, seeds = 1)"))
    losses: dict[int, list[float]] = {}
    plain = _Training._loss

    def noted(training: _Training, *batch: Any) -> torch.Tensor:
        loss = plain(training, *batch)
        losses.setdefault(training.settings.seed, []).append(loss.item())
        return loss

    monkeypatch.setattr(_Training, "_loss", noted)
    report = search(file, file.parent / "run")
    assert {seed: len(found) for seed, found in losses.items()} == dict.fromkeys((5, 6, 7, 8), 14)
    means = {seed: mean(found) for seed, found in losses.items()}
    first, again = (trial["score"] for trial in trials(file.parent / "run")[1:])
    assert first == pytest.approx(-(means[5] + means[6]) / 2)
    assert again == pytest.approx(-(means[7] + means[8]) / 2)
    assert next(iter(report.outcomes.values())).score == pytest.approx(-mean(means.values()))
    said = report.derived.read_text()
    assert 'metric = "training loss"' in said
    assert "confirm = best(1, seeds = 1)" in said


@pytest.mark.parametrize("happens", [killed, terminated])
def test_a_trial_goes_on_from_its_checkpoint(
    file: Path, happens: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(ALONE)
    whole, broken = file.parent / "whole", file.parent / "broken"
    plain, taken, stops = _Training.step, [0], {0}

    def step(training: _Training, epoch: int, number: int) -> None:
        taken[0] += 1
        if taken[0] in stops:
            happens()
        plain(training, epoch, number)

    monkeypatch.setattr(_Training, "step", step)
    search(file, whole)
    steps, taken[0], stops = taken[0], 0, {5, 20}
    for resume in (False, True):
        with pytest.raises(RunInterruptedError):
            search(file, broken, resume=resume)
        assert list((broken / "trials").iterdir())
    search(file, broken, resume=True)
    assert taken[0] == steps if happens is terminated else taken[0] > steps
    assert (broken / "derived.hsp").read_bytes() == (whole / "derived.hsp").read_bytes()
    assert trials(broken) == trials(whole)
    with pytest.raises(UsageError, match="holds a finished run"):
        search(file, broken)


def test_what_cannot_be_trained_is_refused(file: Path) -> None:
    file.write_text(ALONE.partition("train Net")[0])
    with pytest.raises(UsageError, match="this file has none"):
        search(file, file.parent / "run")
    with pytest.raises(UsageError, match="no supernet"):
        load(file)


def test_a_dry_run_says_what_all_trainings_take(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Twice two epochs of 57 images, eight a step, for five trials and a repeat of the best; nothing is written."""
    file.write_text(ALONE)
    words = [str(file), "--search", "--dry-run", "--json", "--out", str(file.parent / "out")]
    sets = ["--set", "judge=trained(epochs = 2, seeds = 2)", "--set", "confirm=best(1, seeds = 1)"]
    assert compile_main([*words, *sets]) == 0
    found = json.loads(capsys.readouterr().out)
    (size,) = found["parts"]
    assert size["steps"] == (5 + 1) * 2 * 2 * 8
    assert size["seconds"] > 0
    assert size["memory"] > 0
    assert "at most 6 trials, each a training of 4 epochs of 8 steps of 8 images" in "".join(found["said"])
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    rungs = ["--set", "derive=random(9)", "--set", "rungs=halving(start = 1, to = 4)"]
    assert compile_main([*words, *rungs]) == 0
    (size,) = json.loads(capsys.readouterr().out)["parts"]
    assert size["seconds"] is None
