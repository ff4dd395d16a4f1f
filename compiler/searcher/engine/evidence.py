"""What is known of a search after an epoch: how steady its leading architecture is, and what may end it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from compiler.searcher.engine.reporting.records import EpochRecord
from compiler.searcher.settings.stopping import Evidence

from .protocol import Leading


def steadiness(history: Sequence[EpochRecord], leading: Leading, moved: bool) -> dict[str, float]:
    """How many decisions of the leading architecture changed, and for how many epochs of moving alphas none did.

    Args:
        history: the epochs before.
        leading: the architecture of now.
        moved: whether the alphas moved in this epoch.
    """
    if not history:
        return {"changed": 0.0, "unchanged": 0.0}
    before, since = history[-1].decisions, history[-1].scalars.get("unchanged", 0.0)
    changed = sum(before.get(path) != leading.decisions[path] for path in leading.live)
    return {"changed": float(changed), "unchanged": 0.0 if changed else since + moved}


def evidence(history: Sequence[EpochRecord], scalars: Mapping[str, float], leading: Leading) -> Evidence:
    """What is known after an epoch that has these numbers."""
    known = [*(record.scalars for record in history), scalars]
    sharpness = [found["sharpness"] for found in known if "sharpness" in found]
    return Evidence(int(scalars["unchanged"]), leading.taken, sharpness)
