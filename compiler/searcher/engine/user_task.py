"""Tasks of a user's own: what a batch is, its loss, and a metric of torchmetrics.

    class Focal(UserTask):
        def loss(self, outputs, targets):
            return ...

`docs/tasks.md` has a whole one. torchmetrics is imported by the file of a task that uses it, and by nothing here.
"""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from math import prod
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor

from compiler.searcher.data.source import Batch, Inputs, Shape, each, parts_of, show
from compiler.searcher.engine.device.compute import sum_type
from compiler.searcher.settings.tasks import Described, asked
from compiler.util.errors import UsageError


@runtime_checkable
class Metric(Protocol):
    """What is asked of a metric, as ``torchmetrics.Metric`` has it."""

    higher_is_better: bool | None

    @property
    def metric_state(self) -> dict[str, Tensor | list[Tensor]]:
        """Its sums by name."""

    def update(self, outputs: Any, targets: Tensor) -> None:
        """Add a batch."""

    def compute(self) -> Tensor:
        """The metric of all batches since `reset`, a single number."""

    def reset(self) -> None:
        """Begin anew."""

    def to(self, device: torch.device) -> Metric:
        """Its sums on a device."""


class UserTask(Described, ABC):
    """A task of a user's own; it is made once, without arguments.

    ``metric``, ``larger``, ``share``, ``output`` and ``fits`` say what `Described` says of them. All that draws at
    random draws from torch's global generator, which a run seeds.
    """

    def batch(self, inputs: Any, targets: Tensor) -> Batch:
        """What a network takes and what its outputs are compared with, of samples ``[n, ...]`` as the data have them.

        Of a network with several inputs these are a tuple.

        Where the data have no targets, these are ``[n, 0]``.
        """
        return inputs, targets

    @abstractmethod
    def loss(self, outputs: Any, targets: Tensor) -> Tensor:
        """The mean loss of a batch, a single number; of a network with several outputs these are a tuple."""

    def count(self, targets: Tensor) -> Tensor | int:
        """How many values the mean is over; by default the samples."""
        return len(targets)

    def measure(self, classes: int) -> Metric | None:
        """A metric of torchmetrics that adds up over batches, such as ``JaccardIndex``; None: the loss.

        ``classes`` is the first extent of the (first) output.
        """
        return None


