"""What can be refused without torch is refused before torch is loaded: at once, in a sentence, with the right code."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT, SPACES

NET = """hsp 1
use "lib/darts.hsp"

network Net(image: [1, 8, 8]; c = 2) {{
  output conv(image, 1, c) -> batch_norm -> {body} -> classifier(10)
}}

{section}
"""

FILES = {
    "space.hsp": NET.format(body="Micro", section="search Net {\n  data = digits\n  epochs = 1\n}"),
    "drawn.hsp": NET.format(body="Micro", section="search Net {\n  data = digits\n  relax = sample\n}"),
    "hard.hsp": NET.format(body="Micro", section="search Net {\n  data = digits\n  relax = gumbel(hard = true)\n}"),
    "second.hsp": NET.format(
        body="Micro", section="search Net {\n  data = digits\n  order = second\n  relax = sample\n}"
    ),
    "small.hsp": NET.format(body="Micro", section="search Net {\n  data = digits\n  require params <= 3\n}"),
    "free.hsp": NET.format(body="Micro", section=""),
    "net.hsp": NET.format(body="relu", section=""),
    "flat.hsp": "hsp 1\nnetwork Net(x: [64]) {\n  output x -> (linear(4) | linear(4))\n}\nsearch Net {\n}\n",
    "dense.hsp": "hsp 1\nnetwork Net(x: [1, 8, 8]) {\n  output conv(x, 3 | 5, 10)\n}\nsearch Net {\n}\n",
    "positions.hsp": "hsp 1\nnetwork Net(x: [1, 8, 8]) {\n  output conv(x, 3, 10)\n}\n",
    "pair.hsp": "hsp 1\nnetwork Net(a: [1, 8, 8], b: [1, 8, 8]) {\n  output (a + b) -> classifier(10)\n}\n",
    "finished/derived.hsp": "",
    "started/checkpoint.safetensors": "",
    "trained/result.json": "",
}

REFUSALS = [
    # The command line
    (2, "no option '--nonsense'", ["space.hsp", "--nonsense"]),
    (2, "does nothing with --search", ["space.hsp", "--search", "--limit", "3"]),
    (2, "no file 'none.hsp'", ["none.hsp", "--search"]),
    (2, "no file 'none.hsp'", ["net.hsp", "--train", "--recipe", "none.hsp"]),
    (2, "no `train` section", ["net.hsp", "--train", "--recipe", "net.hsp"]),
    (2, "--set epochs: the form is name=value", ["space.hsp", "--search", "--set", "epochs"]),
    (2, "--epochs 0: `epochs = 0` is for `relax = none`", ["space.hsp", "--search", "--epochs", "0"]),
    (2, "no parameter or setting of that name", ["space.hsp", "--search", "--set", "epoch=3"]),
    (2, "did you mean 'recompute'?", ["space.hsp", "--search", "--passes", "recompte"]),
    (2, "'big' is not a size of memory", ["space.hsp", "--search", "--memory-budget", "big"]),
    (2, "'path' of huggingface must be a text", ["space.hsp", "--search", "--data", "huggingface(x)"]),
    (2, "--data fake(2 2): expected", ["space.hsp", "--search", "--data", "fake(2 2)"]),
    (2, "no device 'tpu'", ["space.hsp", "--search", "--device", "tpu"]),
    (2, "none of float32", ["space.hsp", "--search", "--precision", "8"]),
    # Searches
    (
        2,
        "'positions' is an architecture, in which nothing is left to search: `hdas train FILE`",
        ["positions.hsp", "--search"],
    ),
    (1, "has no gradient that `order = second`", ["second.hsp"]),
    (1, "has no gradient that `order = second`", ["second.hsp", "--search"]),
    (2, "--set order=second: `relax = sample` has", ["drawn.hsp", "--search", "--set", "order=second"]),
    (2, "how and on what: add `search Net { data = digits }`", ["free.hsp", "--search"]),
    (2, "this file has no phases", ["space.hsp", "--search", "--phases", "micro"]),
    (2, "did you mean 'micro'?", [str(SPACES / "hdas_digits.hsp"), "--search", "--phases", "micor"]),
    (2, "takes 64, which is not an image", ["flat.hsp", "--search"]),
    (2, "gives 10x8x8, which is not a vector of classes; an image has one label", ["dense.hsp", "--search"]),
    (2, "gives 10x8x8, which is not a vector of classes", ["dense.hsp", "--search", "--dry-run"]),
    (2, "gives 10x8x8, which is not a vector of classes", ["positions.hsp", "--train"]),
    (2, "gives 10x8x8, which is not a vector of classes", ["positions.hsp", "--eval", "net.hsp"]),
    (2, "takes 2 inputs, and `data = cifar10` has one", ["pair.hsp", "--train"]),
    (2, "no architecture of 'Net' has `params` at most 3", ["small.hsp", "--search"]),
    (2, "no architecture of 'Net' has `params` at most 3", ["small.hsp", "--search", "--dry-run"]),
    (2, "holds a finished run", ["space.hsp", "--search", "--out", "finished"]),
    (2, "holds an unfinished run", ["space.hsp", "--search", "--out", "started"]),
    (2, "holds no run to resume", ["space.hsp", "--search", "--out", "new", "--resume"]),
    (2, "--memory-budget does nothing with `relax = sample`", ["drawn.hsp", "--search", "--memory-budget", "1G"]),
    (2, "--passes does nothing with `relax = sample`", ["drawn.hsp", "--search", "--passes", "idle"]),
    (2, "--compile does nothing with `relax = sample`", ["drawn.hsp", "--search", "--compile"]),
    (2, "--compile does nothing with `relax = gumbel(hard", ["hard.hsp", "--search", "--compile"]),
    (2, "--passes does nothing with `relax = gumbel(hard", ["hard.hsp", "--search", "--dry-run", "--passes", "idle"]),
    # Trainings, tests, exports
    (2, "still has choices in it", ["space.hsp", "--train"]),
    (2, "still has choices in it", ["space.hsp", "--train", "--dry-run"]),
    (2, "--phases does nothing with --train", ["net.hsp", "--train", "--dry-run", "--phases", "a"]),
    (2, "--recipe does nothing with --search", ["space.hsp", "--search", "--dry-run", "--recipe", "net.hsp"]),
    (2, "holds a finished run", ["net.hsp", "--train", "--out", "trained"]),
    (2, "holds an unfinished run", ["net.hsp", "--train", "--out", "started"]),
    (2, "no file 'none.safetensors'", ["net.hsp", "--eval", "none.safetensors"]),
    (2, "the kinds are onnx, torch, py; did you mean 'onnx'?", ["net.hsp", "--export", "onx"]),
    (2, "no file 'none.safetensors'", ["net.hsp", "--export", "py", "--weights", "none.safetensors"]),
    (2, "--seed does nothing with --weights", ["net.hsp", "--export", "py", "--weights", "net.hsp", "--seed", "1"]),
    (2, "still has choices in it", ["space.hsp", "--export", "py"]),
    # Architectures
    (2, "no kind 'grahp' to print (did you mean 'graph'?)", ["net.hsp", "--emit", "grahp"]),
    (2, "no file 'none.hsp'", ["net.hsp", "--in", "none.hsp"]),
    (2, "at least one architecture", ["space.hsp", "--sample", "0"]),
    (2, "no file 'none.hsp'", ["space.hsp", "--crossover", "net.hsp", "none.hsp"]),
]

PROGRAM = """
import contextlib, io, json, sys
from compiler.commands.compile import compile_main

found = []
for words in json.loads(sys.argv[1]):
    said, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(error):
        code = compile_main(words)
    found.append((code, said.getvalue(), error.getvalue(), "torch" in sys.modules))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("refusals")
    for name, text in FILES.items():
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text(text)
    return path


@pytest.fixture(scope="module")
def found(folder: Path) -> list[tuple[int, str, str, bool]]:
    """The outcome of each command line, all in one process that nothing but a refusal has loaded torch into."""
    lines = json.dumps([words for _, _, words in REFUSALS])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, lines],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "", "HOME": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(item) for item in json.loads(done.stdout)]


@pytest.mark.parametrize("at", range(len(REFUSALS)), ids=[" ".join(words) for _, _, words in REFUSALS])
def test_refused_without_torch(found: list[tuple[int, str, str, bool]], at: int) -> None:
    code, words, _ = REFUSALS[at]
    got, said, error, has_torch = found[at]
    assert words in error
    assert (got, said, has_torch) == (code, "", False)
    assert "Traceback" not in error


def test_nothing_is_written(found: list[tuple[int, str, str, bool]], folder: Path) -> None:
    written = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert written - {name for name in written if name.startswith(".cache")} == set(FILES)
