"""What users tried and what broke: each is right, or refused in a sentence with the right exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from compiler import derive
from compiler import load as supernet_of
from compiler.commands.compile import compile_main
from compiler.commands.console import FAILED, OK, WRONG_FILE, WRONG_USAGE
from compiler.searcher.relaxations.base import Relaxed
from compiler.util.errors import UsageError

SPACE = """hsp 1
network N(image: [1, 8, 8]; c = 4) {
  output conv(image, 3 | 5, c) -> classifier(10)
}
search N {
  data = fake(classes = 10, count = 16, channels = 1)
  epochs = 1
  batch = 4
}
"""
NETWORK = """hsp 1
network N(image: [1, 8, 8]) {
  output image -> global_pool -> linear(10)
}
"""
EMPTY_PICK = """hsp 1
network N(image: [1, 8, 8]) {
  s = conv(image, 3, 4)
  n[i < 2] = sum(s, pick any of (earlier n)) -> conv(3, 4)
  output concat(n) -> classifier(10)
}
search N {
  data = fake(classes = 10, count = 16, channels = 1)
  epochs = 1
  batch = 4
}
"""
USED = """hsp 1
use "zoo/darts_v2.hsp"
train DartsV2(c = 2, cells = 3) {
  data = fake(classes = 10, count = 8)
  epochs = 1
  batch = BATCH
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = {"space": SPACE, "net": NETWORK, "empty": EMPTY_PICK}
    for name, text in (files | {"used": USED.replace("BATCH", "4"), "one": USED.replace("BATCH", "1")}).items():
        (tmp_path / f"{name}.hsp").write_text(text)
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_pick_of_nothing_is_searched(folder: Path) -> None:
    assert compile_main(["empty.hsp", "--search", "--quiet", "--out", "run"]) == OK


def test_a_network_that_is_used_is_trained(folder: Path) -> None:
    assert compile_main(["used.hsp"]) == OK
    assert compile_main(["used.hsp", "--train", "--quiet", "--out", "run"]) == OK


@pytest.mark.parametrize(("alphas", "given"), [({}, "none"), ({"N.output.k": torch.zeros(1)}, "1")])
def test_a_derivation_has_all_alphas(folder: Path, alphas: dict[str, torch.Tensor], given: str) -> None:
    supernet = supernet_of("space.hsp")
    assert isinstance(supernet, Relaxed)
    with pytest.raises(UsageError, match=f"'N.output.k' has 2 alphas, and is given {given}"):
        derive(supernet, alphas)


PLUGIN = """from torch import nn

class Block(nn.Identity):
    @staticmethod
    def macs(*shape):
        BODY
"""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("raise KeyError('shape')", "cannot count its macs: KeyError"),
        ("return 'many'", "says that its macs are 'many': no whole number"),
        ("return float('nan')", "says that its macs are nan: no whole number"),
        ("return -1", "says that its macs are -1: no whole number"),
    ],
)
def test_a_plugin_that_cannot_count(body: str, message: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "blocks.py").write_text(PLUGIN.replace("BODY", body))
    declared = 'op block(x) : [x.c, x.rest] = external "blocks.py:Block"\nnetwork'
    text = NETWORK.replace("network", declared).replace("-> global_pool", "-> block -> global_pool")
    (folder / "plugged.hsp").write_text(text)
    assert compile_main(["plugged.hsp", "--allow-plugin", "blocks.py"]) == WRONG_FILE
    assert f"the plugin 'blocks.py:Block' {message}" in capsys.readouterr().err


REFUSED = {
    "a rate beyond float32": (
        ["space.hsp", "--search", "--out", "run", "--lr", "1e300"],
        "--lr 1e+300: 1e+300 is beyond the numbers that a run computes with",
    ),
    "weights beyond memory": (
        ["space.hsp", "--search", "--out", "run", "--set", "c=100000000000"],
        "the weights of this network and their gradients take",
    ),
    "weights beyond memory, drawn": (
        ["space.hsp", "--search", "--out", "run", "--set", "c=100000000000", "--set", "relax=sample"],
        "the weights of this network and their gradients take",
    ),
    "weights beyond any number": (
        ["space.hsp", "--emit", "code", "--set", "c=10000000000000000000000"],
        "the weights of this network and their gradients take",
    ),
    "one value per channel": (
        ["one.hsp", "--train", "--out", "run", "--quiet"],
        "use a larger --batch-size",
    ),
    "one value per channel, of a dry run": (
        ["one.hsp", "--dry-run", "--train"],
        "use a larger --batch-size",
    ),
    "a plugin that is not there": (
        ["net.hsp", "--allow-plugin", "nothere.py:Norm"],
        "there is no file 'nothere.py' of plugins",
    ),
    "weights over the file": (
        ["net.hsp", "--export", "py", "--out", "net.pt"],
        "is where the weights of a py file lie",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_in_a_sentence(case: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, message = REFUSED[case]
    assert compile_main(words) == WRONG_USAGE != FAILED
    printed = capsys.readouterr().err
    assert message in printed
    assert "error of this program" not in printed


@pytest.mark.parametrize(("out", "made"), [("folder", "folder/net.py"), ("exp", "exp.py"), ("x.txt", "x.txt")])
def test_an_export_has_a_suffix_and_may_go_into_a_folder(folder: Path, out: str, made: str) -> None:
    assert compile_main(["net.hsp", "--export", "py", "--out", out]) == OK
    assert (folder / made).read_text().startswith('"""N, a PyTorch network.')


def test_ranges_of_any_width_are_exact(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table of integers of 64 bits would not hold them."""
    assert compile_main(["space.hsp", "--set", "c=1000000000000000000000"]) == OK
    width = 10**21
    low, high = (width * k * k + width * 10 + 10 for k in (3, 5))
    assert f"params {low:,} to {high:,}" in capsys.readouterr().out


def test_a_network_without_a_train_section_is_said_to_train_on_the_defaults(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was told that cifar10 is missing, of which its file says nothing."""
    assert compile_main(["net.hsp", "--train"]) != OK
    said = capsys.readouterr().err
    assert "'net' has no `train` section: it is trained by the defaults of one, on cifar10" in said
    assert compile_main(["net.hsp", "--train", "--data", "fake", "--epochs", "0"]) != OK
    assert "no `train` section" not in capsys.readouterr().err
