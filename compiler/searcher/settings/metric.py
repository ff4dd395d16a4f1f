"""A metric: its name, which way is better, and how its values and their differences are written. No torch."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class MetricFacts(BaseModel):
    """A metric by which networks are compared; by default the accuracy.

    Inside the engine a score is larger where a network is better; `score` turns an error around, and a score back.
    """

    model_config = ConfigDict(frozen=True)

    name: str = "accuracy"
    larger: bool = True
    """Whether a larger value is better."""
    share: bool = True
    """Whether it is a share, from 0 to 1, which is written in per cent."""

    @property
    def better(self) -> str:
        """Which way is better, in words."""
        return f"{'larger' if self.larger else 'smaller'} is better"

    def score(self, value: float) -> float:
        """A value as a score, the larger the better; or the value of a score."""
        return value if self.larger else -value

    def show(self, value: float, digits: int = 2) -> str:
        """A value as text."""
        return f"{value:.{digits}%}" if self.share else f"{value:.6g}"

    def difference(self, value: float) -> str:
        """A difference of values as text: of shares in percentage points."""
        return f"{100 * value:+.2f} points" if self.share else f"{value:+.4g}"

    def reach(self, value: float) -> str:
        """Half of an interval behind a value."""
        return f"{100 * value:.2f}" if self.share else f"{value:.3g}"


ACCURACY = MetricFacts()
