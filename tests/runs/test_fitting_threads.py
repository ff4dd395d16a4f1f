"""A run takes as many threads as its network is worth."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from compiler.elaborate import Elaborated
from compiler.program.overrides import read_override
from compiler.program.request import Request
from compiler.runs.config import RunConfig
from compiler.runs.fitting_threads import fitting_threads, useful_threads
from compiler.runs.plan import plan_search
from compiler.runs.search import search
from compiler.util.threads import COUNT, FEWER, FIT
from hdas_dsl.units import LIBRARY

TRIALS = """\
hsp 1

network Net(image: [1, 8, 8]; c = 2, classes = 10) {
  output image -> conv(3, c) -> (relu | identity) -> classifier(classes)
}

search Net {
  data = digits(images = 64, weights_share = 0.5)
  relax = none
  epochs = 0
  judge = trained
  derive = random(1)
}

train Net {
  data = digits(images = 64)
  epochs = 1
  batch = 32
}
"""


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Four threads that nobody asked for."""
    monkeypatch.delenv(COUNT, raising=False)
    monkeypatch.setenv(FEWER, FIT)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def searched(name: str) -> Elaborated:
    """The network that a shipped file searches."""
    return Request(LIBRARY / name).compile().phases[0].network


def test_what_networks_are_useful_threads() -> None:
    """Digits are worth one thread; DARTS some, the more the larger its batch."""
    small, large = searched("hdas_digits_joint.hsp"), searched("darts.hsp")
    assert useful_threads(small, 64) == 1
    assert 4 <= useful_threads(large, 32) < useful_threads(large, 64)


@pytest.mark.usefixtures("four")
def test_within_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks have one thread, large ones all there are; afterwards there are as many as before."""
    small, large = searched("hdas_digits_joint.hsp"), searched("darts.hsp")
    seen = []
    for network in (small, large):
        with fitting_threads(network, 64, "cpu"):
            seen.append(torch.get_num_threads())
        assert torch.get_num_threads() == 4
    assert seen == [1, 4]
    monkeypatch.setenv(FEWER, "all")
    with fitting_threads(small, 64, "cpu"):
        assert torch.get_num_threads() == 4


@pytest.mark.usefixtures("four")
def test_a_search_records_its_threads(tmp_path: Path) -> None:
    given = ("epochs=1", "batch=64", "data=fake(count=64)")
    request = Request(LIBRARY / "nasbench201.hsp", tuple(map(read_override, ("c=2", "n=1", *given))))
    search(plan_search(request, RunConfig(tmp_path / "run", device="cpu", quiet=True)), say=lambda _: None)
    recorded = (tmp_path / "run" / "run.json").read_text(encoding="utf-8")
    assert json.loads(recorded)["machine"]["threads"] == 1
    assert torch.get_num_threads() == 4


@pytest.mark.usefixtures("four")
def test_trainings_that_leave_processors_idle_are_said_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where an explorer trains networks that are worth one thread; not where the user said how many there are."""
    monkeypatch.setattr("compiler.runs.fitting_threads.processors", lambda: 4)
    monkeypatch.setattr("compiler.runs.search.processors", lambda: 4)
    file = tmp_path / "net.hsp"
    file.write_text(TRIALS, encoding="utf-8")
    said: list[str] = []
    for word in (FIT, "all"):
        monkeypatch.setenv(FEWER, word)
        config = RunConfig(tmp_path / word, device="cpu", quiet=True)
        search(plan_search(Request(file), config), say=said.append)
    (hint,) = (sentence for sentence in said if "--workers" in sentence)
    assert hint == (
        "The operations of this network are too small for more than 1 of 4 processors: "
        "`--workers 4` judges 4 architectures at once."
    )
