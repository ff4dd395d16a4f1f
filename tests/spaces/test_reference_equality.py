"""Our networks compute what the plain PyTorch constructions of `tests/reference` compute, forward and backward."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compiler.backend.lowering.network import Network
from compiler.backend.passes import FLATTEN, PASSES, Pass
from compiler.elaborate import Elaborated
from compiler.ir.decision import DecisionKind
from compiler.searcher.relaxations.supernet import Supernet
from tests.reference import genotypes as g
from tests.reference.networks import ChainNetwork, ChainSupernet, StageNetwork, StageSupernet, window
from tests.support.programs import architecture, assert_same, floats, in_order, load, published, randomize, space

DIST = "hdas_dist.hsp"
BOTH = pytest.mark.parametrize("passes", [(FLATTEN,), PASSES], ids=["naive", "optimised"])


# ---------------------------------------------------------------- which path is which row


def cell_edges(copy: str) -> Iterator[str]:
    """Paths of the edges of a cell, node by node and source by source."""
    for j in range(4):
        for source in ("x", "y", *(f"n{i}" for i in range(j))):
            yield f"{copy}.n{j}.from_{source}"


def stage_edges(copy: str, cells: int) -> Iterator[str]:
    for j in range(cells):
        for i in window(j):
            yield f"{copy}.s{j}.mix.from_{'ab'[i] if i < 2 else f's{i - 2}'}"


# ---------------------------------------------------------------- comparison


def copy_tensors(theirs: nn.Module, ours: nn.Module, space_: Elaborated) -> None:
    """Parameters and running statistics, by their order in the text."""
    for get in (nn.Module.named_parameters, nn.Module.named_buffers):
        mine, other = in_order(floats(get(ours)), space_), dict(floats(get(theirs)))
        assert [t.shape for t in mine.values()] == [t.shape for t in other.values()]
        for tensor, value in zip(mine.values(), other.values(), strict=True):
            tensor.data.copy_(value)


def values(module: nn.Module, named: Mapping[str, Tensor], x: Tensor, *args: Any) -> dict[str, Tensor]:
    """Outputs, gradients of the input and of the weights, and running statistics afterwards."""
    x = x.clone().requires_grad_()
    module.zero_grad()
    result = module(x, *args)
    outputs = result if isinstance(result, tuple) else (result,)
    torch.manual_seed(5)
    sum((torch.randn_like(output) * output).sum() for output in outputs).backward()
    found = {f"output {i}": output.detach() for i, output in enumerate(outputs)} | {"input": x.grad}
    for i, tensor in enumerate(named.values()):
        found[f"tensor {i}"] = tensor.grad if tensor.requires_grad else tensor
    return {name: torch.zeros(()) if tensor is None else tensor for name, tensor in found.items()}


def gradient(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad


def tensors(module: nn.Module, space_: Elaborated | None) -> dict[str, Tensor]:
    parts = [floats(module.named_parameters()), floats(module.named_buffers())]
    return {k: v for part in parts for k, v in (dict(part) if space_ is None else in_order(part, space_)).items()}


# ---------------------------------------------------------------- supernets


@dataclass(frozen=True)
class Case:
    """A supernet of ours, the reference's, and the path of every row of its alphas."""

    space: Elaborated
    reference: ChainSupernet | StageSupernet
    rows: dict[str, list[str]]


def darts() -> Case:
    rows = {"normal": list(cell_edges("Normal")), "reduce": list(cell_edges("Reduction"))}
    return Case(space("darts.hsp", size=16, c=4, cells=5), ChainSupernet(4, 5, 10), rows)


def hdas_cells() -> Case:
    rows = {f"normal{k}": list(cell_edges(f"Normal@{k}")) for k in range(3)}
    rows |= {f"reduce{k}": list(cell_edges(f"Reduction@{k + 1}")) for k in range(2)}
    return Case(space("hdas_cells.hsp", size=16, c=4, cells=6), ChainSupernet(4, 6, 10, per_level=True), rows)


def hdas_stages() -> Case:
    rows = {f"stage{k}": list(stage_edges(f"Stage@{k}", 6)) for k in range(3)}
    return Case(space("hdas_stages.hsp", size=16, c=2), StageSupernet(g.DARTS_V2, 2, 3, 6, 10), rows)


def hdas_dist() -> Case:
    rows = {f"stage{k}": list(stage_edges(f"Open@{k}", 8)) for k in range(2)}
    rows |= {f"beta{k}": [f"Open@{k}.s"] for k in range(2)}
    found = space(DIST, "Hdas", size=8, c=2, stages=2, Stage="Open", cells=8)
    return Case(found, StageSupernet(g.DARTS_V2, 2, 2, 8, 10, shortest=4), rows)


