"""A checkpoint is intact or refused, and no damage to another file of a run ends in a traceback or in silence."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import nn

from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.engine.errors import CheckpointError
from compiler.searcher.engine.reporting.records import EpochRecord, Meter
from compiler.searcher.engine.state import checkpoint
from compiler.searcher.engine.state.run_state import State
from compiler.searcher.engine.tasks import behaviour_of
from compiler.searcher.settings.tasks import CLASSIFICATION
from tests.support.checkpoints import tensors
from tests.support.soak.case import Case, Kind
from tests.support.soak.run_files import check_run_file
from tests.support.soak.worker import Limits, Outcome, outcomes


@pytest.mark.parametrize("keep", [0, 4, 8, 100, 600, -1])
def test_a_file_cut_short_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "c"
    checkpoint.write(path, tensors(), {})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError, match=r"damaged.*\.$"):
        checkpoint.read(path)


def test_a_flipped_bit_is_noticed_wherever_it_is(tmp_path: Path) -> None:
    path = tmp_path / "c"
    checkpoint.write(path, {"a": torch.arange(8.0), "b": torch.ones(1)}, {"epoch": 1, "history": [{"loss": 0.5}]})
    whole = path.read_bytes()
    for place in range(len(whole)):
        for bit in (1, 32):
            path.write_bytes(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
            with pytest.raises(CheckpointError, match="damaged"):
                checkpoint.read(path)


def state() -> State:
    torch.manual_seed(0)
    net = nn.Linear(2, 2)
    optimizer = torch.optim.SGD(net.parameters(), 0.1, momentum=0.9)
    meter = Meter(torch.device("cpu"), behaviour_of(CLASSIFICATION, 10))
    return State("train", net, {}, {"weights": (optimizer, ["weight", "bias"])}, {"train": meter}, Compute("cpu"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epoch", -1),
        ("epoch", 1.0),
        ("epoch", "1"),
        ("epoch", 2),
        ("step", -3),
        ("step", None),
        ("best_epoch", 2),
        ("history", []),
        ("history", None),
        ("history", [{"epoch": 2, "decisions": {}}]),
        ("history", [{"epoch": 1}]),
        ("history", [{"epoch": 1, "decisions": {}, "loss": "low"}]),
        ("history", ["epoch"]),
        ("optimizers", {}),
        ("optimizers", []),
        ("optimizers", {"weights": {"weight/step": "many"}}),
        ("loss_scale", 0),
        ("loss_scale", [1, 2]),
        ("finite_steps", -1),
        ("kind", "test"),
        ("fingerprint", 3),
        ("further", 1),
        ("format", None),
    ],
)
def test_facts_that_cannot_be_are_refused(tmp_path: Path, name: str, value: object) -> None:
    path, run = tmp_path / "c", state()
    run.next_epoch(EpochRecord(1, {"loss": math.nan, "accuracy": 0.5}, {"cell": "conv"}))
    run.save(path, "mine")
    resumed = state()
    resumed.load(path, "mine")
    assert str(resumed.history) == str(run.history)
    assert (resumed.epoch, resumed.step) == (1, 0)
    tensors, facts = checkpoint.read(path)
    checkpoint.write(path, tensors, {**facts, name: value})
    with pytest.raises(CheckpointError, match=r"(damaged|another version|other optimizers)"):
        state().load(path, "mine")


@pytest.mark.parametrize("name", ["meter/train", "module/weight"])
def test_a_tensor_that_is_missing_is_refused(tmp_path: Path, name: str) -> None:
    state().save(tmp_path / "c", "mine")
    tensors, facts = checkpoint.read(tmp_path / "c")
    del tensors[name]
    checkpoint.write(tmp_path / "c", tensors, facts)
    with pytest.raises(CheckpointError, match="lacks the"):
        state().load(tmp_path / "c", "mine")


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"\x80\x04K\x01."])
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.read(path)


def test_a_foreign_safetensors_file_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.ones(1)}, tmp_path / "foreign")
    with pytest.raises(CheckpointError, match="not one of this program"):
        checkpoint.read(tmp_path / "foreign")
    with pytest.raises(CheckpointError, match="no checkpoint"):
        checkpoint.read(tmp_path / "missing")


CASES = [Case(0, Kind.RUN_FILE, number) for number in range(12)]


def test_random_damage_to_every_file_of_a_run() -> None:
    found = list(outcomes(check_run_file, CASES, Limits(cpu=60, wall=300, memory=4 << 30)))
    assert found == [Outcome(case, None) for case in CASES]
