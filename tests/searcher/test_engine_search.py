"""What a search and a training compute and report: the order of steps, schedules, best epochs, files, displays."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file
from threadpoolctl import threadpool_limits
from torch import Tensor
from torch.nn.functional import cross_entropy

from compiler.searcher.data.load import halves, load_data
from compiler.searcher.data.loader import batches_of, read_batches
from compiler.searcher.engine import (
    EpochRecord,
    RunOptions,
    SearchOutcome,
    TrainOutcome,
    evaluate,
    run_search,
    run_train,
)
from compiler.searcher.engine.bilevel import Bilevel
from compiler.searcher.engine.device.batches import Batches
from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.engine.loop import run_epochs
from compiler.searcher.engine.reporting import terminal as display_module
from compiler.searcher.engine.reporting.history import History
from compiler.searcher.engine.reporting.report import Report
from compiler.searcher.engine.reporting.sink import Plan, epoch_line
from compiler.searcher.engine.reporting.terminal import EpochLines, LiveView, architecture
from compiler.searcher.engine.search import Searching
from compiler.searcher.settings.axes import Preferences
from compiler.searcher.settings.derivation import Epoch, Strongest
from compiler.searcher.settings.schedules import Constant
from compiler.searcher.settings.sections import SearchSettings, TrainSettings
from compiler.util import page
from tests.support.engine_toy import FAKE, SEARCH, TRAIN, ToyNet, ToySpace, toy_data


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    with threadpool_limits(1):
        yield


def search(out: Path, settings: SearchSettings = SEARCH, space: ToySpace | None = None, **more: Any) -> SearchOutcome:
    run = RunOptions(out, device="cpu", quiet=True, title="toy", **more)
    return run_search(space or ToySpace(), toy_data(), settings, run)


def train(out: Path, settings: TrainSettings = TRAIN, net: ToyNet | None = None) -> TrainOutcome:
    return run_train(net or ToyNet(), toy_data(), settings, RunOptions(out, device="cpu", quiet=True))


class Steps(list[str]):
    """The steps that searches take, in order, by name."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        for name in ("alpha_step", "preference_step", "weight_step"):
            patch.setattr(Bilevel, name, self._noted(name, getattr(Bilevel, name)))

    def _noted(self, name: str, step: Any) -> Any:
        def noted(bilevel: Bilevel, *losses: Any, **more: Any) -> None:
            if name != "preference_step" or losses[0]:
                self.append(name.split("_")[0])
            step(bilevel, *losses, **more)

        return noted


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    return Steps(monkeypatch)


def test_an_iteration_is_an_alpha_step_a_preference_step_and_a_weight_step(tmp_path: Path, steps: Steps) -> None:
    search(tmp_path, SEARCH.replace("preferences", Preferences.APART))
    assert steps == ["alpha", "preference", "weight"] * 9


def test_preferences_together_or_absent_take_no_step_of_their_own(tmp_path: Path, steps: Steps) -> None:
    search(tmp_path / "together")
    without = ToySpace()
    without.liking = None
    search(tmp_path / "none", SEARCH.replace("preferences", Preferences.APART), without)
    assert steps == ["alpha", "weight"] * 18


def test_alphas_rest_until_their_first_epoch(tmp_path: Path, steps: Steps) -> None:
    space = ToySpace()
    start = {path: alpha.detach().clone() for path, alpha in space.alphas.items()}
    outcome = search(tmp_path / "a", SEARCH.replace("alphas_from", 2), space)
    assert steps == ["weight"] * 6 + ["alpha", "weight"] * 3
    assert "loss/alphas" not in outcome.history[1].scalars
    assert "loss/alphas" in outcome.history[2].scalars
    assert outcome.best_epoch == 3
    never = search(tmp_path / "b", SEARCH.replace("alphas_from", 3))
    assert all(torch.equal(never.alphas[path], alpha) for path, alpha in start.items())
    assert never.best_epoch == 3


