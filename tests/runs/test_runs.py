"""Runs from the command line: the same seed gives the same bytes; a derived file trains."""

import contextlib
import importlib.util
import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from compiler.commands.compile import compile_main
from tests.support.paths import ROOT

TINY = """hsp 1
use "lib/darts.hsp"

cell Cell(a, b; c) {
  x = preprocess(a, b, c)
  y = preprocess(b, b, c)
  n[i < 2] = sum(pick 2 of Micro(each (x, y, earlier n)))
  output concat(n)
}

stage Wired(x; Cell, c) {
  s[j < 2] = Cell(mix, mix, c) where mix = sum(pick 1 of Wire(each last 2 of (x, earlier s)))
  output last of s
  maximize depth(s) weight 0.5
}

choice Wire = none if relaxed | max_pool_3x3 | skip_connect

network Micro1(image: [1, 8, 8]; c = 2, classes = 10) {
  stem = image -> conv(3, 4) -> batch_norm
  k[i < 2] = prev(stem, stem) -> Cell@i(c)
  output last of k -> classifier(classes)
}

network Macro1(image: [1, 8, 8]; c = 2, classes = 10, Inner) {
  stem = image -> conv(3, 4) -> batch_norm
  output Wired(stem, Inner@0, c) -> classifier(classes)
}

search {
  data = digits(weights_share = 0.5)
  epochs = 2
  batch = 256
  phase micro = Micro1
  phase macro = Macro1(Inner = micro.Cell) {
    preferences = apart
  }
}

train macro.Macro1(c = 4) {
  data = digits
  epochs = 2
  batch = 256
  drop_path = ramp(0, 0.2)
}
"""


def command(*args: object, folder: Path) -> list[str]:
    program = "import sys; from compiler.commands.compile import compile_main; sys.exit(compile_main())"
    return [sys.executable, "-c", program, *map(str, args)]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "COLUMNS": "100"}


def run(*args: object, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*args, folder=folder), cwd=folder, env=environment(), capture_output=True, text=True, check=False
    )


def call(*args: object, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command in this process, where the process is not what is asked about."""
    out, err = io.StringIO(), io.StringIO()
    words = [str(arg) for arg in args]
    with contextlib.chdir(folder), redirect_stdout(out), redirect_stderr(err):
        code = compile_main(words)
    return subprocess.CompletedProcess(words, code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs")
    (path / "tiny.hsp").write_text(TINY)
    return path


@pytest.fixture(scope="module")
def first(folder: Path) -> Path:
    """A finished search."""
    done = run("tiny.hsp", "--search", "--out", "a", "--seed", "3", folder=folder)
    assert done.returncode == 0, done.stderr
    return folder / "a"


def test_search_writes_a_derived_file_for_each_phase(first: Path, folder: Path) -> None:
    text = (first / "derived.hsp").read_text()
    assert text == (first / "macro" / "derived.hsp").read_text()
    assert "provenance {" in text
    assert 'source = "tiny.hsp"' in text
    assert "seed = 3" in text
    assert str(folder) not in text
    assert (first / "micro" / "log.txt").exists()
    assert (first / "micro" / "history.jsonl").exists()
    facts = json.loads(call("a/derived.hsp", "--json", folder=folder).stdout)
    assert facts["kind"] == "architecture"
    assert facts["cardinality"] == "1"
    inside = call("a/derived.hsp", "--in", "tiny.hsp", folder=folder)
    assert inside.returncode == 0, inside.stdout + inside.stderr


def test_same_seed_same_bytes(first: Path, folder: Path) -> None:
    done = run("tiny.hsp", "--search", "--out", "b", "--seed", "3", "--quiet", folder=folder)
    assert done.returncode == 0, done.stderr
    assert (folder / "b" / "derived.hsp").read_bytes() == (first / "derived.hsp").read_bytes()


def test_finished_run_is_not_overwritten(first: Path, folder: Path) -> None:
    again = call("tiny.hsp", "--search", "--out", "a", folder=folder)
    assert again.returncode == 2
    assert "--force" in again.stderr


def test_train_and_eval(first: Path, folder: Path) -> None:
    trained = call("a/derived.hsp", "--train", "--seed", "1", folder=folder)
    assert trained.returncode == 0, trained.stderr
    facts = json.loads((first / "train" / "result.json").read_text())
    assert 0 < facts["accuracy"] <= 1
    tested = call("a/derived.hsp", "--eval", "a/train/weights.safetensors", folder=folder)
    assert tested.returncode == 0, tested.stderr
    assert f"{facts['accuracy']:.2%}" in tested.stdout
    wrong = call("a/derived.hsp", "--eval", "a/train/weights.safetensors", "--set", "c=3", folder=folder)
    assert wrong.returncode == 2
    assert "does not belong to this network" in wrong.stderr
    exported = ("--export", "py", "--weights", "a/train/weights.safetensors", "--out", "exported.py")
    told = call("a/derived.hsp", *exported, folder=folder)
    assert told.returncode == 0, told.stderr
    assert "images in [0, 1], less their mean of 0.3054, divided by their standard deviation of 0.3760" in told.stdout
    assert accuracy_of(folder / "exported.py", **facts["images"]) == pytest.approx(facts["accuracy"], abs=1e-6)


def accuracy_of(path: Path, mean: list[float], std: list[float]) -> float:
    """That of an exported network on the test part of the digits, in plain torch."""
    spec = importlib.util.spec_from_file_location("exported", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    network = module.Macro1().eval()
    network.load_state_dict(torch.load(path.with_suffix(".pt"), weights_only=True))
    raw, labels = load_digits(return_X_y=True)
    _, test = train_test_split(range(len(labels)), test_size=0.2, random_state=0, stratify=labels)
    images = torch.tensor(raw[test] * 255 / 16).round().float().view(-1, 1, 8, 8) / 255
    with torch.no_grad():
        outputs = network((images - mean[0]) / std[0])
    return float((outputs.argmax(1) == torch.tensor(labels[test])).float().mean())


def test_training_a_space_is_refused(folder: Path) -> None:
    refused = call("tiny.hsp", "--train", folder=folder)
    assert refused.returncode == 2
    assert "still has choices" in refused.stderr


def test_missing_data_say_how_to_get_them(folder: Path) -> None:
    missing = call("tiny.hsp", "--search", "--out", "m", "--data", "mnist", folder=folder)
    assert missing.returncode == 2
    assert "--download" in missing.stderr
    assert "Traceback" not in missing.stderr


def test_dry_run_writes_nothing(folder: Path) -> None:
    dry = call("tiny.hsp", "--search", "--out", "dry", "--phases", "micro", "--dry-run", folder=folder)
    assert dry.returncode == 0, dry.stderr
    assert "a step" in dry.stdout
    assert not (folder / "dry").exists()


def test_diverging_ends_with_a_sentence(folder: Path) -> None:
    bad = call("tiny.hsp", "--search", "--out", "nan", "--lr", "1e30", "--set", "weights.clip=0", folder=folder)
    assert bad.returncode == 3, bad.stderr
    assert "Traceback" not in bad.stderr
