"""A file that names a plugin is counted without it; what needs its code is refused, and says what would allow it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from compiler import api
from compiler.backend.plugins import AllowedPlugins
from compiler.commands import compile as cli
from compiler.searcher.relaxations import Relaxed
from compiler.util.errors import LoweringError
from tests.support.plugins import BLOCKS, PROGRAM, written


@pytest.fixture
def net(tmp_path: Path) -> Path:
    return written(tmp_path)


def facts(capsys: pytest.CaptureFixture[str], *args: object) -> dict[str, Any]:
    assert cli.compile_main([*map(str, args), "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_nothing_is_imported_unless_it_is_allowed(net: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (net.parent / "blocks.py").write_text("raise SystemError('imported')\n")
    found = facts(capsys, net)
    assert found["cardinality"] == "6"
    assert found["params"] is None
    assert found["ranges"] == {}
    for arguments in (["--emit", "code"], ["--search", "--out", str(net.parent / "run")]):
        assert cli.compile_main([str(net), *arguments]) == 1
        shown = capsys.readouterr().err
        assert "the plugin 'blocks.py:" in shown
        assert "is not allowed here; allow it with `--allow-plugin blocks.py`" in shown
    with pytest.raises(LoweringError, match="imported: SystemError: imported"):
        api.load(net, plugins=[net.parent / "blocks.py"])


def test_modules_are_allowed_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package" / "__init__.py").touch()
    (tmp_path / "own_package" / "blocks.py").write_text(BLOCKS)
    path = tmp_path / "net.hsp"
    path.write_text(PROGRAM.replace("blocks.py:", "own_package.blocks:"))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LoweringError, match=r"--allow-plugin own_package\.blocks`"):
        api.load(path)
    assert "own_package" not in sys.modules
    supernet = api.load(path, plugins=["own_package.blocks"])
    assert isinstance(supernet, Relaxed)
    assert supernet.mixing()


@pytest.mark.parametrize(
    ("declared", "allowed", "found"),
    [
        ("blocks.py:A", "blocks.py", True),
        ("blocks.py:A", "some/where/blocks.py", True),
        ("blocks.py:A", "blocks.py:A", True),
        ("blocks.py:A", "blocks.py:B", False),
        ("my/blocks.py:A", "some/my/blocks.py", True),
        ("my/blocks.py:A", "some/blocks.py", False),
        ("../blocks.py:A", "blocks.py", False),
        ("blocks.py:A", "myblocks.py", False),
        ("package.module:A", "package.module", True),
        ("package.module:A", "package.module:A", True),
        ("package.module:A", "package", False),
        ("package.module:A", "module.py", False),
        ("package.module", "package.module", False),
    ],
)
def test_what_is_allowed(declared: str, allowed: str, found: bool) -> None:
    assert (AllowedPlugins(frozenset([allowed])).resolve(declared, ()) is not None) is found
    assert AllowedPlugins().resolve(declared, ()) is None
