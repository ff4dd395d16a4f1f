"""Searches that draw compute what plain torch constructions from the published formulas compute, step by step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from compiler.backend.fused.kernel import no_kernel
from compiler.ir.decision import Selection
from compiler.program.compile_file import compile_file
from compiler.program.model import Phase
from compiler.searcher.data.load import load_data
from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.engine.search import Searching
from compiler.searcher.engine.teacher import distillation_loss, soft_labels
from compiler.searcher.relaxations import Gates, OnePath, relaxed
from compiler.searcher.relaxations.path_executor import Operations
from compiler.searcher.settings.datasets import Fake
from hdas_dsl.text.diagnostics import Diagnostic
from tests.reference import paths as p
from tests.spaces.test_reference_equality import copy_tensors
from tests.support.programs import randomize

MENUS = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = unit(k = 1) | unit(k = 3) | identity
network Net(image: [1, 8, 8]; classes = 3) {
  stem = image -> conv(3, 4) -> batch_norm
  a = stem -> Op
  b = a -> Op
  c = b -> Op
  output c -> classifier(classes)
}
"""
NUMBERS = MENUS.replace("-> Op", "-> conv(k = 1 | 3)")
EPOCHS = 50


def phase(settings: str, text: str = MENUS) -> Phase:
    section = f"search Net {{\n data = fake(classes = 3)\n epochs = {EPOCHS}\n {settings}\n}}\n"
    program, wrong = compile_file("n.hsp", text=text + section)
    assert program is not None, [Diagnostic.render(d) for d in wrong]
    return program.phases[0]


