"""Law 4: every pass, some of them, and all of them keep outputs, gradients and running statistics; and their graphs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor

from compiler.analysis.costs.block_totals import Costs
from compiler.backend.fused.kernel import no_kernel
from compiler.backend.passes import FLATTEN, OPTIMISATIONS, PASSES, STRUCTURAL, Pass, run_passes
from compiler.elaborate import Elaborated
from compiler.ir.graph import SpaceGraph
from compiler.ir.payloads import Prim
from compiler.searcher.relaxations.supernet import Supernet
from tests.laws.test_3_one_hot import CONCATS
from tests.support import golden
from tests.support.paths import FIXTURES
from tests.support.programs import assert_same, floats, randomize, space
from tests.support.random_spaces import spaces

HERE = FIXTURES / "passes"
ALONE = [(item,) for item in OPTIMISATIONS]
TOGETHER = [OPTIMISATIONS[:n] for n in range(2, len(OPTIMISATIONS) + 1)]


@pytest.fixture(autouse=True, scope="module")
def _verified() -> Iterator[None]:
    """Every graph here is well-formed after elaboration and after each pass, in whatever order they run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HDAS_VERIFY", "1")
        yield


def start(searched: Elaborated) -> dict[str, Tensor]:
    """A state for every lowering of a space: names do not depend on the passes."""
    net = randomize(Supernet(searched, (FLATTEN,), init=1.0))
    return {name: tensor.clone() for name, tensor in net.state_dict().items()}


def values(
    searched: Elaborated, passes: tuple[Pass, ...], state: dict[str, Tensor], train: bool = True
) -> dict[str, Tensor]:
    """All that a step of a search sees, by name."""
    net = Supernet(searched, passes).double().train(train)
    net.load_state_dict(state)
    torch.manual_seed(1)
    x = torch.randn(2, *searched.input.largest, dtype=torch.float64, requires_grad=True)
    output = net(x)
    (torch.randn(output.shape, dtype=output.dtype) * output).sum().backward()
    wanted = {"input": x, **dict(sorted(net.named_parameters()))}
    for name, tensor in wanted.items():
        # A search steps on all alphas, with gradient zero where nothing depends on them; on such weights it does not.
        if tensor.grad is None and name.startswith("architecture."):
            tensor.grad = torch.zeros_like(tensor)
    gradients = {f"gradient of {name}": tensor.grad for name, tensor in wanted.items() if tensor.grad is not None}
    return {"output": output.detach(), **gradients, **dict(sorted(floats(net.named_buffers())))}


def check(searched: Elaborated, orders: Iterable[Sequence[Pass]] = (*ALONE, *TOGETHER)) -> None:
    state = start(searched)
    expected = values(searched, (FLATTEN,), state)
    for order in orders:
        assert_same(values(searched, (FLATTEN, *order), state), expected)


SMALL: dict[str, dict[str, Any]] = {
    "darts.hsp": {"c": 8, "cells": 3, "size": 16},
    "hdas_stages.hsp": {"c": 8, "stages": 2, "size": 16},
    "nasbench201.hsp": {"c": 4, "n": 1, "size": 8},
    "hdas_dist.hsp": {"name": "Hdas", "c": 8, "stages": 1, "size": 8, "Stage": "Open", "cells": 8},
}
"""Of 8 channels, where the kernel computes whole terms, and of 4, where it does not."""


@pytest.mark.parametrize("name", sorted(SMALL))
def test_spaces(name: str) -> None:
    """The passes one by one, and all; of a small space also as many as come first, and of random ones any."""
    check(space(name, **SMALL[name]), [*ALONE, *TOGETHER[2 if name == "nasbench201.hsp" else -1 :]])


@pytest.mark.parametrize("name", ["darts.hsp", "hdas_stages.hsp"])
def test_spaces_without_the_kernel(name: str) -> None:
    with no_kernel():
        check(space(name, **SMALL[name]), TOGETHER[-1:])


@pytest.mark.parametrize("with_kernel", [True, False], ids=["kernel", "torch"])
def test_evaluation(with_kernel: bool) -> None:
    """Norms with running statistics, as while a network is judged; those of tied norms have seen the same."""
    searched = space("darts.hsp", c=8, cells=3, size=16)
    trained = Supernet(searched, (FLATTEN,), init=1.0).double()
    for _ in range(3):
        trained(torch.randn(4, *searched.input.largest, dtype=torch.float64))
    state = trained.state_dict()
    with nullcontext() if with_kernel else no_kernel():
        expected, found = (
            values(searched, passes, state, train=False) for passes in ((FLATTEN,), (FLATTEN, *OPTIMISATIONS))
        )
    assert_same(found, expected)


