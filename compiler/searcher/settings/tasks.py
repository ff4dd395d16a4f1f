"""Tasks: what a network is to do, said by the word ``task`` of a section. No torch.

To add a task, write its class here, add it to `Task`, and give its loss and metric in `engine/tasks.py`, where the type
checker names what is missing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from .words import Amount, Named, Word

Shape = Sequence[int]


class TaskWord(Word):
    """A task: the name of its metric, which way is better, and the output that it asks of a network.

    Inside the engine a score is larger where a network is better. `score` is the one place that turns an error around,
    and `value` turns it back.
    """

    larger: ClassVar[bool] = True
    """Whether a larger metric is better."""
    share: ClassVar[bool] = True
    """Whether the metric is a share, from 0 to 1, which is written in per cent."""
    smooths: ClassVar[bool] = True
    """Whether its targets are classes, so that labels can be smoothed."""
    output: ClassVar[str]
    """The output that it asks for, as a message says it."""

    @property
    @abstractmethod
    def metric(self) -> str:
        """The name of the metric, also in ``history.jsonl`` and ``result.json``."""

    def score(self, value: float) -> float:
        """A value of the metric as a score: the larger the better."""
        return value if self.larger else -value

    def value(self, score: float) -> float:
        """The value of the metric that has this score."""
        return self.score(score)

    def scored(self, value: float) -> dict[str, float]:
        """What the record of an epoch says of its metric: the score, and an other metric than accuracy by its name."""
        named = {} if isinstance(self, Classification) else {f"{self.metric}/score": value}
        return {"score": self.score(value)} | named

    def said(self, score: float) -> str:
        """A score in a sentence, ``score 61.0%`` or ``mse 0.12``."""
        name = "score" if isinstance(self, Classification) else self.metric
        return f"{name} {self.show(self.value(score), 1)}"

    def show(self, value: float, digits: int = 2) -> str:
        """A value of the metric as text."""
        return f"{value:.{digits}%}" if self.share else f"{value:.6g}"

    @abstractmethod
    def fits(self, taken: Shape, given: Shape) -> bool:
        """Whether a network from ``taken`` to ``given``, the shapes of one sample, can be trained for this task."""


class Classification(TaskWord):
    """One class for each sample: cross-entropy, and the share of right answers."""

    word = "classification"
    output = "a score for each class, [classes]"

    @property
    def metric(self) -> str:
        """The share of right answers."""
        return "accuracy"

    def fits(self, taken: Shape, given: Shape) -> bool:
        """A vector."""
        return len(given) == 1


class Segmentation(TaskWord):
    """One class for each position: cross-entropy, and the intersection over union, the mean of the classes that occur.

    Positions of the class ``ignore`` count in neither.
    """

    word = "segmentation"
    output = "a score for each class at each position of the input, [classes, ...]"
    ignore: Amount = 255

    @property
    def metric(self) -> str:
        """The mean intersection over union."""
        return "iou"

    def fits(self, taken: Shape, given: Shape) -> bool:
        """The positions of the input."""
        return len(given) > 1 and tuple(given[1:]) == tuple(taken[1:])


class RegressionLoss(Named):
    """The loss of a regression: mean squared error, mean absolute error, or Huber's of delta 1 between them."""

    MSE = "mse"
    MAE = "mae"
    HUBER = "huber"


class Regression(TaskWord):
    """Numbers: the output has their shape. The metric is the mean squared error; of the other losses, the absolute."""

    word = "regression"
    output = "the shape of the targets"
    larger = False
    share = False
    smooths = False
    loss: RegressionLoss = RegressionLoss.MSE

    @property
    def metric(self) -> str:
        """``mse`` or ``mae``."""
        return "mse" if self.loss is RegressionLoss.MSE else "mae"

    def fits(self, taken: Shape, given: Shape) -> bool:
        """Any: the data say of which shape their targets are."""
        return True


class Multilabel(TaskWord):
    """Any number of labels for each sample: binary cross-entropy, and F1 of all answers at a probability of a half."""

    word = "multilabel"
    output = "a score for each label, [labels]"
    smooths = False

    @property
    def metric(self) -> str:
        """The micro-averaged F1."""
        return "f1"

    def fits(self, taken: Shape, given: Shape) -> bool:
        """A vector."""
        return len(given) == 1


class Tokens(TaskWord):
    """The next token at each position of a text: cross-entropy, and the perplexity, which is its exponential."""

    word = "tokens"
    output = "a score for each token at each position of the text, [tokens, n]"
    larger = False
    share = False

    @property
    def metric(self) -> str:
        """The perplexity."""
        return "perplexity"

    def fits(self, taken: Shape, given: Shape) -> bool:
        """A text ``[n]`` to ``[tokens, n]``."""
        return len(taken) == 1 and len(given) == 2 and given[1] == taken[0]


Task = Classification | Segmentation | Regression | Multilabel | Tokens
CLASSIFICATION = Classification()
METRICS = {
    task.metric: task
    for task in (
        *(CLASSIFICATION, Segmentation(), Multilabel(), Tokens()),
        *(Regression(loss=loss) for loss in (RegressionLoss.MSE, RegressionLoss.MAE)),
    )
}
"""A task with each metric, by the name of the metric."""
