"""Zero-cost proxies: each against its formula written apart, and the laws that they keep."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from compiler.commands.compile import compile_main
from compiler.program.request import Request
from compiler.runs.proxies import proxies
from compiler.searcher.engine.errors import SingleValueError
from compiler.searcher.explore.probe import Probe, probe_of
from compiler.searcher.explore.proxies import PROXIES, preserved_flow, values
from compiler.searcher.settings.judges import ProxyName
from compiler.util.errors import UsageError
from compiler.util.seeds import mix
from tests.reference import proxies as reference

CELL = """\
hsp 1
op norm(x) = batch_norm(x)
op nor_conv(x; k) = x -> relu -> conv(k) -> norm
network Cell(image: [2, 6, 6]; classes = 3) {
  x = image -> conv(3, 3) -> batch_norm
  n1 = nor_conv(x, 3)
  n2 = x + nor_conv(n1, 1)
  n3 = avg_pool(x, 3, count_pad = false) + zero(n1) + n2
  output n3 -> batch_norm -> relu -> classifier(classes)
}
"""
CHAIN = """\
hsp 1
network Chain(image: [2, 1, 1]) {
  output image -> conv(1, 3) -> conv(1, 4) -> global_pool -> linear(2)
}
"""
IMAGES, LABELS = (
    torch.randn(5, 2, 6, 6, generator=torch.Generator().manual_seed(3)).double(),
    torch.tensor([0, 1, 2, 1, 0]),
)


def probe(text: str = CELL, images: Tensor = IMAGES, seed: int = 0) -> Probe:
    program = Request(Path("n.hsp"), text=text).compile()
    return probe_of(program.network, images, LABELS[: len(images)], seed)


def tensors(found: Probe) -> dict[str, Tensor]:
    """Weights by the names of the reference, away from where a training starts, so that every one counts."""
    source = torch.Generator().manual_seed(1)
    kernels = [value for _, value in found.module.named_parameters() if value.dim() > 1]
    vectors = [value for name, value in found.module.named_parameters() if value.dim() == 1 and "linear" not in name]
    (bias,) = (value for name, value in found.module.named_parameters() if name.endswith("linear.bias"))
    for value in (*vectors, bias):
        value.data += 0.3 * torch.rand(value.shape, generator=source).double()
    named = dict(zip(reference.WEIGHTS, kernels, strict=True)) | {"bias": bias}
    for index in range(len(vectors) // 2):
        named |= {f"norm{index}.weight": vectors[2 * index], f"norm{index}.bias": vectors[2 * index + 1]}
    return {name: value.detach() for name, value in named.items()}


FORMULAS: dict[str, Callable[[dict[str, Tensor], Tensor, Tensor], float]] = {
    "synflow": reference.synflow,
    "naswot": reference.naswot,
    "jacob_cov": reference.jacob_cov,
    "snip": reference.snip,
    "grasp": reference.grasp,
    "fisher": reference.fisher,
    "grad_norm": reference.grad_norm,
}


@pytest.mark.parametrize("name", FORMULAS)
def test_a_proxy_is_its_formula(name: str) -> None:
    found = probe()
    expected = FORMULAS[name](tensors(found), IMAGES, LABELS)
    assert values(found, [ProxyName(name)])[name] == pytest.approx(expected, rel=1e-9)


def test_zen_is_its_formula() -> None:
    found = probe(seed=4)
    source = torch.Generator().manual_seed(mix(4, "zen"))
    first, other = (torch.randn(IMAGES.shape, generator=source, dtype=torch.float64) for _ in range(2))
    expected = reference.zen(tensors(found), first, other)
    assert values(found, [ProxyName.ZEN])["zen"] == pytest.approx(expected, rel=1e-9)


def test_every_proxy_has_a_formula() -> None:
    assert {*FORMULAS, "zen", "params", "macs"} == {name.value for name in ProxyName} == {*PROXIES}


def test_a_proxy_leaves_the_network_as_it_was() -> None:
    """So that each says the same alone and behind the others."""
    apart = {name.value: values(probe(), [name])[name.value] for name in ProxyName}
    assert values(probe(), [*ProxyName][::-1]) == values(probe(), [*ProxyName]) == pytest.approx(apart, rel=1e-12)


def test_synflow_of_a_linear_chain() -> None:
    """L 1' prod |W| 1; biases are not part of a chain."""
    found = probe(CHAIN, torch.ones(2, 2, 1, 1))
    for name, value in found.module.named_parameters():
        if name.endswith("bias"):
            value.data.zero_()
    first, second, third = (value.detach().abs().flatten(1) for value in found.weights)
    expected = 3 * (third @ second @ first).sum()
    assert values(found, [ProxyName.SYNFLOW])["synflow"] == pytest.approx(float(expected), rel=1e-12)


