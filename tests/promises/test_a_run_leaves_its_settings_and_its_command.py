"""A run's folder says what the run was: all settings in the language, the command, the versions, the machine."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from compiler.commands.compile import compile_main
from compiler.program.compile_file import compile_file
from compiler.program.model import Program
from compiler.program.source_file import source_file
from compiler.runs.record import Record
from compiler.searcher.run_files import RECORD, SETTINGS, SOURCE
from compiler.searcher.settings.datasets import Digits

HEAD = """hsp 1
use "lib/prim.hsp"
op skip(x) = x
"""
TRAIN = """network N(i: [1, 8, 8]; c = 2, wide = true, act = skip) { output i -> conv(3, c) -> act -> classifier(10) }
train N(3) {
  data = fake(classes = 10, count = 16, channels = 1, crop = 1, cutout = 2, flip = true, weights_share = 0.3)
  epochs = 1
  batch = 8
  drop_path = 0
  require params <= 1M
}
"""
SEARCH = """network S(image: [1, 8, 8]; c = 2) { output (relu | skip)(conv(image, 3, c)) -> classifier(10) }
search S(c = 3) {
  data = fake(classes = 10, count = 16, channels = 1)
  epochs = 1
  batch = 8
  relax = sigmoid
  require params <= 1M
}
"""
EXPLORED = "relax = none\n  derive = random(1)\n  judge = proxy(synflow)"
TRAINED = ["--set", "c=4", "--lr", "0.5", "--seed", "7"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def program_of(text: str) -> Program:
    program, diagnostics = compile_file("again.hsp", (), None, text)
    assert program is not None, [item.render() for item in diagnostics]
    return program


def again(folder: Path, text: str) -> Program:
    """A program whose last section is that which a run left."""
    section = (folder / "run" / SETTINGS).read_text().removeprefix("hsp 1\n")
    network = text.partition("\n")[0] + "\n"
    return program_of(HEAD + network + section)


def test_the_settings_of_a_training_are_those_that_it_ran_with(folder: Path) -> None:
    (folder / "file.hsp").write_text(HEAD + TRAIN)
    command = ["file.hsp", "--train", "--quiet", "--out", "run", *TRAINED]
    assert compile_main(command) == 0
    found, given = again(folder, TRAIN), program_of(HEAD + TRAIN)
    network = found.train_network
    assert network is not None
    assert dict(network.block.arguments) == {"c": "4", "wide": "True", "act": "skip"}
    assert found.train_settings.seed == 7
    assert found.train_settings.weights.lr.describe() == "0.5"
    assert found.train_settings.data == given.train_settings.data
    assert (found.train_settings.batch, len(found.trained)) == (8, 1)
    text = (folder / "run" / SETTINGS).read_text()
    # A classification is not written, so that the settings of runs hold that were made before there were tasks.
    for name in type(found.train_settings).model_fields.keys() - {"task"}:
        assert f"\n  {name} = " in text
    record = Record.model_validate_json((folder / "run" / RECORD).read_text())
    assert shlex.split(record.command) == ["hdas-compile", *command]
    assert record.versions.keys() == {"hdas-dsl", "torch", "python"}


def test_the_settings_of_a_search_are_those_that_it_ran_with(folder: Path) -> None:
    (folder / "file.hsp").write_text(HEAD + SEARCH)
    assert compile_main(["file.hsp", "--search", "--quiet", "--out", "run", "--set", "c=5", "--epochs", "2"]) == 0
    phase = again(folder, SEARCH).phases[0]
    assert dict(phase.network.block.arguments) == {"c": "5"}
    assert phase.settings.epochs == 2
    assert phase.settings.relax.describe() == "sigmoid"
    assert len(phase.network.requirements) == 1


def test_a_refused_run_leaves_the_settings_of_the_one_before(folder: Path) -> None:
    (folder / "file.hsp").write_text(HEAD + TRAIN)
    assert compile_main(["file.hsp", "--train", "--quiet", "--out", "run"]) == 0
    before = [(folder / "run" / name).read_bytes() for name in (SETTINGS, RECORD)]
    assert compile_main(["file.hsp", "--train", "--quiet", "--out", "run", "--resume", *TRAINED]) != 0
    assert [(folder / "run" / name).read_bytes() for name in (SETTINGS, RECORD)] == before


def test_a_run_of_other_settings_is_refused_with_what_differs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of a training, a search, and an explorer's trials; where `settings.hsp` is gone, that they differ."""
    (folder / "file.hsp").write_text(HEAD + TRAIN)
    assert compile_main(["file.hsp", "--train", "--quiet", "--out", "run"]) == 0
    assert compile_main(["file.hsp", "--train", "--quiet", "--out", "run", "--resume", "--set", "batch=4"]) == 3
    assert "is of other settings (`batch` was 8, and is 4): it cannot go on here" in capsys.readouterr().err
    (folder / "space.hsp").write_text(HEAD + SEARCH)
    words = ["space.hsp", "--search", "--quiet", "--out", "found"]
    assert compile_main(words) == 0
    again = [*words, "--resume"]
    assert compile_main([*again, "--epochs", "2", "--set", "c=4", "--set", "weights.momentum=0.5"]) == 3
    said = capsys.readouterr().err
    assert "(`c` was 3, and is 4, `epochs` was 1, and is 2, `weights.momentum` was 0.9, and is 0.5)" in said
    (folder / "found" / SETTINGS).unlink()
    assert compile_main([*again, "--epochs", "2"]) == 3
    assert "is of another space, or of other settings: it cannot go on here" in capsys.readouterr().err
    (folder / "tried.hsp").write_text(
        HEAD + SEARCH.replace("relax = sigmoid", EXPLORED).replace("epochs = 1", "epochs = 0")
    )
    words = ["tried.hsp", "--search", "--quiet", "--out", "tried"]
    assert compile_main(words) == 0
    assert compile_main([*words, "--resume", "--seed", "3"]) == 2
    assert "the trials of another run, of other settings (`seed` was 0, and is 3); --force" in capsys.readouterr().err