@pytest.mark.parametrize("preferences", list(Preferences))
def test_preferences_change_what_is_found(tmp_path: Path, preferences: Preferences) -> None:
    def skips(liking: float | None) -> float:
        space = ToySpace()
        space.liking = liking
        search(tmp_path / str(liking), SEARCH.replace("preferences", preferences), space)
        return sum(torch.softmax(alpha.detach(), 0)[1].item() for alpha in space.alphas.values())

    assert skips(10.0) < skips(None) < skips(-10.0)


def test_the_best_epoch_is_the_first_with_the_highest_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def found(scores: list[float], epoch: Epoch) -> tuple[SearchOutcome, ToySpace]:
        given = iter(scores)
        monkeypatch.setattr("compiler.searcher.engine.loop.Evaluation.__call__", lambda *_: next(given))
        space, settings = ToySpace(), SEARCH.replace("derive", Strongest(epoch=epoch)).replace("epochs", len(scores))
        return search(tmp_path / f"{scores}{epoch}", settings, space), space

    best, _ = found([0.2, 0.5, 0.5, 0.1], Epoch.BEST)
    assert (best.epoch, best.best_epoch, best.score) == (2, 2, 0.5)
    last, space = found([0.2, 0.5, 0.5, 0.1], Epoch.LAST)
    assert (last.epoch, last.best_epoch, last.score) == (4, 2, 0.1)
    assert all(torch.equal(last.alphas[path], alpha) for path, alpha in space.alphas.items())
    assert not any(torch.equal(best.alphas[path], alpha) for path, alpha in last.alphas.items())
    assert best.decisions == best.history[1].decisions


def test_the_score_is_the_accuracy_on_the_alpha_half(tmp_path: Path) -> None:
    plain = SEARCH.replace("data", FAKE.replace("crop", 0).replace("flip", False)).replace("epochs", 1)
    space = ToySpace()
    data = load_data(plain.data, Path("nowhere"))
    run = RunOptions(tmp_path, device="cpu", quiet=True)
    outcome = run_search(space, data, plain, run)
    _, alpha_half = halves(data, 0.5, plain.seed)
    assert outcome.score == evaluate(space.module, alpha_half, 5, "cpu")
    space.module.eval()
    (job,) = batches_of(24, 24, seed=0, epoch=0, shuffle=False)
    images, labels = alpha_half.finish(next(read_batches(alpha_half, [job])))
    assert outcome.score == float((space.module(images).argmax(1) == labels).double().mean())


def test_schedules_and_annealing_follow_the_epochs(tmp_path: Path) -> None:
    space = ToySpace()
    outcome = run_search(space, toy_data(), SEARCH, RunOptions(tmp_path, device="cpu", quiet=True))
    assert space.moments[:4] == pytest.approx([0, 1 / 3, 2 / 3, 2 / 3])
    rates = [record.of("lr")["weights"] for record in outcome.history]
    assert rates == [SEARCH.weights.lr(epoch, 3) for epoch in range(3)]


