"""`--versus`: a derived architecture beside random ones, from the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from unittest.mock import patch

import pytest

from compiler.analysis.requirements.alive import lives
from compiler.commands.compile import compile_main
from compiler.program.request import Request
from compiler.runs.config import RunConfig
from compiler.runs.plan_versus import plan_versus
from compiler.searcher.engine.retrain import _Training
from tests.support.programs import space

NET = """hsp 1
op c3(x) = x -> relu -> conv(3) -> batch_norm
op none(x) = x -> zero
choice Op = none | identity | c3

cell Cell(x) {
  n[i < 2] = sum(Op(each (x, earlier n)))
  output last of n
}

network Net(image: [1, 8, 8]; c = 2) {
  stem = image -> conv(3, c) -> batch_norm
  output Cell(stem) -> batch_norm -> classifier(10)
}

search Net {
  data = digits(images = 128, weights_share = 0.5)
  epochs = 1
  batch = 64
}

train Net(c = 4) {
  data = digits(images = 128)
  epochs = 2
  batch = 64
}
"""


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("versus")
    (folder / "net.hsp").write_text(NET)
    assert compile_main([str(folder / "net.hsp"), "--search", "--out", str(folder / "run"), "--quiet"]) == 0
    return folder


@pytest.fixture
def run(searched: Path, tmp_path: Path) -> Path:
    shutil.copytree(searched, tmp_path / "copy")
    return tmp_path / "copy" / "run"


def test_settings_are_those_of_the_trainings_not_of_the_search(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exploring = NET.replace("  epochs = 1\n", "  epochs = 0\n  relax = none\n  judge = trained\n  derive = random(2)\n")
    (run / "space.hsp").write_text(exploring)
    assert versus(run, 1, "--space", str(run / "space.hsp"), "--set", "epochs=1", "--set", "c=2") == 0
    assert "rank" in capsys.readouterr().out
    history = (run / "versus" / "random-0" / "seed-0" / "history.jsonl").read_text()
    assert len(history.splitlines()) == 1


def versus(run: Path, count: int, *more: str) -> int:
    return compile_main([str(run / "derived.hsp"), "--versus", str(count), "--quiet", *more])


def test_all_are_trained_as_a_training_trains_them(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert versus(run, 2, "--repeats", "2", "--seed", "3") == 0
    out = run / "versus"
    found = json.loads((out / "versus.json").read_text())
    assert found["seeds"] == [3, 4]
    assert [item["name"] for item in found["random"]] == ["random-0", "random-1"]
    for item in (found["architecture"], *found["random"]):
        file = run / "derived.hsp" if item["name"] == "architecture" else out / f"{item['name']}.hsp"
        assert lives(space(file.read_text()))
        alone = run / "alone" / item["name"]
        assert compile_main([str(file), "--train", "--seed", "4", "--out", str(alone), "--quiet"]) == 0
        accuracy = json.loads((alone / "result.json").read_text())["accuracy"]
        assert item["values"][1] == pytest.approx(accuracy, abs=1e-6)
    said = capsys.readouterr().out
    assert f"rank {found['rank']} of 3" in said
    assert f"p = {found['p']:.3f}" in said


def test_all_train_as_the_file_in_question_says_now(run: Path) -> None:
    derived = run / "derived.hsp"
    derived.write_text(derived.read_text().replace("epochs = 2", "epochs = 1"))
    assert versus(run, 1) == 0
    result = json.loads((run / "versus" / "random-0" / "seed-0" / "result.json").read_text())
    assert result["epochs"] == 1


def test_it_goes_on_where_it_ended_and_may_get_more(run: Path) -> None:
    assert versus(run, 3) == 0
    whole = (run / "versus" / "versus.json").read_bytes()
    shutil.rmtree(run / "versus" / "random-2")
    (run / "versus" / "random-1" / "seed-0" / "result.json").unlink()
    (run / "versus" / "versus.json").unlink()
    assert versus(run, 2) == 2, "an unfinished comparison is neither resumed nor overwritten"
    with patch.object(_Training, "step", autospec=True, side_effect=_Training.step) as step:
        assert versus(run, 3, "--resume") == 0
    assert step.call_count == 4, "two epochs of two batches: what was finished is not trained again"
    assert (run / "versus" / "versus.json").read_bytes() == whole
    shutil.rmtree(run / "versus")
    assert versus(run, 2) == 0
    assert versus(run, 3) == 2, "a finished one stays"
    assert versus(run, 3, "--resume") == 0
    assert (run / "versus" / "versus.json").read_bytes() == whole
    assert versus(run, 3, "--force") == 0
    assert (run / "versus" / "versus.json").read_bytes() == whole


def test_other_random_ones_do_not_go_on(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It said that a checkpoint is of another space, after the file of that architecture was another already."""
    assert versus(run, 1, "--repeats", "2", "--seed", "3") == 0
    drawn = (run / "versus" / "random-0.hsp").read_bytes()
    assert versus(run, 2, "--resume", "--seed", "4") == 2
    said = capsys.readouterr().err
    assert "random-0.hsp' is another random architecture, since --seed 3 drew it, not --seed 4: --resume takes" in said
    assert (run / "versus" / "random-0.hsp").read_bytes() == drawn
    assert versus(run, 2, "--resume", "--seed", "3") == 0
    net = run.parent / "net.hsp"
    net.write_text(NET.replace("epochs = 2", "epochs = 3"))
    assert versus(run, 2, "--resume", "--seed", "3", "--space", str(net)) == 2
    assert "since the space or its training says something else now; --force starts anew" in capsys.readouterr().err


