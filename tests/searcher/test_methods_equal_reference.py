"""Methods as settings compute what plain torch constructions from the published formulas compute, step by step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from compiler.elaborate import Elaborated
from compiler.program.compile_file import compile_file
from compiler.program.model import Phase
from compiler.searcher.data.load import load_data
from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.engine.search import Searching
from compiler.searcher.relaxations import Relaxed, relaxed
from compiler.searcher.settings.datasets import Fake
from compiler.searcher.settings.sections import SearchSettings
from hdas_dsl.units import LIBRARY
from tests.reference import methods as m
from tests.reference.networks import ChainSupernet
from tests.spaces.test_reference_equality import cell_edges, copy_tensors
from tests.support.programs import randomize

COPIES = {"normal": "Normal", "reduce": "Reduction"}
EPOCHS = 50

TEXTS = {
    "darts": "",
    "fair_darts": "relax = sigmoid\n maximize certainty weight 10",
    "beta_darts": "minimize logsumexp weight ramp(0, 50)",
    "dirichlet": "relax = dirichlet",
    "dirichlet_near_flat": "relax = dirichlet\n minimize divergence weight 0.5",
    "edges": "edges = weighed",
    "edges_and_sigmoid": "edges = weighed\n relax = sigmoid",
    "channels": "channels = partial(2)",
    "pc_darts": "channels = partial(4)\n edges = weighed",
    "sdarts_rs": "perturb = random(ramp(0.03, 0.3))",
    "sdarts_adv": "perturb = adversarial(ramp(0.03, 0.3), steps = 3)",
    "snas": "relax = gumbel(temperature = ramp(1, 0.03))\n levels = 1",
    "gdas": "relax = gumbel(temperature = ramp(10, 0.1), hard = true, idle = ones, picks = all)",
    "gdas_zeros": "relax = gumbel(temperature = ramp(10, 0.1), hard = true, picks = all)",
    "data": "relax = gumbel(temperature = ramp(5, 2.33), hard = true, draws = 3, picks = all, logits = relu)",
    "together": "edges = weighed\n perturb = random(0.1)\n minimize entropy weight 0",
    "second": "order = second",
    "r_darts_dp": "order = second\n drop_path = ramp(0, 0.2, ends = last)",
    "darts_minus": "beside = skip_connect(ramp(1, 0))",
    "dropout": "dropout = skip_connect(pieces(ramp(0.384, 0.224), decay(0.4, 0.8187), at = 10))",
    "additions": "edges = weighed\n channels = partial(2)\n beside = skip_connect(0.5)",
    "oles": "freeze = overfitting(below = 0.1, over = 2)",
    "lambda_darts": 'align = instances(ramp(0, 0.125, ends = last), within = "Normal")',
    "aligned": 'align = instances(2, within = "Normal")\n perturb = random(0.1)',
    "narrowed": "narrow = together(keep = 3, at = 10)",
}


def kept(edge: int) -> list[int]:
    return sorted({edge % 8, (edge + 1) % 8, (edge + 3) % 8})


def eps(now: float) -> float:
    return 0.03 + 0.27 * int(now) / EPOCHS


METHODS = {
    "darts": m.Method(),
    "fair_darts": m.Method(m.sigmoid, penalty=m.certainty(10)),
    "beta_darts": m.Method(penalty=m.mean_logsumexp(lambda now: 50 * int(now) / EPOCHS)),
    "dirichlet": m.Method(m.dirichlet),
    "dirichlet_near_flat": m.Method(m.dirichlet, penalty=m.divergence(0.5)),
    "edges": m.Method(edges=True),
    "edges_and_sigmoid": m.Method(m.sigmoid, edges=True),
    "channels": m.Method(partial=2),
    "pc_darts": m.Method(edges=True, partial=4),
    "sdarts_rs": m.Method(eps=eps),
    "sdarts_adv": m.Method(eps=eps, steps=3),
    "snas": m.Method(m.gumbel(lambda now: 1 - 0.97 * int(now) / EPOCHS), one_level=True),
    "gdas": m.Method(m.gdas(lambda now: 10 - 9.9 * int(now) / EPOCHS), idle_ones=True),
    "gdas_zeros": m.Method(m.gdas(lambda now: 10 - 9.9 * int(now) / EPOCHS), idle_ones=False),
    "data": m.Method(m.data(lambda now: 5 - 2.67 * int(now) / EPOCHS, 3), idle_ones=False),
    "together": m.Method(edges=True, eps=lambda now: 0.1),
    "second": m.Method(second=True),
    "r_darts_dp": m.Method(second=True, drop=lambda now: 0.2 * int(now) / (EPOCHS - 1)),
    "darts_minus": m.Method(beside=lambda now: 1 - int(now) / EPOCHS),
    "dropout": m.Method(dropout=lambda now: 0.4 * 0.8187 ** (int(now) - 10)),
    "additions": m.Method(edges=True, partial=2, beside=lambda now: 0.5),
    "oles": m.Method(overfitting=(0.1, 2)),
    "lambda_darts": m.Method(align=lambda now: 0.125 * int(now) / (EPOCHS - 1)),
    "aligned": m.Method(eps=lambda now: 0.1, align=lambda now: 2),
    "narrowed": m.Method(m.narrowed(kept), kept=kept),
}


def phase(settings: str, cells: int = 3) -> Phase:
    """The search of the DARTS space at a small size, by these settings."""
    text = (LIBRARY / "darts.hsp").read_text(encoding="utf-8").partition("\nsearch Darts")[0]
    text = text.replace("[3, 32, 32]", "[3, 8, 8]")
    section = f"\nsearch Darts(c = 4, cells = {cells}) {{\n data = fake\n epochs = {EPOCHS}\n {settings}\n}}\n"
    program, diagnostics = compile_file(LIBRARY / "darts.hsp", text=text + section)
    assert program is not None, diagnostics
    return program.phases[0]


def plain(space: Elaborated, ours: Relaxed, method: m.Method, cells: int = 3) -> m.Searched:
    """The reference with the same weights and alphas."""
    net = ChainSupernet(4, cells, 10, partial=method.partial).double()
    if method.beside is not None:
        m.with_skips_beside(net).double()
    randomize(net)
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d) and not part.affine:
            part.reset_running_stats()  # those of one tensor have seen the same (`passes.tie`)
    copy_tensors(net, ours.network, space)
    alphas: dict[str, Tensor] = {}
    betas: dict[str, Tensor] = {}
    for key, copy in COPIES.items():
        alphas[key] = torch.randn(14, 8, dtype=torch.float64).requires_grad_()
        for path, row in zip(cell_edges(copy), alphas[key], strict=True):
            ours.alphas[path].data.copy_(row)
        if method.edges:
            betas[key] = torch.randn(14, dtype=torch.float64).requires_grad_()
            for j, part in enumerate(betas[key].split([2, 3, 4, 5])):
                ours.alphas[f"{copy}.n{j}.in"].data.copy_(part)
    return m.Searched(net, alphas, betas)


def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(3, 3, 8, 8, dtype=torch.float64), torch.randint(10, (3,))


@pytest.mark.parametrize("name", METHODS)
def test_three_steps(name: str) -> None:
    torch.manual_seed(0)
    cells = 4 if METHODS[name].align else 3  # of which the first and the last are normal
    found = phase(TEXTS[name], cells)
    settings: SearchSettings = found.settings
    ours = relaxed(found.network, settings, built=found.built).double()
    built = found.built or found.network
    method = METHODS[name]
    theirs = plain(built, ours, method, cells)
    if method.idle_ones is not None:
        m.runs_drawn_only(theirs.net, method.idle_ones)
    if method.drop or method.dropout or method.beside:
        m.regularises(theirs, method)
    searching = Searching(ours, load_data(Fake(count=64), Path("none")), settings, Compute("cpu"))
    if method.kept is not None:
        ours.live.keep({path: method.kept(e) for copy in COPIES.values() for e, path in enumerate(cell_edges(copy))})
        ours.begin(20)
    architecture = [*theirs.alphas.values(), *theirs.betas.values()]
    optimizers = (
        torch.optim.Adam(architecture, lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3),
        torch.optim.SGD(theirs.net.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4),
    )
    ours.train()
    for number in range(3):
        batches = batch(), batch()
        epoch = 20 + number
        theirs.now = float(epoch)
        for group in optimizers[1].param_groups:
            group["lr"] = settings.weights.lr(epoch, EPOCHS)
        torch.manual_seed(number)
        m.step(method, theirs, optimizers, batches)
        torch.manual_seed(number)
        searching.alpha_batch, searching.weight_batch = (None if method.one_level else batches[0]), batches[1]
        searching.step(epoch, 0)
    if method.overfitting is not None:
        assert 0 < len(theirs.stopped) < len(list(theirs.net.parameters()))
        assert searching.freezing is not None
        assert 0 < searching.freezing.count < len(searching.freezing.names)
    for key, copy in COPIES.items():
        rows = torch.stack([ours.alphas[path] for path in cell_edges(copy)])
        torch.testing.assert_close(rows, theirs.alphas[key], rtol=0, atol=1e-10)
        if method.edges:
            shares = torch.cat([ours.alphas[f"{copy}.n{j}.in"] for j in range(4)])
            torch.testing.assert_close(shares, theirs.betas[key], rtol=0, atol=1e-10)
    before = [tensor.clone() for tensor in ours.network.parameters()]
    copy_tensors(theirs.net, ours.network, built)
    for mine, other in zip(before, ours.network.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-10)