def test_the_files_of_a_run_tell_the_same(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    outcome = search(tmp_path)
    lines = [json.loads(text) for text in (tmp_path / "history.jsonl").read_text().splitlines()]
    assert [EpochRecord.from_json(values) for values in lines] == list(outcome.history)
    assert all(values["seconds"] >= 0 for values in lines)
    log = (tmp_path / "log.txt").read_text()
    assert log.startswith("search of toy: 3 epochs of 3 steps\nepoch 1/3 | loss weights ")
    assert "    Cell.n0.from_x  " in log
    assert log.count("\nepoch ") == 3
    events = EventAccumulator(str(tmp_path / "events"))
    events.Reload()
    tags = {"loss/weights", "accuracy/alphas", "score", "entropy/Cell", "preference/skips", "lr/weights"}
    assert tags <= set(events.Tags()["scalars"])
    assert [event.step for event in events.Scalars("score")] == [1, 2, 3]


def test_each_epoch_is_measured_alone(tmp_path: Path) -> None:
    counted: list[float] = []
    run = RunOptions(tmp_path, device="cpu", quiet=True)
    search = Searching(ToySpace(), toy_data(), SEARCH, Compute("cpu"))
    end = search.end
    search.end = lambda *given: counted.append(float(search.meters["weights"].sums[2])) or end(*given)  # type: ignore[method-assign, func-returns-value]
    run_epochs(search, search.state, 0, run, Report([]))
    assert counted == [24, 24, 24]


def test_history_that_a_kill_cut_short_is_completed(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    records = [EpochRecord(i, {"score": i / 8}, {}) for i in (1, 2)]
    path.write_text('{"epoch": 1, "score": 0.125, "decisions": {}, "seconds": 9.5}\n{"epoch": 2, "sco')
    History(path).start(Plan("search", 3, 5, epoch=2), records)
    lines = [json.loads(text) for text in path.read_text().splitlines()]
    assert lines == [
        {"epoch": 1, "score": 0.125, "decisions": {}, "seconds": 9.5},
        {"epoch": 2, "score": 0.25, "decisions": {}},
    ]


@pytest.mark.parametrize(
    "line", ["7", "{}", '{"epoch": 1, "seconds": -3}', '{"epoch": 1, "seconds": 1e999}', "\xff\x00"]
)
def test_a_damaged_line_of_the_history_is_written_anew(tmp_path: Path, line: str) -> None:
    path = tmp_path / "history.jsonl"
    path.write_bytes(line.encode("latin-1") + b'\n{"epoch": 2, "score": "high", "decisions": 4, "seconds": 2.5}\n')
    History(path).start(Plan("search", 3, 5, epoch=2), [EpochRecord(i, {"score": i / 8}, {}) for i in (1, 2)])
    assert [json.loads(text) for text in path.read_text().splitlines()] == [
        {"epoch": 1, "score": 0.125, "decisions": {}},
        {"epoch": 2, "score": 0.25, "decisions": {}, "seconds": 2.5},
    ]


def test_records_know_what_changed() -> None:
    one = EpochRecord(1, {"score": 0.5, "lr/weights": 0.025}, {"a": "x", "b": "y"})
    two = EpochRecord(2, {"score": 0.25, "loss/weights": float("nan")}, {"a": "z", "c": "y"})
    assert two.changes(one) == {"a": "x -> z", "c": "nothing -> y", "b": "y -> nothing"}
    assert not one.changes(None)
    assert epoch_line(one, 10) == "epoch  1/10 | score 50.0% | lr weights 0.025"
    assert epoch_line(two, 10) == "epoch  2/10 | score 25.0% | loss weights nan"
    assert two.to_json()["loss/weights"] is None


def terminal() -> Console:
    return Console(_environ={"TERM": "xterm-256color"}, file=io.StringIO(), force_terminal=True, width=100, height=30)


@pytest.mark.parametrize("console", [terminal(), Console(file=io.StringIO(), width=40)])
def test_what_is_shown_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, console: Console) -> None:
    search(tmp_path / "quiet")
    monkeypatch.setattr(display_module, "Page", lambda: console)
    run_search(ToySpace(), toy_data(), SEARCH, RunOptions(tmp_path / "shown", device="cpu", title="toy"))
    written = "checkpoint.safetensors"
    assert (tmp_path / "shown" / written).read_bytes() == (tmp_path / "quiet" / written).read_bytes()
    text = console.file.getvalue()  # type: ignore[attr-defined]
    if console.is_terminal:
        assert "Cell.n0" in text
        assert "entropy" in text
    else:
        assert [part[:9] for part in text.splitlines()] == ["epoch 1/3", "epoch 2/3", "epoch 3/3", "The archi"]
        assert "\x1b" not in text


def test_a_notebook_has_the_live_view_where_it_has_widgets(monkeypatch: pytest.MonkeyPatch) -> None:
    notebook = Console(force_jupyter=True)
    monkeypatch.setattr(page, "find_spec", lambda name: None)
    assert isinstance(display_module.display("toy", notebook), EpochLines)
    monkeypatch.setattr(page, "find_spec", lambda name: name)
    assert isinstance(display_module.display("toy", notebook), LiveView)
    assert not page.is_watched(), "a test's output is neither"


def test_the_live_view_marks_what_changed_and_fits(capsys: pytest.CaptureFixture[str]) -> None:
    console = terminal()
    decisions = {f"Cell.n{i}.from_{x}": "sep_conv_3x3" for i in range(20) for x in "ab"}
    console.print(architecture(decisions, {"Cell.n17.from_b": "none -> sep_conv_3x3"}, 5))
    rows = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(rows) == 5
    assert any("Cell.n17" in row and "\x1b[1;33msep_conv_3x3" in row for row in rows)
    assert "16 more" in rows[-1]
    LiveView("never started", terminal()).close(None)


def test_a_training_learns_saves_and_is_evaluated(tmp_path: Path) -> None:
    settings = TRAIN.replace("epochs", 12).replace("drop_path", Constant(value=0.0))
    net = ToyNet()
    outcome = train(tmp_path, settings, net)
    losses = [record.scalars["loss/train"] for record in outcome.history]
    assert losses[-1] < losses[0]
    again = ToyNet(seed=9)
    again.module.load_state_dict(load_file(outcome.weights))
    assert outcome.accuracy == evaluate(again.module, toy_data().test, 7, "cpu")
    assert "score" not in outcome.history[0].scalars
    assert f"The test accuracy is {outcome.accuracy:.2%}." in (tmp_path / "log.txt").read_text()


def test_drop_path_follows_its_schedule(tmp_path: Path) -> None:
    net = ToyNet()
    train(tmp_path, net=net)
    assert sorted(set(net.rates)) == pytest.approx([0.0, 0.1, 0.2])


def test_both_losses_are_smoothed_and_the_auxiliary_one_is_weighted(tmp_path: Path) -> None:
    seen: list[Tensor] = []
    net = ToyNet()
    settings = TRAIN.replace("epochs", 1).replace("batch", 48).replace("label_smoothing", 0.1)
    net.module.register_forward_hook(lambda *call: seen.append(call[2]))
    start = net.module.head.bias.detach().clone()
    train(tmp_path, settings, net)

    # The toy's auxiliary logits are the negative of its logits, so the gradient of the bias is known.
    logits, _ = seen[0]
    batches = Batches("training part", toy_data().train, settings.batch, Compute("cpu"), settings.seed)
    _, labels = next(batches.epoch(0))
    bias = start.clone().requires_grad_()
    shown = logits.detach() - start + bias
    loss = cross_entropy(shown, labels, label_smoothing=0.1) + 0.4 * cross_entropy(-shown, labels, label_smoothing=0.1)
    (gradient,) = torch.autograd.grad(loss, [bias])
    torch.testing.assert_close(net.module.head.bias.detach(), start - 0.05 * (gradient + 3e-4 * start))


def test_processes_share_the_data_without_overlap() -> None:
    def seen(rank: int, world: int) -> list[Tensor]:
        compute = Compute("cpu")
        compute.rank, compute.world = rank, world
        batches = Batches("data", toy_data().test, 4, compute)
        assert batches.batch == 4 // world
        return [image for images, _ in batches.once() for image in images]

    whole, first, second = seen(0, 1), seen(0, 2), seen(1, 2)
    assert len(first) == len(second) == len(whole) // 2
    assert all(torch.equal(one, other) for one, other in zip(first, whole[::2], strict=True))
    assert all(torch.equal(one, other) for one, other in zip(second, whole[1::2], strict=True))


def test_evaluating_leaves_the_network_in_its_mode() -> None:
    net = ToyNet()
    for mode in (True, False):
        net.module.train(mode)
        assert 0 <= evaluate(net.module, toy_data().test, 5, "cpu") <= 1
        assert net.module.training is mode
