"""The commands: figures, exit codes, what is printed where, and that checking never loads torch."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compiler.commands.compile import compile_main
from compiler.commands.diff import diff_main
from compiler.commands.fmt import format_main
from tests.support.paths import ROOT

SPACES = ROOT / "spaces"
DARTS = 1_037_664_180


def facts(capsys: pytest.CaptureFixture[str], name: str, *args: str) -> dict[str, Any]:
    assert compile_main([str(SPACES / name), "--json", *args]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


@pytest.mark.parametrize(
    ("name", "params", "macs", "alphas", "cardinality"),
    [
        ("zoo/darts_v2.hsp", 3_349_342, 528_359_040, 0, 1),
        ("zoo/pdarts.hsp", 3_433_798, 532_174_464, 0, 1),
        ("darts.hsp", 1_930_618, 300_255_744, 224, DARTS**2),
        ("hdas_cells.hsp", 1_930_618, 300_255_744, 560, DARTS**5),
        ("hdas_stages.hsp", 918_186, 150_402_048, 204, 3**51),
        ("hdas_dist.hsp", 1_150_474, 185_963_520, 291, 97_764_063_507**3),
    ],
)
def test_exact_figures(
    capsys: pytest.CaptureFixture[str], name: str, params: int, macs: int, alphas: int, cardinality: int
) -> None:
    found = facts(capsys, name)
    assert (found["params"], found["macs"], found["alphas"]) == (params, macs, alphas)
    assert found["cardinality"] == str(cardinality)
    assert found["kind"] == ("space" if alphas else "architecture")
    assert found["input"] == [3, 32, 32]
    assert found["classes"] == 10
    assert sum(block["params"] for block in found["blocks"]) == params
    assert sum(block["macs"] for block in found["blocks"]) == macs


def test_phases(capsys: pytest.CaptureFixture[str]) -> None:
    found = facts(capsys, "hdas_cifar.hsp")
    assert found["cardinality"] == str(DARTS**5 * 3**51)
    assert found["params"] is found["macs"] is found["alphas"] is None
    micro, macro, ends = found["phases"]
    assert (micro["alphas"], macro["alphas"]) == (560, 204)
    assert (micro["cardinality"], macro["cardinality"]) == (str(DARTS**5), str(3**51))
    assert micro["params"] == 1_930_618
    assert macro["params"] is None
    assert macro["after"] == ["micro"]
    assert ends["optional"]


def test_overrides(capsys: pytest.CaptureFixture[str]) -> None:
    found = facts(capsys, "zoo/darts_v2.hsp", "--set", "c=16", "--set", "cells=8", "--set", "classes=100")
    assert found["classes"] == 100
    assert found["arguments"] == {"c": "16", "cells": "8", "classes": "100"}


@pytest.mark.parametrize("option", ["--json", "--emit=ast", "--emit=graph", "--emit=dot", None])
def test_checking_never_imports_torch(option: str | None) -> None:
    program = (
        "import sys; from compiler.commands.compile import compile_main; code = compile_main(); "
        "assert not {'torch', 'torchvision', 'sklearn'} & set(sys.modules), 'torch'; sys.exit(code)"
    )
    args = [str(SPACES / "hdas_cifar.hsp"), *([option] if option else [])]
    done = subprocess.run([sys.executable, "-c", program, *args], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_diff_and_format_never_import_torch(tmp_path: Path) -> None:
    program = (
        "import sys; from compiler.commands.diff import diff_main; from compiler.commands.fmt import format_main\n"
        f"diff_main([{str(SPACES / 'zoo/darts_v2.hsp')!r}, {str(SPACES / 'zoo/pdarts.hsp')!r}])\n"
        f"format_main(['--check', {str(SPACES / 'darts.hsp')!r}])\n"
        "assert not {'torch', 'networkx', 'pydantic'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_wrong_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.hsp"
    path.write_text(
        'hsp 1\nuse "lib/darts.hsp"\n\nnetwork Net(image: [3, 8, 8]) {\n'
        "  a = sep_conv_3x4(image)\n  b = conv(image, 3, 8) + conv(image, 3, 16)\n  output b -> classifier(10)\n}\n"
    )
    assert compile_main([str(path)]) == 1
    error = capsys.readouterr().err
    assert "did you mean 'sep_conv_3x3'?" in error
    assert "x.hsp:5:7" in error
    path.write_text(path.read_text().replace("  a = sep_conv_3x4(image)\n", ""))
    assert compile_main([str(path)]) == 1
    error = capsys.readouterr().err
    assert "8 channels" in error
    assert "Net.b" in error


@pytest.mark.parametrize(
    "args",
    [
        ["nowhere.hsp"],
        [],
        [str(SPACES / "darts.hsp"), "--nonsense"],
        [str(SPACES / "darts.hsp"), "--set", "nonsense=3"],
        [str(SPACES / "darts.hsp"), "--set", "epochs"],
        [str(SPACES / "darts.hsp"), "--emit", "nonsense"],
        [str(SPACES / "darts.hsp"), "--search", "--set", "weights.lr=fast"],
        [str(SPACES / "zoo/darts_v2.hsp"), "--search"],
        [str(SPACES / "hdas_cifar.hsp"), "--search", "--phases", "nonsense"],
        [str(SPACES / "zoo/darts_v2.hsp"), "--export", "nonsense"],
    ],
)
def test_a_wrong_command_line(args: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert compile_main(args) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO((SPACES / "zoo/darts_v2.hsp").read_text()))
    assert compile_main(["-", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["params"] == 3_349_342


def test_diff(capsys: pytest.CaptureFixture[str]) -> None:
    left, right = str(SPACES / "zoo/darts_v2.hsp"), str(SPACES / "zoo/pdarts.hsp")
    assert diff_main([left, left]) == 0
    assert diff_main([left, right]) == 1
    assert "Normal" in capsys.readouterr().out
    assert diff_main([left, right, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["changes"]
    assert diff_main([left, "nowhere.hsp"]) == 2


def test_in(capsys: pytest.CaptureFixture[str]) -> None:
    assert compile_main([str(SPACES / "zoo/darts_v2.hsp"), "--in", str(SPACES / "darts.hsp")]) == 0
    assert compile_main([str(SPACES / "zoo/darts_v2.hsp"), "--in", str(SPACES / "nasbench201.hsp")]) == 1
    assert "leaves the space" in capsys.readouterr().out
    assert compile_main([str(SPACES / "zoo/darts_v2.hsp"), "--in", "nowhere.hsp"]) == 2


def test_in_says_which_arguments_no_item_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, value in (("space", "(unit(k = 3) | unit(k = 5))(stem)"), ("mine", "unit(stem, k = 7)")):
        (tmp_path / f"{name}.hsp").write_text(
            "hsp 1\nop unit(x; k) = x -> conv(k) -> relu\nnetwork Net(image: [1, 8, 8]) {\n"
            f"  stem = image -> conv(3, 4)\n  a = {value}\n  output a -> classifier(10)\n}}\n"
        )
    assert compile_main([str(tmp_path / "mine.hsp"), "--in", str(tmp_path / "space.hsp")]) == 1
    assert "'unit(stem, k = 7)' is none of unit(k = 3) | unit(k = 5)" in capsys.readouterr().out


def test_format(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.hsp"
    path.write_text("hsp 1\nop f( x ) = x->relu\n")
    assert format_main(["--check", str(path)]) == 1
    assert format_main([str(path)]) == 0
    assert path.read_text() == "hsp 1\nop f(x) = x -> relu\n"
    assert format_main(["--check", str(path)]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO("hsp 1\nop f( x ) = x->relu\n"))
    capsys.readouterr()
    assert format_main(["-"]) == 0
    assert capsys.readouterr().out == "hsp 1\nop f(x) = x -> relu\n"
    path.write_text("hsp 1\nop f(\n")
    assert format_main([str(path)]) == 1
    assert format_main(["nowhere.hsp"]) == 2


def test_shipped_files_are_formatted() -> None:
    assert format_main(["--check", *map(str, sorted(SPACES.rglob("*.hsp")))]) == 0


# ---------------------------------------------------------------- all architectures of a file


def run(capsys: pytest.CaptureFixture[str], *args: object) -> tuple[int, str, str]:
    code = compile_main([str(arg) for arg in args])
    said = capsys.readouterr()
    return code, said.out, said.err


def test_explore(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Count, draw, list, change and cross: every file lies in the space, and the same seed gives the same bytes."""
    space = SPACES / "nasbench201.hsp"
    assert run(capsys, space, "--count") == (0, "15,625\n", "")
    one = run(capsys, space, "--sample", 1, "--seed", 3)
    assert one[0] == 0
    assert one == run(capsys, space, "--sample", 1, "--seed", 3)
    assert one != run(capsys, space, "--sample", 1, "--seed", 4)
    folder = tmp_path / "drawn"
    assert run(capsys, space, "--sample", 3, "--out", folder)[0] == 0
    a, b, _ = files = sorted(folder.iterdir())
    assert run(capsys, space, "--mutate", a, "--out", tmp_path)[0] == 0
    assert run(capsys, space, "--crossover", a, b, "--out", tmp_path)[0] == 0
    for path in (*files, tmp_path / "mutant.hsp", tmp_path / "child.hsp"):
        assert run(capsys, path, "--in", space) == (0, "yes: 6 decisions give it\n", "")
    assert diff_main([str(a), str(tmp_path / "mutant.hsp")]) == 1
    assert "1 operation differs; 8 of 9 edges agree" in capsys.readouterr().out
    _, said, _ = run(capsys, space, "--enumerate", "--limit", 2)
    assert [line[:24] for line in said.splitlines()] == ["0: Cell.n0.from_x = none", "1: Cell.n0.from_x = none"]
    assert run(capsys, space, "--enumerate", "--limit", 2, "--out", tmp_path / "all")[0] == 0
    assert [path.name for path in sorted((tmp_path / "all").iterdir())] == ["00000.hsp", "00001.hsp"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--sample", "2"), "name their folder with --out DIR"),
        (("--sample", "0"), "at least one"),
        (("--enumerate",), "has 15,625 architectures: --limit N"),
        (("--enumerate", "--limit", "0"), "at least one"),
        (("--mutate", "nowhere.hsp"), "there is no file 'nowhere.hsp'"),
        (("--mutate", str(SPACES / "zoo/darts_v2.hsp")), "is not in"),
        (("--sample", "1", "--out", "{full}"), "--force"),
    ],
)
def test_explore_refuses(capsys: pytest.CaptureFixture[str], tmp_path: Path, args: tuple[str, ...], words: str) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "sample-0.hsp").write_text("kept")
    code, said, complaint = run(capsys, SPACES / "nasbench201.hsp", *(arg.format(full=full) for arg in args))
    assert (code, said) == (2, "")
    assert words in complaint
    assert (full / "sample-0.hsp").read_text() == "kept"


def test_an_architecture_is_shown_as_it_is_trained_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """At the defaults, and with the arguments of its `train` section where these make another network of it."""
    path = tmp_path / "net.hsp"
    path.write_text(
        "hsp 1\nnetwork Net(x: [4, 8, 8]; w = 8) {\n  output conv(x, 1, w)\n}\ntrain Net(w = 16) {\n  data = fake\n}\n"
    )
    assert compile_main([str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["params"], found["trained"]["params"]) == (32, 64)
    assert (found["macs"], found["trained"]["macs"]) == (2048, 4096)
    assert compile_main([str(path)]) == 0
    assert "trained with   w = 16: params 64, macs 4,096" in capsys.readouterr().out
    path.write_text(path.read_text().replace("Net(w = 16)", "Net(w = 8)"))
    assert compile_main([str(path)]) == 0
    assert "trained with" not in capsys.readouterr().out
