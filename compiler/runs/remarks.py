"""Sentences on what a search selects, and on what of its settings it never reads."""

from __future__ import annotations

from collections.abc import Iterator

from compiler.analysis.requirements.constrained import Answer
from compiler.elaborate import Elaborated
from compiler.searcher.engine.outcome import SearchOutcome
from compiler.searcher.engine.protocol import Leading
from compiler.searcher.relaxations import Relaxed
from compiler.searcher.settings.datasets import DataSpec
from compiler.searcher.settings.exploring import ExplorerWord
from compiler.searcher.settings.optimizers import AlphaFixed
from compiler.searcher.settings.sections import SearchSettings
from compiler.util.plural import plural

COLLAPSED = 0.75
"""The share of choices without parameters from which on a cell is warned of."""
FEW = 4
"""Cells with fewer choices are not warned of: chance alone makes them so."""


def collapsed(leading: Leading) -> Iterator[str]:
    """A sentence on each cell in which almost all choices took operations without parameters."""
    for copy, free in leading.free.items():
        count = len(leading.taken[copy])
        if count >= FEW and len(free) >= COLLAPSED * count:
            kinds = " or ".join(dict.fromkeys(free))
            yield f"{len(free)} of {count} choices of {copy} are {kinds}, without parameters: see docs/searchers.md"


def without_input(space: Elaborated, answer: Answer) -> Iterator[str]:
    """A sentence on an architecture whose output does not depend on its input, whether it is derived or left aside."""
    if answer.is_dead:
        same = "the prediction is the same for every image"
        yield f"the output of '{space.name}' as it was derived depends on no input: {same}"
    elif answer.instead_of is not None:
        left = [path for path, items in answer.instead_of.items() if items != answer.chosen[path]]
        cut = ", ".join(left[:FEW]) + (", ..." if len(left) > FEW else "")
        said = "the output of the strongest architecture depends on no input"
        yield f"{said}: the best one whose output does differs in {cut}"


def remarks(supernet: Relaxed, outcome: SearchOutcome, answer: Answer) -> Iterator[str]:
    """Sentences on what the alphas select."""
    for warning in (*collapsed(supernet.leading(outcome.alphas)), *without_input(supernet.space, answer)):
        yield f"warning: {warning}"
    if answer.summary:
        yield f"requirements: {answer.summary}"


def unmoved(settings: SearchSettings) -> Iterator[str]:
    """A sentence where the alphas are to learn, and no epoch moves them from their first values."""
    explores = isinstance(settings.derive, ExplorerWord)  # It judges, and reads no alphas.
    if explores or not settings.epochs or isinstance(settings.alphas, AlphaFixed):
        return
    if not any(settings.alphas.moves(epoch, 0) for epoch in range(settings.alphas_from, settings.epochs)):
        late = settings.alphas_from >= settings.epochs
        why = f"`alphas_from = {settings.alphas_from}`" if late else f"`alphas = {settings.alphas.describe()}`"
        end = (
            f"of {plural(settings.epochs, 'epoch')}, none moves the alphas: what is derived follows their first values"
        )
        yield f"with {why}, {end}"


def unread(search: DataSpec, train: DataSpec) -> Iterator[str]:
    """A sentence where `judge = trained` trains on other images than those that the search names."""
    if (search.word, search.images) == (train.word, train.images):
        return
    names = [f"{spec.word}, {'all' if spec.images is None else spec.images} images" for spec in (train, search)]
    trains = "`judge = trained` trains on a share of the data"
    yield f"{trains} of the `train` section ({names[0]}), not of the search's ({names[1]})"
