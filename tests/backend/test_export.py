"""Export: what is written computes what the network computes, alone, and reads well."""

from __future__ import annotations

import ast as python
import importlib.util
import random
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from compiler.backend.export import ExportError, ExportKind, ExportReport, export
from compiler.backend.export import network as core
from compiler.backend.export.text import write
from compiler.backend.lowering.network import Network
from compiler.derivation import derive_module
from compiler.derivation.strongest import strongest
from compiler.elaborate import Elaborated, elaborate
from compiler.elaborate.values import Function
from compiler.searcher.settings.derivation import By
from hdas_dsl.files import Loader
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_module
from hdas_dsl.units import LIBRARY
from tests.support.golden import check
from tests.support.paths import FIXTURES

HERE = FIXTURES


def elaborated(text: str, **args: int) -> Elaborated:
    loader = Loader()
    instance = loader.load_text(text, "folder/small.hsp")
    assert instance is not None, [d.render() for d in loader.diagnostics]
    network = [
        definition
        for definition in instance.unit.module.definitions
        if isinstance(definition, ast.GraphDef) and definition.level is ast.Level.NETWORK
    ][-1]
    space, diagnostics = elaborate(Function(network, instance), dict(args))
    assert space is not None, [d.render() for d in diagnostics]
    return space


def derived(name: str, seed: int, **args: int) -> Elaborated:
    """A random architecture of a shipped space, on small images."""
    loader = Loader()
    path = LIBRARY / name
    instance = loader.load(path, name)
    assert instance is not None
    network = [d for d in instance.unit.module.definitions if isinstance(d, ast.GraphDef)][-1]
    space, _ = elaborate(Function(network, instance))
    assert space is not None
    rng = random.Random(seed)
    alphas = {path: [rng.gauss(0, 1) for _ in d.items] for path, d in space.decisions.items()}
    text = print_module(derive_module(space, strongest(space.decisions, alphas, By.LOGIT)))
    return elaborated(text.replace("224, 224", "32, 32"), **args)


def darts() -> Elaborated:
    return elaborated((LIBRARY / "zoo/darts_v2.hsp").read_text(), c=4, cells=5)


ODD = """hsp 1
op gated(x; k) = x * (x -> global_pool -> linear(x.c) -> sigmoid)
op pooled(x; k) = x -> resize(k, k) -> crop(1, 1)
op nothing(x) = zero(x)
op half(x) = zero(x, x.c, 2)
op lambda(x; c) = x -> conv(3, c) -> batch_norm -> relu6

cell Empty(x) {
  y = conv(x, 3)
  output nothing(y) + nothing(x)
}

cell Cell(forward, b; c, s) {
  F = lambda(forward, c)
  len = lambda(b, c)
  sum_of_everything[i < 9] = lambda(prev(F), c)
  p = pooled(F, s) -> resize(F.h) -> conv(1)
  q = pooled(len, s + 1) -> resize(F.h) -> conv(1)
  e = (F -> Empty) + nothing(len)
  top = concat(max_pool(F, s, 2), half(len) + conv(len, 1, stride = 2))
  h = top -> crop(s - 3, s - 3) -> resize(F.h)
  w = concat(F, len) -> cut(c) -> gated(3)
  output F + len + sum(sum_of_everything) + (p + q) * (len -> Empty) + p * q + e + conv(h, 1, c) + (w + F) * len
}

network Odd(image: [3, 9, 9]; c = 4) {
  a = image -> Empty
  x = lambda(image, c)
  k0 = Cell(x, x, c, 3)
  k1 = Cell(k0, x, 2 * c, 5)
  k2 = Cell(x, k1, 2 * c, 3)
  unread = conv(k1, 3)
  output concat(k1, k2, nothing(k1)) -> classifier(7)
}
"""


MOBILE = """hsp 1
use "lib/mobile.hsp"

stage Stage(x; c, e, se, act, n = 3) {
  b[i < n] = prev(x) -> mbconv(if i == 1 then 5 else 3, e + i, c, if i == 0 then 2 else 1, se, act)
  output last of b
}

network Mobile(image: [3, 32, 32]; classes = 10) {
  stem = image -> conv_norm(3, 8, 2) -> hard_swish
  output stem -> Stage(8, 3, false, relu) -> Stage(16, 3, false, hard_swish) -> Stage(24, 4, true, hard_swish)
    -> conv_norm(1, 64) -> hard_swish -> classifier(classes)
}
"""


def odd() -> Elaborated:
    return elaborated(ODD)


