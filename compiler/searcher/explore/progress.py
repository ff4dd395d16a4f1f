"""Progress of an exploration: a bar on a terminal, some ten lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from compiler.util.page import Page, is_live
from hdas_dsl.text.printable import printable

from .trials import History, Trial

LINES = 10
"""How many lines an exploration writes where there is no bar to draw."""
MEASURED = 100
"""So many architectures are measured for a line."""


class TrialProgress:
    """Shows how many of ``total`` trials are done and the best score, by ``show``; nothing where it is ``quiet``."""

    def __init__(
        self,
        title: str,
        total: int,
        quiet: bool = False,
        console: Console | None = None,
        show: Callable[[float], str] = "{:.1%}".format,
    ) -> None:
        self.show = show
        self.console = console or Page()
        self.total, self.every = total, max(1, total // LINES)
        self.lines = not quiet and not is_live(self.console)
        self.bar = Progress(
            TextColumn(printable(title), markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=True),
            TextColumn("{task.fields[scores]}"),
            console=self.console,
            disable=quiet or self.lines,
        )
        self.task = self.bar.add_task("trials", total=total, scores="")
        self.known: set[int] = set()
        """The architectures that have been measured, which takes time before a trial begins."""

    def measured(self, number: int) -> None:
        """The proxies of an architecture are known; a round asks again of some that were before."""
        if number in self.known:
            return
        self.known.add(number)
        said = f"{len(self.known):,} measured by proxies"
        self.bar.update(self.task, scores=said)
        if self.lines and len(self.known) % MEASURED == 0:
            self.console.print(said, markup=False, highlight=False)

    def tell(self, trial: Trial, history: History) -> None:
        """A trial is done."""
        assert history.best is not None
        scores = f"score {self.show(trial.score)} | best {self.show(history.best.score)}"
        self.bar.update(self.task, completed=len(history), scores=scores)
        if self.lines and len(history) % self.every == 0:
            self.console.print(f"trial {len(history)}/{self.total} | {scores}", markup=False, highlight=False)

    def __enter__(self) -> Self:
        self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.bar.stop()
