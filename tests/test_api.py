"""The functions of Python: the same loop as the command line, from a file to an architecture."""

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning_fabric.loggers.csv_logs import CSVLogger

import compiler
from compiler import (
    Callback,
    EndEvent,
    EpochEvent,
    HspError,
    UsageError,
    contains,
    derive,
    describe,
    diff,
    load,
    sample,
    search,
    train,
)
from compiler.backend.lowering.network import Network
from compiler.searcher.relaxations.supernet import Supernet
from hdas_dsl.text.errors import HdasError
from tests.support.paths import SPACES

DISCRETE = SPACES / "zoo/darts_v2.hsp"


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


def test_a_missing_file_is_both_an_error_of_the_package_and_of_python(tmp_path: Path) -> None:
    missing = tmp_path / "none.hsp"
    calls: list[Callable[[], object]] = [
        lambda: load(missing),
        lambda: describe(missing),
        lambda: search(missing, tmp_path / "run"),
        lambda: contains(DISCRETE, missing),
        lambda: diff(DISCRETE, missing),
    ]
    for call in calls:
        with pytest.raises(HdasError, match=r"there is no file '.*none\.hsp'") as caught:
            call()
        assert isinstance(caught.value, FileNotFoundError)


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
    assert report.score == next(iter(report.outcomes.values())).score
    outcome = train(report.derived, tmp_path / "train", c=4, **settings)
    assert 0 <= outcome.accuracy <= 1
    assert outcome.weights.exists()


class Heard(Callback):
    def __init__(self) -> None:
        self.ends: list[EndEvent] = []

    def on_epoch(self, event: EpochEvent) -> bool:
        return event.run.phase == "cells" and event.epoch == 2

    def on_end(self, event: EndEvent) -> None:
        assert event.file.is_file()
        self.ends.append(event)


TWO = """\
hsp 1

choice Op = conv(k = 3) | max_pool(k = 3)

cell Cell(x; c) {
  a = Op(x) -> conv(1, c)
  output a
}

network Cells(image: [1, 8, 8]; c = 2) {
  output image -> Cell(c) -> classifier(10)
}

network Net(image: [1, 8, 8]; Inner) {
  output conv(image, 1 | 3, 2) -> Inner(2) -> classifier(10)
}

search {
  data = fake(classes = 10, count = 32, channels = 1, size = 8)
  epochs = 3
  batch = 8
  phase cells = Cells
  phase net = Net(Inner = cells.Cell)
}

train net.Net {
  data = fake(classes = 10, count = 32, channels = 1, size = 8)
  epochs = 1
  batch = 8
}
"""


class Kept:
    """A logger that keeps what it gets."""

    def __init__(self) -> None:
        self.params: dict[str, Any] = {}
        self.metrics: dict[str, list[tuple[int, float]]] = {}
        self.statuses: list[str] = []

    def log_hyperparams(self, params: dict[str, Any]) -> None:
        self.params |= params

    def log_metrics(self, metrics: dict[str, float], step: int) -> None:
        for name, value in metrics.items():
            self.metrics.setdefault(name, []).append((step, value))

    def finalize(self, status: str) -> None:
        self.statuses.append(status)


def test_callbacks_and_loggers_hear_of_a_search_and_a_training(tmp_path: Path) -> None:
    """Of each phase, of which one is ended and the next follows; Fabric's own loggers take it too."""
    path, folder = tmp_path / "s.hsp", tmp_path / "run"
    path.write_text(TWO)
    heard, kept = Heard(), Kept()
    report = search(path, folder, callbacks=[heard, kept, CSVLogger(tmp_path, name="csv", version=0)])
    assert [(end.phase, end.epochs, end.stopped, end.file.parent.name) for end in heard.ends] == [
        ("cells", 2, True, "cells"),
        ("net", 3, False, "net"),
    ]
    assert heard.ends[1].decisions == report.outcomes["net"].decisions
    assert "stopped = 2" in (folder / "cells/derived.hsp").read_text()
    assert "stopped" not in report.text
    assert kept.params["cells/epochs"] == kept.params["net/epochs"] == "3"
    scores = [(record.epoch, record.scalars["score"]) for record in report.outcomes["cells"].history]
    assert kept.metrics["cells/score"] == scores
    assert [step for step, _ in kept.metrics["cells/weights/Cell.a.from_x/conv_k_3"]] == [1, 2]
    assert kept.statuses == ["success"]
    with (tmp_path / "csv/version_0/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["net/score"]) for row in rows if row["net/score"]] == [
        record.scalars["score"] for record in report.outcomes["net"].history
    ]
    outcome = train(report.derived, tmp_path / "train", callbacks=[heard, kept])
    assert kept.metrics["end/accuracy"] == [(1, outcome.accuracy)]
    assert (heard.ends[2].kind, heard.ends[2].file) == ("train", outcome.weights)
    with pytest.raises(UsageError, match="is not a callback"):
        search(path, folder, callbacks=[Heard], force=True)  # type: ignore[list-item]


def test_the_package_lists_what_it_offers() -> None:
    assert {name for name in dir(compiler) if not name.startswith("_")} == set(compiler.__all__)


def test_mlflow_takes_what_a_search_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In its store of files; its names take neither parentheses nor equals signs."""
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed: pip install mlflow")
    loggers = pytest.importorskip("pytorch_lightning.loggers", reason="its logger is of pytorch-lightning")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    path, store = tmp_path / "s.hsp", f"file:{tmp_path}/mlruns"
    path.write_text(TWO)
    logger = loggers.MLFlowLogger("spaces", tracking_uri=store)
    report = search(path, tmp_path / "run", callbacks=[logger], epochs=1)
    (found,) = mlflow.MlflowClient(store).search_runs([logger.experiment_id])
    assert found.data.params["cells/epochs"] == "1"
    weights = report.outcomes["cells"].history[0].observed.weights["Cell.a.from_x"]["conv(k = 3)"]
    assert found.data.metrics["cells/weights/Cell.a.from_x/conv_k_3"] == pytest.approx(weights)
    assert found.info.status == "FINISHED"


def test_what_comes_out_says_itself_in_a_line_and_in_a_notebook(tmp_path: Path) -> None:
    path = tmp_path / "s.hsp"
    path.write_text(TWO)
    report = search(path, tmp_path / "run", epochs=1)
    outcome = train(report.derived, tmp_path / "train")
    shown = [report, outcome, diff(report.derived, report.derived), contains(path, report.derived), sample(path)[0]]
    for item, start in zip(shown, ("SearchReport", "TrainOutcome", "Diff", "Membership", "Architecture"), strict=True):
        assert repr(item).startswith(start)
        assert "\n" not in repr(item)
    assert "<pre>hsp 1\n" in report._repr_html_()
    assert "<pre>epoch 1/1 | loss train" in outcome._repr_html_()
