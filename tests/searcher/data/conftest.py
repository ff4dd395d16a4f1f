"""What every test of data needs."""

import pytest

from compiler.searcher.settings import datasets as specs


@pytest.fixture
def own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """A registry for one test."""
    monkeypatch.setattr(specs, "_registered", {})