RECTANGULAR = """hsp 1
use "lib/darts.hsp"

cell Cell(x; s) {
  output conv_7x1_1x7(x, stride = s)
}

network Rectangular(image: [3, 16, 16]) {
  output image -> conv(3, 8) -> Cell(1) -> Cell(2) -> conv_7x1_1x7(2) -> classifier(10)
}
"""

NETWORKS = {
    "darts_v2": darts,
    "rectangular": lambda: elaborated(RECTANGULAR),
    "hdas_stages": lambda: derived("hdas_stages.hsp", 1, c=4),
    "nasbench201": lambda: derived("nasbench201.hsp", 3, c=4, n=1),
    "mobile": lambda: elaborated(MOBILE),
    "fbnet": lambda: derived("fbnet.hsp", 2, classes=10),
    "autoformer": lambda: derived("autoformer_tiny.hsp", 1, classes=10),
    "odd": odd,
}


def trained(space: Elaborated) -> Network:
    """A training network that is not fresh: norms have statistics and shifts."""
    torch.manual_seed(1)
    network = Network(space)
    for name, tensor in network.state_dict().items():
        if "running_var" in name:
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point() and tensor.dim() == 1:
            tensor.add_(0.1 * torch.randn_like(tensor))
    return network.eval()


def close(report: ExportReport, share: float) -> bool:
    return report.scale > 0 and report.difference <= share * report.scale


# ---------------------------------------------------------------- Python


@pytest.mark.parametrize("name", NETWORKS)
def test_python_file(name: str, tmp_path: Path) -> None:
    space = NETWORKS[name]()
    report = export(space, ExportKind.PY, tmp_path / f"{name}.py")
    assert close(report, 1e-12)
    assert report.weights is None
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.py"]
    text = report.path.read_text()
    roots = {
        ((node.module or "") if isinstance(node, python.ImportFrom) else node.names[0].name).partition(".")[0]
        for node in python.walk(python.parse(text))
        if isinstance(node, python.Import | python.ImportFrom)
    }
    assert roots == {"torch", "pathlib"}
    assert "folder" not in text
    assert space.root.instance.unit.sha256 in text
    ruff = shutil.which("ruff", path=Path(sys.executable).parent)
    if ruff:
        for words in (["format", "--diff"], ["check", "--select", "E,F,W,I"]):
            command = [ruff, *words, "--isolated", "--line-length=120", str(report.path)]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stdout + done.stderr


def test_python_text(tmp_path: Path) -> None:
    report = export(darts(), ExportKind.PY, tmp_path / "darts_v2.py")
    check(HERE / "export" / "darts_v2.py.txt", re.sub(r"sha256 \w+", "sha256 ...", report.path.read_text()))


