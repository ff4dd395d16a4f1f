"""How sharply the loss of the alphas bends, and the search that ends when it does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from compiler import search
from compiler.searcher.engine import RunInterruptedError
from compiler.searcher.engine.sharpness import lanczos, largest_eigenvalue
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.settings.stopping import Evidence, Sharpness
from tests.support.interruption import at_step, killed
from tests.support.programs import randomize, space

TEXT = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = zero if relaxed | unit | unit(k = 3) | identity
network Net(image: [1, 8, 8]; classes = 3) {
  stem = image -> conv(3, 4) -> batch_norm
  n[i < 2] = sum(pick 2 of Op(each (stem, stem -> relu, earlier n)))
  output last of n -> classifier(classes)
}
"""
SECTION = """\
search Net {
  data = fake(classes = 3, count = 48, channels = 1, size = 8)
  batch = 8
  epochs = 8
  alphas = adam(lr = 0.1)
  until = sharpness(1e-6, window = 2, lag = 1, every = 1, begin = 2)
  derive = strongest(epoch = before)
}
"""


def symmetric(n: int, seed: int = 0) -> Tensor:
    torch.manual_seed(seed)
    matrix = torch.randn(n, n, dtype=torch.float64)
    return matrix + matrix.T


# ---------------------------------------------------------------- the eigenvalue


@pytest.mark.parametrize("whole", [0, 100])
def test_the_eigenvalue_of_a_quadratic(whole: int) -> None:
    matrix = symmetric(12)
    parts = [torch.randn(n, dtype=torch.float64).requires_grad_() for n in (5, 7)]
    x = torch.cat(parts)
    found = largest_eigenvalue(x @ matrix @ x / 2 + x.sum(), parts, whole=whole)
    assert found == pytest.approx(float(torch.linalg.eigvalsh(matrix)[-1]), rel=1e-8)


def test_lanczos_needs_few_products() -> None:
    matrix, taken = symmetric(300), [0]

    def product(vector: Tensor) -> Tensor:
        taken[0] += 1
        return matrix @ vector

    found = lanczos(product, torch.zeros(300, dtype=torch.float64))
    assert found == pytest.approx(float(torch.linalg.eigvalsh(matrix)[-1]), rel=1e-5)
    assert taken[0] < 80


def test_what_a_loss_does_not_depend_on_or_is_linear_in_bends_nothing() -> None:
    one, other = torch.ones(3, requires_grad=True), torch.ones(2, requires_grad=True)
    assert largest_eigenvalue(one.sum() + 0 * other.sum(), [one, other]) == 0
    assert largest_eigenvalue((one**2).sum(), [one, other]) == pytest.approx(2)


@pytest.mark.parametrize("whole", [0, 100])
def test_of_a_supernet_it_is_that_of_the_functional_hessian(whole: int) -> None:
    torch.manual_seed(0)
    supernet = Supernet(space(TEXT)).double().train()
    randomize(supernet)
    x, labels = torch.randn(6, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 0, 1, 2])
    alphas = list(supernet.alphas.values())
    plain = supernet.lowering.naive()

    def loss(*values: Tensor) -> Tensor:
        weights = {path: value.softmax(0) for path, value in zip(supernet.alphas, values, strict=True)}
        return cross_entropy(plain(x, weights), labels)

    blocks = torch.autograd.functional.hessian(loss, tuple(a.detach() for a in alphas))  # type: ignore[no-untyped-call]
    expected = torch.linalg.eigvalsh(torch.cat([torch.cat(list(row), 1) for row in blocks]))[-1]
    with supernet.twice_differentiable():
        found = largest_eigenvalue(cross_entropy(supernet(x), labels), alphas, whole=whole)
    assert found == pytest.approx(float(expected), rel=1e-5)


def test_the_network_that_runs_is_put_back() -> None:
    supernet = Supernet(space(TEXT))
    before = supernet.lowering.now
    with supernet.twice_differentiable():
        assert supernet.lowering.now is not before
    assert supernet.lowering.now is before


# ---------------------------------------------------------------- the condition


def test_a_series_ends_where_computed_by_hand() -> None:
    """Records of epochs 0, 2, ...: 1 up to that of epoch 24, then 2; the mean of five passes 1.3 with the second 2."""
    word = Sharpness(over=1.3)
    series = [1.0] * 13 + [2.0] * 10
    ends = [n for n in range(1, 24) if word.holds(Evidence(sharpness=series[:n]))]
    epoch = 2 * (ends[0] - 1)
    assert epoch == 28  # The mean of 1, 1, 1, 2, 2 is 1.4.
    assert word.before(epoch) == 16  # Four epochs to the centre of the window, eight to the one before.
    assert [word.measures(epoch) for epoch in range(4)] == [True, False, True, False]


def test_no_centre_before_the_beginning_counts() -> None:
    series = [1.0] * 8 + [9.0] * 6
    for begin, first in ((10, 12), (0, 9)):
        word = Sharpness(over=1.3, begin=begin)
        assert next(n for n in range(15) if word.holds(Evidence(sharpness=series[:n]))) == first
    assert not Sharpness(over=1.3, begin=0).holds(Evidence(sharpness=[9.0] * 14))


# ---------------------------------------------------------------- the search


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def test_a_search_ends_and_derives_the_architecture_before(tmp_path: Path) -> None:
    """Of windows of two and a lag of one, at the end of epoch 4 the centre of the earlier window is epoch 2, from 0."""
    file = tmp_path / "net.hsp"
    file.write_text(TEXT + SECTION)
    report = search(file, tmp_path / "whole")

    with at_step(14, killed), pytest.raises(RunInterruptedError):
        search(file, tmp_path / "broken")
    search(file, tmp_path / "broken", resume=True)
    for name in ("derived.hsp", "checkpoint.safetensors"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    lines = records(tmp_path / "whole")
    assert [line.get("until") for line in lines] == [None] * 4 + [1]
    assert all(isinstance(line["sharpness"], float) for line in lines)
    assert "epoch = 3\n" in report.text
    assert report.outcomes[""].decisions == lines[2]["decisions"]
    past = [name for name in load_file(tmp_path / "whole" / "checkpoint.safetensors") if name.startswith("past/")]
    assert {name.split("/")[1] for name in past} == {"2", "3", "4"}
    said = (tmp_path / "whole" / "log.txt").read_text()
    assert "The search ended after epoch 5 of 8" in said
    assert "Derived is epoch 3." in said


def test_measuring_leaves_no_trace(tmp_path: Path) -> None:
    """A search that is measured and does not end has the alphas and weights of one that is not measured."""
    file = tmp_path / "net.hsp"
    found = []
    for until in ("never", "sharpness(1e9, window = 1, lag = 1, every = 1)"):
        text = SECTION.partition("  until")[0].replace("epochs = 8", "epochs = 2") + f"  until = {until}\n}}\n"
        file.write_text(TEXT + text)
        search(file, tmp_path / until[:5])
        found.append(load_file(tmp_path / until[:5] / "checkpoint.safetensors"))
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
