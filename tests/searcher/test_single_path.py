"""One architecture a pass: it computes what the mixed supernet and the derived network do, and touches nothing else."""

from __future__ import annotations

import copy
from contextlib import nullcontext
from functools import cache
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from compiler.backend.fused.kernel import Kind, is_available, no_kernel
from compiler.backend.lowering.names import attribute
from compiler.backend.lowering.network import Network
from compiler.backend.passes import FLATTEN, OPTIMISATIONS
from compiler.derivation.presence import settle
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.ir.graph import SpaceGraph
from compiler.ir.payloads import Prim
from compiler.searcher.relaxations import HardGumbel, OnePath, Sampled, Temperature
from compiler.searcher.relaxations.path_fusion import FusedSum
from compiler.searcher.relaxations.path_program import Call
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.relaxations.weights import one_hot
from compiler.searcher.settings.schedules import Constant
from tests.laws.test_3_one_hot import WIDTHS, Decided, matched
from tests.support.programs import architecture, assert_same, floats, random_decisions, randomize, space
from tests.support.random_spaces import spaces

MIXABLE: dict[str, dict[str, Any]] = {
    "darts.hsp": {"c": 2, "cells": 3, "size": 16},
    "hdas_dist.hsp": {"name": "Hdas", "c": 2, "stages": 2, "Stage": "Open", "cells": 8, "size": 16},
    "nasbench201.hsp": {"c": 4, "n": 1, "size": 8},
    "nats_size.hsp": {"size": 8},
    "autodeeplab.hsp": {"c": 2, "layers": 2, "levels": 2, "size": 16},
    "tree.hsp": {},
}
ONLY_SAMPLED: dict[str, dict[str, Any]] = {
    "autoformer_tiny.hsp": {"size": 32, "classes": 10},
}


CELLS = """\
hsp 1
use "darts.hsp"

network Net(image: [3, 16, 16]; c = 4) {
  stem = image -> conv(3, c) -> batch_norm
  a = Normal(stem, stem, c)
  b = Reduction(stem, a, 2 * c)
  output Normal(a, b, 2 * c) -> classifier(10)
}
"""
POOL = """\
hsp 1

network Net(image: [3, 16, 16]; c = 4) {
  pooled = image -> conv(3, c) -> batch_norm -> max_pool(3)
  a = pooled -> batch_norm
  b = pooled -> relu -> conv(1 | 3, c) -> batch_norm
  d = pooled -> batch_norm
  output (a + b + d) -> classifier(10)
}
"""
TEXTS = {"cells": CELLS, "widths": WIDTHS, "pool": POOL}


@cache
def small(name: str) -> Elaborated:
    return space(TEXTS[name]) if name in TEXTS else space(name, **{**MIXABLE, **ONLY_SAMPLED}[name])


def images(searched: Elaborated) -> Tensor:
    torch.manual_seed(5)
    return torch.randn(2, *searched.input.largest, dtype=torch.float64)


def both(searched: Elaborated) -> tuple[Supernet, OnePath]:
    """The naive supernet and one that runs a path, with equal weights."""
    naive = Supernet(searched, (FLATTEN,))
    randomize(naive)
    one = Sampled(searched).double()
    one.network.load_state_dict(naive.network.state_dict())
    return naive, one


