"""Checkpoint files: atomic, exact, checked, and free of pickle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compiler.searcher.engine.errors import CheckpointError
from compiler.searcher.engine.state import checkpoint
from tests.support.checkpoints import tensors


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    facts = {"epoch": 3, "history": [{"loss": 0.1 + 0.2}], "text": 'é\n"quoted"'}
    checkpoint.write(path, tensors(), facts)
    found, read = checkpoint.read(path)
    assert read == facts
    assert found.keys() == tensors().keys()
    for name, tensor in tensors().items():
        assert found[name].dtype == tensor.dtype
        assert torch.equal(found[name], tensor)


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    checkpoint.write(one, tensors(), {"x": 1, "y": [2]})
    checkpoint.write(two, dict(reversed(tensors().items())), {"x": 1, "y": [2]})
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    path = tmp_path / "c"
    checkpoint.write(path, tensors(), {"epoch": 1})

    def fail(*_: Any) -> None:
        raise OSError("disk is full")

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(OSError, match="full"):
        checkpoint.write(path, tensors(), {"epoch": 2})
    assert checkpoint.read(path)[1] == {"epoch": 1}


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        ({"w": torch.ones(2)}, r"lacks the tensor 'v'"),
        ({"w": torch.ones(2), "v": torch.ones(1), "u": torch.ones(1)}, r"this network lacks, the tensor 'u'"),
        ({"w": torch.ones(3), "v": torch.ones(1)}, r"'w' is float32\[3\] there and float32\[2\] here"),
        ({"w": torch.ones(2).double(), "v": torch.ones(1)}, r"'w' is float64\[2\] there"),
    ],
)
def test_tensors_that_do_not_fit_are_refused_and_nothing_is_changed(saved: dict[str, Tensor], message: str) -> None:
    targets = {"w": torch.zeros(2), "v": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=message):
        checkpoint.assign("tensor", targets, saved)
    assert not any(tensor.any() for tensor in targets.values())


@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.SGD(p, lr=0.1),
        lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: torch.optim.Adam(p, lr=0.1),
        lambda p: torch.optim.AdamW(p, lr=0.1, amsgrad=True),
    ],
)
def test_an_optimizer_goes_on_as_if_it_had_never_stopped(tmp_path: Path, make: Any) -> None:
    def run(net: nn.Module, optimizer: torch.optim.Optimizer, steps: range) -> None:
        for step in steps:
            net(torch.full((1, 3), float(step))).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad()

    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    names = ["weight", "bias"]
    start = {name: value.clone() for name, value in net.state_dict().items()}
    optimizer = make(net.parameters())
    run(net, optimizer, range(3))
    found, facts = checkpoint.optimizer_state(optimizer, names)
    checkpoint.write(tmp_path / "c", {**checkpoint.pack("o", found), **checkpoint.pack("m", net.state_dict())}, facts)
    run(net, optimizer, range(3, 6))

    other = nn.Linear(3, 2)
    other.load_state_dict(start)
    resumed = make(other.parameters())
    read, facts = checkpoint.read(tmp_path / "c")
    checkpoint.load_optimizer_state(resumed, names, checkpoint.unpack("o", read), facts)
    checkpoint.assign("tensor", dict(other.state_dict()), checkpoint.unpack("m", read))
    run(other, resumed, range(3, 6))
    assert torch.equal(net.weight, other.weight)
    assert torch.equal(net.bias, other.bias)


def test_optimizer_state_of_another_network_is_refused() -> None:
    optimizer = torch.optim.Adam(nn.Linear(3, 2).parameters())
    for name in ("other/exp_avg", "weight/exp_avg"):
        with pytest.raises(CheckpointError, match=name):
            checkpoint.load_optimizer_state(optimizer, ["weight", "bias"], {name: torch.ones(9)}, {})
