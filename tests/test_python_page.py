"""The examples of docs/python.md run, one after the other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

from compiler import contains
from tests.support.paths import DOCS

PAGE = (DOCS / "python.md").read_text()
(NET,) = re.findall(r"```hsp\n(.*?)```", PAGE, re.DOTALL)
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.hsp").write_text(NET)
    torch.manual_seed(0)
    names: dict[str, Any] = {}
    for example in EXAMPLES:
        exec(compile(example, "python.md", "exec"), names)
    said = capsys.readouterr().out
    assert re.match(r"1 [\d.]+ (unit|identity)", said)
    assert "'Cell.a.from_x': '" in said
    assert "tensors as they are\n" in said
    assert list(Path("runs/csv").rglob("metrics.csv"))
    assert contains("net.hsp", "found.hsp").inside
    frozen = [name for name, parameter in names["wide"].named_parameters() if not parameter.requires_grad]
    assert frozen == ["network.stem.conv.weight", "network.stem.batch_norm.weight", "network.stem.batch_norm.bias"]
    equal = names["supernet"].eval().alone(names["images"], names["supernet"].chosen())
    torch.testing.assert_close(names["network"].eval()(names["images"]), equal)
