"""Several runs side by side: which settings differ, and what differs between what they derived."""

from __future__ import annotations

from collections.abc import Sequence

from .differences import differences
from .model import Beside, Change, Run, SettingRow, Together


def together(runs: Sequence[Run]) -> Together:
    """Each run beside the first."""
    first, *others = runs
    found = [(run, differences(first.settings, run.settings)) for run in others]
    paths = dict.fromkeys(change.path for _, each in found if each is not None for change in each.changes)
    rows = []
    for path in paths:
        values = []
        base = ""
        for _, each in found:
            change = next((item for item in (each.changes if each else ()) if item.path == path), None)
            base = (change.left or "") if change is not None else base
            values.append(None if change is None else change.right or "")
        rows.append(SettingRow(path=path, values=(base, *(base if value is None else value for value in values))))
    return Together(
        settings=tuple(rows), architectures=tuple(_beside(first, run) for run in others if _both(first, run))
    )


def _both(left: Run, right: Run) -> bool:
    return left.derived is not None and right.derived is not None


def _beside(left: Run, right: Run) -> Beside:
    assert left.derived is not None, "only what was derived is compared"
    assert right.derived is not None, "only what was derived is compared"
    found = differences(left.derived.text, right.derived.text)
    if found is None:
        return Beside(left=left.name, right=right.name, summary="one of both cannot be read", changes=())
    changes = [
        Change(path=item.path, kind=item.kind.value, left=item.left or "", right=item.right or "")
        for item in found.changes
    ]
    return Beside(left=left.name, right=right.name, summary=found.summary(), changes=tuple(changes))
