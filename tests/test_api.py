"""The functions of Python: the same loop as the command line, from a file to an architecture."""

from pathlib import Path
from typing import Any

import pytest
import torch

from compiler import HspError, contains, derive, describe, diff, load, search, train
from compiler.backend.lowering.network import Network
from compiler.searcher.relaxations.supernet import Supernet
from tests.support.paths import SPACES


def test_load_gives_a_torch_module() -> None:
    torch.manual_seed(0)
    supernet = load(SPACES / "darts.hsp", c=2, cells=3)
    assert isinstance(supernet, Supernet)
    assert supernet(torch.randn(2, 3, 32, 32)).shape == (2, 10)
    assert "Normal.n3.from_n2" in supernet.alphas
    network = load(SPACES / "zoo/darts_v2.hsp", c=4, cells=3)
    assert isinstance(network, Network)
    logits, aux = network(torch.randn(2, 3, 32, 32))
    assert logits.shape == aux.shape == (2, 10)
    assert network.eval()(torch.randn(2, 3, 32, 32)).shape == (2, 10)


def test_derive_diff_contains(tmp_path: Path) -> None:
    supernet = load(SPACES / "darts.hsp", c=2, cells=3)
    assert isinstance(supernet, Supernet)
    files = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        alphas = {path: torch.randn(len(alpha)) for path, alpha in supernet.alphas.items()}
        files.append(tmp_path / f"{seed}.hsp")
        files[-1].write_text(derive(supernet, alphas))
        assert contains(SPACES / "darts.hsp", files[-1]).inside
    assert diff(files[0], files[0]).same
    assert not diff(*files).same


def test_describe() -> None:
    assert describe(SPACES / "zoo/darts_v2.hsp")["params"] == 3_349_342


def test_a_wrong_file_says_where(tmp_path: Path) -> None:
    path = tmp_path / "x.hsp"
    path.write_text("hsp 1\nnetwork N(image: [3, 8, 8]) {\n  output nothing(image)\n}\n")
    with pytest.raises(HspError, match=r"x\.hsp:3:10"):
        load(path)


def test_search_and_train(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 1, "batch": 512, "data": "digits"}
    path = tmp_path / "s.hsp"
    path.write_text(
        'hsp 1\nuse "lib/darts.hsp"\n\nnetwork N(image: [1, 8, 8]; c = 2) {\n'
        "  stem = image -> conv(3, c) -> batch_norm\n"
        "  output Micro(stem) -> classifier(10)\n}\n\nsearch N {\n}\n"
    )
    report = search(path, tmp_path / "run", **settings)
    assert report.derived.read_text() == report.text
    outcome = train(report.derived, tmp_path / "train", c=4, **settings)
    assert 0 <= outcome.accuracy <= 1
    assert outcome.weights.exists()
