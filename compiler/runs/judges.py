"""The judges of the architectures of a phase: by the weights of a supernet, or without one."""

from __future__ import annotations

from functools import cache
from math import nan
from typing import Protocol

from compiler.analysis.architectures.space_list import Part
from compiler.program.model import Phase
from compiler.searcher.data.load import Data
from compiler.searcher.engine.device.compute import PRECISIONS, Compute
from compiler.searcher.engine.protocol import RunOptions
from compiler.searcher.explore.grammars import explored_space
from compiler.searcher.explore.guided import Measure
from compiler.searcher.explore.proxies import LackingError
from compiler.searcher.explore.shared import SharedWeights
from compiler.searcher.explore.space import Candidate, ExploredSpace, same_of
from compiler.searcher.explore.study import Judge
from compiler.searcher.relaxations.base import Relaxed
from compiler.searcher.settings.exploring import Predictor
from compiler.searcher.settings.judges import OwnJudge, ProxyJudge, ProxyName, SharedJudge, TableJudge
from compiler.searcher.settings.sections import SearchSettings

from .alone import ProxiesAlone, ProxyAlone, TableAlone
from .own import OwnAlone
from .plan import SearchPlan
from .trained_alone import TrainedAlone


class RunJudge(Judge, Protocol):
    """A judge of the architectures of a space."""

    @property
    def space(self) -> ExploredSpace:
        """The architectures."""


def shared_judge(part: Part, supernet: Relaxed, data: Data, settings: SearchSettings, options: RunOptions) -> RunJudge:
    """The judge by the weights of a supernet, on the images that its alphas are for."""
    assert isinstance(settings.judge, SharedJudge)
    compute = Compute(options.device, options.devices, PRECISIONS[settings.precision])
    return SharedWeights(
        supernet, ExploredSpace(part, same=same_of(part, settings.unique.name)), data, settings, settings.judge, compute
    )


AloneJudge = TrainedAlone | ProxyAlone | TableAlone | OwnAlone


def judge_alone(plan: SearchPlan, part: Part, phase: Phase, options: RunOptions) -> AloneJudge:
    """The judge that the settings of a phase without a supernet name.

    Raises:
        HspError: a derived file is wrong.
        DataError: the data are missing or do not fit.
        UsageError: a table is missing, or does not fit.
    """
    settings = phase.settings
    space = explored_space(part, same_of(part, settings.unique.name))
    match settings.judge:
        case TableJudge():
            return TableAlone(part, settings)
        case OwnJudge():
            return OwnAlone(space, plan.request, settings)
        case ProxyJudge():
            return ProxyAlone(space, plan.request, settings, plan.config)
    return TrainedAlone(space, plan.request, settings, plan.config, options)


def measure_of(plan: SearchPlan, phase: Phase, space: ExploredSpace) -> Measure | None:
    """What gives a predictor its proxies; None where it names none.

    A proxy of a network that has nothing of what it looks at is not a number.

    Raises:
        DataError: the data are missing or do not fit.
    """
    word = phase.settings.derive
    if not isinstance(word, Predictor) or not (word.features or word.screening):
        return None
    proxies = ProxiesAlone(space, plan.request, phase.settings, plan.config)

    def one(found: Candidate, name: ProxyName) -> float:
        try:
            return proxies.of(found, [name])[name]
        except LackingError:
            return nan

    @cache
    def measured(number: int, names: tuple[ProxyName, ...]) -> dict[str, float]:
        found = space.candidate(number)
        try:
            return proxies.of(found, names)
        except LackingError:
            return {name.value: one(found, name) for name in names}

    return lambda found, names: measured(found.number, tuple(names))