orders = st.permutations(OPTIMISATIONS).flatmap(
    lambda order: st.integers(1, len(order)).map(lambda number: tuple(order[:number]))
)
"""Some of the passes in some order."""


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(spaces(mixable=True), st.lists(orders, min_size=3, max_size=3), st.booleans())
def test_random_spaces(text: str, some: list[tuple[Pass, ...]], with_kernel: bool) -> None:
    searched = space(text)
    if searched.is_space and not searched.refusals:
        with nullcontext() if with_kernel else no_kernel():
            check(searched, [*some, OPTIMISATIONS])


LATE = """\
hsp 1
op unit(x) = x -> relu -> conv(1) -> batch_norm

cell Cell(x) {
  u = (unit | identity)(x)
  v = (unit | identity)(u)
  output u
}

network Net(x: [3, 8, 8]) {
  k[i < 3] = prev(x) -> Cell
  output last of k
}
"""


def test_what_is_shared_stays_where_its_source_is() -> None:
    """`v` and the next cell both start from relu(u); outside of the cell it would come before and after it."""
    check(space(LATE))


def test_what_moves_out_lets_its_readers_follow() -> None:
    """The pools of equal activations are equal once those are one."""
    pools = LATE.replace("op unit(x) = x -> relu", "op unit(x) = x -> relu -> avg_pool(3) -> relu")
    pools = pools.replace("k[i < 3] = prev(x) -> Cell\n  output last of k", "output Cell@0(x) + Cell@1(x)")
    graph = run_passes(space(pools).block.graph, STRUCTURAL)
    assert sum(isinstance(n.payload, Prim) and n.payload.name == "avg_pool" for _, n in graph.order()) == 3
    check(space(pools))


def test_concatenations_of_searched_widths() -> None:
    """A sum of them may become one of sums."""
    check(space(CONCATS))


NAMES = """\
hsp 1
op unit(x) = x -> conv(1) -> batch_norm

cell Leaf(x) {
  output conv(x, 1)
}
op twin(x) = (x -> Leaf) + (x -> conv(3) -> Leaf)

cell Cell(weights, self) {
  graph = weights -> conv(1) -> relu
  half = self -> relu -> (conv(k = 1) | conv(k = 3))
  class = graph -> Leaf -> twin
  output unit(graph + half + class)
}

network Net(image: [3, 8, 8]) {
  forward = image -> conv(1)
  x = image -> conv(3)
  output Cell(forward, x) + Cell(x, forward)
}
"""


def test_names() -> None:
    """Lines may be called like what torch or Python calls its own; what operations hold, like what is beside."""
    searched = space(NAMES)
    check(searched)
    names = [node.name for _, node in FLATTEN.run(searched.block.graph).order()]
    assert len(names) == len(set(names))
    assert Costs().block(searched.block).params == sum(p.numel() for p in Supernet(searched).weights())


# ---------------------------------------------------------------- golden graphs


@pytest.mark.parametrize("name", [item.name for item in PASSES])
def test_every_pass_has_golden_graphs(name: str) -> None:
    assert list((HERE / name).glob("*.hsp"))


@pytest.mark.parametrize("path", sorted(HERE.glob("*/*.hsp")), ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_golden(path: Path) -> None:
    """The graph that a pass is given, after those before it, and what it makes of it."""
    place = [item.name for item in PASSES].index(path.parent.name)
    before = run_passes(space(path.read_text(encoding="utf-8")).block.graph, PASSES[:place])
    after = PASSES[place].run(before)
    golden.check(path.with_suffix(".txt"), f"{written(before)}\n{path.parent.name}:\n\n{written(after)}")


def written(graph: SpaceGraph) -> str:
    """The graph as text, with the cell that each node lies in."""
    lines = zip(graph.pretty().splitlines(), graph.order(), strict=True)
    return "".join(f"{line}{f'  # {node.scope[-1]}' if node.scope else ''}\n" for line, (_, node) in lines)
