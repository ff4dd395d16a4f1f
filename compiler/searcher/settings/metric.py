"""A metric: its name, which way is better, and how its values and their differences are written. No torch.

It is plain data that a run keeps: a report needs neither the task nor the plugin that has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import BaseModel, ConfigDict


class Metric(BaseModel):
    """A metric by which networks are compared; by default the accuracy.

    Inside the engine a score is larger where a network is better. `score` is the one place that turns an error around,
    and `value` turns it back.
    """

    model_config = ConfigDict(frozen=True)

    name: str = "accuracy"
    larger: bool = True
    """Whether a larger value is better."""
    share: bool = True
    """Whether it is a share, from 0 to 1, which is written in per cent."""

    @classmethod
    def named(cls, names: Iterable[str], recorded: Sequence[Metric]) -> Metric:
        """The recorded metric that the first of some names means, such as ``mse`` or ``mse/valid``.

        Where none does it is the last that was recorded, and accuracy where none was.
        """
        known = {metric.name: metric for metric in recorded}
        found = (known[name.partition("/")[0]] for name in names if name.partition("/")[0] in known)
        return next(found, recorded[-1] if recorded else cls())

    def score(self, value: float) -> float:
        """A value as a score: the larger the better."""
        return value if self.larger else -value

    def value(self, score: float) -> float:
        """The value that has this score."""
        return self.score(score)

    def show(self, value: float | None, digits: int = 1) -> str:
        """A value as text; one that is not a share, such as that of a proxy, as a number."""
        if value is None:
            return ""
        return f"{value:.{digits}%}" if self.share and 0 <= value <= 1 else f"{value:.6g}"

    def difference(self, value: float) -> str:
        """A difference of values as text: of shares in percentage points."""
        return f"{100 * value:+.2f} points" if self.share else f"{value:+.4g}"

    def reach(self, value: float) -> str:
        """Half of an interval, behind the value in its middle."""
        return f"{100 * value:.2f}" if self.share else f"{value:.3g}"

    @property
    def better(self) -> str:
        """Which way is better, in words."""
        return f"{'larger' if self.larger else 'smaller'} is better"

    @property
    def title(self) -> str:
        """The name with a capital; a short one, such as mse, is an abbreviation, but for the loss."""
        is_word = len(self.name) > 4 or self.name == "loss"
        return self.name[:1].upper() + self.name[1:] if is_word else self.name.upper()


ACCURACY = Metric()
TRAINING_LOSS = Metric(name="training loss", larger=False, share=False)
