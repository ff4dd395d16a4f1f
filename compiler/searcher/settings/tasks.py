"""Tasks: what a network is to do, said by the word ``task`` of a section. No torch.

To add a task, write its class here, add it to `Task`, and give its loss and metric in `engine/tasks.py`, where the type
checker names what is missing.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import PrivateAttr

from compiler.util.errors import UsageError
from hdas_dsl.text.errors import HdasError

from .metric import ACCURACY, Metric
from .words import Amount, Named, Text, Word

Shape = Sequence[int]

TASKS = "hdas.tasks"
"""The group of entry points of users' tasks."""


@contextmanager
def asked(path: str, failure: str) -> Iterator[None]:
    """A context for a user's own code; an exception from it is raised again with the place of the code.

    Raises:
        UsageError: it raised something.
    """
    try:
        yield
    except HdasError:
        raise
    except Exception as error:
        raise UsageError(f"'{path}' {failure}: {type(error).__name__}: {error}") from error


@dataclass(frozen=True)
class TaskFacts:
    """What is known of a task without data: its metric, and the output that it asks of a network."""

    metric: Metric
    """Its name stands also in ``history.jsonl`` and ``result.json``."""
    output: str
    """The output that it asks for, as a message says it."""
    smooths: bool = False
    """Whether its targets are classes, so that labels can be smoothed."""


class TaskWord(Word):
    """A task."""

    @property
    @abstractmethod
    def facts(self) -> TaskFacts:
        """Its metric, and the output that it asks for."""

    @abstractmethod
    def fits(self, taken: Shape, given: Shape) -> bool:
        """Whether a network from ``taken`` to ``given``, the shapes of one sample, can be trained for this task."""

    @property
    def metric(self) -> str:
        """The name of the metric."""
        return self.facts.metric.name

    @property
    def known(self) -> bool:
        """Whether its facts can be asked for."""
        return True

    def score(self, value: float) -> float:
        """A value of the metric as a score: the larger the better."""
        return self.facts.metric.score(value)

    def value(self, score: float) -> float:
        """The value of the metric that has this score."""
        return self.facts.metric.value(score)

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
        return self.facts.metric.show(value, digits)


class Classification(TaskWord):
    """One class for each sample: cross-entropy, and the share of right answers."""

    word = "classification"

    @property
    def facts(self) -> TaskFacts:
        """The share of right answers."""
        return TaskFacts(ACCURACY, "a score for each class, [classes]", smooths=True)

    def fits(self, taken: Shape, given: Shape) -> bool:
        """A vector."""
        return len(given) == 1


class Segmentation(TaskWord):
    """One class for each position: cross-entropy, and the intersection over union, the mean of the classes that occur.

    Positions of the class ``ignore`` count in neither.
    """

    word = "segmentation"
    ignore: Amount = 255

    @property
    def facts(self) -> TaskFacts:
        """The mean intersection over union."""
        return TaskFacts(
            Metric(name="iou"),
            "a score for each class at each position of the input, [classes, ...]",
            smooths=True,
        )

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
    loss: RegressionLoss = RegressionLoss.MSE

    @property
    def facts(self) -> TaskFacts:
        """``mse`` or ``mae``."""
        name = "mse" if self.loss is RegressionLoss.MSE else "mae"
        return TaskFacts(Metric(name=name, larger=False, share=False), "the shape of the targets")

    def fits(self, taken: Shape, given: Shape) -> bool:
        """Any: the data say of which shape their targets are."""
        return True


class Multilabel(TaskWord):
    """Any number of labels for each sample: binary cross-entropy, and F1 of all answers at a probability of a half."""

    word = "multilabel"

    @property
    def facts(self) -> TaskFacts:
        """The micro-averaged F1."""
        return TaskFacts(Metric(name="f1"), "a score for each label, [labels]")

    def fits(self, taken: Shape, given: Shape) -> bool:
        """A vector."""
        return len(given) == 1


class Tokens(TaskWord):
    """The next token at each position of a text: cross-entropy, and the perplexity, which is its exponential."""

    word = "tokens"

    @property
    def facts(self) -> TaskFacts:
        """The perplexity."""
        output = "a score for each token at each position of the text, [tokens, n]"
        return TaskFacts(Metric(name="perplexity", larger=False, share=False), output, smooths=True)

    def fits(self, taken: Shape, given: Shape) -> bool:
        """A text ``[n]`` to ``[tokens, n]``."""
        return len(taken) == 1 and len(given) == 2 and given[1] == taken[0]


class Described:
    """A task of a user's own as far as it needs no torch; `engine.user_task.UserTask` is the rest of it."""

    metric: ClassVar[str] = "loss"
    """The name of the metric by which networks are compared; by default it is the loss itself."""
    larger: ClassVar[bool] = False
    """Whether a larger metric is better."""
    share: ClassVar[bool] = False
    """Whether the metric is a share from 0 to 1, to be written in per cent."""
    output: ClassVar[str] = "another output"
    """The output that it asks for, as a message says it."""

    def fits(self, taken: Shape, given: Any) -> bool:
        """Whether a network from ``taken`` to ``given``, the shapes of one sample, can be trained for this task.

        Of a network with several outputs ``given`` is a tuple of shapes.
        """
        return True


class OwnTask(TaskWord):
    """A class of a user's own, ``"mine.py:Class"``, ``"package.module:Class"`` or the name of an entry point.

    It is made when the file is compiled, if it is allowed. A file whose task is not allowed can be checked and counted.
    """

    word = "own"
    positional = ("path",)
    by_text = True
    path: Text
    _made: Described | None = PrivateAttr(None)

    def made_as(self, made: Described) -> OwnTask:
        """This task, whose class is made."""
        found = OwnTask(path=self.path)
        found._made = made
        return found

    @property
    def known(self) -> bool:
        """Whether its class is allowed, and made."""
        return self._made is not None

    @property
    def made(self) -> Described:
        """What its class makes.

        Raises:
            UsageError: it is not allowed.
        """
        if self._made is None:
            where = self.path.rpartition(":")[0] or "MODULE"
            message = (
                f"'{self.path}' is code of your own, which runs when it is asked: --allow-plugin {where} allows it"
            )
            raise UsageError(message)
        return self._made

    @property
    def facts(self) -> TaskFacts:
        """As its class says."""
        made = self.made
        return TaskFacts(Metric(name=made.metric, larger=made.larger, share=made.share), made.output)

    def fits(self, taken: Shape, given: Shape | Sequence[Shape]) -> bool:
        """As its class says."""
        with asked(self.path, "cannot say whether a network fits"):
            return self.made.fits(tuple(taken), tuple(given))


Task = Classification | Segmentation | Regression | Multilabel | Tokens | OwnTask
CLASSIFICATION = Classification()