class OwnBehaviour:
    """The loss and the metric of a task of a user's own, as the engine asks for them.

    Args:
        made: the task.
        path: its place, for messages.
        classes: the first extent of the output.

    Raises:
        UsageError: it is not a `UserTask`, or its metric is better the other way or does not add up.
    """

    def __init__(self, made: Described, path: str, classes: int) -> None:
        if not isinstance(made, UserTask):
            raise UsageError(f"'{path}' is not a `UserTask` of compiler.searcher.engine.user_task")
        self.task, self.path, self.classes, self.seen = made, path, classes, False
        with asked(path, "cannot give its metric"):
            measure: object = made.measure(classes)
        if measure is not None and not isinstance(measure, Metric):
            kind = type(measure).__name__
            raise UsageError(f"'{path}' gives {kind} by `measure`, not one metric of torchmetrics")
        self.metric: Metric | None = measure
        better = None if self.metric is None else self.metric.higher_is_better
        if better is not None and better != made.larger:
            raise UsageError(f"'{path}' says `larger = {made.larger}`, and its metric says {better}")
        if self.metric is None and made.metric != "loss":
            raise UsageError(f"'{path}' names a metric '{made.metric}': its `measure` has to give it")

    @cached_property
    def summed(self) -> dict[str, Tensor]:
        """The sums of the metric before any batch, by name."""
        if self.metric is None:
            return {}
        self.metric.reset()
        return {
            name: state.detach().cpu().clone()
            for name, state in self._states().items()
            if _adds_up(getattr(self.metric, "_reductions", {}).get(name))
        }

    def _states(self) -> dict[str, Tensor]:
        assert self.metric is not None
        states = self.metric.metric_state
        if growing := [name for name, state in states.items() if isinstance(state, list)]:
            raise self._does_not_add_up(growing[0])
        return cast(dict[str, Tensor], states)

    def _does_not_add_up(self, name: str) -> UsageError:
        return UsageError(
            f"the metric of '{self.path}' has '{name}', which is not a sum over batches: use a metric that adds up, "
            "such as one with `thresholds = 100`"
        )

    @property
    def width(self) -> int:
        """One sum of losses, or all sums of the metric."""
        return 1 if self.metric is None else sum(state.numel() for state in self.summed.values())

    def loss(self, outputs: Inputs, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """The mean loss of a batch."""
        return self.task.loss(outputs, targets)

    def count(self, targets: Tensor) -> Tensor | int:
        """How many values the mean is over."""
        return self.task.count(targets)

    def sums(self, outputs: Inputs, targets: Tensor) -> Tensor:
        """What a batch adds."""
        outputs = each(_widened, outputs)
        if self.metric is None:
            return (self.task.loss(outputs, targets) * self.task.count(targets)).detach().view(1)
        summed = self.summed
        device = parts_of(outputs)[0].device
        metric = self.metric.to(device)
        metric.reset()
        before = {name: state.clone() for name, state in self._states().items()}  # A metric may add in place.
        metric.update(outputs, targets)
        states = self._states()
        if not self.seen:  # What is not a sum has to be a constant; one batch tells.
            changed = [name for name in states if name not in summed and not torch.equal(states[name], before[name])]
            if changed:
                raise self._does_not_add_up(changed[0])
            self.seen = True
        kind = sum_type(device)
        return torch.cat([states[name].detach().to(kind).flatten() for name in summed])

    def value(self, sums: Sequence[float], count: float) -> float:
        """The metric of all that was summed."""
        if self.metric is None:
            return sums[0] / count
        metric = self.metric.to(torch.device("cpu"))
        metric.reset()
        parts = torch.tensor(sums, dtype=torch.float64).split([state.numel() for state in self.summed.values()])
        for (name, start), part in zip(self.summed.items(), parts, strict=True):
            setattr(metric, name, part.view_as(start).to(start.dtype))
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # That `update` has seen no batch is meant.
            found = metric.compute()
        if found.numel() != 1:
            raise UsageError(f"the metric of '{self.path}' gives {found.numel()} numbers: use an average of them")
        return float(found)

    def try_on(self, samples: Batch, *given: Shape) -> None:
        """Compute loss and metric of some samples, where a network gives the shape ``given``, or several.

        Raises:
            UsageError: that cannot be done.
        """
        with asked(self.path, "cannot be computed for the first samples of the data"):
            inputs, targets = self.task.batch(*samples)
            for found, taken in zip(parts_of(inputs), parts_of(samples[0]), strict=True):
                if found.shape[1:] != taken.shape[1:]:
                    message = f"its batch is of the shape {show(found.shape[1:])}, and the network takes"
                    raise ValueError(f"{message} {show(taken.shape[1:])}")
            made = tuple(_ramp((len(samples[1]), *shape)) for shape in given)
            outputs = made if len(made) > 1 else made[0]
            loss = self.loss(outputs, targets)
            if not isinstance(loss, Tensor):
                raise TypeError(f"its loss is of the type {type(loss).__name__}, not a tensor")
            if loss.numel() != 1 or not loss.requires_grad:
                raise ValueError(f"its loss is of the shape {show(loss.shape)}, not one number to be differentiated")
            self.value(self.sums(outputs, targets).tolist(), float(self.count(targets)))


def _ramp(shape: Shape) -> Tensor:
    """Numbers between 0 and 1: of zeros a mean would not show that it is not a sum."""
    return torch.linspace(0.1, 0.9, prod(shape)).view(shape).requires_grad_()


def _widened(outputs: Tensor) -> Tensor:
    """Half precision as float32, in whose digits sums are taken."""
    return outputs.float() if outputs.dtype in (torch.float16, torch.bfloat16) else outputs


def _adds_up(reduction: object) -> bool:
    """Whether this is how torchmetrics adds up a state of several processes."""
    return callable(reduction) and float(reduction(torch.tensor([1.0, 2.0]))) == 3.0
