"""A phase that is searched by itself builds on what an earlier run found in the same folder."""

from pathlib import Path

import pytest

from compiler.commands.compile import compile_main

PROGRAM = """hsp 1
cell Cell(x) {
  output x -> (relu | identity)
}

network Cells(image: [1, 8, 8]) {
  output image -> Cell -> classifier(10)
}

network Whole(image: [1, 8, 8]; Inner = Cell) {
  output image -> Inner -> (relu | identity) -> classifier(10)
}

search {
  data = digits
  epochs = 1
  batch = 512
  phase micro = Cells
  phase macro = Whole(Inner = micro.Cell)
  phase ends = Whole(Inner = micro.Cell) {
    optional = true
  }
}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.hsp").write_text(PROGRAM)
    return tmp_path


def search(out: str, *args: str) -> int:
    return compile_main(["net.hsp", "--search", "--out", out, "--quiet", *args])


def found(folder: Path, micro: str) -> None:
    """What a run of the first phase leaves: its derived file in its folder, and that of the run."""
    text = f"hsp 1\ncell Cell(x) {{\n  output x -> {micro}\n}}\n"
    (folder / "apart/micro").mkdir(parents=True)
    for name in ("apart/derived.hsp", "apart/micro/derived.hsp"):
        (folder / name).write_text(text + "network Cells(image: [1, 8, 8]) {\n  output image -> Cell\n}\n")


@pytest.mark.parametrize("micro", ["relu", "identity"])
def test_it_takes_what_is_there(micro: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found(folder, micro)
    assert search("apart", "--phases", "macro") == 0
    assert "phase micro: found before" in capsys.readouterr().out
    assert f"cell Cell(x) {{\n  output x -> {micro}\n}}" in (folder / "apart/derived.hsp").read_text()
    assert search("apart", "--phases", "macro") == 2  # that run is finished
    assert search("apart", "--phases", "ends") == 0
    assert f"output x -> {micro}" in (folder / "apart/ends/derived.hsp").read_text()


def test_the_bytes_are_those_of_one_run(folder: Path) -> None:
    assert search("whole") == 0
    for phase in ("micro", "macro"):
        assert search("apart", "--phases", phase) == 0
    assert (folder / "apart/derived.hsp").read_bytes() == (folder / "whole/derived.hsp").read_bytes()


def test_it_is_refused_where_nothing_was_found(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert search("apart", "--phases", "macro") == 2
    said = capsys.readouterr().err
    assert "phase 'macro' builds on phase 'micro', and there is no 'apart/micro/derived.hsp'" in said
    assert "--phases micro" in said
    assert not (folder / "apart").exists()


@pytest.mark.parametrize("text", ["hsp 1\ncell {\n", "hsp 1\n"], ids=["no text of the language", "no cell"])
def test_it_is_refused_where_that_is_wrong(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found(folder, "relu")
    (folder / "apart/micro/derived.hsp").write_text(text)
    assert search("apart", "--phases", "macro") == 1
    said = capsys.readouterr()
    assert "micro" in said.out + said.err
    assert not (folder / "apart/macro").exists()
