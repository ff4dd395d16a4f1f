"""The tutorial of `docs/tasks.md` is run, and data that do not fit are told before training, with their place."""

from __future__ import annotations

import csv
import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from safetensors.torch import load_file as torch_file

from compiler import api
from compiler.backend.passes import FLATTEN
from compiler.commands.compile import compile_main
from compiler.program.compile_file import compile_file
from compiler.run_report.reading import report_of, run_of
from compiler.run_report.render import page as page_of
from compiler.searcher.data.arrays import Fit, Taken, load_arrays
from compiler.searcher.data.subsets import random_generator
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.settings.datasets import ArrayFile, DataError
from compiler.searcher.settings.tasks import Classification
from compiler.util.errors import UsageError
from hdas_dsl.text.diagnostics import HspError
from tests.support.paths import DOCS

PAGE = (DOCS / "tasks.md").read_text()
(MYDATA,) = re.findall(r"```python\n(import numpy.*?)```", PAGE, re.DOTALL)
(DENOISE,) = re.findall(r"```python\n(import torch\n.*?)```", PAGE, re.DOTALL)
(BOTH,) = re.findall(r"```python\n(from torch.nn import functional\n.*?)```", PAGE, re.DOTALL)
OWN = {"Denoised": ("denoise.py", DENOISE), "Flowers": ("both.py", BOTH)}
"""The networks with a file of their own, beside those of `mydata.py`."""
FILES = {text.split("network ")[1].split("(")[0]: text for text in re.findall(r"```hsp\n(.*?)```", PAGE, re.DOTALL)}
METRICS = {
    "Rows": "mae",
    "Waves": "accuracy",
    "Stripes": "iou",
    "Signs": "f1",
    "Words": "perplexity",
    "Denoised": "psnr",
    "Flowers": "loss",
}