def test_other_phases_are_no_other_settings(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    phases = SEARCH.replace("search S(c = 3)", "search").replace(
        "  require params <= 1M\n", "  phase one = S\n  phase two = S(c = 4)\n"
    )
    (folder / "file.hsp").write_text(HEAD + phases)
    words = ["file.hsp", "--search", "--quiet", "--out", "run"]
    assert compile_main(words) == 0
    (folder / "run" / "two" / "derived.hsp").unlink()
    assert compile_main([*words, "--resume", "--phases", "two", "--set", "batch=4"]) == 3
    assert "(`two.batch` was 8, and is 4)" in capsys.readouterr().err


def test_other_data_keep_what_the_section_says_of_its_own(folder: Path) -> None:
    """Crop, cutout, flip and the share of the weights; what it does not say is that of the other data."""
    (folder / "file.hsp").write_text(HEAD + TRAIN)
    assert compile_main(["file.hsp", "--train", "--quiet", "--out", "run", "--data", "digits"]) == 0
    assert again(folder, TRAIN).train_settings.data == Digits(weights_share=0.3, cutout=2, crop=1, flip=True)
    bare = TRAIN.replace("  data =", "  # data =")
    (folder / "file.hsp").write_text(HEAD + bare)
    assert compile_main(["file.hsp", "--train", "--quiet", "--force", "--out", "run", "--data", "digits"]) == 0
    assert again(folder, TRAIN).train_settings.data == Digits()


def test_a_search_leaves_the_text_that_it_searched(folder: Path) -> None:
    """With what the text uses beside it: the run can be repeated, and compared with chance, when both have changed."""
    (folder / "parts").mkdir()
    (folder / "parts" / "ops.hsp").write_text("hsp 1\nop skip(x) = x\n")
    (folder / "file.hsp").write_text('hsp 1\nuse "parts/ops.hsp"\nuse "lib/darts.hsp"\n' + SEARCH)
    command = ["--search", "--quiet", "--out"]
    assert compile_main(["file.hsp", *command, "run"]) == 0
    found = (folder / "run" / "derived.hsp").read_text()
    for path in ("file.hsp", "parts/ops.hsp"):
        (folder / path).unlink()
    left = (folder / "run" / SOURCE).rglob("*.hsp")
    assert {path.relative_to(folder / "run" / SOURCE).as_posix() for path in left} == {"file.hsp", "parts/ops.hsp"}
    assert source_file(program_of(found), folder / "run" / "derived.hsp") == folder / "run" / SOURCE / "file.hsp"
    assert compile_main([f"run/{SOURCE}/file.hsp", *command, "again"]) == 0
    assert (folder / "again" / "derived.hsp").read_text() == found
    assert compile_main([f"run/{SOURCE}/file.hsp", *command, "run", "--force"]) == 0
    assert (folder / "run" / "derived.hsp").read_text() == found


def test_a_refused_run_leaves_the_text_of_the_one_before(folder: Path) -> None:
    """And one that goes on with another text leaves that, which its architecture names."""
    phases = SEARCH.replace("search S(c = 3)", "search").replace(
        "  require params <= 1M\n", "  phase one = S\n  phase two = S(c = 4)\n"
    )
    (folder / "file.hsp").write_text(HEAD + phases)
    words = ["file.hsp", "--search", "--quiet", "--out", "run"]
    assert compile_main(words) == 0
    derived = folder / "run" / "derived.hsp"
    (folder / "run" / "two" / "derived.hsp").unlink()
    (folder / "file.hsp").write_text(HEAD + phases + "# another\n")
    assert compile_main([*words, "--resume"]) == 3
    assert (folder / "run" / SOURCE / "file.hsp").read_text() == HEAD + phases
    (folder / "run" / "two" / "checkpoint.safetensors").unlink()
    assert compile_main([*words, "--resume"]) == 0
    (folder / "file.hsp").unlink()
    assert source_file(program_of(derived.read_text()), derived) == folder / "run" / SOURCE / "file.hsp"
