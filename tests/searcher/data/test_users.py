"""Datasets of users: registered by a function or by an installed package, and what is said of those that do not fit."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import torch
from PIL import Image

from compiler.searcher.data import DataError, DataSpec, register_dataset
from compiler.searcher.data.load import load_data
from compiler.searcher.data.source import Items, Source
from compiler.searcher.settings.datasets import BUILT_IN, user_data
from compiler.searcher.settings.sections import read_search
from compiler.searcher.settings.words import Applied
from hdas_dsl.text.source import NOWHERE
from tests.support.datasets import everything, registered
from tests.support.paths import ROOT


def test_a_builder_that_returns_something_else_is_refused(own_names: None) -> None:
    register_dataset("wrong", lambda spec, root, download: [1, 2])
    with pytest.raises(DataError, match="builder of 'wrong' returns list, not a Source"):
        load_data(user_data("wrong")(), Path("root"))


def test_the_example_of_the_readme(own_names: None) -> None:
    readme = (ROOT / "compiler" / "searcher" / "data" / "README.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", readme.partition("## A dataset of your own")[2], re.DOTALL)
    exec(code, {"__name__": "example"})
    settings, wrong = read_search({"data": (Applied("stripes", (), {"weights_share": 0.5, "crop": 1}), NOWHERE)})
    assert wrong == []
    assert settings.data.describe() == "stripes(crop = 1)"
    data = load_data(settings.data, Path())
    assert (data.name, len(data.train), len(data.test), data.classes, data.shape) == ("stripes", 80, 20, 2, (1, 8, 8))


def test_a_users_dataset_of_pairs(own_names: None) -> None:
    pairs = [(Image.new("L", (5, 4), 255), 1), (torch.zeros(1, 4, 5, dtype=torch.uint8), 0)]
    seen = []

    def builder(spec: DataSpec, root: Path, download: bool) -> Source:
        seen.append((spec.model_dump()["path"], root, download))
        return Source(Items(pairs), Items(pairs), 2)  # type: ignore[arg-type]

    data = registered("pairs", builder, path="x")
    assert seen == [("x", Path("root"), False)]
    images, labels = everything(data)
    assert images.shape == (2, 1, 4, 5)
    assert images.flatten(1).mean(1).tolist() == [1.0, 0.0]
    assert labels.tolist() == [1, 0]


@pytest.mark.parametrize("name", [*(model.word for model in BUILT_IN), "a-b", ""])
def test_names_that_cannot_be_registered(name: str, own_names: None) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        register_dataset(name, lambda *_: None)


def test_an_installed_dataset_is_imported_only_when_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "mine-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[hdas_dsl.datasets]\nmine = mine_data:build\n")
    (tmp_path / "mine_data.py").write_text(
        "import torch\n"
        "from compiler.searcher.data.source import Pixels, Source\n"
        "def build(spec, root, download):\n"
        "    pixels = Pixels(torch.zeros(4, 1, 2, 2, dtype=torch.uint8), torch.zeros(4, dtype=torch.long))\n"
        "    return Source(pixels, pixels, 1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    settings, wrong = read_search({"data": (Applied("mine"), NOWHERE)})
    assert wrong == []
    assert settings.data.describe() == "mine"
    assert "mine_data" not in sys.modules
    assert load_data(settings.data, Path()).shape == (1, 2, 2)
    assert sys.modules.pop("mine_data")
