"""Law 8: parameters and multiply-adds computed on the graph are those of the torch module, and the published ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from torch import Tensor, nn

from compiler.analysis.costs.block_totals import Costs
from compiler.backend.lowering.network import Network
from compiler.backend.passes import FLATTEN
from compiler.elaborate import Elaborated
from compiler.searcher.relaxations.supernet import Supernet
from tests.reference import genotypes as g
from tests.reference.ops import operation
from tests.support.programs import SPACES, architecture, published, random_decisions, space
from tests.support.random_spaces import spaces


def is_auxiliary(name: str) -> bool:
    return name.split(".")[0] == "aux"


def counted(searched: Elaborated, *, auxiliary: bool = False) -> tuple[int, int]:
    """Parameters and multiply-adds that hooks on the torch module see; nothing is computed on the meta device."""
    with torch.device("meta"):
        net = Supernet(searched, (FLATTEN,)) if searched.is_space else Network(searched, (FLATTEN,))
        image = torch.zeros(1, *searched.input.largest)
    macs = 0

    def count(module: nn.Module, _: object, output: Tensor) -> None:
        nonlocal macs
        assert isinstance(module, nn.Conv2d | nn.Linear)
        weight = module.weight
        channels = weight.shape[0]
        macs += weight.numel() * (output.numel() // channels)

    for name, part in net.network.named_modules():
        if isinstance(part, nn.Conv2d | nn.Linear) and (auxiliary or not is_auxiliary(name)):
            part.register_forward_hook(count)
    net.eval()(image)
    named = net.network.named_parameters()
    return sum(p.numel() for name, p in named if auxiliary or not is_auxiliary(name)), macs


def check(searched: Elaborated) -> None:
    cost = Costs().block(searched.block)
    assert (cost.params, cost.macs) == counted(searched)


# ---------------------------------------------------------------- every space, and architectures of it

NETWORKS: dict[str, dict[str, Any]] = {path.name: {} for path in sorted(SPACES.glob("*.hsp"))}
NETWORKS["hdas_dist.hsp"] = {"name": "Hdas", "Stage": "Open", "cells": 8}
NETWORKS["hdas_digits.hsp"] = {"name": "Cells"}
NETWORKS["autodeeplab.hsp"] = {"layers": 3, "levels": 3, "size": 33}
NETWORKS["hdas_cells.hsp"] = NETWORKS["darts.hsp"] = NETWORKS["drnas.hsp"] = {"cells": 4}
for phased in (
    "hdas_cifar.hsp",
    "hdas_cifar_joint.hsp",
    "hdas_imagenet.hsp",
    "hdas_digits_joint.hsp",
    "hdas_digits_trained.hsp",
):
    NETWORKS.pop(phased, None)  # searches of networks that other files hold
for darts in ("fair_darts.hsp", "robustdarts_s1.hsp", "robustdarts_s2.hsp", "robustdarts_s3.hsp", "robustdarts_s4.hsp"):
    NETWORKS.pop(darts)  # the network of darts.hsp; `test_spaces` looks at them


@cache
def whole(name: str) -> Elaborated:
    return space(name, **NETWORKS[name])


@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - {"hierarchical_nb201.hsp"}))  # thousands of cells
def test_supernets(name: str) -> None:
    searched = whole(name)
    if searched.refusals:
        pytest.skip("cannot be mixed")
    check(searched)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", sorted(NETWORKS.keys() - {"nasbench101.hsp"}))  # not all decisions give a cell
def test_derived(name: str, seed: int) -> None:
    searched = whole(name)
    _, derived = architecture(searched, random_decisions(searched, seed))
    check(derived)


ZOO = ("darts_v1", "darts_v2", "fairdarts_a", "pdarts", "hdas_*")
"""Files of the zoo; those of other published cells differ in the operations of their edges alone."""


@pytest.mark.parametrize("name", sorted(path.name for name in ZOO for path in (SPACES / "zoo").glob(f"{name}.hsp")))
def test_the_zoo(name: str) -> None:
    check(space(Path("zoo") / name))


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(spaces(mixable=True))
def test_random_spaces(text: str) -> None:
    searched = space(text)
    if not searched.refusals:
        check(searched)
    _, derived = architecture(searched, random_decisions(searched, 0))
    check(derived)


def test_rectangular_kernels() -> None:
    """Each axis has a kernel and a stride of its own; a 7x1 behind a 1x7 is the operation of older cells."""
    text = """hsp 1
use "lib/darts.hsp"

network N(image: [4, 16, 16]) {
  x = conv_7x1_1x7(image) -> conv_7x1_1x7(2)
  output x -> rect_conv(3, 5, 6, 2, 1, groups = 2, bias = true)
}
"""
    searched = space(text)
    check(searched)
    ours = Network(searched, (FLATTEN,)).double().eval()
    theirs = nn.Sequential(
        *(operation("conv_7x1_1x7", 4, stride, affine=True, pool_norm=False) for stride in (1, 2)),
        nn.Conv2d(4, 6, (3, 5), stride=(2, 1), padding=(1, 2), groups=2),
    )
    theirs.double().eval()
    for ours_, theirs_ in zip(ours.parameters(), theirs.parameters(), strict=True):
        theirs_.data.copy_(ours_)
    x = torch.randn(2, 4, 16, 16, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x))


# ---------------------------------------------------------------- published figures

IMAGENET = {"size": 224, "c": 39, "cells": 4, "stem_stride": 8, "classes": 1000}


def stages(dags: tuple[g.Dag, ...], **args: Any) -> Elaborated:
    searched = space("hdas_stages.hsp", **args)
    return architecture(searched, published(searched, {f"Stage@{k}": dag for k, dag in enumerate(dags)}))[1]


FIGURES: dict[str, tuple[Callable[[], Elaborated], int, int | None, int]] = {
    "DARTS_V2": (lambda: space("zoo/darts_v2.hsp", c=36, cells=20), 3_349_342, 528_359_040, 0),
    "P-DARTS": (lambda: space("zoo/pdarts.hsp", c=36, cells=20), 3_433_798, 532_174_464, 0),
    "H^s CIFAR stages": (lambda: stages(g.HS_CIFAR, c=36), 4_401_298, 708_519_168, 0),
    "H^s ImageNet stages": (lambda: stages(g.HS_IMAGENET, **IMAGENET), 5_150_682, 555_390_960, 0),
    "DARTS supernet": (lambda: space("darts.hsp"), 1_930_618, 300_255_744, 224),
    "H^c supernet": (lambda: space("hdas_cells.hsp"), 1_930_618, 300_255_744, 560),
    "H^s supernet": (lambda: space("hdas_stages.hsp"), 918_186, 150_402_048, 204),
    "H^s ImageNet supernet": (lambda: space("hdas_stages.hsp", cells=4), 685_898, None, 132),
    "distribution supernet": (
        lambda: space("hdas_dist.hsp", "Hdas", Stage="Open", cells=8),
        1_150_474,
        185_963_520,
        291,
    ),
}


@pytest.mark.parametrize("row", FIGURES)
def test_published_figures(row: str) -> None:
    make, params, macs, alphas = FIGURES[row]
    searched = make()
    cost = Costs().block(searched.block)
    assert cost.params == params
    assert macs is None or cost.macs == macs
    assert searched.alphas == alphas


def test_published_auxiliary_head() -> None:
    found = space("zoo/darts_v2.hsp", c=36, cells=20)
    assert counted(found, auxiliary=True)[0] - counted(found)[0] == 476_426
