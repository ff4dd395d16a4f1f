"""The reference constructions against the published figures and against each other."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from tests.reference import genotypes as g
from tests.reference.depth import depth_raw, depth_window, expected_cells
from tests.reference.measure import macs, params
from tests.reference.networks import ChainNetwork, ChainSupernet, StageNetwork, StageSupernet, window
from tests.reference.ops import DARTS_OPS, STAGE_OPS

CIFAR, IMAGENET = (3, 32, 32), (3, 224, 224)


def meta(build: Callable[..., nn.Module], *args: Any, **options: Any) -> Any:
    with torch.device("meta"):
        return build(*args, **options)


FIGURES = [
    ("darts_v2", ChainNetwork, (g.DARTS_V2, 36, 20), {}, CIFAR, 3_349_342, 528_359_040),
    ("p_darts", ChainNetwork, (g.P_DARTS, 36, 20), {}, CIFAR, 3_433_798, 532_174_464),
    ("hs_cifar", StageNetwork, (g.HS_CIFAR, g.DARTS_V2, 36), {}, CIFAR, 4_401_298, 708_519_168),
    (
        "hs_imagenet",
        StageNetwork,
        (g.HS_IMAGENET, g.DARTS_V2, 39, 1000),
        {"imagenet": True},
        IMAGENET,
        5_150_682,
        555_390_960,
    ),
    ("darts_supernet", ChainSupernet, (16, 8), {}, CIFAR, 1_930_618, 300_255_744),
    ("hc_supernet", ChainSupernet, (16, 8), {"per_level": True}, CIFAR, 1_930_618, 300_255_744),
    ("hs_supernet", StageSupernet, (g.DARTS_V2, 16), {}, CIFAR, 918_186, 150_402_048),
    ("hs_imagenet_supernet", StageSupernet, (g.DARTS_V2, 16), {"cells": 4}, CIFAR, 685_898, None),
    (
        "distribution_supernet",
        StageSupernet,
        (g.DARTS_V2, 16),
        {"cells": 8, "shortest": 4},
        CIFAR,
        1_150_474,
        185_963_520,
    ),
]


@pytest.mark.parametrize(
    ("build", "args", "options", "image", "parameters", "multiply_adds"),
    [row[1:] for row in FIGURES],
    ids=[row[0] for row in FIGURES],
)
def test_published_figures(
    build: Callable[..., nn.Module],
    args: tuple[Any, ...],
    options: dict[str, Any],
    image: tuple[int, int, int],
    parameters: int,
    multiply_adds: int | None,
) -> None:
    model = meta(build, *args, **options)
    assert params(model) == parameters
    if multiply_adds is not None:
        assert macs(model, image) == multiply_adds


def alphas_of(model: Any) -> int:
    return sum(torch.Size(shape).numel() for shape in model.alpha_shapes.values())


def test_numbers_of_architecture_parameters() -> None:
    assert alphas_of(meta(ChainSupernet)) == 224
    assert alphas_of(meta(ChainSupernet, per_level=True)) == 560
    assert alphas_of(meta(StageSupernet, g.DARTS_V2)) == 204
    assert alphas_of(meta(StageSupernet, g.DARTS_V2, cells=4)) == 132
    assert alphas_of(meta(StageSupernet, g.DARTS_V2, cells=8, shortest=4)) == 291


def test_auxiliary_head() -> None:
    plain, with_head = (meta(ChainNetwork, g.DARTS_V2, auxiliary=on) for on in (False, True))
    assert params(with_head) - params(plain) == 476_426
    logits, aux = with_head(torch.empty(2, *CIFAR, device="meta"))
    assert logits.shape == aux.shape == (2, 10)
    stages = meta(StageNetwork, g.HS_IMAGENET, g.HC_DAS, 8, 5, imagenet=True, auxiliary=True)
    assert [y.shape for y in stages(torch.empty(2, *IMAGENET, device="meta"))] == [(2, 5), (2, 5)]


def test_every_published_cell_builds_a_network() -> None:
    for genotype in (g.DARTS_V1, g.DARTS_V2, g.P_DARTS, g.HC_DAS):
        for model in (ChainNetwork(genotype, 4, 6, 5, pool_norm=True), StageNetwork(g.HS_CIFAR, genotype, 4, 5)):
            assert model(torch.randn(2, 3, 16, 16)).shape == (2, 5)


# --- a supernet with one-hot weights is the discrete network


def one_hot(decided: g.Dag, sources: Callable[[int], range], ops: tuple[str, ...]) -> torch.Tensor:
    """Logits that leave one operation of each edge: the decided one, `none` where there is no edge."""
    rows = []
    for j, node in enumerate(decided):
        chosen = {source: op for op, source in node}
        for source in sources(j):
            row = torch.full((len(ops),), -torch.inf, dtype=torch.float64)
            row[ops.index(chosen.get(source, "none"))] = 0
            rows.append(row)
    return torch.stack(rows)


def randomize(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        for p in model.parameters():
            p.uniform_(-1, 1)
    return model.double()


def copy(source: nn.Module, target: nn.Module) -> None:
    target.load_state_dict(source.state_dict())


def copy_all(source: Any, target: Any, *names: str) -> None:
    for name in names:
        copy(getattr(source, name), getattr(target, name))


def input_of(model: nn.Module) -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(4, 3, 16, 16, dtype=next(model.parameters()).dtype)


@pytest.mark.parametrize(("genotype", "per_level"), [(g.DARTS_V2, False), (g.P_DARTS, False), (g.HC_DAS, True)])
def test_one_hot_chain(genotype: g.Genotype, per_level: bool) -> None:
    torch.manual_seed(0)
    supernet: Any = randomize(ChainSupernet(2, 6, 5, per_level=per_level))
    network: Any = randomize(ChainNetwork(genotype, 2, 6, 5, pool_norm=True, affine=False))
    copy_all(supernet, network, "stem", "classifier")
    for theirs, ours in zip(supernet.cells, network.cells, strict=True):
        copy_all(theirs, ours, "x", "y")
        for mixed, edges, chosen in zip(theirs.nodes, ours.nodes, ours.dag, strict=True):
            for edge, (op, source) in zip(edges, chosen, strict=True):
                copy(mixed[source][op], edge)
    dags = {"normal": genotype.normal, "reduce": genotype.reduction}
    alphas = {
        key: one_hot(dags[key.rstrip("012")](int(key[-1]) if per_level else 0), lambda j: range(j + 2), DARTS_OPS)
        for key in supernet.alpha_shapes
    }
    x = input_of(supernet)
    torch.testing.assert_close(supernet(x, alphas), network(x))
    assert not torch.allclose(supernet(x), network(x))


def copy_stages(supernet: Any, network: Any) -> None:
    copy_all(supernet, network, "stem", "classifier")
    for i, (theirs, ours) in enumerate(zip(supernet.blocks, network.blocks, strict=True)):
        if i % 2:
            copy(theirs, ours)
            continue
        copy_all(theirs, ours, "a", "b")
        for j, (wide, node) in enumerate(zip(theirs.nodes, ours.nodes, strict=False)):
            copy(wide.cell, node.cell)
            for edge, (op, source) in zip(node.edges, ours.dag[j], strict=True):
                copy(wide.edges[source - window(j)[0]][op], edge)


@pytest.mark.parametrize("stages", [g.HS_CIFAR, g.HS_IMAGENET])
def test_one_hot_stages(stages: tuple[g.Dag, ...]) -> None:
    torch.manual_seed(0)
    supernet = randomize(StageSupernet(g.HC_DAS, 2, 3, len(stages[0]), 5))
    network = randomize(StageNetwork(stages, g.HC_DAS, 2, 5, stage_affine=False))
    copy_stages(supernet, network)
    x = input_of(supernet)
    alphas = {f"stage{k}": one_hot(stage, window, STAGE_OPS) for k, stage in enumerate(stages)}
    torch.testing.assert_close(supernet(x, alphas), network(x))


def test_one_hot_distribution() -> None:
    torch.manual_seed(0)
    lengths = (4, 6, 5)
    supernet = randomize(StageSupernet(g.DARTS_V2, 2, 3, 8, 5, shortest=4))
    decided = tuple(stage[:n] for stage, n in zip(g.HS_CIFAR, lengths, strict=True))
    network = randomize(StageNetwork(decided, g.DARTS_V2, 2, 5, stage_affine=False))
    copy_stages(supernet, network)
    x = input_of(supernet)
    alphas = {}
    for k, (stage, n) in enumerate(zip(decided, lengths, strict=True)):
        # What follows the end is computed, and not used.
        padded = stage + tuple(tuple(("skip_connect", s) for s in window(j)[:2]) for j in range(n, 8))
        alphas[f"stage{k}"] = one_hot(padded, window, STAGE_OPS)
        alphas[f"beta{k}"] = torch.full((5,), -torch.inf, dtype=torch.float64)
        alphas[f"beta{k}"][n - 4] = 0
    torch.testing.assert_close(supernet(x, alphas), network(x))


# --- depth, by hand


def test_depth_raw_by_hand() -> None:
    # Two nodes: d0 = (1 + 2) / 2; d1 = (3 * 1 + 4 * 1 + 5 * (d0 + 1)) / 3, the mean of both; other columns are zero.
    alphas = torch.zeros(5, 4, dtype=torch.float64)
    alphas[:, 3] = torch.tensor([1.0, 2, 3, 4, 5])
    d0 = 1.5
    d1 = (3 + 4 + 5 * 2.5) / 3
    assert depth_raw(alphas, 2).item() == pytest.approx((d0 + d1) / 2)
    alphas[0, 0] = 2  # `none` counts: its own d0 = 1 with nothing after it
    assert depth_raw(alphas, 2).item() == pytest.approx((d0 + d1 + 1) / 2)


def test_depth_raw_slides_the_window() -> None:
    # Three nodes and every strength 1: d0 = 1, d1 = (1 + 1 + 2) / 3; node 2 reads b, c0, c1.
    alphas = torch.zeros(8, 4)
    alphas[:, 1] = 1
    d1 = 4 / 3
    assert depth_raw(alphas, 3).item() == pytest.approx((1 + d1 + (1 + 2 + d1 + 1) / 3) / 3)


def test_depth_window_by_hand() -> None:
    # Equal logits: strengths 1/2, 1/2; 1/3 each. d0 = (1/2 + 1/2) / 2, d1 = (1/3 + 1/3 + 1/3 * (d0 + 1)) / 3.
    alphas = torch.zeros(5, 4, dtype=torch.float64)
    d1 = (2 / 3 + 1.5 / 3) / 3
    assert depth_window(alphas, 2).item() == pytest.approx((0.5 + d1) / 2)
    alphas[:, 0] = torch.arange(5.0)  # `none` has no say
    assert depth_window(alphas, 2).item() == pytest.approx((0.5 + d1) / 2)
    alphas[4, 2] = torch.log(torch.tensor(2.0))  # exp: 1, 1, 2 -> strengths 1/4, 1/4, 1/2
    d1 = (1 / 4 + 1 / 4 + 1.5 / 2) / 3
    assert depth_window(alphas, 2).item() == pytest.approx((0.5 + d1) / 2)


def test_depth_window_with_ends_by_hand() -> None:
    # Three cells, ends after c1 and c2 with shares 1/4 and 3/4: d1 gains 1 + 1/4 before c2 reads it, d2 1 + 2 * 3/4.
    alphas = torch.zeros(8, 4, dtype=torch.float64)
    betas = torch.tensor([1.0, 3.0], dtype=torch.float64).log()
    d1 = (2 / 3 + 1.5 / 3) / 3 * 1.25
    d2 = (1 + 1.5 + d1 + 1) / 3 / 3 * 2.5
    assert depth_window(alphas, 3, betas).item() == pytest.approx((0.5 + d1 + d2) / 3)


def test_depth_of_eight_cells_starts_at_the_fourth() -> None:
    torch.manual_seed(0)
    alphas = torch.randn(23, 4, dtype=torch.float64)
    betas = torch.tensor([50.0, 0, 0, 0, 0], dtype=torch.float64)  # ends after c3: only d3 is multiplied, by 1 + 3
    plain, scaled = depth_window(alphas[:8], 3), depth_window(alphas[:11], 4, betas[:1])
    d3 = depth_window(alphas[:11], 4) * 4 - plain * 3
    torch.testing.assert_close(scaled * 4, plain * 3 + 4 * d3)
    assert depth_window(alphas, 8, betas) > depth_window(alphas, 8)


def test_expected_cells_by_hand() -> None:
    assert expected_cells(torch.zeros(5)).item() == pytest.approx(6)
    assert expected_cells(torch.tensor([1.0, 3.0]).log(), 4).item() == pytest.approx(4.75)
