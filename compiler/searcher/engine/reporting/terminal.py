"""Progress on the terminal: a live view where there is one to draw on, a line for each epoch where there is not."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from compiler.util.page import Page, is_live
from hdas_dsl.text.printable import printable

from .records import EpochRecord
from .sink import Plan, Sink, epoch_line, format_number


def display(title: str, console: Console | None = None) -> Sink:
    """The live view on a terminal or in a notebook, lines elsewhere."""
    console, title = console or Page(), printable(title)
    return LiveView(title, console) if is_live(console) else EpochLines(title, console)


class EpochLines(Sink):
    """A line for each epoch."""

    def __init__(self, title: str, console: Console) -> None:
        self.title, self.console = title, console
        self.epochs = 0

    def start(self, plan: Plan, history: Sequence[EpochRecord]) -> None:
        """Say where a run that is resumed goes on."""
        self.epochs = plan.epochs
        if not plan.fresh:
            self.note(f"going on after {plan.epoch} epochs and {plan.step} steps")

    def epoch(self, record: EpochRecord, before: EpochRecord | None, seconds: float) -> None:
        """Write the line of an epoch."""
        self.note(f"{epoch_line(record, self.epochs)} | {seconds:.1f} s")

    def note(self, text: str) -> None:
        """Write a sentence, without styles."""
        self.console.print(printable(text), markup=False, highlight=False, soft_wrap=True)


class LiveView(Sink):
    """Bars for epochs and steps, the numbers so far, and the architecture that leads, with what changed marked."""

    def __init__(self, title: str, console: Console) -> None:
        self.title, self.console = title, console
        self.bars = Progress(
            TextColumn("{task.description:<6}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            expand=True,
        )
        self.means: dict[str, float] = {}
        self.record: EpochRecord | None = None
        self.changed: dict[str, str] = {}
        self.live = Live(self, console=console, refresh_per_second=4, transient=False)

    def start(self, plan: Plan, history: Sequence[EpochRecord]) -> None:
        """Begin the bars where the run stands."""
        self.record = history[-1] if history else None
        if len(history) > 1:
            self.changed = history[-1].changes(history[-2])
        done = plan.epoch * plan.steps + plan.step
        self.all = self.bars.add_task(plan.kind, total=plan.epochs * plan.steps, completed=done)
        self.one = self.bars.add_task("epoch", total=plan.steps, completed=plan.step)
        self.plan = plan
        self.live.start()

    def step(self, epoch: int, step: int, means: dict[str, float] | None) -> None:
        """Move the bars."""
        if step == 1:
            self.bars.reset(self.one, description=f"epoch {epoch + 1}/{self.plan.epochs}")
        self.bars.update(self.all, completed=epoch * self.plan.steps + step)
        self.bars.update(self.one, completed=step)
        self.means = means or self.means

    def epoch(self, record: EpochRecord, before: EpochRecord | None, seconds: float) -> None:
        """Show the numbers and the architecture of an epoch."""
        self.changed = record.changes(before)
        self.record = record

    def note(self, text: str) -> None:
        """Write a sentence above the bars."""
        self.console.print(printable(text), markup=False, highlight=False)

    def close(self, error: BaseException | None) -> None:
        """Leave the last view on the screen."""
        if self.live.is_started:
            self.live.stop()

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = [Text(self.title, style="bold")] if self.title else []
        parts += [self.bars, _numbers("now", self.means)]
        if self.record:
            parts.append(_numbers(f"epoch {self.record.epoch}", self.record.scalars))
            parts.append(architecture(self.record.decisions, self.changed, max(self.console.height - 12, 4)))
        return Group(*parts)


def _numbers(head: str, scalars: dict[str, float]) -> Text:
    text = Text(f"{head}: ", style="dim")
    kinds: dict[str, list[str]] = {}
    named = any(name.endswith("/score") for name in scalars)
    for name, value in scalars.items():
        kind, _, of = name.partition("/")
        if name == "score" and named:
            continue
        kinds.setdefault(kind, []).append(f"{of} {format_number(kind, value)}".strip())
    for i, (kind, values) in enumerate(kinds.items()):
        text.append("  " * bool(i) + kind + " ", style="cyan")
        text.append(" ".join(values), style="default")
    return text


def architecture(decisions: dict[str, str], changed: dict[str, str], height: int) -> RenderableType:
    """The decisions, a row for each node, what changed in bold; if not all fit, rows that changed are shown first."""
    rows: dict[str, Text] = {}
    marked: set[str] = set()
    for path, decision in decisions.items():
        node, _, slot = path.rpartition(".")
        row = rows.setdefault(node, Text())
        row.append("  " if row else "")
        row.append(f"{slot} ", style="dim")
        row.append(printable(decision), style="bold yellow" if path in changed else "default")
        if path in changed:
            marked.add(node)
    shown = list(rows)
    if len(shown) > height:
        first = sorted(shown, key=lambda node: node not in marked)[: height - 1]
        shown = [node for node in shown if node in first]
    table = Table.grid(padding=(0, 2))
    for node in shown:
        table.add_row(Text(node, style="cyan"), rows[node])
    if len(shown) < len(rows):
        table.add_row("", Text(f"and {len(rows) - len(shown)} more, in log.txt", style="dim"))
    return table
