"""`judge = proxy` and `judge = table`: an architecture by itself, without a supernet and without training."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from pathlib import Path

from compiler.analysis.architectures.space_list import Part
from compiler.program.request import Request
from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.engine.errors import DivergedError
from compiler.searcher.engine.tasks import behaviour_of
from compiler.searcher.explore.probe import probe_of
from compiler.searcher.explore.proposer import Budgets
from compiler.searcher.explore.proxies import LackingError, values
from compiler.searcher.explore.space import Candidate, ExploredSpace, same_of
from compiler.searcher.explore.study import Verdict
from compiler.searcher.explore.tables import Lookup, Table
from compiler.searcher.settings.judges import ProxyJudge, ProxyName, TableJudge
from compiler.searcher.settings.rungs import NoRungs
from compiler.searcher.settings.sections import SearchSettings
from compiler.util.errors import UsageError

from .config import RunConfig
from .derived_alone import DerivedAlone, network_of
from .fingerprint import fingerprint
from .proxies import IMAGES, batch_of, held_out


class ProxiesAlone(DerivedAlone):
    """Zero-cost proxies of an architecture, of the network that `--train` would train and as it starts it.

    Args:
        space: the architectures.
        request: the file.
        settings: those of the search.
        config: where and how to run.
        images: how many images they see.
    """

    def __init__(
        self, space: ExploredSpace, request: Request, settings: SearchSettings, config: RunConfig, images: int = IMAGES
    ) -> None:
        super().__init__(space, request)
        example = self.derived(self.text(space.candidate(0)))
        seen = settings if example.train is None else example.train_settings
        self.seed = seen.seed
        held = held_out(seen, network_of(example), config)
        self.batch = batch_of(held, images, Compute(config.device), self.seed)
        self.loss = behaviour_of(seen.task, held.classes).loss

    def of(self, found: Candidate, names: Sequence[ProxyName]) -> dict[str, float]:
        """Proxies by name; raises LackingError where the network has nothing of what one looks at."""
        return values(probe_of(network_of(self.derived(self.text(found))), *self.batch, self.seed, self.loss), names)


class ProxyAlone(ProxiesAlone):
    """Judges an architecture by zero-cost proxies; arguments as above."""

    def __init__(self, space: ExploredSpace, request: Request, settings: SearchSettings, config: RunConfig) -> None:
        assert isinstance(settings.judge, ProxyJudge)
        self.word = settings.judge
        super().__init__(space, request, settings, config, self.word.images)
        self.budgets = Budgets(1, 1)
        part = space.part
        self.identity = fingerprint(part.program, part.space, settings.describe(full=True), None)

    def score(self, found: Candidate, budget: int, repeat: int = 0) -> Verdict:
        """A proxy, or what several are of it, by which it is ranked.

        Raises:
            DivergedError: one is infinite, or not a number, or the network has nothing of what it looks at.
        """
        try:
            said = self.of(found, self.word.names)
        except LackingError as reason:
            raise DivergedError(str(reason)) from None
        for name, value in said.items():
            if not isfinite(value):
                raise DivergedError(f"`{name}` is {value}")
        if len(said) == 1:
            return Verdict(next(iter(said.values())))
        return Verdict(votes=said)


class TableAlone(Lookup):
    """Judges an architecture by a table, which lies where the file says it, from the folder of the file.

    Args:
        part: the space.
        settings: those of the search.

    Raises:
        UsageError: as of `Table` and `Lookup`; its trainings have one length, which rungs have no use for.
    """

    def __init__(self, part: Part, settings: SearchSettings) -> None:
        assert isinstance(settings.judge, TableJudge)
        word, file = settings.judge, part.program.unit.path
        path = Path(word.path) if file is None else file.parent / word.path
        super().__init__(Table(path, part), word.partial, word.seeds, same_of(part, settings.unique.name))
        if len(self.table.epochs) == 1 and not isinstance(settings.rungs, NoRungs):
            raise UsageError(f"'{path}' has trainings of one length, and `rungs` are several: use `rungs = none`")
        self.identity = fingerprint(part.program, part.space, settings.describe(full=True), None, path)
