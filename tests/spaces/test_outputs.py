"""Networks of several outputs: a pyramid of features, beside one in plain PyTorch; from a space to its exports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from compiler import api
from compiler.analysis.costs.block_totals import Costs
from compiler.backend.export import ExportKind, export
from compiler.backend.lowering.network import Network
from compiler.backend.passes import FLATTEN, OPTIMISATIONS
from compiler.elaborate import Elaborated
from compiler.searcher.relaxations.path_executor import Operations
from compiler.searcher.relaxations.supernet import Supernet
from hdas_dsl.text.diagnostics import HspError
from tests.support.programs import architecture, assert_same, random_decisions, randomize, space

PYRAMID = """\
hsp 1

choice Block = plain | wide

op plain(x; c) = x -> conv(3, c) -> batch_norm

op wide(x; c) = x -> conv(5, c) -> batch_norm

cell Merge(x, y; c) {
  m = conv(x, 1, c) + upsample(y)
  output m -> (relu | identity) -> Block(c)
}

network Pyramid(image: [2, 8, 8]; c = 4) {
  c1 = image -> conv(3, 8, stride = 2) -> batch_norm -> relu
  c2 = c1 -> conv(k = 1 | 3, 8, stride = 2) -> batch_norm -> relu
  p2 = c2 -> conv(1, c)
  p1 = Merge(c1, p2, c)
  output (p1, p2 -> Block(c), c2 -> (relu | gelu) -> global_pool -> linear(3 | 5))
}
"""
SECTION = "\n{} Pyramid {{\n  task = {}\n  data = {}\n  epochs = 1\n  batch = 4\n}}\n"
OWN = """\
import numpy
from torch.nn import functional
from compiler.searcher.engine.user_task import UserTask


class Levels(UserTask):
    output = "two maps and a vector"

    def fits(self, taken, given):
        return taken == (2, 8, 8) and [len(shape) for shape in given] == [3, 3, 1]

    def loss(self, outputs, targets):
        fine, coarse, vector = outputs
        return functional.mse_loss(fine.mean((1, 2, 3)), targets) + coarse.square().mean() + vector.square().mean()


def samples():
    x = numpy.random.default_rng(0).normal(size=(10, 2, 8, 8)).astype(numpy.float32)
    return x, x.mean((1, 2, 3))
