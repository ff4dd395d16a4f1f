"""Data as the command line uses them: what is refused, warned of, limited and written down."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.data import Dataset

from compiler.commands.compile import compile_main
from compiler.searcher.data import register_dataset
from compiler.searcher.data.source import Items, Source
from tests.support.datasets import folder

NETWORK = """hsp 1
network Net(image: [3, 8, 8]; classes = 2) {
  output image -> conv(k = 1 | 3, 4) -> batch_norm -> classifier(classes)
}
search Net {
  data = folder(path = "pets")
  epochs = 1
  batch = 2
}
train Net {
  data = folder(path = "pets")
  epochs = 1
  batch = 2
}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program, and a folder of images one of which is broken."""
    monkeypatch.chdir(tmp_path)
    Path("net.hsp").write_text(NETWORK)
    folder(Path("data/pets"), {"train": (8, 8), "val": (8, 8)})
    folder(Path("data/pets"), {"train": (8, 8), "val": (8, 8)}, ("cow", "eel"))
    Path("data/pets/val/eel/1.png").write_bytes(b"")


def run(*arguments: object) -> int:
    return compile_main(["net.hsp", "--set", "classes=4", "--device", "cpu", "--quiet", *map(str, arguments)])


def test_a_broken_image_stops_a_run_before_it_begins(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--search", "--out", "a") == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "1 of 16 images of folder cannot be used: data/pets/val/eel/1.png is empty; `skip_broken = true`" in error
    assert not Path("a").exists()


def test_a_run_without_the_broken_image_warns_of_it_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    Path("net.hsp").write_text(NETWORK.replace('"pets"', '"pets", skip_broken = true'))
    assert run("--search", "--out", "a") == 0
    printed = capsys.readouterr()
    warning = "warning: 1 of 16 images of folder cannot be used: data/pets/val/eel/1.png is empty: they are left out\n"
    assert warning in printed.out + printed.err
    derived = Path("a/derived.hsp").read_text()
    assert 'data = folder(path = "pets", skip_broken = true)' in derived
    assert compile_main(["a/derived.hsp", "--train", "--set", "classes=4", "--out", "b", "--quiet"]) == 0
    printed = capsys.readouterr()
    assert warning in printed.out + printed.err


def test_the_seed_of_a_run_chooses_the_images_that_are_used(own_names: None) -> None:
    read: set[int] = set()

    class Watched(Dataset[tuple[torch.Tensor, int]]):
        """Forty images that notice when they are read."""

        targets = tuple(index % 4 for index in range(40))

        def __len__(self) -> int:
            return 40

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            read.add(index)
            return torch.full((3, 8, 8), index, dtype=torch.uint8), index % 4

    register_dataset("watched", lambda *_: Source(Items(Watched()), Items([(torch.zeros(3, 8, 8), 0)]), 4))  # type: ignore[arg-type]
    used = []
    for out, seed in (("a", 0), ("b", 0), ("c", 1)):
        read.clear()
        assert run("--search", "--out", out, "--seed", seed, "--set", "data=watched(images = 8)") == 0
        used.append(read - {0})  # The first is looked at in any case.
    assert used[0] == used[1]
    assert used[0] != used[2]
    assert all(len(indices) in (7, 8) for indices in used)
    assert "data = watched(images = 8)" in Path("a/derived.hsp").read_text()