@pytest.mark.parametrize("name", METRICS)
def test_the_tutorial(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    called, text = OWN.get(name, ("mydata.py", MYDATA))
    own = tmp_path / called
    own.write_text(text)
    file, metric, plugins = tmp_path / "net.hsp", METRICS[name], [own]
    file.write_text(FILES[name].replace("data = digits", "data = digits(images = 80)"))
    with pytest.raises(UsageError, match=rf"--allow-plugin {own.stem}\.py allows it"):
        api.search(file, tmp_path / "refused")
    report = api.search(file, tmp_path / "run", plugins=plugins)
    assert "score -" not in (log := (tmp_path / "run" / "log.txt").read_text())
    assert ("| score" in log) == (metric == "accuracy")
    (epoch,) = map(json.loads, (tmp_path / "run" / "history.jsonl").read_text().splitlines())
    judged = epoch.get(f"{metric}/score", epoch["score"])
    assert epoch["score"] == (-judged if metric in ("mae", "perplexity", "loss") else judged)
    assert re.search(rf"  score = {judged:.4f}".rstrip("0").rstrip("."), report.text)
    assert (f'metric = "{metric}"' in report.text) == (metric != "accuracy")
    outcome = api.train(report.derived, tmp_path / "train", plugins=plugins)
    facts = json.loads((tmp_path / "train" / "result.json").read_text())
    assert facts[metric] == pytest.approx(outcome.value, abs=1e-6)
    words = [str(report.derived), "--allow-plugin", str(plugins[0]), "--eval", str(outcome.weights)]
    assert compile_main(words) == 0
    assert f"test {metric}: {outcome.task.show(outcome.value)}" in capsys.readouterr().out


def test_what_is_compared_is_the_metric(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fronts, reports, comparisons with chance and proxies of a regression, of which a smaller error is better."""
    (tmp_path / "mydata.py").write_text(MYDATA)
    file, out = tmp_path / "net.hsp", tmp_path / "run"
    how = "relax = none\n  epochs = 0\n  derive = nsga2(4, population = 2, pareto = (score, params))\n  judge = trained"
    file.write_text(FILES["Rows"].replace("epochs = 1", how, 1))
    allowed = ["--allow-plugin", str(tmp_path / "mydata.py")]
    assert compile_main([str(file), "--search", "--out", str(out), *allowed]) == 0
    shown = "".join(capsys.readouterr())
    rows = list(csv.DictReader((out / "pareto" / "front.csv").open()))
    every = [json.loads(line) for line in (out / "trials.jsonl").read_text().splitlines() if '"score"' in line]
    errors = [float(row["mae"]) for row in rows]
    assert errors == sorted(errors)
    assert errors[0] == pytest.approx(-max(trial["score"] for trial in every))
    assert f" {errors[0]:.6g}, `id`" in shown
    derived = out / "derived.hsp"
    assert compile_main([str(derived), "--versus", "2", "--quiet", "--batch-size", "40", *allowed]) == 0
    versus = json.loads((out / "versus" / "versus.json").read_text())
    assert versus["metric"] == {"name": "mae", "larger": False, "share": False}
    values = [item["values"][0] for item in (versus["architecture"], *versus["random"])]
    assert versus["rank"] == 1 + sum(value <= values[0] for value in values[1:])
    assert " mae, of which smaller is better" in capsys.readouterr().out
    run = run_of("run", out, [str(tmp_path / "mydata.py")])
    (phase,) = run.phases
    assert [trial.score for trial in phase.trials] == pytest.approx([-trial["score"] for trial in every], rel=1e-4)
    assert phase.trials[-1].best == pytest.approx(errors[0], rel=1e-4)
    page = page_of(report_of([out], [str(tmp_path / "mydata.py")]))
    assert "MAE of each trial" in page
    assert "Test mae of each architecture" in page
    assert compile_main([str(derived), "--proxies", "--words", "grad_norm,fisher", "--images", "8", *allowed]) == 0
    assert "grad_norm" in capsys.readouterr().out


def test_an_own_task_is_checked_when_it_is_compiled(tmp_path: Path) -> None:
    """Its output by the shapes, its loss by the first samples; without leave the file is checked and counted alone."""
    own, file = tmp_path / "denoise.py", tmp_path / "net.hsp"
    own.write_text(DENOISE)
    text = FILES["Denoised"]
    file.write_text(text.replace("conv(3, 1, bias", "conv(3, 2, bias"))
    assert api.count(file).number == 2
    with pytest.raises(HspError) as refused:
        api.search(file, tmp_path / "run", plugins=[own])
    assert refused.value.diagnostics[0].render() == (
        f'{file}:9:3: error[E702]: `task = "denoise.py:Denoise"` asks for an image of the shape of its input, '
        "and 'Denoised' gives 2x8x8 of 1x8x8\n"
        '      task = "denoise.py:Denoise"\n      ^^^^^^^^^^^^^^^^^^^^^^^^^^^'
    )
    file.write_text(text)
    for wrong, message in (
        (("return functional", "return [0] and functional.nothing"), "cannot be computed for the first samples of the"),
        (("return functional.mse_loss(outputs, targets)", "return (outputs - targets)"), "shape 2x1x8x8, not one"),
        (("(UserTask)", ""), "is not a `UserTask` of compiler.searcher.engine.user_task"),
        (('"psnr"', '"a b"'), "calls its metric 'a b': use letters, digits and _"),
        (("def loss", "def lose"), "cannot be made: TypeError"),
        (('"psnr"', "3"), "calls its metric '3': use letters"),
        (("return taken == given", "return taken.nothing"), "cannot say whether a network fits: AttributeError"),
        (("return PeakSignalNoiseRatio(data_range=1.0)", "raise OSError"), "cannot give its metric: OSError"),
        (("return PeakSignalNoiseRatio(data_range=1.0)", "return 1"), "gives int by `measure`, not one metric"),
        (
            ("return inputs + 0.1 * torch.randn_like(inputs)", "return inputs[:, :, :4]"),
            "is of the shape 1x4x8, and the network takes 1x8x8",
        ),
        (("return functional.mse_loss(outputs, targets)", "return 1"), "its loss is of the type int, not a tensor"),
    ):
        own.write_text(DENOISE.replace(*wrong))
        with pytest.raises((UsageError, HspError), match=re.escape(message)):
            api.search(file, tmp_path / "run", plugins=[own])


def test_from_the_command_line_to_a_program_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every command of the section, in order, then its program."""
    _, section = PAGE.split("### From the command line to a program of one's own")
    commands = [line.split() for line in section.split("\n## ")[0].splitlines() if line.startswith("    hdas-compile ")]
    assert len(commands) == 5
    (program,) = re.findall(r"```python\n(from pathlib.*?)```", section, re.DOTALL)
    (loading,) = re.findall(r"```\n(import numpy\n.*?)```", section, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("mydata.py").write_text(MYDATA)
    Path("rows.hsp").write_text(FILES["Rows"])
    for _, *words in commands:
        assert compile_main([*words, *(["--quiet"] if "--export" not in words else [])]) == 0
    capsys.readouterr()
    exec(compile(program, "tasks.md", "exec"), {})
    sys.modules.pop("rows")
    said = capsys.readouterr().out
    assert re.fullmatch(r"tensor\(\[\[-?[0-9.]+\]\]\)\n", said)
    exec(compile(loading, "tasks.md", "exec"), {})
    (first,), *others = (
        map(float, re.findall(r"-?\d+\.\d+", line)) for line in (said + capsys.readouterr().out).splitlines()
    )
    assert [value for (value,) in others] == pytest.approx([first, first], abs=1e-3)


NET = """\
hsp 1
network Net(row: [2]; c = 3) {
  output row -> linear(8) -> (relu | gelu) -> linear(c)
}
search Net {
  task = TASK
  data = "d.npz"
  epochs = 1
  batch = 4
}
"""
X, Y = np.ones((10, 2), dtype=np.float32), np.arange(10) % 3
WRONG: dict[str, tuple[str, dict[str, Any], str]] = {
    "label": ("classification", {"x": X, "y": Y + 1}, 'the targets of the training part of "d.npz" have a 3, but the'),
    "negative": ("classification", {"x": X, "y": Y - 1}, "have a -1"),
    "type": ("classification", {"x": X, "y": Y / 2}, "are of the type float64, not whole numbers"),
    "inputs": ("classification", {"x": X[:, :1], "y": Y}, 'inputs of the training part of "d.npz" are 10x1, but the'),
    "count": ("classification", {"x": X, "y": Y[:9]}, "has 10 inputs and 9 targets"),
    "test": ("classification", {"x": X, "y": Y, "x_test": X, "y_test": Y + 1}, 'the test part of "d.npz" have a 3'),
    "nan": ("classification", {"x": np.where(np.arange(10)[:, None] == 7, np.nan, X), "y": Y}, "the first is sample 7"),
    "text": ("classification", {"x": X.astype(str), "y": Y}, "are texts, not numbers"),
    "numbers": ("regression", {"x": X, "y": X}, "are n x 2, but the task asks for n x 3"),
    "labels": ("multilabel", {"x": X, "y": np.full((10, 3), 2)}, "each is 0 or 1"),
    "none": ("multilabel", {"x": X}, "has no targets 'y'"),
    "names": ("multilabel", {"rows": X}, "has no array 'x': its arrays are rows"),
}


@pytest.mark.parametrize("name", WRONG)
def test_data_that_do_not_fit(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    task, arrays, message = WRONG[name]
    Path("data").mkdir()
    np.savez("data/d.npz", **arrays)
    Path("n.hsp").write_text(NET.replace("TASK", task))
    with pytest.raises(HspError) as refused:
        api.search("n.hsp", "run")
    (found,) = refused.value.diagnostics
    assert message in found.message
    assert found.render().startswith("n.hsp:7:3: error[E702]: ")
    assert found.render().endswith('\n      data = "d.npz"\n      ^^^^^^^^^^^^^^')
    assert not Path("run/checkpoint.safetensors").exists()


def test_a_table_with_names_of_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    rows = "".join(f"{'bac'[i % 3]},{i},{i % 3}\n" for i in range(30))
    Path("data/d.csv").write_text(f"kind,a,b\n{rows}")
    Path("n.hsp").write_text(NET.replace("TASK", "classification"))
    assert api.search("n.hsp", "run", data='file("d.csv", target = "kind")').outcomes[""].score >= 0
    Path("data/d.csv").write_text("kind,a,b\nx,1,2\ny,?,3\n")
    with pytest.raises(HspError, match=r"line 3 of 'data/d\.csv' has '\?' in column 'a', which is not a number"):
        api.search("n.hsp", "again", data='file("d.csv", target = "kind")')


def test_data_of_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path by its name alone, and a function of a file where it is allowed."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    Path("data/d.csv").write_text("a,b,kind\n" + "".join(f"{i},{i % 3},{i % 3}\n" for i in range(30)))
    Path("own.py").write_text("def rows():\n    return [[i, i % 3] for i in range(30)], [i % 3 for i in range(30)]\n")
    Path("n.hsp").write_text(NET.replace("TASK", "classification"))
    command = ["n.hsp", "--search", "--quiet", "--force", "--out", "run"]
    assert compile_main([*command, "--data", "d.csv"]) == 0
    assert '\n  data = "d.csv"\n' in Path("run/settings.hsp").read_text()
    assert compile_main([*command, "--data", "own.py:rows"]) == 2
    assert compile_main([*command, "--data", "own.py:rows", "--allow-plugin", "own.py"]) == 0


@pytest.mark.parametrize(
    "how", ["relax = none\n  epochs = 0\n  judge = trained", "relax = sample\n  epochs = 1"], ids=["trained", "shared"]
)
def test_an_explorer_finds_the_smallest_error(how: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mydata.py").write_text(MYDATA)
    file, out = tmp_path / "net.hsp", tmp_path / "run"
    file.write_text(FILES["Rows"].replace("epochs = 1", f"{how}\n  derive = random(4)", 1))
    words = [str(file), "--search", "--out", str(out), "--allow-plugin", str(tmp_path / "mydata.py")]
    assert compile_main(words) == 0
    scores = [json.loads(line)["score"] for line in (out / "trials.jsonl").read_text().splitlines() if "score" in line]
    assert len(set(scores)) > 1
    assert max(scores) < 0
    assert f'metric = "mae"\n  score = {-max(scores):.4f}'.rstrip("0") in (out / "derived.hsp").read_text()
    shown = "".join(capsys.readouterr())
    assert f" {-max(scores):.6g}" in shown
    assert f"-{-max(scores):.6g}" not in shown
    file.write_text(file.read_text().replace("regression(loss = huber)", "regression(loss = mae)", 1))
    if "trained" in how:
        with pytest.raises(UsageError, match="say the same"):
            api.search(file, out, force=True, plugins=[tmp_path / "mydata.py"])


PAIR = """\
hsp 1
network Pair(left: [2], right: [4]; c = 3) {
  a = left -> linear(8)
  b = right -> embedding(5, 2) -> gru(8) -> last_token
  output (a + b | a | b) -> relu -> linear(c)
}
search Pair {
  data = "d.npz"
  epochs = 1
  batch = 8
}
train Pair {
  data = "d.npz"
  epochs = 1
  batch = 8
}
"""
RIGHT = np.arange(40).reshape(10, 4) % 5


@pytest.mark.parametrize("relax", ["softmax", "sample", "gumbel(hard = true)", "gates"])
def test_several_inputs(relax: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are read by their names, in the order of the network, and tested as the loaded network answers."""
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    np.savez("data/d.npz", right=np.tile(RIGHT, (4, 1)), y=np.tile(Y, 4), left=np.tile(X, (4, 1)))
    Path("n.hsp").write_text(PAIR.replace("epochs = 1", f"epochs = 1\n  relax = {relax}", 1))
    report = api.search("n.hsp", "run")
    assert 0 <= report.outcomes[""].score <= 1
    if relax == "softmax":
        outcome = api.train(report.derived, "train")
        network = api.load(report.derived).eval()
        network.load_state_dict(torch_file(outcome.weights))
        with torch.no_grad():
            found = network(torch.from_numpy(np.tile(X, (4, 1))), torch.from_numpy(np.tile(RIGHT, (4, 1)))).argmax(1)
        order = torch.randperm(40, generator=random_generator(0, "test part"))[:8]
        assert outcome.value == float((found == torch.from_numpy(np.tile(Y, 4)))[order].double().mean())
        for kind in ("py", "torch", "onnx"):  # Each is run beside the network when it is written.
            command = [str(report.derived), "--export", kind, "--weights", str(outcome.weights), "--out", f"n.{kind}"]
            assert (kind == "onnx" and find_spec("onnx") is None) or compile_main(command) == 0


def test_several_inputs_are_lowered_alike(tmp_path: Path) -> None:
    """With and without passes, in float64 with gradients, and the mixture of one-hot weights is one architecture."""
    (tmp_path / "n.hsp").write_text(PAIR)
    space = compile_file(tmp_path / "n.hsp")[0].network  # type: ignore[union-attr]
    plain, best = (Supernet(space, passes=passes).double() for passes in ((FLATTEN,), None))
    best.load_state_dict(plain.state_dict())
    left, right = torch.randn(6, 2, dtype=torch.float64), torch.randint(5, (6, 4))
    answers = [supernet((left, right)) for supernet in (plain, best)]
    assert torch.allclose(answers[0], answers[1], atol=1e-12)
    slopes = [
        torch.autograd.grad(answer.square().sum(), list(net.alphas.values()) + list(net.weights()))
        for answer, net in zip(answers, (plain, best), strict=True)
    ]
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(*slopes, strict=True))
    (path,) = space.decisions
    alone = [plain.alone((left, right), {path: (item,)}) for item in range(3)]
    assert not torch.equal(alone[1], plain.alone((left + 1, right), {path: (1,)}))
    assert torch.equal(alone[2], plain.alone((left + 1, right), {path: (2,)}))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"left": X, "y": Y}, "has no array 'right': its arrays are left, y"),
        (
            {"left": X, "right": RIGHT + 1, "y": Y},
            "inputs 'right' of the training part of \"d.npz\" have a 5, but the",
        ),
        ({"left": X, "right": RIGHT[:9], "y": Y}, "has 9 inputs of 'right' and 10 targets"),
        ({"left": X[:, :1], "right": RIGHT, "y": Y}, "the inputs 'left' of the training part of \"d.npz\" are 10x1"),
        ({"left": X, "right": RIGHT, "y": Y, "left_test": X, "y_test": Y}, "no array 'right_test' beside 'left_test'"),
    ],
)
def test_several_inputs_that_do_not_fit(
    arrays: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data").mkdir()
    np.savez("data/d.npz", **arrays)
    Path("n.hsp").write_text(PAIR)
    with pytest.raises(HspError) as refused:
        api.search("n.hsp", "run")
    (found,) = refused.value.diagnostics
    assert message in found.message
    assert found.render().startswith("n.hsp:8:3: error[E702]: ")


def test_the_same_samples_from_each_format(tmp_path: Path) -> None:
    """In the formats as they lie on a disk; a digest tells other numbers apart."""
    parquet = pytest.importorskip("pyarrow.parquet")
    pyarrow = pytest.importorskip("pyarrow")
    fit = Fit(Classification(), (Taken("row", (2,)),), (3,))
    x = np.arange(20, dtype=np.float32).reshape(10, 2)
    np.savez(tmp_path / "d.npz", x=x, y=Y)
    save_file({"row": x, "y": Y.copy()}, tmp_path / "d.safetensors")
    (tmp_path / "d.csv").write_text(
        "a,b,kind\n" + "".join(f"{a:g},{b:g},{y}\n" for (a, b), y in zip(x, Y, strict=True))
    )
    parquet.write_table(pyarrow.table({"a": x[:, 0], "b": x[:, 1], "kind": Y}), tmp_path / "d.parquet")
    found = [
        load_arrays(ArrayFile(path=f"d.{kind}"), tmp_path, fit) for kind in ("npz", "safetensors", "csv", "parquet")
    ]
    for data in found:
        for part, other in ((data.train, found[0].train), (data.test, found[0].test)):
            (inputs, labels), (expected, classes) = (each.__getitems__(range(len(each))) for each in (part, other))
            assert torch.equal(inputs, expected)
            assert torch.equal(labels, classes)
    assert found[0].digest == found[1].digest
    np.savez(tmp_path / "d.npz", x=x + 1, y=Y)
    assert load_arrays(ArrayFile(path="d.npz"), tmp_path, fit).digest != found[0].digest
    table = pyarrow.table({"a": [1.0, None], "b": [1, 2], "kind": [0, 1]})
    parquet.write_table(table, tmp_path / "d.parquet")
    with pytest.raises(DataError, match=r"row 2 of '.*d\.parquet' has nothing in column 'a', which is not a number"):
        load_arrays(ArrayFile(path="d.parquet"), tmp_path, fit)
    for kind in ("safetensors", "parquet"):
        (tmp_path / f"d.{kind}").write_bytes(b"no such thing")
        with pytest.raises(DataError, match=r"is not a (file of safetensors|table of Parquet)"):
            load_arrays(ArrayFile(path=f"d.{kind}"), tmp_path, fit)


def test_messages_of_samples_call_them_by_their_path(tmp_path: Path) -> None:
    """`file has 80 training images` did not say which, and named the limit as part of the path."""
    fit = Fit(Classification(), (Taken("x", (2,)),), (2,))
    spec = ArrayFile(path="mydata.py:few", images=30)
    few: dict[str, np.ndarray] = {"x": np.zeros((10, 2), np.float32), "y": np.arange(10) % 2}
    with pytest.raises(DataError, match=r'^"mydata\.py:few" has 8 training images: `images = 30` cannot be taken'):
        load_arrays(spec, tmp_path, fit, made=lambda: few)
    with pytest.raises(DataError, match=r'^"mydata\.py:few" has 1 sample: too few'):
        load_arrays(spec, tmp_path, fit, made=lambda: {name: array[:1] for name, array in few.items()})


def test_a_function_that_exits_is_an_error_of_the_data(tmp_path: Path) -> None:
    """The command ended by the function's own exit code, without a word."""
    fit = Fit(Classification(), (Taken("x", (2,)),), (2,))
    with pytest.raises(DataError, match=r"'mydata\.py:gone' ends in SystemExit: 4"):
        load_arrays(ArrayFile(path="mydata.py:gone"), tmp_path, fit, made=lambda: sys.exit(4))
