"""The laws of `freeze`: which operations stop to learn, and that nothing else does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from compiler.program.compile_file import compile_file
from compiler.program.request import Request
from compiler.runs.config import RunConfig
from compiler.runs.plan import plan_search
from compiler.runs.search import search
from compiler.searcher.engine import RunInterruptedError
from compiler.searcher.engine.freeze import Freezing
from compiler.searcher.relaxations import relaxed
from compiler.searcher.settings.axes import FreezeOverfitting
from tests.support.interruption import at_step, killed

TEXT = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
op skip(x) = x
choice Op = skip | unit | unit(k = 3)
network Net(image: [3, 8, 8]; classes = 3) {
  stem = image -> conv(3, 4) -> batch_norm
  n[i < 2] = sum(Op(each (stem, earlier n)))
  output last of n -> classifier(classes)
}
"""


def matrices(*rows: list[list[float]]) -> list[nn.Parameter]:
    return [nn.Parameter(torch.tensor(row)) for row in rows]


def freezing(below: float, over: int, accumulated: bool = False) -> tuple[Freezing, list[nn.Parameter]]:
    found = [*matrices([[1.0, 0.0], [0.0, 1.0]]), nn.Parameter(torch.zeros(2)), *matrices([[1.0, 1.0]])]
    word = FreezeOverfitting(below=below, over=over, accumulated=accumulated)
    return Freezing({"a": found[:2], "b": found[2:], "norm": [nn.Parameter(torch.zeros(3))]}, word), found


def tell(of: Freezing, on_weights: list[nn.Parameter], on_alphas: list[nn.Parameter]) -> None:
    of.remember({id(w): g.detach() for w, g in zip((of.compared[0][0], of.compared[1][0]), on_weights, strict=True)})
    watched = {id(w): g.detach() for w, g in zip((of.compared[0][0], of.compared[1][0]), on_alphas, strict=True)}
    of.compare([watched[id(w)] for w in of.watched])


def test_the_mean_cosine_by_hand() -> None:
    """Operation a has rows of cosines 1 and 0, then 1 and -1: the mean of both steps is 1/4; b has 0.6 and 1."""
    on_weights = matrices([[2.0, 0.0], [0.0, 3.0]], [[1.0, 0.0]])
    first = matrices([[1.0, 0.0], [4.0, 0.0]], [[3.0, 4.0]])
    second = matrices([[1.0, 0.0], [0.0, -1.0]], [[5.0, 0.0]])
    for below, frozen in ((0.24, []), (0.26, [0]), (0.79, [0]), (0.81, [0, 1])):
        of, parameters = freezing(below, 2)
        tell(of, on_weights, first)
        assert of.count == 0, "one step of two says nothing"
        tell(of, on_weights, second)
        assert of.tensors["frozen"].nonzero().flatten().tolist() == frozen
        resting = [place for place, p in enumerate(parameters) if id(p) in of.resting]
        assert resting == [place for place in (0, 1, 2) if place // 2 in frozen], "norms and biases rest with it"


def test_equal_batches_have_cosine_one_and_nothing_is_compared_before_weights_have_learned() -> None:
    of, _ = freezing(1 - 1e-9, 1)
    of.compare([-torch.ones(2, 2), -torch.ones(1, 2)])
    assert of.count == 0
    gradients = matrices([[2.0, 1.0], [0.5, 3.0]], [[1.0, 7.0]])
    tell(of, gradients, gradients)
    assert of.count == 0
    tell(of, gradients, matrices([[2.0, 1.0], [0.5, -3.0]], [[1.0, 7.0]]))
    assert of.count == 1


def test_the_released_sum_lifts_the_cosine() -> None:
    """Of a gradient and its half turned round nothing agrees; their sum points where the first does."""
    on_weights = matrices([[2.0, 0.0], [0.0, 2.0]], [[2.0, 2.0]])
    on_alphas = matrices([[-1.0, 0.0], [0.0, -1.0]], [[-1.0, -1.0]])
    for accumulated, count in ((False, 2), (True, 0)):
        of, _ = freezing(0.4, 1, accumulated)
        tell(of, on_weights, on_alphas)
        assert of.count == count


def test_the_items_of_a_space() -> None:
    program, _ = compile_file("n.hsp", text=TEXT + "search Net {\n data = fake(classes = 3)\n}\n")
    assert program is not None
    (phase,) = program.phases
    found = relaxed(phase.network, phase.settings).weights_of_items()
    edges = ("n0.from_stem", "n1.from_stem", "n1.from_n0")
    assert {name.rpartition(".")[0] for name in found} == set(edges)
    assert len(found) == 6
    assert all([p.dim() for p in parameters].count(4) == 1 for parameters in found.values())


def settings(freeze: str) -> str:
    lines = f"data = fake(classes = 3, count = 96, size = 8)\n epochs = 2\n batch = 8\n {freeze}"
    return f"{TEXT}search Net {{\n {lines}\n}}\n"


def searched(folder: Path, freeze: str, *, resume: bool = False) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "net.hsp").write_text(settings(freeze))
    config = RunConfig(folder / "run", quiet=True, device="cpu", resume=resume, checkpoint_every=1)
    search(plan_search(Request(folder / "net.hsp"), config), say=lambda _: None)
    return folder / "run"


