"""Saved weights: used at another image size, and as the start of a training."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.commands.compile import compile_main

TEXT = """hsp 1

network Net(image: [1, 8, 8]; classes = 4) {
  x = image -> conv(3, 4) -> batch_norm -> relu
  aux x -> flatten -> linear(classes)
  output x -> classifier(classes)
}

train Net {
  data = fake(channels = 1, classes = 4, count = 32)
  epochs = 1
  batch = 16
}
"""


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("net.hsp").write_text(TEXT)
    assert compile_main(["net.hsp", "--train", "--out", "run", "--quiet"]) == 0
    return "run/weights.safetensors"


def test_another_image_size_without_the_auxiliary_head(trained: str, capsys: pytest.CaptureFixture[str]) -> None:
    wider = ["--set", "image=(1, 16, 16)"]
    assert compile_main(["net.hsp", "--eval", trained, *wider]) == 0
    assert compile_main(["net.hsp", "--export", "torch", "--weights", trained, *wider, "--out", "net.pt2"]) == 0
    assert capsys.readouterr().err == ""


def test_fine_tuning_lists_what_starts_fresh(trained: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["net.hsp", "--train", "--quiet", "--weights", trained]
    assert compile_main([*words, "--out", "same"]) == 0
    assert capsys.readouterr().err == ""
    Path("more.hsp").write_text(TEXT.replace("classes = 4", "classes = 7"))
    assert compile_main(["more.hsp", *words[1:], "--out", "more"]) == 0
    said = capsys.readouterr().err
    assert "warning: 4 of " in said
    assert "of another shape in 'run/weights.safetensors', and start fresh: network." in said
    other = TEXT.replace("x = image", "y = image").replace("x ->", "y ->").replace("classes = 4", "classes = 5")
    Path("other.hsp").write_text(other)
    assert compile_main(["other.hsp", *words[1:], "--out", "other"]) == 2
    assert "has no weights of this network" in capsys.readouterr().err


def test_an_export_without_weights_says_so(trained: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert compile_main(["net.hsp", "--export", "torch", "--out", "net.pt2"]) == 0
    assert "without --weights FILE the weights are fresh ones" in capsys.readouterr().err
    assert compile_main(["net.hsp", "--train", "--weights", "nowhere.safetensors", "--out", "next"]) == 2
    assert "no file 'nowhere.safetensors'" in capsys.readouterr().err
