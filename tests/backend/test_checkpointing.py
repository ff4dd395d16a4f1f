"""Cells that are computed again in the backward pass: the same step, of which less is held."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from compiler.backend.lowering.checkpointing import recomputed_scopes
from compiler.backend.lowering.network import Network
from compiler.backend.passes import CPU_WITH_KERNEL, FLATTEN, Pass, Target, optimised
from compiler.backend.passes.estimate import estimate, held_bytes
from compiler.ir.graph import SpaceGraph
from compiler.searcher.relaxations.supernet import Supernet
from tests.support.programs import space

DARTS: dict[str, Any] = {"c": 4, "cells": 6, "size": 16}
BATCH = 4
CELLS = """\
hsp 1

op drop(x) = x -> drop_path

cell Cell(x) {
  a = x -> relu -> conv(3) -> batch_norm -> drop
  b = a -> relu -> dwconv(3) -> conv(1) -> batch_norm
  output a + b + x
}

network Net(image: [3, 8, 8]; cells = 4) {
  k[i < cells] = prev(image -> conv(1, 8)) -> Cell
  output last of k -> classifier(5)
}
"""


def graph_of(**args: Any) -> SpaceGraph:
    return optimised(FLATTEN.run(space("darts.hsp", **args).block.graph), Target(CPU_WITH_KERNEL))


def step(module: nn.Module, images: Tensor) -> tuple[Tensor, int]:
    """A step's output, and how many bytes are held between forward and backward."""
    held: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        held[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    module.zero_grad()
    torch.manual_seed(1)
    with saved_tensors_hooks(pack, lambda tensor: tensor):
        output = module(images)
    output = output[0] if isinstance(output, tuple) else output
    output.square().sum().backward()
    return output.detach(), sum(held.values())


def assert_same_step(plain: nn.Module, again: nn.Module, images: Tensor) -> tuple[int, int]:
    """Two steps of each: outputs, gradients, and buffers, and so running statistics, are equal; the bytes of each."""
    again.load_state_dict(plain.state_dict())
    for _ in range(2):
        (left, more), (right, less) = step(plain, images), step(again, images)
        torch.testing.assert_close(left, right, rtol=1e-10, atol=1e-12)
    others = dict(again.named_parameters())
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(parameter.grad, others[name].grad, rtol=1e-8, atol=1e-11, msg=name)
    torch.testing.assert_close(plain.state_dict(), again.state_dict(), rtol=1e-10, atol=1e-12)
    return more, less


@pytest.mark.parametrize("passes", [None, (FLATTEN,)], ids=["optimised", "naive"])
def test_a_supernet_takes_the_same_step(passes: tuple[Pass, ...] | None) -> None:
    searched = space("darts.hsp", **DARTS)
    plain = Supernet(searched, passes, target=Target(batch=BATCH)).double()
    budget = plain.lowering.first.estimate.held * BATCH // 2
    again = Supernet(searched, passes, target=Target(batch=BATCH, memory_budget=budget)).double()
    assert again.warnings == ()
    more, less = assert_same_step(plain, again, torch.randn(BATCH, 3, 16, 16, dtype=torch.float64))
    assert less < 0.7 * more
    again.eval()
    with torch.no_grad():
        torch.testing.assert_close(
            again(torch.zeros(1, 3, 16, 16).double()), plain.eval()(torch.zeros(1, 3, 16, 16).double())
        )


def test_what_is_dropped_at_random_is_dropped_again() -> None:
    found = space(CELLS)
    target = Target(batch=BATCH)
    plain = Network(found, target=target).double()
    again = Network(found, target=Target(batch=BATCH, memory_budget=1)).double()
    assert again.warnings
    for network in (plain, again):
        network.set_drop_path(0.5)
    more, less = assert_same_step(plain, again, torch.randn(BATCH, 3, 8, 8, dtype=torch.float64))
    assert less < more


def test_as_few_cells_as_fit_are_computed_again() -> None:
    graph = graph_of(**DARTS)
    held = held_bytes(graph)
    before = 0
    for share in (1.0, 0.8, 0.6, 0.5):
        target = Target(memory_budget=int(share * held), batch=1)
        found = recomputed_scopes(graph, target)
        costs = estimate(graph, CPU_WITH_KERNEL, found)
        assert costs.held == held_bytes(graph, found) <= share * held
        assert len(found) >= before
        before = len(found)
        assert estimate(graph, CPU_WITH_KERNEL).work <= costs.work
    assert 0 < before < 6
    assert not recomputed_scopes(graph, Target(batch=1))
    assert not recomputed_scopes(graph, Target(batch=1, memory_budget=1, compiled=True))


def test_a_budget_that_nothing_meets_holds_the_least() -> None:
    graph = graph_of(**DARTS)
    found = recomputed_scopes(graph, Target(memory_budget=1, batch=1))
    assert held_bytes(graph, found) < 0.5 * held_bytes(graph)
    cells = {node.scope for _, node in graph.order() if node.scope}
    assert all(held_bytes(graph, found) <= held_bytes(graph, found | {scope}) for scope in cells)


def test_names_of_weights_stay() -> None:
    searched = space("darts.hsp", **DARTS)
    names = [set(Supernet(searched, target=Target(memory_budget=budget, batch=1)).state_dict()) for budget in (None, 1)]
    assert names[0] == names[1]