"""


@pytest.fixture(scope="module")
def pyramid() -> Elaborated:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HDAS_VERIFY", "1")
        return space(PYRAMID)


def plain(state: Mapping[str, Tensor], weights: Mapping[str, Tensor], x: Tensor) -> tuple[Tensor, ...]:
    """The supernet of `PYRAMID` as one writes it without a compiler, with all candidates, in train mode."""

    def conv(name: str, x: Tensor, stride: int = 1) -> Tensor:
        kernel = state[f"network.{name}.weight"]
        return F.conv2d(x, kernel, None, stride, kernel.shape[-1] // 2)

    def norm(name: str, x: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, state[f"network.{name}.weight"], state[f"network.{name}.bias"], True)

    def mixed(path: str, *items: Tensor) -> Tensor:
        return torch.stack([w * item for w, item in zip(weights[path], items, strict=True)]).sum(0)

    def block(name: str, path: str, x: Tensor) -> Tensor:
        kinds = ("plain", "wide")
        return mixed(path, *[norm(f"{name}.{k}.batch_norm", conv(f"{name}.{k}.conv", x)) for k in kinds])

    c1 = norm("c1.batch_norm", conv("c1.conv", x, 2)).relu()
    c2 = mixed("Pyramid.c2.k", conv("c2.conv", c1, 2), conv("c2.conv_2", c1, 2))
    c2 = norm("c2.batch_norm", c2).relu()
    p2 = conv("p2.conv", c2)
    m = conv("p1.m.from_x.conv", c1) + p2.repeat_interleave(2, 2).repeat_interleave(2, 3)
    p1 = block("p1.output.Block", "Merge.output.Block", mixed("Merge.output.choice", m.relu(), m))
    seen = mixed("Pyramid.output.choice", c2.relu(), F.gelu(c2)).mean((2, 3))
    linear = "network.output.linear"
    vector = F.linear(seen, state[f"{linear}.weight"], state[f"{linear}.bias"])
    few, all_ = weights["Pyramid.output.c"]
    wide = torch.cat([vector[:, :3] * (few + all_), vector[:, 3:] * all_], 1)
    return p1, block("output.from_p2", "Pyramid.output.from_p2", p2), wide


def step(net: Supernet, run: Callable[[Tensor], tuple[Tensor, ...]]) -> dict[str, Tensor]:
    """The outputs of a pass, and the gradients of the input, of all weights and of all alphas."""
    torch.manual_seed(1)
    x = torch.randn(2, 2, 8, 8, dtype=torch.float64, requires_grad=True)
    outputs = run(x)
    assert isinstance(outputs, tuple)
    total = torch.stack([(torch.randn(out.shape, dtype=out.dtype) * out).sum() for out in outputs]).sum()
    wanted = {"input": x, **dict(sorted(net.named_parameters()))}
    gradients = torch.autograd.grad(total, list(wanted.values()))
    found = {f"output {place}": out.detach() for place, out in enumerate(outputs)}
    return found | {f"gradient of {name}": grad for name, grad in zip(wanted, gradients, strict=True)}


def test_every_lowering_gives_what_plain_torch_gives(pyramid: Elaborated) -> None:
    """In float64, with the gradients of weights and alphas; as one path of the supernet too, and as derived alone."""
    naive = randomize(Supernet(pyramid, (FLATTEN,), init=1.0)).double().train()
    expected = step(naive, lambda x: plain(dict(naive.named_parameters()), naive.mixing(), x))
    assert any(name.startswith("gradient of architecture") for name in expected)
    assert_same(step(naive, naive), expected)
    fast = Supernet(pyramid, (FLATTEN, *OPTIMISATIONS)).double().train()
    fast.load_state_dict(naive.state_dict())
    assert_same(step(fast, fast), expected)

    chosen = random_decisions(pyramid, 3)
    paths = Operations(pyramid.block.graph, pyramid.decisions)
    paths.module.double().eval()
    network = Network(architecture(pyramid, chosen)[1]).double().eval()
    assert api.inherit(naive, network).exact
    state = {name.removeprefix("network."): tensor for name, tensor in naive.state_dict().items()}
    paths.module.load_state_dict({name: state[name] for name in paths.module.state_dict()})
    x = torch.randn(2, 2, 8, 8, dtype=torch.float64)
    whole, path, alone = naive.eval().alone(x, chosen), paths(x, chosen), network(x)
    for one, other, third in zip(whole, path, alone, strict=True):
        assert torch.allclose(one[:, : other.shape[1]], other, atol=1e-12)  # masked channels are zero
        assert torch.allclose(other, third, atol=1e-12)


def test_what_is_found_is_text_and_is_exported(pyramid: Elaborated, tmp_path: Path) -> None:
    """Counted, costed, derived, found in its space again, drawn, and exported by what compares the outputs itself."""
    file, derived = tmp_path / "pyramid.hsp", tmp_path / "derived.hsp"
    file.write_text(PYRAMID)
    text, alone = architecture(pyramid, random_decisions(pyramid, 3))
    derived.write_text(text)
    assert api.count(file).number == 2**6
    assert "output (p1, p2 -> " in text
    assert api.contains(file, derived).inside
    network = Network(alone)
    for module in (api.load(file), network.eval()):
        assert [len(each) for each in module(torch.zeros(3, *alone.input.largest))] == [3, 3, 3]
    assert Costs().block(alone.block).params == sum(p.numel() for p in network.parameters())
    shapes = [list(shape.dims) for shape in alone.block.graph.output_shapes]
    facts = api.describe(derived)
    assert facts["outputs"] == shapes
    assert facts["classes"] is None
    assert not any(block["name"] == "outputs" for block in facts["blocks"])
    for kind, name in ((ExportKind.PY, "net.py"), (ExportKind.TORCH, "net.pt2")):
        report = export(alone, kind, tmp_path / name, network.state_dict())
        assert report.scale > 0
    assert "-> tuple[Tensor, ...]:" in (tmp_path / "net.py").read_text()


def test_only_an_own_task_trains_several_outputs(tmp_path: Path) -> None:
    """Others are refused with the place; an own one hears of all outputs, in a search, a training and its test."""
    file, own = tmp_path / "pyramid.hsp", tmp_path / "levels.py"
    own.write_text(OWN)
    for section in ("search", "train"):
        file.write_text(PYRAMID + SECTION.format(section, "regression", '"levels.py:samples"'))
        with pytest.raises(HspError) as refused:
            api.describe(file)
        (found,) = refused.value.diagnostics
        assert found.message == "`task = regression` is of one output, and 'Pyramid' gives 3"
        assert found.span.line == len(PYRAMID.splitlines()) + 3
    sections = (SECTION.format(name, '"levels.py:Levels"', '"levels.py:samples"') for name in ("search", "train"))
    file.write_text(PYRAMID + "".join(sections))
    report = api.search(file, tmp_path / "run", plugins=[own], quiet=True)
    outcome = api.train(report.derived, tmp_path / "run" / "train", plugins=[own], quiet=True)
    assert 0 < outcome.value < 100
