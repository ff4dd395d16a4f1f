"""Every file of `spaces/tasks/`: counted, searched by steps on data of its kind, derived, trained, exported."""

from __future__ import annotations

import decimal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_wine
from torch import Tensor, nn
from torch.nn import functional as F

from compiler.analysis.costs.block_totals import Costs
from compiler.analysis.membership.query import membership
from compiler.backend.export import ExportKind, export
from compiler.backend.lowering.network import Network
from compiler.derivation import derive_module
from compiler.program.compile_file import compile_file
from compiler.program.overrides import read_override
from compiler.reports.facts import cardinality
from compiler.searcher.relaxations import relaxed
from compiler.searcher.settings.sections import SearchSettings
from hdas_dsl.tree.printer import print_module
from tests.support.paths import SPACES
from tests.support.programs import space

FOLDER = SPACES / "tasks"
Batch = tuple[Tensor, Tensor]


def waves() -> Batch:
    """A frequency for each of ten classes, at random phases, with noise."""
    labels = torch.arange(40) % 10
    angles = torch.arange(40) * (labels[:, None] + 1) * 0.15 + 6.3 * torch.rand(40, 1)
    return (angles.sin() + 0.1 * torch.randn(40, 40)).unsqueeze(1), labels


def squares() -> Batch:
    """Bright squares on noise, and which pixels are theirs."""
    masks = torch.zeros(8, 16, 16, dtype=torch.long)
    for mask, (top, left, side) in zip(masks, torch.randint(2, 8, (8, 3)).tolist(), strict=True):
        mask[top : top + side, left : left + side] = 1
    return masks.unsqueeze(1) + 0.3 * torch.randn(8, 3, 16, 16), masks


def documentation() -> Batch:
    """The text of Python's `decimal`, byte by byte: each byte is to be foretold from those before it."""
    text = torch.tensor(list((decimal.__doc__ or "").encode()))
    windows = text.unfold(0, 25, 25)[:16]
    return windows[:, :-1], windows[:, 1:]


def wine() -> Batch:
    rows, labels = load_wine(return_X_y=True)
    scaled = (rows - rows.mean(0)) / rows.std(0)
    return torch.tensor(scaled, dtype=torch.float32), torch.tensor(labels)


CASES: dict[str, tuple[int, dict[str, object], Callable[[], Batch]]] = {
    "series": (3_528, {"c": 8}, waves),
    "unet": (9_216, {"c": 4, "image": (3, 16, 16)}, squares),
    "text": (72, {"c": 16, "words": 24}, documentation),
    "table": (100, {"c": 8}, wine),
}
"""The number of architectures, arguments that make the network small, and what it learns."""


def fit(network: Callable[..., Tensor], tensors: list[nn.Parameter], batch: Batch, steps: int) -> tuple[float, float]:
    """The loss before and after some steps on one batch."""
    optimizer, losses = torch.optim.Adam(tensors, 0.01), []
    for _ in range(steps + 1):
        loss = F.cross_entropy(network(batch[0]), batch[1])
        losses.append(float(loss.detach()))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return losses[0], losses[-1]


def test_every_file_has_a_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.hsp")} == {*CASES, "darts_imagenet"}


@pytest.mark.parametrize("name", CASES)
def test_a_search_on_data_of_its_kind(name: str, tmp_path: Path) -> None:
    count, arguments, data = CASES[name]
    path = FOLDER / f"{name}.hsp"
    torch.manual_seed(0)
    batch = data()
    overrides = [read_override(f"{key}={value}") for key, value in arguments.items()]
    program, diagnostics = compile_file(path, overrides)
    assert program is not None, diagnostics
    assert cardinality(program.network) == count
    supernet = relaxed(program.network, SearchSettings())
    alphas = list(supernet.alphas.values())
    before = [alpha.detach().clone() for alpha in alphas]
    first, last = fit(supernet, [*supernet.weights(), *alphas], batch, 12)
    assert last < 0.95 * first
    assert all(not torch.equal(a, b) for a, b in zip(before, alphas, strict=True))
    found = print_module(derive_module(program.network, supernet.answer(supernet.alphas).chosen))
    derived, diagnostics = compile_file("derived.hsp", text=found)
    assert derived is not None, diagnostics
    assert not derived.is_space
    assert membership(program, derived).inside
    network = Network(derived.network)
    first, last = fit(network, list(network.parameters()), batch, 12)
    assert last < 0.9 * first
    report = export(derived.network, ExportKind.PY, tmp_path / "net.py", network.state_dict())
    assert report.parameters == Costs().block(derived.network.block).params


@pytest.mark.parametrize(("cells", "millions"), [("darts_v2", "4.7"), ("pdarts", "4.9"), ("", "5.3")])
def test_the_network_of_darts_for_imagenet(cells: str, millions: str) -> None:
    """The parameters that papers give for cells in it: of DARTS, P-DARTS, and PC-DARTS found on ImageNet."""
    text = (FOLDER / "darts_imagenet.hsp").read_text(encoding="utf-8")
    if cells:
        other = (SPACES / "zoo" / f"{cells}.hsp").read_text(encoding="utf-8")
        text = other[: other.index("\nnetwork ")] + text[text.index("\nnetwork ") :]
    costs = Costs().block(space(text).block)
    assert costs.params is not None
    assert f"{costs.params / 1e6:.1f}" == millions
    if not cells:
        assert (costs.params, costs.macs) == (5_342_464, 581_627_328)
