"""Primitives and blocks of mobile networks compute what plain PyTorch constructions compute, also when exported."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from compiler.backend.export import ExportError, ExportKind, export
from compiler.backend.lowering.network import Network
from compiler.backend.passes import FLATTEN
from compiler.backend.torch_modules.channels import Shuffle
from compiler.backend.torch_modules.images import Noise
from compiler.elaborate import Elaborated
from tests.laws.test_8_cost import check
from tests.reference import blocks
from tests.reference.nasbench101 import Network as Benchmark101
from tests.spaces.test_spaces import EXAMPLE, cell_101
from tests.support.programs import architecture, floats, in_order, random_decisions, randomize, space

USES = 'hsp 1\nuse "lib/mobile.hsp"\nuse "lib/shuffle.hsp"\n'


def block(expr: str, c: int = 8) -> Elaborated:
    return space(f"{USES}network N(x: [{c}, 9, 9]) {{\n  y = x -> {expr}\n  output y\n}}\n")


def same(found: Elaborated, theirs: nn.Module, *, by_line: bool = False) -> None:
    """Equal costs, and equal outputs in float64 with the same weights, in the order of modules or of lines."""
    check(found)
    ours = Network(found, (FLATTEN,))
    randomize(ours).eval()
    theirs = theirs.double().eval()
    for get in (nn.Module.named_parameters, nn.Module.named_buffers):
        mine, other = dict(floats(get(ours.network))), dict(floats(get(theirs)))
        mine = in_order(mine.items(), found) if by_line else mine
        assert len(mine) == len(other)
        for source, target in zip(mine.values(), other.values(), strict=True):
            target.data.copy_(source.data.view_as(target))
    torch.manual_seed(1)
    x = torch.randn(2, *found.input.largest, dtype=torch.float64)
    torch.testing.assert_close(ours(x), theirs(x), rtol=0, atol=1e-12)


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.forward = function


BLOCKS: dict[str, Callable[[], nn.Module]] = {
    "shuffle(2)": lambda: Function(lambda x: blocks.shuffled(x, 2)),
    "shuffle(4)": lambda: Function(lambda x: blocks.shuffled(x, 4)),
    "cut(3)": lambda: Function(lambda x: x[:, :3]),
    "cut(3, 2)": lambda: Function(lambda x: x[:, [2, 3, 4]]),
    "cut(5, 3)": lambda: Function(lambda x: x[:, 3:]),
    "hard_swish": lambda: Function(blocks.hard_swish),
    "squeeze_excite": lambda: blocks.SqueezeExcite(8, 8),
    "squeeze_excite(ratio = 0.5)": lambda: blocks.SqueezeExcite(8, 16),
    "mbconv(k = 3, e = 2)": lambda: blocks.Inverted(8, 8, 3, 2),
    "mbconv(k = 5, e = 3, c = 12, stride = 2, se = true, act = hard_swish)": lambda: blocks.Inverted(
        8, 12, 5, 3, 2, 8, blocks.hard_swish
    ),
    "mbconv(k = 3, e = 1, groups = 2)": lambda: blocks.Inverted(8, 8, 3, 1, groups=2),
    "shuffle_block(k = 5)": lambda: blocks.ShuffleBlock(8, 8, 5),
    "shuffle_block(k = 7, c = 20, stride = 2)": lambda: blocks.ShuffleBlock(8, 20, 7, 2),
    "shuffle_xception": lambda: blocks.ShuffleBlock(8, 8, 3, xception=True),
    "shuffle_xception(c = 20, stride = 2)": lambda: blocks.ShuffleBlock(8, 20, 3, 2, xception=True),
}


@pytest.mark.parametrize("expr", BLOCKS)
def test_blocks(expr: str) -> None:
    same(block(expr), BLOCKS[expr]())


def test_shuffling_undoes_itself() -> None:
    """With the number of groups and the number of channels in each; a plain order of indices shows it."""
    x = torch.arange(12.0).view(1, 12, 1, 1).expand(1, 12, 9, 9)
    once = Network(block("shuffle(3)", 12))(x)
    assert once[0, :, 0, 0].tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
    torch.testing.assert_close(Network(block("shuffle(3) -> shuffle(4)", 12))(x), x)


def test_noise_is_normal_new_and_stateless() -> None:
    found = block("noise(stride = 2)")
    check(found)
    module = Network(found).eval()
    x = torch.zeros(400, 8, 9, 9)
    torch.manual_seed(0)
    first, second = module(x), module(x)
    assert first.shape == (400, 8, 5, 5)
    assert not torch.equal(first, second)
    assert abs(float(first.mean())) < 0.02
    assert abs(float(first.std()) - 1) < 0.02
    torch.manual_seed(0)
    torch.testing.assert_close(module(x), first)
    assert Noise((1,))(x.double()).dtype == torch.float64


def test_an_architecture_of_benchmark_101() -> None:
    """The cell of the data set's introduction, forward: projections, truncations and concatenation."""
    found = space("nasbench101.hsp", c=23, stacks=2, cells=1, size=8)
    same(architecture(found, cell_101(EXAMPLE))[1], Benchmark101(EXAMPLE, 23, 2, 1), by_line=True)


# ---------------------------------------------------------------- exports


def exported(name: str) -> Elaborated:
    match name:
        case "nasbench101":
            found = space("nasbench101.hsp", size=8, c=9, cells=1)
            return architecture(found, cell_101(EXAMPLE))[1]
        case "spos_shufflenet":
            found = space("spos_shufflenet.hsp", size=32, wide=0.25, classes=10)
            return architecture(found, random_decisions(found, 4))[1]
    return block(name)


NOISE = "noise(stride = 2) -> conv(1, 4) -> noise"
SHUFFLES = "mbconv(k = 3, e = 1, groups = 2) -> shuffle_block(k = 3) -> cut(3, 2)"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kind"), [*product((NOISE, SHUFFLES, "nasbench101"), ExportKind), ("spos_shufflenet", ExportKind.PY)]
)
def test_exports(name: str, kind: ExportKind, tmp_path: Path) -> None:
    """What is written is run and compared; of noise, ONNX has its own."""
    if kind is ExportKind.ONNX:
        pytest.importorskip("onnxruntime")
    if kind is ExportKind.ONNX and name == NOISE:
        with pytest.raises(ExportError, match="nothing could be compared"):
            export(exported(name), kind, tmp_path / "net")
        return
    report = export(exported(name), kind, tmp_path / "net")
    assert report.difference <= (1e-12 if kind is ExportKind.PY else 1e-4) * report.scale


def test_a_shuffle_leaves_images_channels_last() -> None:
    x = torch.randn(2, 6, 3, 4)
    last = Shuffle(3)(x.to(memory_format=torch.channels_last))
    assert torch.equal(last, Shuffle(3)(x))
    assert last.is_contiguous(memory_format=torch.channels_last)
