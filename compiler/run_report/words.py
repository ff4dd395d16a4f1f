"""Numbers and facts of a report in words, as filters of its templates."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from compiler.reports.versus import Comparison
from compiler.searcher.settings.metric import Metric

from .model import Interval, Moves, Phase, Run


def share(value: float | None) -> str:
    """A share in per cent."""
    return "" if value is None else f"{value:.1%}"


def points(value: float) -> str:
    """A difference of shares in points."""
    return f"{100 * value:.2g} points"


def number_of(text: str) -> float | None:
    """The number that a text is."""
    try:
        return float(text)
    except ValueError:
        return None


def odds(below: float) -> float:
    """A ratio of probabilities, from by how much the logarithm is less."""
    return math.exp(-below)


def whole(value: float | None) -> str:
    """A count with thousands apart."""
    return "" if value is None else f"{value:,.0f}"


def amount(value: float | None) -> str:
    """A count in three digits."""
    if value is None:
        return "not known"
    for least, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= least:
            return f"{value / least:.3g} {unit}"
    return f"{value:.0f}"


def size(value: float | None) -> str:
    """Bytes."""
    if value is None:
        return ""
    for least, unit in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if value >= least:
            return f"{value / least:.3g} {unit}"
    return f"{value:.0f} B"


def milliseconds(value: float | None) -> str:
    """A latency."""
    return "" if value is None else f"{value:.3g} ms"


def duration(seconds: float) -> str:
    """A time, in its two largest units."""
    if float(f"{seconds:.3g}") < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def interval(found: Interval | None, metric: Metric) -> str:
    """A mean of values of a metric, with half of its interval."""
    if found is None:
        return ""
    return metric.show(found.value, 2) + ("" if found.reach is None else f" ± {metric.reach(found.reach)}")


def mean(found: Interval | None) -> str:
    """A mean of counts."""
    return "" if found is None else whole(found.value)


def sparkline(values: Sequence[float | None], every: Mapping[str, Sequence[float | None]]) -> str:
    """The points of a line in a box of 100 by 24, on the scale of all lines of a choice."""
    known = [value for each in every.values() for value in each if value is not None]
    low, high = min(known), max(known)
    across, down = 100 / max(len(values) - 1, 1), 20 / (high - low or 1)
    places = ((at * across, 22 - (value - low) * down) for at, value in enumerate(values) if value is not None)
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def closest(phase: Phase) -> Moves | None:
    """The choice that was decided by the least."""
    known = [moves for moves in phase.moves if moves.margin is not None]
    return min(known, key=lambda moves: moves.margin or 0.0, default=None)


def ahead(moves: Moves) -> str:
    """By how much a choice was decided, which is nothing where another rule than the strength decided."""
    margin = moves.margin or 0.0
    if margin < 0:
        return f"although {moves.second} is stronger by {points(-margin)}"
    return f"by {points(margin)}"


def about(run: Run) -> Iterator[tuple[str, str]]:
    """How a run was made: labels and values, where there are any."""
    said = {} if run.derived is None else run.derived.said
    lines = {
        "folder": run.folder,
        "command": run.command,
        "searched file": said.get("source", ""),
        "method": said.get("by", ""),
        "searcher": said.get("searcher", ""),
        "rule": said.get("derive", ""),
        "data": said.get("data", ""),
        "seed": said.get("seed", ""),
        "epochs": said.get("epochs", ""),
        "derived from epoch": said.get("epoch", ""),
        "judge": said.get("judge", ""),
        "requirements": said.get("requirements", ""),
        "versions": ", ".join(f"{name} {version}" for name, version in run.versions.items()),
        "device": run.device,
        "machine": run.machine,
    }
    yield from ((label, value) for label, value in lines.items() if value)


def verdict(comparison: Comparison) -> list[str]:
    """What a comparison with random architectures shows."""
    return list(comparison.verdict())


FILTERS: dict[str, Callable[..., Any]] = {
    item.__name__: item
    for item in (
        share,
        points,
        odds,
        whole,
        amount,
        size,
        milliseconds,
        duration,
        interval,
        mean,
        sparkline,
        closest,
        ahead,
        about,
        verdict,
    )
}
"""The filters by name."""
