"""Constrained derivation: the best-scoring architecture among those that meet the requirements of a space.

The score (`score`) makes the derivation rule (`derivation.strongest`) the optimum without requirements. Where that rule
misses a requirement, the optimum is found by `label_elimination`. Where not all labels can be kept, the answer is the
best that this or `lagrangian` finds, and the Lagrangian bound limits how much better another can be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from compiler.analysis.costs.existence import ExistenceTooComplexError
from compiler.analysis.costs.prices import UndefinedQuantityError
from compiler.derivation.strongest import default_decisions, strongest
from compiler.ir.decision import Decision, Selection
from compiler.ir.existence import Monomial
from compiler.searcher.settings.derivation import By
from compiler.util.errors import UsageError

from .evaluate import Requirements
from .label_elimination import by_labels
from .lagrangian import by_multipliers
from .problem import Problem, UnsatisfiableError
from .score import score_of, scores_of


@dataclass(frozen=True)
class Answer:
    """Decisions that meet the requirements, their score, and an upper bound of the score of all that meet them.

    Scores are log-probabilities. ``free`` is the score of the strongest architecture without requirements.
    ``instead_of`` is the dead architecture of the rule that this living one replaces; ``is_dead``: this one is dead
    too, since no living one was found (`.alive`).
    """

    chosen: Selection
    score: float
    bound: float
    free: float
    instead_of: Selection | None = None
    is_dead: bool = False

    @classmethod
    def of(cls, chosen: Selection) -> Answer:
        """The decisions of the derivation rule, where these meet the requirements: their score does not matter."""
        return cls(chosen, 0.0, 0.0, 0.0)

    @property
    def gap(self) -> float:
        """The optimality gap: how much more another may score at most; 0 where the answer is proved optimal."""
        return max(self.bound - self.score, 0.0)

    @property
    def summary(self) -> str:
        """The score lost to the requirements, and the optimality gap; empty where the derivation rule meets them."""
        lost = self.free - self.score
        if lost <= 0:
            return ""
        proved = "the best there is" if self.gap < 1e-9 else f"another may score up to {self.gap:.4f} more"
        return f"log-probability {lost:.4f} below the strongest architecture; {proved}"


def best(wanted: Requirements, alphas: Mapping[str, Sequence[float]], by: By, over: float | None = None) -> Answer:
    """The best-scoring architecture that meets the requirements: that of the derivation rule where it does.

    Args:
        wanted: the requirements of a space.
        alphas: raw architecture parameters of each decision that has any, one per item.
        by: how strength is measured between the candidates of a pick.
        over: the least weight of what a pick of no fixed number takes.

    Raises:
        UnsatisfiableError: no architecture meets the requirements, or none was found.
        UndefinedQuantityError: a quantity has no value.
        ExistenceTooComplexError: the conditions under which a node exists have too many terms.
    """
    decisions = wanted.space.decisions
    chosen = strongest(decisions, alphas, by, over)
    scores = scores_of(decisions, alphas, by, over)
    free = score_of(scores, chosen)
    if wanted.met(chosen):
        return Answer(chosen, free, free, free)
    return _answer(Problem(wanted, scores), scores, chosen)


def _answer(problem: Problem, scores: Mapping[Monomial, float], unconstrained: Selection) -> Answer:
    """The best decisions that labels or multipliers find, given those of the derivation rule."""
    problem.refuse_impossible()
    space, free = problem.wanted.space, score_of(scores, unconstrained)
    found, certain = by_labels(problem)
    candidates = [] if certain else list(by_multipliers(problem))
    options = [chosen for chosen in (found, *(chosen for chosen, _ in candidates)) if chosen is not None]
    proved = certain and problem.exact
    if not options:
        conditions = " and ".join(f"`{requirement.span.text}`" for requirement in problem.wanted.requirements)
        if proved:
            raise UnsatisfiableError(f"no architecture of '{space.name}' meets {conditions} together")
        raise UnsatisfiableError(f"no architecture of '{space.name}' was found that meets {conditions}")
    top = max(options, key=lambda chosen: score_of(scores, chosen))
    score = score_of(scores, top)
    bound = score if proved else min((free, *(bound for _, bound in candidates)))
    return Answer(_with_unpicked(top, unconstrained, space.decisions), score, bound, free)


def _with_unpicked(chosen: Selection, unconstrained: Selection, decisions: Mapping[str, Decision]) -> Selection:
    """The decisions, in which menus that no pick takes are decided by the derivation rule."""
    result = dict(chosen)
    for path, decision in decisions.items():
        for index, candidate in enumerate(decision.candidates):
            if candidate is not None and index not in chosen[path]:
                result[candidate] = unconstrained[candidate]
    return result


def check_feasible(wanted: Requirements) -> None:
    """Check before a search starts that its result can meet the requirements.

    Raises:
        UsageError: no architecture meets them, or a quantity has no value.
    """
    with _refusing(wanted):
        if wanted:
            wanted.met(default_decisions(wanted.space.decisions))
            Problem(wanted, {}).refuse_impossible()


def derive_within(
    wanted: Requirements, alphas: Mapping[str, Sequence[float]], by: By, over: float | None = None
) -> Answer:
    """`best`, for commands.

    Raises:
        UsageError: no architecture meets the requirements, or a quantity has no value; the message says why.
    """
    with _refusing(wanted):
        return best(wanted, alphas, by, over)


@contextmanager
def _refusing(wanted: Requirements) -> Iterator[None]:
    conditions = ", ".join(f"`{requirement.span.text}`" for requirement in wanted.requirements)
    try:
        yield
    except UndefinedQuantityError as error:
        raise UsageError(f"what '{wanted.space.name}' requires, {conditions}, cannot be honoured: {error}") from None
    except ExistenceTooComplexError:
        why = "its parts exist in too many different ways"
        raise UsageError(f"what '{wanted.space.name}' requires, {conditions}, cannot be honoured: {why}") from None
