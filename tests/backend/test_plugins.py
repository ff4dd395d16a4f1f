"""Operations of a user's own: the example of the documentation, what is refused, and what is not imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from compiler import api
from compiler.commands import compile as cli
from compiler.commands import measure as command
from compiler.util.errors import LoweringError
from hdas_dsl.format import format_text
from tests.support.plugins import BLOCKS, PROGRAM, written


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return written(tmp_path)


def facts(capsys: pytest.CaptureFixture[str], *args: object) -> dict[str, Any]:
    assert cli.compile_main([*map(str, args), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_the_example_is_formatted() -> None:
    assert format_text(PROGRAM, "net.hsp") == PROGRAM


def test_costs_that_are_not_known_say_why(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "'blocks.py:" in facts(capsys, net)["unknown"]["params"]
    assert cli.compile_main([str(net)]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "parameters undefined: what the plugin 'blocks.py:" in shown
    assert "costs is not known: --allow-plugin blocks.py" in shown


def test_costs(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The cell by hand: a grouped 1x1 convolution of 8 channels, a scale, and on 8x8 pixels 64 times the weights."""
    found = facts(capsys, net, "--allow-plugin", net.parent / "blocks.py")
    assert found["cardinality"] == "6"
    fixed = 9 * 8 + 16 + 10 * 9
    assert found["ranges"]["params"] == {"min": fixed + 2 * (32 + 8), "max": fixed + 2 * (64 + 8 + 16)}
    macs = 64 * 72 + 80
    assert found["ranges"]["macs"] == {"min": macs + 2 * 64 * (32 + 8), "max": macs + 2 * 64 * (64 + 8 + 16)}


def test_a_search_a_derivation_and_a_training(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plugins = [net.parent / "blocks.py"]
    report = api.search(net, net.parent / "run", plugins=plugins)
    assert 'external "blocks.py:' in report.text
    assert api.contains(net, report.derived).inside
    derived = api.load(report.derived, plugins=plugins)
    assert type(next(m for m in derived.modules() if type(m).__name__ == "Scale")).__module__.startswith("hdas_plugin")
    assert derived.eval()(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    found = facts(capsys, report.derived, "--allow-plugin", plugins[0])
    assert found["params"] == sum(p.numel() for p in derived.parameters())
    assert 0 <= api.train(report.derived, net.parent / "train", plugins=plugins).accuracy <= 1


def test_export(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = api.search(net, net.parent / "run", plugins=[net.parent / "blocks.py"])
    allowed = ["--allow-plugin", str(net.parent / "blocks.py")]
    out = net.parent / "net.pt2"
    assert cli.compile_main([str(report.derived), "--export", "torch", "--out", str(out), *allowed]) == 0
    assert torch.export.load(out).module()(torch.zeros(3, 1, 8, 8)).shape == (3, 10)
    capsys.readouterr()
    assert cli.compile_main([str(report.derived), "--export", "py", "--out", str(net.parent / "n.py"), *allowed]) == 1
    assert "plugin 'blocks.py:Scale'" in capsys.readouterr().err


def test_its_latency_is_measured(
    net: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "SLOWEST", 100)  # all of them, however long each took
    assert command.main([str(net), "--rounds", "1", "--allow-plugin", str(net.parent / "blocks.py")]) == 0
    assert "blocks.py:" in capsys.readouterr().out
    assert command.main([str(net), "--rounds", "1"]) == 2
    assert "--allow-plugin blocks.py" in capsys.readouterr().err


OPEN = """\
hsp 1
op shuffle(x; groups, c = open) : [c, x.rest] = external "blocks.py:Shuffle"

network Net(image: [8, 8, 8]) {
  a = shuffle(image, groups = 2)
  output concat(a, image, 12)
}
"""


def test_an_open_width_is_solved(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Four channels are left for the plugin, which stays what it is."""
    net.write_text(OPEN)
    found = facts(capsys, net, "--allow-plugin", net.parent / "blocks.py")
    assert found["params"] == 4 * 8 // 2
    network = api.load(net, plugins=[net.parent / "blocks.py"])
    assert network.eval()(torch.zeros(2, 8, 8, 8)).shape == (2, 12, 8, 8)


# ---------------------------------------------------------------- wrong plugins


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("class Scale(nn.Module)", "class Other(nn.Module)", "'blocks.py' has no 'Scale'"),
        ("class Scale(nn.Module)", "class Scales(nn.Module)", "'blocks.py' has no 'Scale'; did you mean 'Scales'?"),
        ("class Scale(nn.Module)", "1 / 0\n\n\nclass Scale(nn.Module)", "cannot be imported: ZeroDivisionError"),
        ("class Scale(nn.Module)", "Scale = 3\n\n\nclass Other(nn.Module)", "'blocks.py:Scale' is not a torch module"),
        ("groups: int, c: int", "groups: int", r"cannot be made as Shuffle\(\(8, 8, 8\), groups=.*TypeError"),
        ("self.weight * x + y", "(self.weight * x + y).sum(1)", "Scale' gives 8x8 where its signature says 8x8x8"),
        ("self.weight * x + y", "x[:, :3] + y", "'blocks.py:Scale' cannot take 8x8x8 and 8x8x8: "),
        ("self.weight * x + y", "None", "'blocks.py:Scale' gives NoneType"),
    ],
)
def test_wrong_plugins(net: Path, old: str, new: str, why: str) -> None:
    text = BLOCKS.replace(old, new)
    assert text != BLOCKS
    (net.parent / "blocks.py").write_text(text)
    with pytest.raises(LoweringError, match=why):
        api.load(net, plugins=[net.parent / "blocks.py"])
