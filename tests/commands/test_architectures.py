"""`--count`, `--sample`, `--enumerate`, `--mutate`, `--crossover`: where and with what an architecture is judged.

An architecture is one of a space, so it may do what the space may: use the plugins that are allowed to it, and read the
tables beside it, wherever the command runs and wherever a parent's file lies.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from compiler.analysis.architectures import sampling
from compiler.analysis.costs.cost_polynomial import Costing
from compiler.analysis.costs.latency_table import Table
from compiler.analysis.costs.prices import Application, Latency
from compiler.commands.compile import compile_main
from compiler.program.compile_file import compile_file
from tests.support.paths import DOCS

PLUGINS = (DOCS / "plugins.md").read_text()

TABLED = """\
hsp 1

network Net(image: [1, 8, 8]) {
  n[i < 3] = prev(image) -> conv(k = 1 | 3, c = 4)
  output last of n
  require latency("t.csv") <= 6
}
"""


@pytest.fixture
def with_plugin(tmp_path: Path) -> list[str]:
    """The example of the documentation with a requirement that two of its six architectures meet."""
    [blocks] = re.findall(r"```python\n(.*?class Scale.*?)```", PLUGINS, re.DOTALL)
    program, *_ = re.findall(r"```hsp\n(.*?)```", PLUGINS, re.DOTALL)
    (tmp_path / "blocks.py").write_text(blocks)
    path = tmp_path / "net.hsp"
    path.write_text(program.replace("classifier(classes)\n", "classifier(classes)\n  require params <= 300\n"))
    return [str(path), "--allow-plugin", str(tmp_path / "blocks.py")]


@pytest.fixture
def with_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A space beside its table, used from another folder: a kernel of 9 takes 3 ms, one of 1 takes 1 ms."""
    folder = tmp_path / "space"
    folder.mkdir()
    (folder / "net.hsp").write_text(TABLED)
    program, diagnostics = compile_file(folder / "net.hsp")
    assert program is not None, diagnostics
    found: dict[str, Application] = {}
    Costing(program.network).formula(Latency(Table("", {}), found))
    Table("t.csv", {name: 1.0 if "k=1" in name else 3.0 for name in found}).write(folder / "t.csv")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return [str(folder / "net.hsp")]


def run(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    assert compile_main([*map(str, args)]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def parents(capsys: pytest.CaptureFixture[str], folder: Path, args: list[str]) -> list[Path]:
    """Two architectures of a space that meet its requirement, drawn where nothing is required."""
    space = Path(args[0])
    free = space.with_name("free.hsp")
    free.write_text(re.sub(r"  require .*\n", "", space.read_text()))
    found: list[Path] = []
    for seed in range(20):
        text = run(capsys, free, *args[1:], "--sample", 1, "--seed", seed)
        if is_within(text) and len(found) < 2:
            found.append(folder / f"parent{seed}.hsp")
            found[-1].write_text(text)
    return found


def is_within(text: str) -> bool:
    """Whether an architecture of either space meets its requirement, as its text shows."""
    return text.count("(k = 3") <= 1 and ("scale" not in text or "shuffle(x, groups = 2)" in text)


@pytest.mark.parametrize(("space", "left", "every"), [("with_plugin", 2, 6), ("with_table", 4, 8)])
@pytest.mark.parametrize("command", ["count", "enumerate", "sample", "mutate", "crossover"])
def test_an_architecture_is_judged_as_one_of_its_space(
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    command: str,
    space: str,
    left: int,
    every: int,
) -> None:
    args = request.getfixturevalue(space)
    match command:
        case "count":
            assert run(capsys, *args, "--count").startswith(f"{left} of {every}, which `require ")
            return
        case "enumerate":
            assert len(run(capsys, *args, "--enumerate").splitlines()) == left
            return
        case "sample":
            found = [run(capsys, *args, "--sample", 1, "--seed", seed) for seed in range(3)]
        case "mutate":
            found = [run(capsys, *args, "--mutate", parents(capsys, tmp_path, args)[0])]
        case _:
            found = [run(capsys, *args, "--crossover", *parents(capsys, tmp_path, args))]
    assert all(map(is_within, found))


def test_what_is_not_known_is_said(
    with_plugin: list[str], with_table: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert compile_main([with_plugin[0], "--count"]) == 2
    assert "`require params <= 300` cannot be checked: what the plugin" in capsys.readouterr().err
    Path(with_table[0]).with_name("t.csv").unlink()
    assert compile_main([*with_table, "--count"]) == 2
    assert "cannot be checked: 't.csv' cannot be read" in capsys.readouterr().err


def test_samples_have_the_tables_that_they_name_beside_them(
    with_table: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, *with_table, "--sample", 2, "--out", tmp_path / "samples")
    facts = json.loads(run(capsys, tmp_path / "samples" / "sample-1.hsp", "--json"))
    assert facts["latency"]['latency("t.csv")'] <= 6
    assert "diagnostics" not in facts


def test_a_count_or_a_list_without_an_end_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is compiled for more draws than are made; a list ends where many in a row miss a requirement."""
    path = tmp_path / "net.hsp"
    line = "a[i < 100] = prev(image) -> (relu | conv(1, 3))"
    body = f"  {line}\n  require params <= 0\n  require macs <= 0 or params <= 0\n  output last of a\n"
    path.write_text(f"hsp 1\nnetwork Net(image: [3, 8, 8]) {{\n{body}}}\n")
    assert compile_main([str(path), "--sample", str(10**30), "--out", str(tmp_path / "out")]) == 2
    assert "at most 100,000 architectures are drawn at once" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    path.write_text(path.read_text().replace("<= 0", "< 0"))
    monkeypatch.setattr(sampling, "MOST_ASKED", 1000)
    assert compile_main([str(path), "--enumerate", "--limit", "3"]) == 2
    assert "none of 10 architectures" in capsys.readouterr().err
