"""Each task beside plain torch and scikit-learn, and what its sections refuse."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
import torch
import torchmetrics
from sklearn.metrics import accuracy_score, f1_score, jaccard_score, mean_absolute_error, mean_squared_error
from torch import Tensor, nn
from torch.nn import functional as F
from torchmetrics.classification import MulticlassAUROC, MulticlassF1Score, MulticlassJaccardIndex

from compiler.program.compile_file import compile_file
from compiler.searcher.data.load import Data, Images
from compiler.searcher.data.source import Tensors
from compiler.searcher.data.transforms import Plain
from compiler.searcher.engine.device.batches import Batches
from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.engine.protocol import RunOptions
from compiler.searcher.engine.retrain import run_train
from compiler.searcher.engine.user_task import Metric, OwnBehaviour, UserTask
from compiler.searcher.settings.datasets import ArrayFile
from compiler.searcher.settings.optimizers import Sgd
from compiler.searcher.settings.schedules import Constant
from compiler.searcher.settings.sections import TrainSettings, read_train
from compiler.searcher.settings.tasks import (
    Classification,
    Multilabel,
    OwnTask,
    Regression,
    RegressionLoss,
    Segmentation,
    Task,
    Tokens,
)
from compiler.util.errors import UsageError
from hdas_dsl.text.source import NOWHERE

Measured = Callable[[Tensor, Tensor], float]
MAE, HUBER = RegressionLoss.MAE, RegressionLoss.HUBER
RATE, BATCH, SAMPLES, CLASSES = 0.05, 8, 24, 3


@dataclass(frozen=True)
class Case:
    """A task, targets for inputs ``[n, 4, 5]``, and its loss and metric written anew."""

    task: Task
    targets: Callable[[], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    metric: Measured


class Linear(nn.Module):
    """One layer on each position, ``[n, 4, 5]`` to ``[n, 3, 5]``, or on the mean of them."""

    def __init__(self, positions: bool) -> None:
        super().__init__()
        self.layer, self.positions = nn.Linear(4, CLASSES).double(), positions

    has_aux = False

    @property
    def module(self) -> nn.Module:
        return self

    def set_drop_path(self, rate: float) -> None:
        """It has no paths."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.positions:
            return self.layer(x.mean(2))  # type: ignore[no-any-return]
        return self.layer(x.transpose(1, 2)).transpose(1, 2)  # type: ignore[no-any-return]


def positions() -> Tensor:
    found = torch.randint(0, CLASSES, (SAMPLES, 5))
    found[::3, 2:] = 255
    return found


def iou(outputs: Tensor, targets: Tensor) -> float:
    kept = targets != 255
    return float(jaccard_score(targets[kept], outputs.argmax(1)[kept], average="macro"))


def surprise(outputs: Tensor, targets: Tensor) -> Tensor:
    return -outputs.log_softmax(1).gather(1, targets.unsqueeze(1)).mean()


def numbers() -> Tensor:
    return torch.randn(SAMPLES, CLASSES, dtype=torch.float64)


def flat(metric: Callable[[Tensor, Tensor], float]) -> Measured:
    return lambda outputs, targets: float(metric(targets.flatten(), outputs.flatten()))


def huber(outputs: Tensor, targets: Tensor) -> Tensor:
    apart = (outputs - targets).abs()
    return torch.where(apart < 1, apart**2 / 2, apart - 0.5).mean()


class Own(UserTask):
    """Segmentation once more, by torchmetrics, of batches of its own."""

    metric, larger, share = "jaccard", True, True

    def batch(self, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        return 2 * inputs, targets

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets, ignore_index=255)

    def count(self, targets: Tensor) -> Tensor:
        return (targets != 255).sum()

    def measure(self, classes: int) -> Metric:
        return cast(Metric, MulticlassJaccardIndex(classes, ignore_index=255))


class Plainest(UserTask):
    """A loss and nothing else."""

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - targets).pow(4).mean()


def own(made: UserTask) -> OwnTask:
    return OwnTask(path="mine.py:Own").made_as(made)


def fourth(a: Tensor, b: Tensor) -> Tensor:
    return ((a - b) ** 4).mean()