@BOTH
@pytest.mark.parametrize("case", [darts, hdas_cells, hdas_stages, hdas_dist], ids=lambda case: case.__name__)
def test_supernets(case: Callable[[], Case], passes: tuple[Pass, ...]) -> None:
    made = case()
    theirs = made.reference
    randomize(theirs)
    for part in theirs.modules():
        if isinstance(part, nn.BatchNorm2d) and not part.affine:
            part.reset_running_stats()  # those of one tensor have seen the same (`passes.tie`)
    ours = Supernet(made.space, passes).double()
    copy_tensors(theirs, ours.network, made.space)
    assert sorted(path for paths in made.rows.values() for path in paths) == sorted(ours.alphas)
    alphas = {}
    for key, shape in theirs.alpha_shapes.items():
        alphas[key] = torch.randn(shape, dtype=torch.float64).requires_grad_()
        for path, row in zip(made.rows[key], alphas[key].reshape(-1, shape[-1]), strict=True):
            ours.alphas[path].data.copy_(row)
    x = torch.randn(2, *made.space.input.largest, dtype=torch.float64)
    for training in (True, False):
        expected = values(theirs.train(training), tensors(theirs, None), x, alphas)
        actual = values(ours.train(training), tensors(ours.network, made.space), x)
        assert_same(actual, expected)
        found = {key: torch.cat([gradient(ours.alphas[path]) for path in paths]) for key, paths in made.rows.items()}
        assert_same(found, {key: gradient(alphas[key]).flatten() for key in made.rows})
        for alpha in alphas.values():
            alpha.grad = None


# ---------------------------------------------------------------- discrete networks


def compare(space_: Elaborated, theirs: nn.Module, passes: Iterable[Pass]) -> None:
    """In training with the auxiliary output; in evaluation ours has none, so that only the main one is compared."""
    randomize(theirs)
    ours = Network(space_, passes).double()
    copy_tensors(theirs, ours.network, space_)
    x = torch.randn(2, *space_.input.largest, dtype=torch.float64)
    expected = values(theirs, tensors(theirs, None), x)
    assert ("output 1" in expected) is ours.has_aux
    assert_same(values(ours, tensors(ours.network, space_), x), expected)
    main = theirs.eval()(x)
    assert_same({"output": ours.eval()(x)}, {"output": main[0] if isinstance(main, tuple) else main})


@cache
def darts_space() -> Elaborated:
    return space("darts.hsp", c=4, cells=4)


def chain_dags(genotype: g.Genotype) -> dict[str, g.Dag]:
    if len(genotype.normals) == 1:
        return {"Normal": genotype.normals[0], "Reduction": genotype.reductions[0]}
    named = {f"Normal@{k}": dag for k, dag in enumerate(genotype.normals)}
    return named | {f"Reduction@{k + 1}": dag for k, dag in enumerate(genotype.reductions)}


@BOTH
@pytest.mark.parametrize("pool_norm", [False, True])
def test_the_zoo(pool_norm: bool, passes: tuple[Pass, ...]) -> None:
    text = load("zoo/darts_v2.hsp").unit.source.text
    if pool_norm:
        text = text.replace('use "lib/darts.hsp"', 'use "lib/darts.hsp" with pool_norm = norm')
    found = space(text, c=4, cells=5)
    compare(found, ChainNetwork(g.DARTS_V2, 4, 5, 10, pool_norm=pool_norm, auxiliary=True), passes)


@BOTH
@pytest.mark.parametrize("name", ["DARTS_V1", "P_DARTS"])
def test_cells_derived_from_the_space_of_darts(name: str, passes: tuple[Pass, ...]) -> None:
    genotype = getattr(g, name)
    searched = darts_space()
    _, found = architecture(searched, published(searched, chain_dags(genotype)))
    compare(found, ChainNetwork(genotype, 4, 4, 10, auxiliary=True), passes)


@BOTH
def test_cells_derived_from_the_space_of_hdas(passes: tuple[Pass, ...]) -> None:
    searched = space("hdas_cells.hsp", c=2, cells=6)
    _, found = architecture(searched, published(searched, chain_dags(g.HC_DAS)))
    compare(found, ChainNetwork(g.HC_DAS, 2, 6, 10, pool_norm=True, auxiliary=True), passes)


@BOTH
def test_stages_derived_from_the_space_of_hdas(passes: tuple[Pass, ...]) -> None:
    searched = space("hdas_stages.hsp", c=2)
    _, found = architecture(searched, published(searched, {f"Stage@{k}": dag for k, dag in enumerate(g.HS_CIFAR)}))
    compare(found, StageNetwork(g.HS_CIFAR, g.DARTS_V2, 2, 10, auxiliary=True), passes)


@BOTH
def test_stages_for_imagenet(passes: tuple[Pass, ...]) -> None:
    """Three strided convolutions first; an auxiliary head with another stride and without its last norm."""
    searched = space("hdas_stages.hsp", c=2, cells=4, stem_stride=8, classes=5, size=224)
    _, found = architecture(searched, published(searched, {f"Stage@{k}": dag for k, dag in enumerate(g.HS_IMAGENET)}))
    compare(found, StageNetwork(g.HS_IMAGENET, g.DARTS_V2, 2, 5, imagenet=True, auxiliary=True), passes)


@BOTH
def test_stages_of_different_lengths(passes: tuple[Pass, ...]) -> None:
    searched = space(DIST, "Hdas", c=2, Stage="Open", cells=8)
    stages = tuple(dag[:cells] for dag, cells in zip(g.HS_CIFAR, (4, 6, 5), strict=True))
    decided = published(searched, {f"Open@{k}": dag for k, dag in enumerate(stages)})
    for k, dag in enumerate(stages):
        size = searched.decisions[f"Open@{k}.s"]
        assert size.kind is DecisionKind.SIZE
        decided[size.path] = (size.numbers.index(len(dag)),)
    _, found = architecture(searched, decided)
    compare(found, StageNetwork(stages, g.DARTS_V2, 2, 10, auxiliary=True), passes)
