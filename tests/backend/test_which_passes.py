"""Which passes are run for a target: its machine, its memory budget, its precision."""

from __future__ import annotations

from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from compiler.backend.lowering.checkpointing import recomputed_scopes
from compiler.backend.lowering.network import compiling_is_slow, over_budget
from compiler.backend.passes import (
    CPU,
    CPU_WITH_KERNEL,
    CUDA,
    FLATTEN,
    PASSES,
    STRUCTURAL,
    Target,
    named,
    optimised,
    run_passes,
    weighed,
)
from compiler.backend.passes.estimate import estimate, held_bytes
from compiler.commands.values import read_bytes
from compiler.searcher.relaxations.supernet import Supernet
from compiler.util.errors import UsageError
from tests.support.programs import space

DARTS: dict[str, Any] = {"c": 8, "cells": 3, "size": 16}


def kept(target: Target) -> set[str]:
    return {ran.name for ran in weighed(space("darts.hsp").block.graph, PASSES, target)[1] if ran.kept}


def test_passes_are_weighed_for_the_machine() -> None:
    """Algebra of many small operations pays where the kernel has it as one, and not where each is launched."""
    assert kept(Target(CPU_WITH_KERNEL)) == {item.name for item in PASSES}
    assert {"flatten", "idle", "drop_none", "share", "accumulate"} < kept(Target(CPU))
    assert not {"fold", "absorb"} & kept(Target(CPU))


def test_operations_stay_as_they_are_written_where_sums_do_not_pay() -> None:
    """On a GPU, in half precision and under `torch.compile`; a memory budget asks for sums on a GPU all the same."""
    structural = {item.name for item in STRUCTURAL}
    assert structural == kept(Target(CUDA))
    assert structural == kept(Target(CPU_WITH_KERNEL, half=True)) == kept(Target(CPU_WITH_KERNEL, compiled=True))
    assert structural | {"tie", "accumulate"} < kept(Target(CUDA, memory_budget=1))


def test_a_budget_computes_again_what_it_takes_without_the_kernel() -> None:
    graph = space("darts.hsp", **DARTS).block.graph
    free = run_passes(graph, PASSES, Target(CPU))
    held = estimate(free, CPU).held
    some = run_passes(graph, PASSES, Target(CPU, memory_budget=int(0.8 * held), batch=1))
    least = run_passes(graph, PASSES, Target(CPU, memory_budget=1, batch=1))
    assert estimate(least, CPU).held < 0.6 * held
    assert estimate(least, CPU).held < estimate(some, CPU).held <= 0.8 * held
    assert estimate(least, CPU).work > estimate(some, CPU).work > estimate(free, CPU).work


def test_a_budget_is_worth_time() -> None:
    """Passes that would be left out are run where a step would hold too much without them, and only there."""
    graph = space("darts.hsp").block.graph

    def held(budget: int | None) -> int:
        made, _ = weighed(graph, PASSES, Target(CPU, memory_budget=budget, batch=1))
        return estimate(made, CPU).held

    assert held(10**12) == held(None)
    assert held(held(None) // 2) <= held(None) // 2


def test_a_budget_that_cannot_be_met_is_told() -> None:
    searched = space("darts.hsp", **DARTS)
    graph = optimised(FLATTEN.run(searched.block.graph), Target(CPU, memory_budget=1, batch=8))
    costs, held = estimate(graph, CPU), 8 * held_bytes(graph)
    assert over_budget(costs, Target(CPU, batch=8)) is None
    assert over_budget(costs, Target(CPU, memory_budget=held, batch=8)) is None
    assert "over the memory budget of 100 KiB" in (over_budget(costs, Target(CPU, memory_budget=102400, batch=8)) or "")
    least = 8 * held_bytes(graph, recomputed_scopes(graph, Target(CPU, memory_budget=1, batch=8)))
    with mock.patch("compiler.backend.lowering.network.optimised", side_effect=optimised) as optimising:
        (warning,) = Supernet(searched, target=Target(CPU, memory_budget=1, batch=8)).warnings
    assert optimising.call_count == 1
    assert least < held
    assert f"{least / 2**20:,.0f} MiB" in warning


def test_that_compiling_does_not_pay_is_told() -> None:
    assert compiling_is_slow(Target(CUDA, compiled=True)) is None
    assert compiling_is_slow(Target(CPU_WITH_KERNEL)) is None
    (warning,) = Supernet(space("darts.hsp", **DARTS), target=Target(CPU_WITH_KERNEL, compiled=True)).warnings
    assert "torch.compile" in warning


def test_weights_start_the_same_for_every_lowering() -> None:
    searched = space("darts.hsp", **DARTS)
    states = []
    for passes in ((FLATTEN,), PASSES):
        torch.manual_seed(3)
        states.append(Supernet(searched, passes).state_dict())
    assert states[0].keys() == states[1].keys()
    assert all(states[0][name].equal(states[1][name]) for name in states[0])


def test_passes_by_name() -> None:
    assert [item.name for item in named(["layout", "flatten"])] == ["flatten", "layout"]
    with pytest.raises(UsageError, match=r"no pass 'fodl' .did you mean 'fold'"):
        named(["fodl"])


def test_sizes() -> None:
    assert [read_bytes(text) for text in ("800M", "1.5g", "2 GiB", "4096")] == [800 << 20, 3 << 29, 2 << 30, 4096]
    for wrong in ("", "many", "-1G", "0", "1X", "inf"):
        with pytest.raises(UsageError, match="is not a size of memory"):
            read_bytes(wrong)


def test_gradients_in_half_precision() -> None:
    """They have the direction of those in float32, also of dilated depthwise convolutions.

    Channels-last those are wrong in bfloat16 on processors with AMX tiles: only there this test can fail.
    """
    torch.manual_seed(0)
    images, labels = torch.randn(4, 3, 32, 32), torch.randint(10, (4,))
    found: list[dict[str, Tensor]] = []
    for half in (True, False):
        torch.manual_seed(1)
        net = Supernet(space("darts.hsp", c=4, cells=3), target=Target.on("cpu", half=half)).train()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
            loss = F.cross_entropy(net(images).float(), labels)
        loss.backward()
        found.append({name: p.grad for name, p in net.named_parameters() if p.grad is not None})
    halved, exact = found
    assert halved.keys() == exact.keys()
    windows = [name for name in exact if "dwconv" in name]
    assert windows
    for name in windows:
        assert F.cosine_similarity(halved[name].flatten(), exact[name].flatten(), dim=0) > 0.9, name