class Both:
    """Ours and the reference with the same weights and alphas, and what ours ran in a step."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, settings: str, text: str = MENUS) -> None:
        torch.manual_seed(0)
        found = phase(settings, text)
        self.settings, self.space = found.settings, found.network
        ours = relaxed(found.network, found.settings).double()
        assert isinstance(ours, OnePath)
        self.ours = ours
        net = (p.Chain(3, (1, 3, 0)) if text is MENUS else p.Chain(3, (1, 3), bare=True)).double()
        randomize(net)
        copy_tensors(net, ours.network, self.space)
        start = torch.zeros(3, len(net.menus[0]), dtype=torch.float64)  # type: ignore[arg-type]
        if self.settings.alphas.init:
            start = torch.randn_like(start)
        for alpha, row in zip(ours.alphas.values(), start, strict=True):
            assert self.settings.alphas.init or torch.equal(alpha.detach(), row)
            alpha.data.copy_(row)
        self.theirs = p.Searched(net, start.clone().requires_grad_())
        alphas = self.settings.alphas
        self.of_alphas = torch.optim.Adam([self.theirs.alphas], lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3)
        self.of_weights = torch.optim.SGD(net.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4)
        assert alphas.word != "adam" or alphas.describe() == "adam"
        self.searching = Searching(
            ours, load_data(Fake(classes=3, count=32), Path("none")), self.settings, Compute("cpu")
        )
        self.runs: list[Selection] = []
        plain = Operations.__call__

        def spy(operations: Operations, images: Tensor, chosen: Selection, *more: object) -> Tensor:
            self.runs.append(dict(chosen))
            return plain(operations, images, chosen, *more)  # type: ignore[arg-type]

        monkeypatch.setattr(Operations, "__call__", spy)

    def step(self, number: int) -> tuple[p.Batch, p.Batch, list[p.Items]]:
        """A step of ours: the batches of alphas and of weights, and the items that its passes ran."""
        self.ours.train()
        torch.manual_seed(100 + number)
        batches = batch(), batch()
        self.searching.alpha_batch, self.searching.weight_batch = batches
        for group in self.of_weights.param_groups:
            group["lr"] = self.settings.weights.lr(number, EPOCHS)
        self.runs.clear()
        self.searching.step(number, 0)
        return (*batches, [tuple(taken[0] for taken in run.values()) for run in self.runs])

    def check(self) -> None:
        """Weights and alphas are equal."""
        rows = torch.stack([alpha.detach() for alpha in self.ours.alphas.values()])
        torch.testing.assert_close(rows, self.theirs.alphas.detach(), rtol=0, atol=1e-10)
        before = [tensor.clone() for tensor in self.ours.network.parameters()]
        copy_tensors(self.theirs.net, self.ours.network, self.space)
        for mine, other in zip(before, self.ours.network.parameters(), strict=True):
            torch.testing.assert_close(mine, other, rtol=0, atol=1e-10)


def batch() -> p.Batch:
    return torch.randn(4, 1, 8, 8, dtype=torch.float64), torch.randint(3, (4,))


def fair(found: list[p.Items]) -> bool:
    return all(sorted(column) == [0, 1, 2] for column in zip(*found, strict=True))


def sandwich(found: list[p.Items]) -> bool:
    return found[0] == (1, 1, 1) and found[1] == (0, 0, 0)


@pytest.mark.parametrize(
    ("weights", "count", "factor", "law", "text"),
    [
        ("weights = uniform", 1, 1.0, None, MENUS),
        ("weights = policy, draws = 3", 3, 1 / 3, None, MENUS),
        ("weights = fair", 3, 1.0, fair, MENUS),
        ("weights = fair, draws = 2", 6, 1 / 2, lambda found: fair(found[:3]) and fair(found[3:]), MENUS),
        ("weights = sandwich(random = 1)", 3, 1.0, sandwich, NUMBERS),
    ],
)
def test_a_step_learns_from_several_passes(
    monkeypatch: pytest.MonkeyPatch,
    weights: str,
    count: int,
    factor: float,
    law: Callable[[list[p.Items]], bool] | None,
    text: str,
) -> None:
    both = Both(monkeypatch, f"relax = sample({weights})", text)
    for number in range(3):
        of_alphas, of_weights, (judged, *found) = both.step(number)
        assert len(found) == count
        assert law is None or law(found)
        p.score_step(both.theirs, both.of_alphas, of_alphas, judged)
        p.weight_step(both.theirs, both.of_weights, of_weights, found, factor)
    both.check()


def test_the_largest_teaches(monkeypatch: pytest.MonkeyPatch) -> None:
    both = Both(monkeypatch, "relax = sample(weights = sandwich(random = 1))\n teacher = largest(0.5)", NUMBERS)
    for number in range(3):
        of_alphas, of_weights, (judged, teacher, *found) = both.step(number)
        assert teacher == (1, 1, 1)
        assert len(found) == 3
        p.score_step(both.theirs, both.of_alphas, of_alphas, judged)
        p.weight_step(both.theirs, both.of_weights, of_weights, found, 1.0, (teacher, 0.5))
    both.check()


def test_a_teacher_without_weight_is_none_and_one_with_it_moves_no_statistics(monkeypatch: pytest.MonkeyPatch) -> None:
    weights, buffers = [], []
    for teacher in ("none", "largest(0)", "largest(1)"):
        both = Both(monkeypatch, f"relax = sample(weights = sandwich)\n teacher = {teacher}", NUMBERS)
        *_, runs = both.step(0)
        assert len(runs) == 5 + (teacher == "largest(1)")
        weights.append(torch.cat([tensor.detach().flatten() for tensor in both.ours.network.parameters()]))
        buffers.append(torch.cat([tensor.double().flatten() for tensor in both.ours.network.buffers()]))
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(buffers[0], buffers[2])


def test_nobody_learns_from_itself() -> None:
    logits = torch.randn(4, 3, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(distillation_loss(logits, soft_labels(logits)), [logits])
    torch.testing.assert_close(slope, torch.zeros_like(slope))


@pytest.mark.parametrize(("settings", "count"), [("gates", 2), ("gates(paths = all)", 3)])
def test_gates_learn_from_a_pair_or_from_all(monkeypatch: pytest.MonkeyPatch, settings: str, count: int) -> None:
    """And a step leaves the probabilities of items without a gate as they were."""
    both = Both(monkeypatch, f"relax = {settings}")
    gates = both.ours
    assert isinstance(gates, Gates)
    opened: list[p.Items] = []
    plain = Gates.through_gates

    def spy(found: Gates, images: Tensor, gated: Selection, active: dict[str, int]) -> Tensor:
        opened.append(tuple(active.values()))
        return plain(found, images, gated, active)

    monkeypatch.setattr(Gates, "through_gates", spy)
    for number in range(3):
        before = torch.stack([alpha.detach().softmax(0) for alpha in gates.alphas.values()])
        of_alphas, of_weights, (_, path) = both.step(number)
        gated = list(gates.gated.values())
        assert {len(items) for items in gated} == {count}
        p.gate_step(both.theirs, both.of_alphas, of_alphas, gated, opened[-1])
        p.weight_step(both.theirs, both.of_weights, of_weights, [path], 1.0)
        after = torch.stack([alpha.detach().softmax(0) for alpha in gates.alphas.values()])
        for menu, items in enumerate(gated):
            rest = [item for item in range(3) if item not in items]
            torch.testing.assert_close(after[menu, rest], before[menu, rest], rtol=0, atol=1e-14)
            assert not torch.equal(after[menu], before[menu])
    assert len(opened) == 3
    both.check()


def test_natural_gradients_follow_ranked_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    both = Both(monkeypatch, "relax = sample(weights = policy, draws = 2)\n alphas = natural(snr = 1.5, draws = 2)")
    natural = p.Natural(3, 3)
    for number in range(6):
        of_alphas, of_weights, (one, other, *found) = both.step(number)
        p.natural_step(both.theirs, natural, of_alphas, (one, other))
        p.weight_step(both.theirs, both.of_weights, of_weights, found, 1 / 2)
    assert natural.growth != 1
    both.check()


def test_a_pair_of_gates_runs_two_items_of_a_menu_and_the_weights_one(monkeypatch: pytest.MonkeyPatch) -> None:
    text = MENUS.replace("| identity", "| unit(k = 5) | unit(k = 7)")
    found = phase("relax = gates", text)
    gates = relaxed(found.network, found.settings)
    images = torch.randn(2, 1, 8, 8)
    calls: list[str] = []
    for name, part in gates.network.named_modules():
        if isinstance(part, torch.nn.Conv2d):
            part.register_forward_hook(lambda *_, name=name: calls.append(name))
    for moving, count in ((True, 2), (False, 1)):
        for alpha in gates.alphas.values():
            alpha.requires_grad_(moving)
        calls.clear()
        with no_kernel():
            gates(images)
        assert len(calls) == len(set(calls)) == 1 + 3 * count
