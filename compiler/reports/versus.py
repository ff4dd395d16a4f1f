"""An architecture beside random ones of its space, all trained alike: ranks, and the difference with its interval."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from math import sqrt
from statistics import mean, stdev

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, computed_field
from rich.table import Table
from scipy.stats import binom
from scipy.stats import t as student

from compiler.searcher.settings.metric import ACCURACY, Metric
from compiler.util.plural import plural

from .columns import columns
from .spread import Spread

CONFIDENCE = 0.95
"""Of the interval of the difference."""


class Trained(BaseModel):
    """An architecture with its values of the metric on the test part, one for each seed."""

    model_config = ConfigDict(frozen=True)

    name: str
    params: int
    macs: int
    values: tuple[float, ...] = Field(min_length=1, validation_alias=AliasChoices("values", "accuracies"))

    @property
    def value(self) -> float:
        """The mean over the seeds."""
        return mean(self.values)


class Comparison(BaseModel):
    """An architecture and random ones of its space.

    The question is whether a random architecture would be as good: under the hypothesis that the architecture is a
    draw like the others, all ranks are equally probable, which gives ``p``; and its difference from their mean lies
    about zero as wide as they spread, which gives the interval (Student's, of one further draw). Whether it lies above
    the median of its space is a weaker question: were it at the median, each random one would be as good with
    probability one half at least, which gives ``p_median`` (a sign test).
    """

    model_config = ConfigDict(frozen=True)

    seeds: tuple[int, ...]
    architecture: Trained
    random: tuple[Trained, ...] = Field(min_length=1)
    metric: Metric = ACCURACY

    @cached_property
    def values(self) -> list[float]:
        """Those of the random architectures."""
        return [item.value for item in self.random]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def rank(self) -> int:
        """The place of the architecture among all, 1 for the best; of equals the last."""
        score = self.metric.score
        return 1 + sum(score(value) >= score(self.architecture.value) for value in self.values)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def p(self) -> float:
        """How probable it is that a random architecture takes this rank or a better one: one-sided and exact."""
        return self.rank / (len(self.random) + 1)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def p_median(self) -> float:
        """How probable it is that one at the median of all that may be drawn beats so many: one-sided and exact."""
        beaten, count = len(self.random) + 1 - self.rank, len(self.random)
        return float(binom.sf(beaten - 1, count, 0.5))

    @computed_field  # type: ignore[prop-decorator]
    @property
    def difference(self) -> float:
        """The metric of the architecture less that of random ones in the mean: of an error below 0 is better."""
        return self.architecture.value - mean(self.values)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def interval(self) -> tuple[float, float] | None:
        """Where the difference lies with 95% confidence if values are normal; None for a single random one."""
        count = len(self.random)
        if count < 2:
            return None
        spread = stdev(self.values) * sqrt(1 + 1 / count)
        reach = float(student.ppf((1 + CONFIDENCE) / 2, count - 1)) * spread
        return self.difference - reach, self.difference + reach

    @computed_field  # type: ignore[prop-decorator]
    @property
    def spread(self) -> Spread | None:
        """How the random ones deviate from each other, and from training to training; None with a single seed."""
        return Spread.of([item.values for item in self.random])

    def table(self) -> Table:
        """A row for each architecture, the best first."""
        every = sorted((self.architecture, *self.random), key=lambda item: -self.metric.score(item.value))
        each = [f"seed {seed}" for seed in self.seeds] if len(self.seeds) > 1 else []
        rows = [
            [
                item.name,
                self.metric.show(item.value, 2),
                *(self.metric.show(value, 2) for value in item.values[: len(each)]),
                f"{item.params:,}",
                f"{item.macs:,}",
            ]
            for item in every
        ]
        return columns(["architecture", self.metric.name, *each, "parameters", "multiply-adds"], rows)

    def verdict(self) -> Iterator[str]:
        """The rank, the difference with its interval, and p, a sentence each."""
        total, random = len(self.random) + 1, plural(len(self.random), "random architecture")
        yield f"rank {self.rank} of {total}: {self.architecture.name} beside {random}"
        interval = self.interval
        show = self.metric.difference
        between = "" if interval is None else f", 95% interval {show(interval[0])} to {show(interval[1])}"
        of = "" if self.metric == ACCURACY else f" {self.metric.name}, of which {self.metric.better}"
        yield f"difference from their mean: {show(self.difference)}{of}{between}"
        if spread := self.spread:
            apart, within = (self.metric.reach(value) for value in (spread.architectures, spread.trainings))
            unit = " points" if self.metric.share else ""
            yield (
                f"architectures deviate by {apart}{unit}, trainings of one by {within}: "
                f"{spread.share:.0%} of the variance is the architecture"
            )
        least = f"; the least that {len(self.random)} can show is {1 / total:.3f}" if self.rank == 1 else ""
        yield f"p = {self.p:.3f} that a random architecture does as well (one-sided, by rank{least})"
        beaten = total - self.rank
        yield f"p = {self.p_median:.3f} that one at the median of such draws beats {beaten} of {total - 1} (sign test)"