def lines(run: Path) -> list[dict[str, object]]:
    found = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    return [{name: value for name, value in row.items() if name != "seconds"} for row in found]


def test_a_bound_of_minus_one_is_none(tmp_path: Path) -> None:
    never = lines(searched(tmp_path / "never", "freeze = overfitting(below = -1, over = 2)"))
    none = lines(searched(tmp_path / "none", ""))
    for row in never:
        assert row.pop("frozen") == 0
    assert never == none


def test_what_is_frozen_stays_and_alphas_move(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the fourth step on, when three pairs of gradients were compared, all operations rest."""
    from compiler.searcher.engine.search import Searching

    seen: list[tuple[list[torch.Tensor], list[torch.Tensor], list[torch.Tensor]]] = []
    step = Searching.step

    def watched(self: Searching, epoch: int, number: int) -> None:
        step(self, epoch, number)
        assert self.freezing is not None
        items = {id(p) for parameters in self.freezing.parameters for p in parameters}
        weights = list(self.searchable.weights())
        inside = [w.detach().clone() for w in weights if id(w) in items]
        outside = [w.detach().clone() for w in weights if id(w) not in items]
        seen.append((inside, outside, [a.detach().clone() for a in self.searchable.alphas.values()]))

    monkeypatch.setattr(Searching, "step", watched)
    run = searched(tmp_path / "all", "freeze = overfitting(below = 1, over = 3)")
    assert [row["frozen"] for row in lines(run)] == [6, 6]

    def moved(before: int, after: int) -> list[bool]:
        pairs = zip(seen[before], seen[after], strict=True)
        return [any(not torch.equal(a, b) for a, b in zip(*pair, strict=True)) for pair in pairs]

    assert moved(1, 2) == [True, True, True]
    assert moved(3, 4) == [False, True, True]
    assert moved(4, -1) == [False, True, True]


def test_a_killed_run_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    word = "freeze = overfitting(below = 0.3, over = 2)"
    whole = searched(tmp_path / "whole", word)
    assert 0 < lines(whole)[-1]["frozen"] < 6  # type: ignore[operator]
    for step in (2, 3, 8):
        folder = tmp_path / f"killed-{step}"
        with at_step(step, killed), pytest.raises(RunInterruptedError):
            searched(folder, word)
        run = searched(folder, word, resume=True)
        assert (run / "derived.hsp").read_bytes() == (whole / "derived.hsp").read_bytes()
        assert lines(run) == lines(whole)
        ours, theirs = (load_file(folder / "checkpoint.safetensors") for folder in (run, whole))
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