CASES = {
    "classification": Case(
        Classification(),
        lambda: torch.randint(0, CLASSES, (SAMPLES,)),
        surprise,
        lambda outputs, targets: float(accuracy_score(targets, outputs.argmax(1))),
    ),
    "segmentation": Case(
        Segmentation(),
        positions,
        lambda outputs, targets: surprise(outputs.transpose(1, 2)[targets != 255], targets[targets != 255]),
        iou,
    ),
    "mse": Case(Regression(), numbers, lambda a, b: ((a - b) ** 2).mean(), flat(mean_squared_error)),
    "mae": Case(
        Regression(loss=RegressionLoss.MAE), numbers, lambda a, b: (a - b).abs().mean(), flat(mean_absolute_error)
    ),
    "huber": Case(Regression(loss=RegressionLoss.HUBER), numbers, huber, flat(mean_absolute_error)),
    "multilabel": Case(
        Multilabel(),
        lambda: (numbers() > 0).double(),
        lambda a, b: -(b * a.sigmoid().log() + (1 - b) * (1 - a.sigmoid()).log()).mean(),
        lambda outputs, targets: float(f1_score(targets, outputs > 0, average="micro")),
    ),
    "tokens": Case(
        Tokens(),
        lambda: torch.randint(0, CLASSES, (SAMPLES, 5)),
        surprise,
        lambda outputs, targets: math.exp(F.cross_entropy(outputs, targets)),
    ),
    "own": Case(
        own(Own()),
        positions,
        lambda outputs, targets: surprise(outputs.transpose(1, 2)[targets != 255], targets[targets != 255]),
        iou,
    ),
    "own loss": Case(own(Plainest()), numbers, fourth, lambda a, b: float(fourth(a, b))),
}