def test_grasp_of_a_quadratic() -> None:
    source = torch.Generator().manual_seed(0)
    a = torch.randn(6, 6, generator=source).double()
    a = a + a.T
    left, right = (torch.randn(3, generator=source).double().requires_grad_() for _ in range(2))
    w = torch.cat([left, right])
    expected = -(a @ w).square().sum()
    assert torch.allclose(preserved_flow(w @ a @ w / 2, [left, right]), expected)


def test_two_equal_images_have_no_naswot() -> None:
    """Though rounding leaves most such determinants of many images above 0."""
    source = torch.Generator().manual_seed(0)
    some = torch.randn(24, 2, 6, 6, generator=source).double()
    for at in (3, 7, 16):
        images = torch.cat([some, some[at : at + 1]])
        assert values(probe(images=images), [ProxyName.NASWOT])["naswot"] == -math.inf
    assert math.isfinite(values(probe(), [ProxyName.NASWOT])["naswot"])


def test_a_unit_at_zero_is_off() -> None:
    """So that a second ReLU behind each answers as the first: agreements of images double."""
    once, twice = (
        values(probe(text), [ProxyName.NASWOT])["naswot"] for text in (CELL, CELL.replace("relu", "relu -> relu"))
    )
    assert twice == pytest.approx(once + len(IMAGES) * math.log(2))


def test_params_and_macs_are_costs() -> None:
    from compiler.analysis.requirements.evaluate import amounts_of

    found = probe()
    costs = dict(amounts_of(found.space))
    assert values(found, [ProxyName.PARAMS, ProxyName.MACS]) == {"params": costs["params"], "macs": costs["macs"]}
    assert costs["params"] == sum(value.numel() for value in found.module.parameters())


def test_an_auxiliary_head_has_no_part() -> None:
    headed = CELL.replace("  output n3", "  aux n2 -> relu -> classifier(classes)\n  output n3")
    plain, other = (proxies(text, (IMAGES, LABELS), ["naswot"]) for text in (CELL, headed))
    assert other == plain


def test_a_seed_is_a_start() -> None:
    first, again, other = (proxies(CELL, (IMAGES, LABELS), seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert [name for name in first if first[name] == other[name]] == ["params", "macs"]


def test_what_a_network_lacks() -> None:
    with pytest.raises(UsageError, match=r"`naswot` compares images by the ReLUs .*, and 'Chain' has none"):
        values(probe(CHAIN, torch.ones(2, 2, 1, 1)), [ProxyName.NASWOT])
    with pytest.raises(UsageError, match="`zen` measures the deviations in batch norms, and 'Chain' has none"):
        values(probe(CHAIN, torch.ones(2, 2, 1, 1)), [ProxyName.ZEN])
    with pytest.raises(UsageError, match="`synflow` moves what a network takes, and 'Cell' takes tokens"):
        values(replace(probe(), images=IMAGES.long()), [ProxyName.SYNFLOW])
    with pytest.raises(UsageError, match="there is no proxy 'synflo'; did you mean 'synflow'"):
        proxies(CHAIN, (IMAGES, LABELS), ["synflo"])
    single = "network N(image: [2, 1, 1]) {\n  output image -> conv(1, 3) -> batch_norm -> classifier(2)\n}\n"
    with pytest.raises(SingleValueError):
        values(probe("hsp 1\n" + single, torch.ones(1, 2, 1, 1)), [ProxyName.SNIP])


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "cell.hsp"
    train = "train Cell {\n  data = fake(classes = 3, count = 24, channels = 2, size = 6)\n}\n"
    path.write_text(CELL + train)
    assert compile_main([str(path), "--proxies", "--images", "5"]) == 0
    lines = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert list(lines) == [name.value for name in ProxyName]
    assert lines["params"] == f"{probe().amount('params'):,.0f}"
    assert compile_main([str(path), "--proxies", "--images", "5", "--words", "synflow,snip", "--seed", "1"]) == 0
    again = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert list(again) == ["synflow", "snip"]
    assert again["snip"] != lines["snip"]