def share_of(one: OnePath, network: nn.Module, pairs: dict[str, str]) -> None:
    """Give a derived network the first channels, and the middles of kernels, of the weights of its operations."""
    theirs = dict(floats([*one.network.named_parameters(), *one.network.named_buffers()]))
    for name, tensor in floats([*network.named_parameters(), *network.named_buffers()]):
        place, rest = name, ""
        while place and place not in pairs:
            place, _, last = place.rpartition(".")
            rest = f".{last}{rest}"
        if not place:  # what no output needs is not compared
            continue
        large = theirs[pairs[place] + rest]
        for axis, size in enumerate(tensor.shape):
            large = large.narrow(axis, 0 if axis < 2 else (large.shape[axis] - size) // 2, size)
        tensor.data.copy_(large)


# ---------------------------------------------------------------- laws 3 and 4


def check_equal(searched: Elaborated, seed: int) -> None:
    naive, one = both(searched)
    assert naive.state_dict().keys() | {"baseline"} == one.state_dict().keys()
    chosen, x = random_decisions(searched, seed), images(searched)
    expected = naive.eval()(x, {p: w.double() for p, w in one_hot(searched.decisions, chosen).items()})
    assert_same({"output": one.eval()(x, chosen)}, {"output": expected}, 1e-9)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", [*MIXABLE, "widths"])
def test_a_path_equals_the_supernet_with_one_hot_weights(name: str, seed: int) -> None:
    check_equal(small(name), seed)


def logits_of(one: OnePath, x: Tensor, seeds: list[int]) -> dict[str, Tensor]:
    return {str(seed): one(x, random_decisions(one.space, seed)) for seed in seeds}


@pytest.mark.parametrize("name", ["cells", "autodeeplab.hsp", "widths"])
def test_lines_that_are_remembered_compute_what_fresh_ones_do(name: str) -> None:
    searched = small(name)
    x, one = images(searched).float(), Sampled(searched).train()
    fresh: dict[str, Tensor] = {}
    for seed in range(4):
        one.operations.forget()
        fresh |= logits_of(one, x, [seed])
    one.operations.forget()
    assert_same(logits_of(one, x, list(range(4))), fresh, 0.0)
    size = len(one.operations.fusion.graph)
    one.operations.known_programs.values.clear()
    assert_same(logits_of(one, x, list(range(4))), fresh, 0.0)
    assert len(one.operations.fusion.graph) == size > 0


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(spaces(mixable=True), st.integers(0, 2**16))
def test_random_paths(text: str, seed: int) -> None:
    searched = space(text)
    if searched.is_space and not searched.refusals:
        check_equal(searched, seed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["cells", "nats_size.hsp", "autoformer_tiny.hsp", "widths"])
def test_a_path_equals_the_derived_network(name: str, seed: int) -> None:
    """Outputs, gradients of weights and running statistics, in train mode; widths are slices."""
    searched = small(name)
    one, chosen = Sampled(searched), random_decisions(searched, seed)
    randomize(one)
    _, derived = architecture(searched, chosen, relaxed=True)
    network = Network(derived, training_only=False).double()
    wide, narrow = Decided(searched.block.graph, chosen), Decided(derived.block.graph, {})
    pairs = {attribute(b): attribute(a) for a, b in matched(wide, narrow)}
    share_of(one, network.network, pairs)
    x = images(searched)
    ours, theirs = one(x, chosen), network(x)
    assert_same({"output": ours}, {"output": theirs}, 1e-10)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    assert sum(float(p.grad.abs().sum()) for p in one.weights() if p.grad is not None) == pytest.approx(
        sum(float(p.grad.abs().sum()) for p in network.parameters() if p.grad is not None)
    )
    again = Network(derived, training_only=False).double()
    share_of(one, again.network, pairs)
    state = dict(network.network.named_buffers())
    assert_same(
        dict(floats(again.network.named_buffers())), {n: state[n] for n, _ in floats(again.network.named_buffers())}
    )


# ---------------------------------------------------------------- nothing else runs


@pytest.mark.parametrize("name", ["cells", "nasbench201.hsp", "autodeeplab.hsp"])
def test_what_was_not_chosen_does_not_run(name: str) -> None:
    """Only modules of the architecture are called, once each; the norms of others keep their statistics."""
    searched = small(name)
    one, chosen = Sampled(searched), random_decisions(searched, 1)
    calls: dict[str, int] = {}
    for path, module in one.network.named_modules():
        if module.state_dict():  # activations are shared between those that read the same
            module.register_forward_hook(lambda *_, path=path: calls.update({path: calls.get(path, 0) + 1}))
    before = {n: b.clone() for n, b in one.network.named_buffers()}
    with no_kernel():  # which calls no module
        one(images(searched).float(), chosen)
    _, derived = architecture(searched, chosen, relaxed=True)
    wide, narrow = Decided(searched.block.graph, chosen), Decided(derived.block.graph, {})
    active = {attribute(a) for a, _ in matched(wide, narrow)}
    assert set(calls.values()) == {1}
    assert calls.keys() <= active
    moved = {n.rpartition(".")[0] for n, b in one.network.named_buffers() if not torch.equal(b, before[n])}
    assert moved
    assert moved <= active


@pytest.mark.parametrize("name", ["cells", "nats_size.hsp", "nasbench201.hsp", "autoformer_tiny.hsp"])
def test_a_step_costs_what_the_network_costs(name: str) -> None:
    searched = small(name)
    chosen = random_decisions(searched, 2)
    _, derived = architecture(searched, chosen, relaxed=True)
    x = images(searched).float()

    def flops(module: nn.Module, *args: object) -> int:
        with FlopCounterMode(display=False) as counter:
            module(x, *args).square().sum().backward()
        total: int = counter.get_total_flops()
        return total

    plain = [item for item in OPTIMISATIONS if item.name in ("drop_none", "share")]
    network = Network(derived, (FLATTEN, *plain), training_only=False)
    with no_kernel():  # what it does is not counted
        assert flops(Sampled(searched), chosen) == flops(network)


def calls_of(one: OnePath, chosen: Selection, in_sums: bool = False) -> list[Call]:
    program = one.operations.program(chosen, in_sums, in_sums)
    return [call for call in program.calls if isinstance(call, Call)]


@pytest.mark.skipif(not is_available(), reason="no C++ compiler")
@pytest.mark.parametrize("name", ["cells", "nasbench201.hsp"])
@pytest.mark.parametrize("train", [True, False])
def test_chains_are_what_their_operations_are(name: str, train: bool) -> None:
    """The kernel computes sums of what ends in norms at once: the same values, gradients and statistics."""
    searched, found = small(name), []
    start = Sampled(searched)
    randomize(start).double().train(train)
    chains: list[FusedSum] = []
    for with_kernel in (False, True):
        one = copy.deepcopy(start)
        for seed in range(4):
            x, chosen = images(searched).requires_grad_(), random_decisions(searched, seed)
            with nullcontext() if with_kernel else no_kernel():
                output = one(x, chosen)
                output.square().sum().backward()
            chains += [call.run for call in calls_of(one, chosen) if isinstance(call.run, FusedSum)]
        gradients = {n: p.grad for n, p in one.named_parameters() if p.grad is not None}
        found.append({"output": output, "x": x.grad, **gradients, **dict(floats(one.named_buffers()))})
    steps = [chain.plan.terms for chain in chains]
    assert len(steps) > 10
    assert any(len(each) > 1 and each[0].columns is None for each in steps)
    assert any(each[0].columns is not None for each in steps) == (name == "cells")
    assert_same(found[0], found[1])


@pytest.mark.skipif(not is_available(), reason="no C++ compiler")
def test_a_pool_that_several_norms_read_is_computed_with_each() -> None:
    searched = small("pool")
    one = Sampled(searched).double().train()
    found = []
    for with_kernel in (False, True):
        x, chosen = images(searched).requires_grad_(), random_decisions(searched, 0)
        with nullcontext() if with_kernel else no_kernel():
            output = one(x, chosen)
            (gradient,) = torch.autograd.grad(output.square().sum(), x)
        found.append({"output": output, "x": gradient})
    assert_same(found[1], found[0])
    terms = [term for call in calls_of(one, chosen) if isinstance(call.run, FusedSum) for term in call.run.plan.terms]
    pools = [term for term in terms if term.geometry is not None and term.geometry.kind is Kind.MAX_POOL]
    assert [term.norm is not None for term in pools] == [True, True]


# ---------------------------------------------------------------- hard Gumbel-softmax


@pytest.mark.parametrize("name", ["cells", "nasbench201.hsp", "autodeeplab.hsp", "widths"])
def test_weights_of_what_runs_have_the_gradients_of_the_supernet(name: str) -> None:
    """And those of what does not run have none."""
    searched = small(name)
    naive, _ = both(searched)
    hard = HardGumbel(searched, Temperature(Constant(value=1.0), 1)).double()
    hard.load_state_dict(naive.state_dict())
    chosen, x = random_decisions(searched, 4), images(searched)
    ones = {p: w.double().requires_grad_() for p, w in one_hot(searched.decisions, chosen).items()}
    expected = naive(x, ones)
    soft = {p: torch.rand(d.alphas, dtype=torch.float64).requires_grad_() for p, d in searched.decisions.items()}
    actual = hard.straight(x, chosen, {p: s for p, s in soft.items() if len(s)})
    weights = [call.weights for call in calls_of(hard, chosen, in_sums=True) if isinstance(call.run, FusedSum)]
    assert any(len(each) > 1 for each in weights) == (name != "widths")
    assert_same({"output": actual}, {"output": expected}, 1e-9)
    direction = torch.randn_like(expected)
    (expected * direction).sum().backward()
    (actual * direction).sum().backward()
    seen = 0
    for path, decision in searched.decisions.items():
        gradient = soft[path].grad
        if not decision.alphas or gradient is None:
            continue
        expected_gradient = ones[path].grad
        assert expected_gradient is not None
        taken = ones[path].detach() > 0
        torch.testing.assert_close(gradient[taken], expected_gradient[taken], rtol=1e-8, atol=1e-10)
        if not decision.numbers:  # a width weighs the channels of larger ones, too
            assert not gradient[~taken].any()
        seen += int(taken.sum())
    assert seen
    theirs = dict(naive.named_parameters())
    for path, weight in hard.named_parameters():
        if weight.grad is not None:
            torch.testing.assert_close(weight.grad, theirs[path].grad, rtol=1e-8, atol=1e-10)


# ---------------------------------------------------------------- spaces that cannot be mixed


class Present(Decided):
    """Under `prune`, nothing comes of nothing."""

    def __init__(self, graph: SpaceGraph, chosen: Selection) -> None:
        super().__init__(graph, chosen)
        self.known: dict[int, list[int]] = {}
        self.every = self.graph.sources
        self.graph.sources = self.present  # type: ignore[method-assign]

    def present(self, index: int) -> tuple[int, ...]:
        sources = self.every(index)
        return tuple(s for s in sources if self.terms(s)) if self.joins(index) else sources

    def joins(self, index: int) -> bool:
        payload = self.graph.node(index).payload
        return isinstance(payload, Prim) and payload.name == "concat"

    def terms(self, index: int) -> list[int]:
        if index not in self.known:
            payload, sources = self.graph.node(index).payload, self.every(index)
            there = [bool(self.terms(source)) for source in sources]
            whole = any(there) if self.joins(index) else all(there)
            exists = not isinstance(payload, Prim) or payload.name == "add" or whole
            self.known[index] = super().terms(index) if exists else []
        return self.known[index]


def check_derived(searched: Elaborated, seed: int) -> bool:
    """Law 3 for a random architecture, if it is one: the derived network, its weights slices of those here."""
    one, chosen = Sampled(searched), random_decisions(searched, seed)
    randomize(one)
    if not one.meets(chosen):
        return False
    _, derived = architecture(searched, chosen, relaxed=True)
    network = Network(derived, training_only=False)
    randomize(network, seed=1)
    wide = Present(searched.block.graph, settle(searched, chosen).chosen)
    pairs = {attribute(b): attribute(a) for a, b in matched(wide, Decided(derived.block.graph, {}))}
    share_of(one, network.network, pairs)
    x = images(searched)
    assert_same({"output": one(x, chosen)}, {"output": network(x)}, 1e-10)
    return True


SIZES = """\
hsp 1
op down(x; c) = x -> conv(3, c, 2) -> batch_norm -> relu
op same(x; c) = x -> conv(3, c) -> batch_norm -> relu
op residual(x) = x + (x -> conv(3) -> batch_norm)

cell Cell(x) {
  output x -> (conv(k = 3) | residual | conv(k = 1)) -> batch_norm
}

network Net(image: [3, 16, 16]) {
  a = image -> (down(c = 8) | same(c = 4) | down(c = 6))
  b = a -> Cell@0 -> (down(c = 2 * a.c) | same(c = 8))
  c = pick 1 of (a, b)
  output c -> residual -> Cell@1 -> avg_pool(3, stride = 1 | 2) -> classifier(10)
}
"""


@pytest.mark.parametrize("seed", range(8))
def test_widths_and_resolutions_that_differ(seed: int) -> None:
    """What follows a choice of shapes has a shape that depends on it."""
    searched = space(SIZES)
    assert searched.refusals
    assert check_derived(searched, seed)
    hard = HardGumbel(searched, Temperature(Constant(value=1.0), 1))
    torch.manual_seed(seed)
    hard(images(searched).float()).sum().backward()
    assert hard.alphas["Net.a.choice"].grad is not None


def test_open_widths() -> None:
    searched = space("nasbench101.hsp", c=10, stacks=1, cells=2, size=8)
    assert sum(check_derived(searched, seed) for seed in range(12)) > 3


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(spaces(), st.integers(0, 2**16))
def test_random_spaces_that_may_not_be_mixable(text: str, seed: int) -> None:
    searched = space(text)
    if searched.is_space:
        check_derived(searched, seed)
