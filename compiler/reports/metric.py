"""The metric of a task as plain data that a run keeps: a report needs neither the task nor the plugin that has it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict

from compiler.searcher.settings.tasks import TaskWord


class Metric(BaseModel):
    """The name of a metric, which way is better, and whether it is a share, written in per cent."""

    model_config = ConfigDict(frozen=True)

    name: str = "accuracy"
    larger: bool = True
    share: bool = True

    @classmethod
    def of(cls, task: TaskWord) -> Metric:
        """The metric of a task."""
        return cls(name=task.metric, larger=task.facts.larger, share=task.facts.share)

    @classmethod
    def named(cls, names: Iterable[str], recorded: Sequence[Metric]) -> Metric:
        """The recorded metric that the first of some names means, such as ``mse`` or ``mse/valid``.

        Where none does it is the last that was recorded, and accuracy where none was.
        """
        known = {metric.name: metric for metric in recorded}
        found = (known[name.partition("/")[0]] for name in names if name.partition("/")[0] in known)
        return next(found, recorded[-1] if recorded else cls())

    def value(self, score: float) -> float:
        """The value that has this score, of which a larger one is better."""
        return score if self.larger else -score

    def show(self, value: float | None, digits: int = 1) -> str:
        """A value as text; one that is no share, such as that of a proxy, as a number."""
        if value is None:
            return ""
        return f"{value:.{digits}%}" if self.share and 0 <= value <= 1 else f"{value:.6g}"

    @property
    def title(self) -> str:
        """The name with a capital."""
        return self.name[:1].upper() + self.name[1:]
