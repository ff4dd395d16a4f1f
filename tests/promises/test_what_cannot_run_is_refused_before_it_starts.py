"""What the engine refuses before it writes anything; `commands/test_refusals.py` has what needs no torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.searcher.engine import EngineError, RunOptions, run_search
from tests.support.engine_toy import SEARCH, ToySpace, toy_data


def test_what_cannot_run_is_said_before_anything_is_written(tmp_path: Path) -> None:
    space = ToySpace()
    space.alphas = {}
    with pytest.raises(EngineError, match="no choice"):
        run_search(space, toy_data(), SEARCH, RunOptions(tmp_path / "run", device="cpu"))
    with pytest.raises(EngineError, match="no device 'abacus'"):
        run_search(ToySpace(), toy_data(), SEARCH, RunOptions(tmp_path / "run", device="abacus"))
    assert not (tmp_path / "run").exists()
