"""Trials on a local Ray cluster of three nodes, of which one is killed. `-m bench` asks for it; it needs Ray."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from compiler import search
from compiler.program.request import Request
from compiler.runs import config
from compiler.runs.config import RunConfig
from compiler.runs.plan import plan_search
from compiler.runs.search import trials as run_trials
from compiler.util.errors import UsageError
from tests.runs.test_explore import ALONE, file, trials
from tests.runs.test_workers import LONG, judgements

__all__ = ["file"]


@pytest.fixture
def cluster() -> Iterator[Any]:
    """Three nodes of one processor each beside a head without any."""
    ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'hdas-dsl[ray]'")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(3):
        made.add_node(num_cpus=1)
    ray.init(address=made.address, log_to_driver=False)
    yield made
    ray.shutdown()
    made.shutdown()


def run(file: Path, out: Path, workers: int, kill: Any = None) -> None:
    plan = plan_search(Request(file), RunConfig(out, quiet=True, workers=workers, ray="auto"))
    for number, _ in enumerate(run_trials(plan, say=lambda _: None)):
        if number == 1 and kill is not None:
            kill()


@pytest.mark.bench
def test_a_killed_node_loses_no_trial_that_ended(file: Path, cluster: Any) -> None:
    """Of the running trials those of its actors begin again, others do not; the result is that of one process."""
    file.write_text(LONG)
    alone, out = file.parent / "alone", file.parent / "out"
    search(file, alone)
    told: list[tuple[object, ...]] = []

    def kill() -> None:
        told.extend(judgements(out))
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)

    run(file, out, 3, kill)
    assert len(told) == 2
    assert set(told) <= judgements(out) == judgements(alone)
    assert not any(trial.get("failed") for trial in trials(out))
    assert (out / "derived.hsp").read_bytes() == (alone / "derived.hsp").read_bytes()
    file.write_text(ALONE)
    search(file, file.parent / "one")
    run(file, file.parent / "one-by-ray", 1)
    assert trials(file.parent / "one-by-ray") == trials(file.parent / "one")


def test_without_ray_it_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "find_spec", lambda _: None)
    file.write_text(ALONE)
    with pytest.raises(UsageError, match=r"pip install 'hdas-dsl\[ray\]'"):
        plan_search(Request(file), RunConfig(file.parent / "out", ray="auto"))
