"""A derived network takes the weights of its supernet, and computes what the supernet does with its decisions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

from compiler.analysis.membership.query import decisions_of
from compiler.backend.lowering.network import Network
from compiler.elaborate import Elaborated
from compiler.runs.inherited import Inherited
from compiler.runs.modules import derive, inherit, load
from compiler.searcher.relaxations import OnePath, Relaxed, Supernet
from compiler.searcher.relaxations.weights import one_hot
from compiler.util.errors import UsageError
from tests.laws.test_3_one_hot import WIDTHS
from tests.support.programs import architecture, assert_same, random_decisions, randomize, space
from tests.support.random_spaces import spaces


def check(searched: Elaborated, supernet: Relaxed, seed: int) -> Inherited:
    """Outputs are equal in eval mode, where everything was taken over."""
    chosen = random_decisions(searched, seed)
    randomize(supernet).eval()
    _, derived = architecture(searched, chosen, relaxed=False)
    chosen = {**chosen, **decisions_of(searched, derived)}  # Of items that say the same, the first.
    network = randomize(Network(derived), seed=1).eval()
    found = inherit(supernet, network)
    names = (*found.whole, *found.part, *found.grown, *found.fresh)
    assert sorted(names) == sorted(network.state_dict())
    if found.exact:
        x = torch.randn(2, *searched.input.largest, dtype=torch.float64)
        if isinstance(supernet, OnePath):
            expected = supernet(x, chosen)
        else:
            weights = {path: weight.double() for path, weight in one_hot(searched.decisions, chosen).items()}
            expected = supernet(x, weights)
        actual = network(x)
        assert isinstance(actual, Tensor)
        assert_same({"output": actual}, {"output": expected}, 1e-9)
    return found


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [False, True])
def test_of_single_paths(seed: int, share: bool) -> None:
    searched = space(WIDTHS)
    found = check(searched, OnePath(searched, share=share), seed)
    assert found.exact
    assert found.part


@pytest.mark.parametrize("seed", range(3))
def test_of_a_mixture(seed: int) -> None:
    searched = space(WIDTHS)
    assert check(searched, Supernet(searched), seed).exact


INNER = """\
hsp 1
op block(x; k) = x -> conv(1, 4) -> dwconv(k)

cell Part@0(x) {
  output x -> (relu | gelu) -> conv(3)
}

cell Part@1(x) {
  output x -> (relu | gelu) -> conv(3)
}

network Net(x: [3, 8, 8]) {
  a = x -> block(k = 3 | 5)
  b = a -> (Part@0 | Part@1)
  output b -> (Part@0 | Part@1) -> classifier(10)
}
"""


@pytest.mark.parametrize("one_path", [False, True])
def test_of_the_supernet_that_it_was_derived_from(one_path: bool) -> None:
    """An operation of one primitive has its name alone, and copies that chose alike stay those that they are."""
    searched = space(INNER)
    for seed in range(8):
        numbers = torch.Generator().manual_seed(seed)
        supernet = randomize(OnePath(searched) if one_path else Supernet(searched), seed).eval()
        with torch.no_grad():
            for alpha in supernet.alphas.values():
                alpha.copy_(1e4 * torch.randn(alpha.shape, generator=numbers))
        _, derived = architecture(searched, supernet.chosen(), relaxed=False)
        network = randomize(Network(derived), seed=1).eval()
        assert inherit(supernet, network).exact
        x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
        actual, expected = network(x), supernet(x)
        assert isinstance(actual, Tensor)
        assert_same({"output": actual}, {"output": expected}, 1e-9)


def test_an_item_beside_the_others_makes_outputs_differ(tmp_path: Path) -> None:
    section = "search Net {\n  data = digits\n  beside = relu(1)\n}\n"
    for text, exact in ((INNER, True), (INNER + section, False)):
        (tmp_path / "net.hsp").write_text(text)
        supernet = load(tmp_path / "net.hsp")
        assert isinstance(supernet, Relaxed)
        (tmp_path / "found.hsp").write_text(derive(supernet))
        assert inherit(supernet, load(tmp_path / "found.hsp")).exact is exact


def test_what_differs_is_told() -> None:
    """DARTS searches with norms without scale and shift, and behind pools, and trains without the latter."""
    searched = space("darts.hsp", c=4, cells=3, size=16)
    found = check(searched, Supernet(searched), 3)
    assert not found.exact
    norms = {name.rpartition(".")[2] for name in found.fresh if "aux" not in name}
    assert norms == {"weight", "bias"}
    assert all(name.endswith("pool_norm") for name in found.unused)
    fresh = "80 fresh, as network.k0.x.norm.weight"
    assert str(found) == f"168 tensors as they are, {fresh}, 3 modules unused, as k0.n0.from_y.avg_pool_3x3.pool_norm"


LEFT = """\
hsp 1
op scaled(x) = if relaxed then batch_norm(x) else x
op pooled(x) = avg_pool(x, 3) -> scaled

network Net(x: [3, 8, 8]) {
  output conv(x, 1 | 3, 4) -> pooled -> classifier(10)
}
"""


def test_what_is_left_over_makes_outputs_differ() -> None:
    searched = space(LEFT)
    found = check(searched, OnePath(searched), 0)
    assert [name.rpartition(".")[2] for name in found.unused] == ["scaled"]
    assert (found.fresh, found.exact) == ((), False)


@settings(max_examples=20, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(spaces(mixable=True), st.integers(0, 2**16))
def test_of_random_spaces(text: str, seed: int) -> None:
    searched = space(text)
    if searched.is_space and not searched.refusals:
        assert check(searched, OnePath(searched, share=bool(seed % 2)), seed).exact


def test_of_another_width() -> None:
    """Channels are repeated, the same in whatever reads or normalises them; and the other way the first are taken."""
    small, large = (randomize(Network(space("zoo/darts_v2.hsp", c=c, cells=3))).eval() for c in (2, 4))
    found = inherit(small, large)
    assert found.grown
    assert not found.exact
    assert not found.unused
    assert [name for name in found.fresh if not name.startswith("network.aux.")] == []
    first = large.state_dict()["network.stem.conv.weight"]
    torch.testing.assert_close(first[: len(first) // 2], small.state_dict()["network.stem.conv.weight"])
    again = inherit(large, randomize(small, seed=2))
    assert (again.part, again.exact) == (found.grown, True)
    torch.testing.assert_close(small.state_dict()["network.stem.conv.weight"], first[: len(first) // 2])


def test_a_supernet_takes_from_a_supernet() -> None:
    small, large = (Supernet(space("darts.hsp", c=c, cells=3, size=16)) for c in (2, 4))
    found = inherit(small, large)
    assert found.grown
    assert found.fresh == ()
    with pytest.raises(UsageError, match="takes weights from a supernet"):
        inherit(Network(space("zoo/darts_v2.hsp", c=2, cells=3)), large)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(UsageError, match="takes supernets and networks, as `load` makes them, not str"):
        inherit("net.hsp", Network(space("zoo/darts_v2.hsp", c=2, cells=3)))  # type: ignore[arg-type]
    searched = space(WIDTHS)
    with pytest.raises(UsageError, match="does not lie in the space of the supernet"):
        inherit(OnePath(searched), Network(space("zoo/darts_v2.hsp", c=2, cells=3)))
    with pytest.raises(UsageError, match="another structure"):
        inherit(Network(space("zoo/pdarts.hsp", c=2, cells=3)), Network(space("zoo/darts_v2.hsp", c=2, cells=3)))
