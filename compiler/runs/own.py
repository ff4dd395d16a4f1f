"""`derive = own(...)` and `judge = own(...)`: classes of a user's own that propose and judge."""

from __future__ import annotations

from math import isfinite

from compiler.backend.plugins import own_class
from compiler.program.request import Request
from compiler.searcher.engine.errors import DivergedError
from compiler.searcher.explore.proposer import Budgets, OwnProposer, Stream
from compiler.searcher.explore.space import Candidate, ExploredSpace
from compiler.searcher.settings.exploring import OwnExplorer
from compiler.searcher.settings.judges import OwnJudge
from compiler.searcher.settings.sections import SearchSettings
from compiler.util.errors import UsageError

from .derived_alone import DerivedAlone
from .fingerprint import fingerprint

PROPOSERS, JUDGES = "hdas.proposers", "hdas.judges"
"""The groups of entry points."""


def own_proposer(word: OwnExplorer, space: ExploredSpace, budgets: Budgets, stream: Stream) -> OwnProposer:
    """A proposer of the user's own.

    Raises:
        UsageError: it is not allowed, or no `OwnProposer`.
        LoweringError: it cannot be imported.
    """
    found = own_class(space.part.space.externals, word.path, PROPOSERS)
    if not issubclass(found, OwnProposer):
        raise UsageError(f"'{word.path}' is not an `OwnProposer` of compiler.searcher.explore.proposer")
    return found(space, budgets, stream, word.trials)


class OwnAlone(DerivedAlone):
    """Judges an architecture by what a class of the user's own says of its derived file.

    The class is made once, without arguments, and called with the text and the epochs; what it raises is the reason
    why an architecture has no score.

    Args:
        space: the architectures.
        request: the file.
        settings: those of the search.

    Raises:
        UsageError: the class is not allowed, or cannot be called.
        LoweringError: it cannot be imported.
    """

    def __init__(self, space: ExploredSpace, request: Request, settings: SearchSettings) -> None:
        super().__init__(space, request)
        assert isinstance(settings.judge, OwnJudge)
        made = own_class(space.part.space.externals, settings.judge.path, JUDGES)()
        if not callable(made):
            raise UsageError(f"'{settings.judge.path}' cannot be called: it has no `__call__(text, epochs)`")
        self.say = made
        self.budgets = Budgets(settings.judge.epochs, settings.judge.epochs)
        part = space.part
        self.identity = fingerprint(part.program, part.space, settings.describe(full=True), None)

    def score(self, found: Candidate, budget: int, repeat: int = 0) -> float:
        """What it says.

        Raises:
            DivergedError: it raised, or said no finite number.
        """
        text = self.text(found)
        try:
            said = float(self.say(text, budget))
        except Exception as error:
            raise DivergedError(f"{type(error).__name__}: {error}") from error
        if not isfinite(said):
            raise DivergedError(f"the judge says {said}")
        return said