def test_the_space_is_that_of_the_provenance(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = run.parent / "net.hsp"
    net.write_text(NET + "\n# changed\n")
    (run / "run.json").unlink()  # Its command names the file that this one is a copy of.
    (run / "source").rename(run / "elsewhere")
    assert versus(run, 1) == 2
    assert "derived from 'net.hsp', which is not found as it was: name it with --space FILE" in capsys.readouterr().err
    assert versus(run, 1, "--space", str(net)) == 0
    (run / "elsewhere").rename(run / "source")
    assert versus(run, 1, "--force") == 0  # by the text that the run keeps
    net.write_text(NET.replace("n[i < 2]", "n[i < 3]"))
    assert versus(run, 1, "--space", str(net), "--force") == 2
    assert "is not in" in capsys.readouterr().err


def test_what_is_no_architecture_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = str(run.parent / "net.hsp")
    assert compile_main([net, "--versus", "1", "--space", net]) == 2
    assert compile_main([str(run / "derived.hsp"), "--versus", "0"]) == 2
    assert "--versus" in capsys.readouterr().err
    assert compile_main(["-", "--versus", "1"]) == 2
    assert "standard input is read once" in capsys.readouterr().err


def test_random_ones_have_the_sizes_that_the_search_was_given(tmp_path: Path) -> None:
    """`--set` of a search is what its derived file says by default, not what the space says."""
    file, run = tmp_path / "net.hsp", tmp_path / "run"
    file.write_text(NET.replace("train Net(c = 4)", "train Net"))
    assert compile_main([str(file), "--search", "--set", "c=3", "--out", str(run), "--quiet"]) == 0
    derived = (run / "derived.hsp").read_text()
    assert versus(run, 1, "--epochs", "1") == 0
    assert space((run / "versus" / "random-0.hsp").read_text()).arguments == {"c": 3}
    (run / "derived.hsp").write_text(derived.replace("c = 3", "c = 5"))
    assert versus(run, 1, "--epochs", "1", "--force") == 0
    assert space((run / "versus" / "random-0.hsp").read_text()).arguments == {"c": 5}


def test_more_random_ones_are_named_as_fewer_are(run: Path) -> None:
    """So that --resume finds those that are trained."""
    request, config = Request(run / "derived.hsp"), RunConfig(run / "versus")
    nine, eleven = (list(plan_versus(request, ["hsp 1"] * count, config).contenders) for count in (9, 11))
    assert eleven[:10] == nine
