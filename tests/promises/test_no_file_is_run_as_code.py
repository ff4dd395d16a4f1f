"""No text, genotype, checkpoint, table or cache is evaluated or unpickled: the code has no way to."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from compiler.commands.compile import compile_main
from compiler.commands.import_genotype import import_main
from compiler.searcher.engine.errors import CheckpointError
from compiler.searcher.engine.state import checkpoint
from tests.support.paths import ROOT
from tests.support.soak.runs import NETWORK

CALLS = {"eval", "exec", "__import__", "import_module", "spec_from_file_location", "exec_module", "run_path", "CDLL"}
MODULES = {"pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "yaml", "runpy", "code"}

ALLOWED = {
    ("compiler/backend/plugins.py", "import_module"),
    ("compiler/backend/plugins.py", "spec_from_file_location"),
    ("compiler/backend/plugins.py", "exec_module"),
    ("compiler/backend/export/network.py", "exec"),
    ("compiler/backend/fused/kernel/build.py", "CDLL"),
    ("hdas_dsl/__init__.py", "import_module"),
}
"""Plugins that the user allows; the module that an export has just written, to check it; the kernel of the cache; and
what the package itself exports, when it is first used."""


def ways(path: Path) -> Iterator[str]:
    """The ways to run data that a module names."""
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in CALLS:
                if not (name == "eval" and isinstance(node.func, ast.Attribute)):  # `network.eval()`
                    yield name
            case ast.Call(func=ast.Attribute(value=ast.Name(id="torch"), attr="load")):
                yield "torch.load"
            case ast.Import(names=names):
                yield from (item.name for item in names if item.name.partition(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module)) if module.partition(".")[0] in MODULES:
                yield module
            case ast.keyword(arg="allow_pickle", value=ast.Constant(value=True)):
                yield "allow_pickle"


def test_the_code_names_no_way_to() -> None:
    files = [*(ROOT / "compiler").rglob("*.py"), *(ROOT / "hdas_dsl").rglob("*.py")]
    found = {(path.relative_to(ROOT).as_posix(), way) for path in files for way in ways(path)}
    assert found == ALLOWED


class Trap:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.trace,)


def test_a_pickle_is_no_checkpoint_and_no_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace, file, net = tmp_path / "trace", tmp_path / "x.safetensors", tmp_path / "net.hsp"
    torch.save({"w": Trap(trace)}, file)
    net.write_text(NETWORK)
    with pytest.raises(CheckpointError, match="damaged"):
        checkpoint.read(file)
    assert compile_main([str(net), "--eval", str(file)]) == 2
    assert "cannot be read as weights" in capsys.readouterr().err
    assert not trace.exists()


@pytest.mark.parametrize("text", [
    "Genotype(normal=__import__('pathlib').Path(TRACE).touch(), normal_concat=[2])",
    "Genotype(normal=[(open(TRACE, 'w').name, 0)], normal_concat=[2])",
    "import pathlib; pathlib.Path(TRACE).touch()",
])  # fmt: skip
def test_a_genotype_is_not_evaluated(text: str, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    assert import_main([text.replace("TRACE", repr(str(trace)))]) in (1, 2)
    assert not trace.exists()
