"""A new activation is one class: it is checked, counted, priced, scheduled, lowered and exported by its traits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from compiler.analysis.architectures import Architectures, count
from compiler.analysis.costs.block_totals import Costs
from compiler.backend.export import ExportKind, export
from compiler.backend.lowering.network import Network
from compiler.backend.passes import CPU_WITH_KERNEL, OPTIMISATIONS, PASSES, run_passes
from compiler.backend.passes.estimate import Estimate, estimate
from compiler.derivation.specialise import specialise
from compiler.ir.payloads import Prim
from compiler.ir.primitives.activation import Activation
from compiler.ir.primitives.base import Saved
from compiler.ir.primitives.external import Externals
from compiler.ir.primitives.registry import PRIMITIVES, Registry
from compiler.program.compile_file import compile_file
from compiler.program.request import Request
from hdas_dsl.text.diagnostics import Code
from tests.laws import test_3_one_hot as law_3
from tests.laws import test_4_equivalence as law_4
from tests.support.programs import random_decisions


@dataclass(frozen=True, kw_only=True)
class HardTanh(Activation):
    """x between -1 and 1, the nearer of them elsewhere."""

    name: ClassVar[str] = "hard_tanh"
    module: ClassVar[str] = "Hardtanh"
    function: ClassVar[str] = "F.hardtanh"
    preserves_zero: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class Softplus(Activation):
    """log(1 + exp(x))."""

    name: ClassVar[str] = "softplus"
    module: ClassVar[str] = "Softplus"
    function: ClassVar[str] = "F.softplus"
    fills: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True)
class Tanh(Activation):
    """The hyperbolic tangent."""

    name: ClassVar[str] = "tanh"
    module: ClassVar[str] = "Tanh"
    function: ClassVar[str] = "torch.tanh"
    preserves_zero: ClassVar[bool] = True
    saves: ClassVar[Saved] = Saved.OUTPUT


EXTERNALS = Externals(primitives=Registry((*PRIMITIVES, HardTanh, Softplus, Tanh)))

SPACE = """\
hsp 1
op act(x) = external "hsp:ACTIVATION"
op left(x) = x -> act -> conv(1)
op right(x) = x -> gelu -> conv(3)
op none(x) = zero(x)

cell Cell(x) {
  w = 2 | 4
  a = (act | left | none)(x)
  b = (act | right | none)(a)
  c = x -> conv(1, w) -> act -> conv(1, x.c)
  output act(b + c)
}

network Net(image: [3, 8, 8]) {
  stem = image -> conv(3, 4)
  output stem -> Cell -> classifier(5)
}
"""


def request(name: str) -> Request:
    return Request(Path("net.hsp"), text=SPACE.replace("ACTIVATION", name), externals=EXTERNALS)


def same_architectures(name: str) -> int | None:
    return count(Architectures(request(name)), same="functional").exact


def cost(name: str) -> Estimate:
    return estimate(run_passes(request(name).compile().network.block.graph, PASSES[:1]), CPU_WITH_KERNEL)


def test_the_name_is_resolved_by_the_registry_alone() -> None:
    text = SPACE.replace("ACTIVATION", "hard_tanh")
    program, diagnostics = compile_file("net.hsp", text=text)
    assert program is None
    assert [found.code for found in diagnostics] == [Code.PLUGIN]
    _, diagnostics = compile_file("net.hsp", text=text.replace("hard_tanh", "hard_tanz"), externals=EXTERNALS)
    assert [found.hint for found in diagnostics] == ["did you mean 'hsp:hard_tanh'?"]


@pytest.mark.parametrize(("name", "like"), [("hard_tanh", "swish"), ("tanh", "relu"), ("softplus", "sigmoid")])
def test_counting(name: str, like: str) -> None:
    """Up to the equivalence that sees through zeros, as another activation with the same traits."""
    assert same_architectures(name) == same_architectures(like)
    assert (same_architectures("softplus") or 0) > (same_architectures("tanh") or 0)


def test_scheduling() -> None:
    """What the backward pass keeps follows the trait; a graph of its own holds the output, which is as large."""
    assert cost("hard_tanh") == cost("swish")
    assert cost("softplus") == cost("swish")
    assert cost("tanh") == cost("sigmoid") != cost("swish")


@pytest.mark.parametrize("name", ["hard_tanh", "softplus", "tanh"])
def test_passes_and_lowering(name: str) -> None:
    """Laws 3 and 4; equal applications are shared."""
    searched = request(name).compile().network
    law_4.check(searched, [OPTIMISATIONS])
    for seed in range(3):
        law_3.check(searched, seed, plain=True)
    shared = run_passes(searched.block.graph)
    assert sum(isinstance(node.payload, Prim) and node.payload.name == name for _, node in shared.order()) == 4


@pytest.mark.parametrize(
    ("name", "function"), [("hard_tanh", F.hardtanh), ("softplus", F.softplus), ("tanh", torch.tanh)]
)
def test_a_network_and_its_export(name: str, function: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
    searched = request(name).compile().network
    found = specialise(searched, random_decisions(searched, 3))
    inputs: list[tuple[Tensor, Tensor]] = []
    network = Network(found).eval()
    kind = getattr(torch.nn, next(op.module for op in (HardTanh, Softplus, Tanh) if op.name == name))
    for module in network.modules():
        if isinstance(module, kind):
            module.register_forward_hook(lambda _, args, output: inputs.append((args[0], output)))
    network(torch.randn(2, 3, 8, 8))
    assert inputs
    assert all(torch.equal(function(given), output) for given, output in inputs)
    report = export(found, ExportKind.PY, tmp_path / "net.py")
    assert report.parameters == Costs().block(found.block).params
    text = report.path.read_text(encoding="utf-8")
    assert f"nn.{kind.__name__}()" in text or f"{function.__name__}(" in text
