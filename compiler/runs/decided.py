"""What a phase decided, as the text of a derived file, and what came second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch

from compiler.analysis.architectures.space_list import Part
from compiler.analysis.requirements.constrained import Answer
from compiler.analysis.requirements.runner_up import runner_up
from compiler.derivation import derive_module
from compiler.program.model import Phase, Program
from compiler.program.provenance import origin, section
from compiler.searcher.engine.outcome import SearchOutcome
from compiler.searcher.relaxations import Relaxed
from compiler.searcher.relaxations.derived import derived_module
from compiler.searcher.settings.axes import Levels, Order
from compiler.searcher.settings.derivation import Menus
from compiler.searcher.settings.relaxation import NoRelaxation
from compiler.util.version import package_version
from hdas_dsl.check.expressions import LARGEST
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_module

from .explore import Explored

AXES = (
    *("edges", "channels", "beside", "dropout", "drop_path", "levels", "perturb", "align", "narrow", "until", "freeze"),
    *("teacher", "start"),
)
"""Settings that a derived file records where they differ from their defaults."""


@dataclass(frozen=True)
class Decided:
    """What a phase decided, with its supernet, or with what an explorer found."""

    outcome: SearchOutcome
    answer: Answer
    supernet: Relaxed | None = None
    explored: Explored | None = None
    below: float | None = None
    """Of the second best by a supernet: how much log-probability it is below the best."""

    @property
    def facts(self) -> Mapping[str, str]:
        """What provenance says of how an explorer found it."""
        return {} if self.explored is None else self.explored.facts

    @classmethod
    def by_explorer(cls, found: Explored, outcome: SearchOutcome) -> Decided:
        """The best architecture of an exploration, after ``outcome``."""
        outcome = replace(outcome, decisions=found.decisions, score=found.best.score)
        return cls(outcome, found.answer, None, found)

    @property
    def score(self) -> float | None:
        """The score; an architecture that a supernet did not derive has none of its own."""
        return self.outcome.score if self.below is None else None

    @property
    def second(self) -> Decided | None:
        """What came second: the next trial of an explorer, or the next architecture by the rule of a supernet."""
        if self.explored is not None:
            second = self.explored.second
            return None if second is None else Decided.by_explorer(second, self.outcome)
        supernet = self.supernet
        assert supernet is not None, "alphas decided, or an explorer"
        strengths, rule = supernet.evidence(self.outcome.alphas)
        if isinstance(rule, Menus):
            return None
        found = runner_up(
            supernet.space,
            strengths,
            rule.by,
            lambda values, by: supernet.select(values, rule.measured(by)),
            self.answer.chosen,
            rule.threshold,
        )
        return None if found is None else replace(self, answer=Answer.of(found[0]), below=found[1])


def derived_text(part: Part, phase: Phase, found: Decided) -> str:
    """The derived file of a phase."""
    provenance = provenance_of(part.program, phase, found)
    chosen, train = found.answer.chosen, part.program.carried if part.is_last else None
    if found.supernet is None:
        return print_module(derive_module(phase.network, chosen, train, provenance))
    return print_module(derived_module(found.supernet, chosen, found.outcome.alphas, train, provenance))


def number_text(value: float) -> str:
    """A number with four decimals, and one that is too large for the language as a text, such as a proxy's 1e30."""
    return f"{value:.4f}" if abs(value) <= LARGEST else f'"{value:.6g}"'


def provenance_of(program: Program, phase: Phase, found: Decided) -> list[ast.Setting]:
    """Where a derived file comes from. No time, host or absolute path, so that equal runs give equal bytes."""
    settings, outcome, answer = phase.settings, found.outcome, found.answer
    order = "second" if settings.order is Order.SECOND else "first"
    alone = isinstance(settings.relax, NoRelaxation)
    levels = "one level" if settings.levels is Levels.ONE else "bilevel"
    metric = settings.judged
    lines = {
        **origin(program),
        "of_phase": f'"{phase.name}"' if phase.name else "",
        "seed": str(settings.seed),
        "by": "" if program.method is None else program.method.method.name,
        "searcher": '"none"' if alone else f'"{levels}, {order} order, {settings.relax.describe()}"',
        **{name: text for name, text in settings.written(full=False).items() if name in AXES},
        "derive": settings.derive.describe(full=True),
        **found.facts,
        "data": "" if alone else settings.data.describe(),
        "epochs": "" if alone else str(settings.epochs),
        "stopped": str(len(outcome.history)) if outcome.stopped else "",
        "epoch": "" if alone else str(outcome.epoch),
        "metric": "" if metric.name in ("accuracy", "score") else f'"{metric.name}"',
        "score": "" if found.score is None else number_text(metric.value(found.score)),
        "log_probability_below": "" if found.below is None else number_text(found.below),
        "requirements": f'"{answer.summary}"' if answer.summary else "",
        "versions": f'"hdas-dsl {package_version()}, torch {torch.__version__.partition("+")[0]}"',
    }
    return section(lines)