@pytest.mark.parametrize("name", CASES)
def test_a_training_equals_one_in_plain_torch(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    torch.manual_seed(0)
    inputs, targets = torch.randn(SAMPLES, 4, 5, dtype=torch.float64), case.targets()
    made = case.task.made if isinstance(case.task, OwnTask) else None
    factor, pairing = (2 if isinstance(made, Own) else 1), made.batch if isinstance(made, UserTask) else None
    samples = Images("toy", Tensors(inputs, targets), CLASSES, Plain(), torch.arange(SAMPLES), pairing)
    sgd = Sgd(lr=Constant(value=RATE), momentum=0.0, decay=0.0, clip=1e9)
    settings = TrainSettings(task=case.task, data=ArrayFile(path="x.npz"), epochs=1, batch=BATCH, weights=sgd)
    net, twin = (Linear(targets.dim() == 2 and not targets.is_floating_point()) for _ in range(2))
    twin.load_state_dict(net.state_dict())
    run = RunOptions(out=tmp_path, device="cpu", quiet=True)
    found = run_train(net, Data("toy", samples, samples, CLASSES, (4, 5)), settings, run)

    losses, outputs, seen = [], [], []
    batches = Batches("training part", samples, BATCH, Compute("cpu"), settings.seed).epoch(0)
    for (x, y), _ in zip(batches, range(SAMPLES // BATCH), strict=False):
        output = twin(x)
        loss = case.loss(output, y)
        gradients = torch.autograd.grad(loss, list(twin.parameters()))
        for parameter, gradient in zip(twin.parameters(), gradients, strict=True):
            parameter.data -= RATE * gradient
        losses.append(float(loss.detach()) * float((y != 255).sum()))
        outputs.append(output.detach())
        seen.append(y)
    (record,) = found.history
    metric, whole = case.task.metric, torch.cat(seen)
    digits = 1e-6 if isinstance(made, Own) else 1e-10  # torchmetrics divides in float32.
    assert record.scalars["loss/train"] == pytest.approx(sum(losses) / float((whole != 255).sum()), abs=1e-10)
    assert record.scalars[f"{metric}/train"] == pytest.approx(case.metric(torch.cat(outputs), whole), abs=digits)
    assert found.value == pytest.approx(case.metric(twin(factor * inputs).detach(), targets), abs=digits)
    for mine, theirs in zip(net.parameters(), twin.parameters(), strict=True):
        assert torch.allclose(mine, theirs, rtol=0, atol=1e-12)
    said = case.task.show(found.value)
    assert f"The test {metric} is {said}." in (tmp_path / "log.txt").read_text()


class Wrong(Own):
    metric = "f"

    def __init__(self, given: object) -> None:
        self.given = given

    def measure(self, classes: int) -> Metric:
        return cast(Metric, self.given)


class RunningMean(torchmetrics.Metric):
    """A mean that is added to in place."""

    higher_is_better = True
    full_state_update = False

    mean: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("mean", torch.zeros(()), dist_reduce_fx="mean")

    def update(self, outputs: torch.Tensor, targets: torch.Tensor) -> None:
        self.mean += outputs.mean().float()

    def compute(self) -> torch.Tensor:
        return self.mean


@pytest.mark.parametrize(
    ("given", "larger", "message"),
    [
        (RunningMean(), True, "has 'mean', which is not a sum over batches"),
        (MulticlassF1Score(CLASSES), False, "`larger = False`, and its metric says True"),
        (MulticlassAUROC(CLASSES), True, "has 'preds', which is not a sum over batches"),
        (MulticlassF1Score(CLASSES, average="none"), True, "gives 3 numbers: use an average"),
        (None, True, "names a metric 'f': its `measure` has to give it"),
    ],
)
def test_a_metric_that_does_not_serve(given: object, larger: bool, message: str) -> None:
    made = Wrong(given)
    made.larger = larger  # type: ignore[misc]
    with pytest.raises(UsageError, match=re.escape(message)):
        OwnBehaviour(made, "mine.py:Wrong", CLASSES).try_on((torch.randn(2, 3), torch.tensor([0, 1])), (CLASSES,))


def test_an_error_is_turned_around_in_one_place() -> None:
    task = Regression()
    assert task.score(2.0) < task.score(1.0)
    assert task.value(task.score(2.0)) == 2.0
    assert Segmentation().score(0.5) == 0.5


def test_a_classification_is_not_written() -> None:
    """Fingerprints of runs from before there were tasks hold."""
    assert "task" not in TrainSettings().describe(full=True)
    assert (
        "task = segmentation(ignore = 7)"
        in TrainSettings(task=Segmentation(ignore=7), data=ArrayFile(path="x.npz")).describe()
    )
    again, wrong = read_train({"data": ("x.npz", NOWHERE)})
    assert (again.data.describe(), wrong) == ('"x.npz"', [])


NETS = {
    "Net": """\
hsp 1
network Net(row: [4]; c = 3) {
  output row -> linear(8) -> (relu | gelu) -> linear(c)
}
""",
    "Image": """\
hsp 1
network Image(image: [1, 8, 8]) {
  x = image -> conv(3, 4)
  aux x -> classifier(3)
  output x -> (relu | identity) -> conv(1, 3)
}
""",
}
REFUSED = {
    "output": (
        'search Net {\n  data = "x.npz"\n  task = segmentation\n}\n',
        "n.hsp:7:3: error[E702]: `task = segmentation` asks for a score for each class at each position of the input, "
        "[classes, ...], and 'Net' gives 3 of 4\n      task = segmentation\n      ^^^^^^^^^^^^^^^^^^^",
    ),
    "smoothing": (
        'train Net {\n  task = multilabel\n  data = "x.npz"\n  label_smoothing = 0.1\n}\n',
        "n.hsp:8:3: error[E702]: `label_smoothing` spreads a label over classes, and `task = multilabel` has none",
    ),
    "dataset": ("train Net {\n  task = regression\n  data = digits\n}\n", "n.hsp:6:3: error[E702]: these images have"),
    "changes": (
        'train Net {\n  data = file("x.npz", flip = true)\n}\n',
        "`flip` changes images, and 'Net' takes 4",
    ),
    "masks": (
        'train Image {\n  task = segmentation\n  aux_weight = 0\n  data = file("x.npz", crop = 2)\n}\n',
        "n.hsp:10:3: error[E702]: `crop` would change the samples of a file and leave their targets",
    ),
    "head": (
        'train Image {\n  task = segmentation\n  data = "x.npz"\n}\n',
        "n.hsp:8:3: error[E702]: `task = segmentation` has no loss for the auxiliary head of 'Image'",
    ),
    "file": ('train Net {\n  data = "x.txt"\n}\n', 'n.hsp:6:3: error[E702]: "x.txt" is not a file of data: use'),
    "column": (
        'train Net {\n  data = file("x.npz", target = "a")\n}\n',
        "`target` is a column of a table (.csv, .parquet)",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_with_its_place(name: str) -> None:
    text, message = REFUSED[name]
    program, diagnostics = compile_file("n.hsp", text=NETS[text.split()[1]] + text)
    assert program is None
    (found,) = diagnostics
    assert message in found.render()
