"""What is said at the end of a search: result, cost, how close its choices were, where it lies, what to do next."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from compiler.searcher.run_files import DERIVED, REPORT
from compiler.searcher.settings.metric import Metric
from compiler.util.plural import plural

from .model import Phase, Run
from .words import ahead, amount, closest, points, share, size

MOST = 8
"""How many lines are said."""


def ending(run: Run, folder: Path, plugins: Sequence[str] = (), data: Sequence[str] = ()) -> list[str]:
    """At most eight lines on a run that came to its end; nothing of a run whose derived file is not there.

    Args:
        run: what the folder holds.
        folder: the folder, as the command line names it.
        plugins: what was allowed to the search, which the commands that are shown need too.
        data: the options that named the data of the search: without them a training reads those of the file.
    """
    return [] if run.derived is None else list(_lines(run, folder, plugins, data))[:MOST]


def _lines(run: Run, folder: Path, plugins: Sequence[str], data: Sequence[str]) -> Iterator[str]:
    assert run.derived is not None, "only what was derived is told of"
    target, network = folder / DERIVED, run.derived.network
    found = f"found: {network.name if network else target}"
    yield found if run.score is None else f"{found}, {_said(run, run.score)}"
    if network is not None:
        costs = f"{amount(network.params)} parameters, {amount(network.macs)} multiply-adds"
        yield f"cost: {costs}, {size(network.memory)} of activations for an input"
    yield from map(_sure, [phase for phase in run.phases if phase.moves or phase.trials][-1:])
    allowed = [word for plugin in plugins for word in ("--allow-plugin", plugin)]

    def command(*words: str | Path) -> str:
        return shlex.join(map(str, [*words, *allowed]))

    if network is not None and network.is_space:
        yield f"derived architecture: {target}, a smaller space"
        yield f"next: {command('hdas', 'search', target, *data)}"
        return
    yield f"derived architecture: {target}"
    following = [
        (command("hdas", "train", target, *data), "from scratch, and tested"),
        (command("hdas", "versus", target, "9", *data), "is it better than chance?"),
    ]
    written = (folder / REPORT).is_file()
    if not written:
        following.append((command("hdas-report", folder), "all of it, in the browser"))
    width = max(len(words) for words, _ in following)
    for number, (words, remark) in enumerate(following):
        yield f"{'next: ' if number == 0 else '      '}{words:<{width}}    # {remark}"
    if written:
        yield f"report: {folder / REPORT}"


def _said(run: Run, value: float) -> str:
    """A score with the data that it was measured on; a proxy's has none."""
    metric = run.metric
    name, of = ("score", "images") if metric == Metric() else (metric.name, "samples")
    said = f"{name} {metric.show(value)}"
    return f"{said} on held-out {of}" if any(phase.metric == metric for phase in run.phases) else said


def _sure(phase: Phase) -> str:
    """How certain the decisions are, by the search's own records."""
    if phase.trials:
        best, second, before = phase.score, phase.runner_up, ""
        if second is not None and second.score is not None and best is not None:
            apart = abs(best - second.score)
            before = f", {points(apart) if phase.judged.share and best <= 1 else f'{apart:.3g}'} before the next"
        again = [trial.repeat for trial in phase.trials if trial.repeat]
        often = f", the best ones judged {1 + max(again)} times" if again else ""
        return f"confidence: best of {plural(len(phase.trials) - len(again), 'trial')}{often}{before}"
    near = closest(phase)
    late = sum(bool(moves.flips) and moves.flips[-1] == phase.epochs[-1].epoch for moves in phase.moves)
    changed = f"{late} of {len(phase.moves)} choices changed in the last epoch"
    if near is None or near.strength is None:
        return f"confidence: {changed}"
    return f"confidence: {changed}; the closest, {near.path}, took {near.taken} ({share(near.strength)}) {ahead(near)}"