def test_python_file_alone_with_weights(tmp_path: Path) -> None:
    space = darts()
    network = trained(space)
    assert any("aux" in name for name in network.state_dict())
    report = export(space, ExportKind.PY, tmp_path / "net.py", network.state_dict())
    assert close(report, 1e-12)
    assert report.weights == tmp_path / "net.pt"
    assert str(report.path) in str(report)
    images = torch.randn(2, 3, 32, 32)
    torch.save(images, tmp_path / "images.pt")
    script = (
        "import runpy, sys, torch\n"
        "made = runpy.run_path('net.py')['DartsV2']().eval()\n"
        "made.load_state_dict(torch.load('net.pt', weights_only=True))\n"
        "torch.save(made(torch.load('images.pt')), 'logits.pt')\n"
        "assert not any(name.split('.')[0] in ('compiler', 'hdas_dsl') for name in sys.modules)\n"
        "runpy.run_path('net.py', run_name='__main__')\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{report.parameters:,} parameters, output (2, 10)\n"
    with torch.no_grad():
        torch.testing.assert_close(torch.load(tmp_path / "logits.pt"), network(images))


def test_parameters_of_the_program_are_parameters_of_the_class(tmp_path: Path) -> None:
    report = export(NETWORKS["mobile"](), ExportKind.PY, tmp_path / "mobile.py")
    text = report.path.read_text()
    assert "class ConvNorm(nn.Sequential):" in text
    assert "def __init__(self, c_in: int, c: int, k: int, stride: int = 1, groups: int = 1) -> None:" in text
    assert "nn.Conv2d(c_in, c, k, stride=stride, padding=k // 2, groups=groups, bias=False)," in text
    assert "ConvNorm(e * c, e * c, k=k, groups=e * c)" in text
    assert "act=nn.Hardswish()" in text


def test_same_bytes_twice(tmp_path: Path) -> None:
    network = trained(space := darts())
    state = torch.get_rng_state()
    for folder in ("a", "b"):
        export(space, ExportKind.PY, tmp_path / folder / "net.py", network.state_dict())
        torch.rand(1)
    for name in ("net.py", "net.pt"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    torch.set_rng_state(state)
    export(space, ExportKind.PY, tmp_path / "c" / "net.py")
    assert torch.equal(torch.get_rng_state(), state)


def test_a_wrong_file_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*args: Any) -> object:
        source = write(*args)
        return replace(source, text=source.text.replace("n1 = F.max_pool2d", "n1 = F.avg_pool2d"))

    monkeypatch.setattr(core, "write", wrong)
    with pytest.raises(ExportError, match="computes something else"):
        export(darts(), ExportKind.PY, tmp_path / "net.py")


# ---------------------------------------------------------------- the other kinds


@pytest.mark.parametrize("kind", [ExportKind.ONNX, ExportKind.TORCH])
@pytest.mark.parametrize("name", ["nasbench201", "odd"])
def test_other_kinds(kind: ExportKind, name: str, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime") if kind is ExportKind.ONNX else None
    report = export(NETWORKS[name](), kind, tmp_path / "net")
    assert close(report, 1e-4)
    assert report.path.exists()
    if runtime is not None:
        assert [item.name for item in runtime.InferenceSession(str(report.path)).get_outputs()] == ["logits"]


def test_torch_with_weights(tmp_path: Path) -> None:
    space = darts()
    network = trained(space)
    report = export(space, ExportKind.TORCH, tmp_path / "net.pt2", network.state_dict())
    images = torch.randn(5, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(torch.export.load(report.path).module()(images), network(images))


LEVELS = """hsp 1
network Levels(image: [3, 8, 8]) {
  fine = image -> conv(3, 4) -> batch_norm
  output (fine, fine -> max_pool(3, 2) -> conv(1, 6), image -> global_pool)
}
"""


def test_onnx_with_weights(tmp_path: Path) -> None:
    """Several outputs are called as their lines, where they have any."""
    runtime = pytest.importorskip("onnxruntime")
    space = elaborated(LEVELS)
    network = trained(space)
    report = export(space, ExportKind.ONNX, tmp_path / "net.onnx", network.state_dict())
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
    images = torch.randn(5, *space.input.largest)
    session = runtime.InferenceSession(str(report.path))
    with torch.no_grad():
        expected = network(images)
    assert [item.shape for item in session.get_inputs()] == [["batch", *space.input.largest]]
    found = session.run(["fine", "output_1", "output_2"], {"images": images.numpy()})
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(torch.from_numpy(one), other, rtol=1e-3, atol=1e-4)


def test_onnx_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if "onnx" in name else find(name))
    with pytest.raises(ExportError, match=r"needs onnx and onnxscript .*`pip install 'hdas-dsl\[onnx\]'`"):
        export(NETWORKS["nasbench201"](), ExportKind.ONNX, tmp_path / "net.onnx")


# ---------------------------------------------------------------- errors


def test_choices(tmp_path: Path) -> None:
    space = elaborated((LIBRARY / "nasbench201.hsp").read_text())
    with pytest.raises(ExportError, match="'NB201' still has choices"):
        export(space, ExportKind.PY, tmp_path / "net.py")
    assert not list(tmp_path.iterdir())


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    space = darts()
    state = trained(space).state_dict()
    name = "network.k0.n0.from_x.sep_conv_3x3.norm.weight"
    for wrong, message in (
        ({key: tensor for key, tensor in state.items() if key != name}, "norm.weight' is missing"),
        ({key: tensor for key, tensor in state.items() if "k0" not in key}, r"network.k0.* and \d+ more are missing"),
        ({**state, name: torch.zeros(3)}, r"\(3,\) there, \(4,\) here"),
        ({**state, "network.k9.weight": torch.zeros(3)}, "'network.k9.weight' is not in it"),
    ):
        with pytest.raises(ExportError, match=message):
            export(space, ExportKind.PY, tmp_path / "net.py", wrong)
    assert not list(tmp_path.iterdir())


def test_unread_cells_are_left_out(tmp_path: Path) -> None:
    space = odd()
    network = trained(space)
    report = export(space, ExportKind.PY, tmp_path / "net.py", network.state_dict())
    assert close(report, 1e-12)
    assert "unread" not in report.path.read_text()
    assert report.parameters < sum(parameter.numel() for parameter in network.parameters())
