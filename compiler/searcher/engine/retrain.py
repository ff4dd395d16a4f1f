"""Training a discrete network from scratch, and evaluating it."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path

from torch import Tensor, nn

from compiler.searcher.data.load import Data, Images
from compiler.searcher.data.source import Inputs
from compiler.searcher.engine.device.batches import Batches
from compiler.searcher.engine.device.compute import PRECISIONS, Compute, deterministic
from compiler.searcher.engine.reporting.records import EpochRecord, Meter
from compiler.searcher.engine.reporting.report import Report
from compiler.searcher.engine.reporting.sink import epoch_line
from compiler.searcher.engine.state.run_state import State, parameter_names
from compiler.searcher.run_files import WEIGHTS
from compiler.searcher.settings.sections import TrainSettings
from compiler.searcher.settings.tasks import CLASSIFICATION, Task
from compiler.util.seeds import mix

from .accuracy import Evaluation
from .bilevel import Optimized, descend
from .loop import run_epochs
from .optimizers import build_optimizer, set_learning_rate
from .protocol import Evaluate, RunOptions, Trainable
from .state import checkpoint
from .tasks import behaviour_of


@dataclass(frozen=True, repr=False)
class TrainOutcome:
    """The result of a training."""

    value: float
    """The task's metric on the test part, which nothing before this has seen: an accuracy from 0 to 1, or an error."""
    weights: Path
    """The state dictionary, as safetensors."""
    history: tuple[EpochRecord, ...]
    task: Task = CLASSIFICATION
    stopped: bool = False
    """Whether a callback ended it."""

    def __repr__(self) -> str:
        measured = f"{self.task.metric} {self.task.show(self.value)}"
        epochs = "1 epoch" if len(self.history) == 1 else f"{len(self.history)} epochs"
        return f"TrainOutcome({measured} on the test part after {epochs}, {self.weights})"

    def _repr_html_(self) -> str:
        lines = "\n".join(epoch_line(record, len(self.history)) for record in self.history)
        return f"<details><summary>{escape(repr(self))}</summary><pre>{escape(lines)}</pre></details>"

    @property
    def accuracy(self) -> float:
        """The test accuracy, from 0 to 1.

        Raises:
            AttributeError: the task has another metric; ``value`` is that.
        """
        if self.task != CLASSIFICATION:
            raise AttributeError(f"`task = {self.task.word}` has no accuracy: its {self.task.metric} is `value`")
        return self.value


def run_train(trainable: Trainable, data: Data, settings: TrainSettings, run: RunOptions) -> TrainOutcome:
    """Train on the whole training part, save the weights, and then evaluate once on the test part."""
    compute = Compute(run.device, run.devices, PRECISIONS[settings.precision])
    training = _Training(trainable, data, settings, compute, run.out / WEIGHTS)
    run_epochs(training, training.state, mix(settings.seed, "train"), run, Report.of(run, compute))
    state = training.state
    return TrainOutcome(training.value, training.path, tuple(state.history), settings.task, state.stopped)


def evaluate(
    module: nn.Module,
    images: Images,
    batch: int,
    device: str = "auto",
    workers: int = 0,
    task: Task = CLASSIFICATION,
) -> float:
    """The metric of a task, without one the accuracy, of a network in eval mode on the samples of a dataset."""
    compute = Compute(device)
    with deterministic():
        return Evaluation(behaviour_of(task, images.classes))(
            module.to(compute.device), Batches("data", images, batch, compute, workers=workers), compute
        )


class _Training:
    """The steps of a training."""

    def __init__(self, trainable: Trainable, data: Data, settings: TrainSettings, compute: Compute, path: Path) -> None:
        self.trainable, self.settings, self.compute = trainable, settings, compute
        self.module = trainable.module.to(compute.device)
        self.weights = list(self.module.parameters())
        self.optimizer = build_optimizer(settings.weights, self.weights)
        self.optimized = Optimized(self.weights, self.optimizer, settings.weights.clip)
        self.train = Batches("training part", data.train, settings.batch, compute, settings.seed, settings.workers)
        self.test = Batches("test part", data.test, settings.batch, compute, workers=settings.workers)
        self.path, self.value = path, 0.0
        self.behaviour = behaviour_of(settings.task, data.classes)
        self.meter = Meter(compute.device, self.behaviour)
        optimizers = {"weights": (self.optimizer, parameter_names(self.module, self.weights))}
        self.state = State("train", self.module, {}, optimizers, {"train": self.meter}, compute)

    @property
    def epochs(self) -> int:
        return self.settings.epochs

    @property
    def steps(self) -> int:
        return self.train.steps

    @property
    def is_over(self) -> bool:
        return False

    def begin(self, epoch: int, skip: int) -> None:
        self.batches = self.train.epoch(epoch, skip)

    def fetch(self) -> None:
        self.batch = next(self.batches)

    def step(self, epoch: int, step: int) -> None:
        self._schedule(epoch, step)
        loss = self._loss(*self.batch)
        descend(loss, self.optimized, self.compute.gradient)

    def _schedule(self, epoch: int, step: int) -> dict[str, float]:
        """Set the learning rate and the drop-path rate of a moment; returns them."""
        now = epoch + step / self.steps
        rate = self.settings.drop_path(now, self.epochs)
        self.trainable.set_drop_path(rate)
        return {
            "lr/weights": set_learning_rate(self.optimizer, self.settings.weights, now, self.epochs),
            "drop_path": rate,
        }

    def _loss(self, images: Inputs, labels: Tensor) -> Tensor:
        smoothing = self.settings.label_smoothing
        with self.compute.autocast():
            output = self.module(images)
            logits, auxiliary = output if self.trainable.has_aux else (output, None)
            loss = self.behaviour.loss(logits, labels, smoothing)
            self.meter.add(loss, logits, labels)
            if auxiliary is not None and self.settings.aux_weight:
                loss = loss + self.settings.aux_weight * self.behaviour.loss(auxiliary, labels, smoothing)
        return loss

    def running_means(self) -> dict[str, float]:
        means = self.meter.means(self.compute)
        return dict(zip(("loss/train", f"{self.settings.task.metric}/train"), means, strict=True)) if means else {}

    def look(self, epoch: int) -> EpochRecord:
        return EpochRecord(epoch + 1, {}, {})

    def end(self, epoch: int, evaluate: Evaluate) -> EpochRecord:
        return EpochRecord(epoch + 1, self.running_means() | self._schedule(epoch, self.steps - 1), {})

    def finish(self, evaluate: Evaluate) -> str:
        if self.compute.main:
            checkpoint.write(self.path, self.module.state_dict(), {})
        self.value = evaluate(self.test)
        task, done = self.settings.task, len(self.state.history)
        said = f"The test {task.metric} is {task.show(self.value)}."
        if self.state.stopped:
            return f"The training ended after epoch {done} of {self.epochs}, as a callback asked. {said}"
        return said
