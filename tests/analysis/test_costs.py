"""Costs as functions of decisions: exactly those of the derived network, and their range over a space."""

from __future__ import annotations

import operator
from collections.abc import Callable
from contextlib import suppress
from itertools import product
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from torch import Tensor, fx

from compiler.analysis.costs.block_totals import Costs
from compiler.analysis.costs.cost_polynomial import Costing
from compiler.analysis.costs.of_architecture import ArchitectureCosts
from compiler.analysis.costs.prices import PRICES, UndefinedQuantityError
from compiler.analysis.requirements.evaluate import QuantityRef, Requirements
from compiler.backend.lowering.network import Network
from compiler.backend.passes import FLATTEN
from compiler.backend.torch_modules.mixing import gate
from compiler.derivation.discrete import discrete
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.ir.primitives.registry import PRIMITIVES
from compiler.ir.quantities import Total
from hdas_dsl.text.diagnostics import HspError
from tests.support.programs import architecture, random_decisions, space
from tests.support.random_spaces import spaces

QUANTITIES = ("params", "macs", "memory")


def derived_costs(searched: Elaborated, chosen: Selection) -> tuple[int | None, ...]:
    cost = Costs().block(architecture(searched, chosen)[1].block)
    return cost.params, cost.macs, cost.memory


# ---------------------------------------------------------------- memory, by running the network


