"""The laws of `align`: the direction and the gradient are those of the mean cosine; weight 0 changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from compiler.backend.passes import FLATTEN
from compiler.program.compile_file import compile_file
from compiler.program.request import Request
from compiler.runs.config import RunConfig
from compiler.runs.plan import plan_search
from compiler.runs.search import search
from compiler.searcher.engine.alignment import Alignment, cosine, cosine_gradient
from compiler.searcher.relaxations.axes import Axes
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.settings.axes import AlignInstances
from compiler.searcher.settings.schedules import Constant

TEXT = """\
hsp 1
op unit(x; k = 1) = x -> conv(k) -> batch_norm -> sigmoid
choice Op = zero if relaxed | unit | unit(k = 3) | identity
cell Two(x) {
  a = Op(x)
  output a + Op(a)
}
cell Once(x) {
  output Op(x)
}
network Net(image: [3, 8, 8]; classes = 3) {
  m[i < 3] = prev(image -> conv(3, 4) -> batch_norm) -> Two
  output last of m -> Once -> classifier(classes)
}
"""


def supernet(within: str | None = None) -> Supernet:
    program, diagnostics = compile_file("net.hsp", text=TEXT)
    assert program is not None, diagnostics
    torch.manual_seed(0)
    align = AlignInstances(weight=Constant(value=1), within=within)
    return Supernet(program.network, (FLATTEN,), init=1.0, axes=Axes(align=align)).double()


def test_the_direction_is_that_in_which_the_mean_cosine_grows() -> None:
    torch.manual_seed(0)
    slopes = [torch.randn(5, dtype=torch.float64).requires_grad_() for _ in range(4)]
    pairs = [(a, b) for i, a in enumerate(slopes) for b in slopes[:i]]
    mean = torch.stack([(a @ b) / (a.norm() * b.norm()) for a, b in pairs]).mean()
    torch.testing.assert_close(cosine(slopes), mean, rtol=0, atol=1e-14)
    for found, expected in zip(cosine_gradient(slopes), torch.autograd.grad(mean, slopes), strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


def test_an_instance_by_itself_and_one_without_gradient_go_nowhere() -> None:
    one, nothing = torch.tensor([3.0, 4.0]), torch.zeros(2)
    assert (float(cosine([one])), float(cosine([one, nothing]))) == (0, 0)
    assert [towards.tolist() for towards in cosine_gradient([one])] == [[0, 0]]
    assert cosine_gradient([one, nothing])[1].tolist() == [0, 0]


def test_instances_start_with_the_weights_that_they_share() -> None:
    ours = supernet().train()
    images = torch.randn(4, 3, 8, 8, dtype=torch.float64)
    shared = ours(images)
    with ours.apart() as cells:
        assert {name: len(vectors) for name, vectors in cells.items()} == {"Two": 3}
        assert torch.equal(ours(images), shared)
        cells["Two"][1].data.zero_()
        assert not torch.equal(ours(images), shared)
    assert torch.equal(ours(images), shared)
    with supernet("Once").apart() as cells:
        assert cells == {}


def test_the_gradient_is_that_of_the_mean_cosine() -> None:
    """By double backward over the network as it is written."""
    ours = supernet().train()
    images, labels = torch.randn(6, 3, 8, 8, dtype=torch.float64), torch.randint(3, (6,))
    weights = list(ours.weights())

    def loss() -> Tensor:
        return cross_entropy(ours(images), labels)

    with ours.apart() as cells:
        slopes = torch.autograd.grad(loss(), cells["Two"], create_graph=True)
        expected: tuple[Tensor | None, ...] = torch.autograd.grad(-3 * cosine(slopes), weights, allow_unused=True)
        plain: tuple[Tensor | None, ...] = torch.autograd.grad(loss(), weights, allow_unused=True)
        found, more = Alignment(cells, loss, 3, 1e-4).gradients(loss, weights, nullcontext())
    for one, other in zip(found, plain, strict=True):
        assert (one is None) == (other is None)
        assert one is None or other is None or torch.equal(one, other)
    largest = max(float(known.abs().max()) for known in expected if known is not None)
    for added, known in zip(more, expected, strict=True):
        if added is None:
            assert known is None
            continue
        wanted = torch.zeros_like(added) if known is None else known
        torch.testing.assert_close(added, wanted, rtol=0, atol=1e-6 * largest)


def test_both_passes_draw_what_the_first_one_drew_and_leave_no_trace() -> None:
    """Of loss(w, v) = n * sum of w (v_0 * a + v_1 * b)^2, n drawn and a buffer counting passes, in closed form."""
    torch.manual_seed(0)
    w = torch.randn(3, dtype=torch.float64).requires_grad_()
    a, b = torch.randn(3, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    cells = {"Cell": [torch.randn(3, dtype=torch.float64).requires_grad_() for _ in range(2)]}
    before = [vector.detach().clone() for vector in cells["Cell"]]
    passes, drawn = torch.zeros(()), list[float]()

    def loss() -> Tensor:
        passes.add_(1)
        drawn.append(float(torch.rand(()) + 1))
        one, other = cells["Cell"]
        return drawn[-1] * (w.sin() * (one * a + other * b).square()).sum()

    @contextmanager
    def kept() -> Iterator[None]:
        known = passes.clone()
        yield
        passes.copy_(known)

    _, (more,) = Alignment(cells, loss, 2.0, 1e-5).gradients(loss, [w], kept())
    assert drawn == drawn[:1] * 3
    assert float(passes) == 1
    assert all(torch.equal(vector, known) for vector, known in zip(cells["Cell"], before, strict=True))
    one, other = (vector.requires_grad_() for vector in before)
    value = drawn[0] * (w.sin() * (one * a + other * b).square()).sum()
    slopes = torch.autograd.grad(value, [one, other], create_graph=True)
    (expected,) = torch.autograd.grad(-2 * cosine(slopes), w)
    assert more is not None
    torch.testing.assert_close(more, expected, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("settings", ["", "  align = instances(0)\n", "  align = instances(0.5)\n"])
def test_weight_0_changes_nothing(tmp_path: Path, settings: str) -> None:
    section = "search Net {\n  data = fake(count = 32, size = 8, classes = 3)\n  epochs = 2\n  batch = 8\n"
    found: list[list[list[float]]] = []
    for lines in ("", settings):
        (tmp_path / "net.hsp").write_text(TEXT + section + lines + "}\n")
        plan = plan_search(Request(tmp_path / "net.hsp"), RunConfig(out=tmp_path / f"{len(found)}", quiet=True))
        outcome = search(plan, say=lambda sentence: None).outcomes[""]
        found.append([alpha.tolist() for alpha in outcome.alphas.values()])
    assert (found[0] == found[1]) == ("0.5" not in settings)
    records = [json.loads(line) for line in (tmp_path / "1/history.jsonl").read_text().splitlines()]
    assert all(("alignment/Two" in record) == bool(settings) for record in records)
    assert all(-1 <= record["alignment/Two"] <= 1 for record in records if settings)