class Watched(fx.Interpreter):
    """Adds up the bytes of the tensors that a network makes."""

    made = 0

    def call_module(self, target: Callable[..., Any] | str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        assert isinstance(target, str)
        module = self.submodules[target]
        output = module.forward(*args) if not isinstance(module, fx.GraphModule) else self.inside(module, args)
        return output if isinstance(module, fx.GraphModule) else self.count(args, output)

    def inside(self, module: fx.GraphModule, args: tuple[Any, ...]) -> Any:
        inner = Watched(module)
        output = inner.run(*args)
        self.made += inner.made
        return output

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        output = super().call_function(target, args, kwargs)
        return self.count(args, output) if target in (operator.add, torch.cat, gate) else output

    def count(self, args: tuple[Any, ...], output: Tensor) -> Tensor:
        source = args[0] if isinstance(args[0], Tensor) else None
        if source is None or output.untyped_storage().data_ptr() != source.untyped_storage().data_ptr():
            self.made += output.numel() * output.element_size()
        return output


def watched(found: Elaborated) -> int:
    graph = Network(found, (FLATTEN,), training_only=False).eval().network
    run = Watched(graph)
    run.run(torch.zeros(1, *found.input.largest))
    return run.made


@pytest.mark.parametrize("name", ["nasbench201.hsp", "tree.hsp", "hdas_digits.hsp"])
def test_memory_is_what_the_network_makes(name: str) -> None:
    searched = space(name, "Cells" if name == "hdas_digits.hsp" else None)
    _, found = architecture(searched, random_decisions(searched, 1))
    assert Costs().block(found.block).memory == watched(found)


def test_views_make_nothing() -> None:
    """What the primitives say of themselves is what torch does."""
    views = {op.name for op in PRIMITIVES if op.view}
    same = {"identity", "drop_path", "dropout", "flatten", "unflatten", "permute"}
    assert views == {*same, "crop", "cut", "first_token", "last_token", "next_state"}


# ---------------------------------------------------------------- architectures

NAMES = [
    "darts.hsp",
    "nasbench201.hsp",
    "nats_size.hsp",
    "fbnet.hsp",
    "ofa_mobilenetv3.hsp",
    "autoformer_tiny.hsp",
    "hdas_stages.hsp",
    "hierarchical_nb201.hsp",
]


@pytest.mark.parametrize("name", NAMES)
def test_published_spaces(name: str) -> None:
    searched = space(name)
    costing = Costing(searched)
    formulas = [costing.formula(PRICES[quantity]) for quantity in QUANTITIES]
    for seed in range(2):
        chosen = random_decisions(searched, seed)
        assert tuple(formula.of(chosen) for formula in formulas) == derived_costs(searched, chosen)


def test_a_trellis_is_pruned() -> None:
    """Auto-DeepLab: only cells on the path exist. Its conditions are too many to be written down as a formula."""
    searched = space("autodeeplab.hsp", layers=6, levels=3, size=65)
    costing = Costing(searched)
    for seed in range(3):
        chosen = random_decisions(searched, seed)
        found = tuple(ArchitectureCosts(searched).amount(PRICES[quantity], chosen) for quantity in QUANTITIES)
        assert found == derived_costs(searched, chosen)
        formula = costing.formula(PRICES["params"])
        assert formula.of(chosen) == found[0] if formula.exact else formula.of(chosen) >= found[0]


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(spaces(mixable=True))
def test_random_spaces(text: str) -> None:
    searched = space(text)
    costing = Costing(searched)
    for seed in range(3):
        chosen = random_decisions(searched, seed)
        expected = derived_costs(searched, chosen)
        for quantity, cost in zip(QUANTITIES, expected, strict=True):
            formula = costing.formula(PRICES[quantity])
            assert formula.exact
            assert formula.of(chosen) == cost
            assert ArchitectureCosts(searched).amount(PRICES[quantity], chosen) == cost


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(spaces(prunes=True))
def test_random_spaces_that_are_pruned(text: str) -> None:
    """One architecture is exact where its shapes are known; a formula is exact, or at least as large."""
    searched = space(text)
    costing = Costing(searched)
    chosen = random_decisions(searched, 0)
    try:
        expected = derived_costs(searched, chosen)
    except HspError:
        assume(False)
    for quantity, cost in zip(QUANTITIES, expected, strict=True):
        with suppress(UndefinedQuantityError):  # a concatenation has as many channels as are picked
            formula = costing.formula(PRICES[quantity])
            if formula.exact:
                assert formula.of(chosen) == cost
            else:
                assert cost is not None
                assert formula.of(chosen) >= cost
        with suppress(UndefinedQuantityError):  # a concatenation has as many channels as are picked
            assert ArchitectureCosts(searched).amount(PRICES[quantity], chosen) == cost
        assert Requirements(searched).amount(QuantityRef(Total(quantity)), chosen) == cost


BUNDLES = """\
hsp 1
choice Op = relu | gelu
network Net(image: [4, 8, 8]) {
  t = (image, conv(image, 3, 4))
  p = pick 1 of (conv(image, 1, 4), conv(image, 5, 4))
  output sum(pick 1 of Op(each t))
}
"""


def test_what_lines_hold_counts_though_nothing_reads_it() -> None:
    """The derived text writes it: a convolution in a bundle, the candidate that a pick took."""
    searched = space(BUNDLES)
    formula = Costing(searched).formula(PRICES["params"])
    found = set()
    for seed in range(8):
        chosen = random_decisions(searched, seed)
        found.add(cost := derived_costs(searched, chosen)[0])
        assert formula.of(chosen) == ArchitectureCosts(searched).amount(PRICES["params"], chosen) == cost
    assert found == {9 * 16 + 16, 9 * 16 + 25 * 16}


def test_what_differs_while_it_is_searched() -> None:
    """The norms of a searched cell get their parameters when it is derived, and `none` is never derived."""
    searched = space(
        """hsp 1
op norm(x) = batch_norm(x, affine = not relaxed)

cell Cell(x) {
  output (zero if relaxed | identity | conv(k = 1) -> norm | conv(k = 3) -> norm)(x)
}

network N(x: [4, 8, 8]) {
  output Cell(x)
}
"""
    )
    formula = Costing(searched).formula(PRICES["params"])
    assert [formula.of({"Cell.output.from_x": (item,)}) for item in (1, 2, 3)] == [0, 16 + 8, 144 + 8]
    assert Costs().block(searched.block).params == 16 + 144


def test_choices_of_the_networks_own_arguments_beside_what_is_relaxed() -> None:
    """The discrete variant makes them too: it took the values of the search, and lacked the decisions."""
    searched = space(
        """hsp 1
op norm(x) = batch_norm(x, affine = not relaxed)
op a(x) = x -> conv(3) -> norm

cell Cell(x; o) {
  output o(x)
}

network N(x: [1, 8, 8]; o = a | identity, c = 4 | 8, e = 2 * c, w = (c, e + 1)) {
  output x -> conv(3, w[0], bias = true) -> conv(1, w[1]) -> Cell(o)
}
"""
    )
    formula = Costing(searched).formula(PRICES["params"])
    assert set(searched.once(discrete).network.decisions) == {"N.o", "N.c"} == set(searched.decisions)
    for option, width in product(range(2), range(2)):
        chosen: Selection = {"N.o": (option,), "N.c": (width,)}
        assert formula.of(chosen) == derived_costs(searched, chosen)[0]
