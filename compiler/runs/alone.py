"""`judge = proxy` and `judge = table`: an architecture by itself, without a supernet and without training."""

from __future__ import annotations

from math import isfinite
from pathlib import Path

from compiler.analysis.architectures.space_list import Part
from compiler.program.request import Request
from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.engine.errors import DivergedError
from compiler.searcher.explore.proposer import Budgets
from compiler.searcher.explore.proxies import LackingError, probe_of, values
from compiler.searcher.explore.space import Candidate, ExploredSpace
from compiler.searcher.explore.study import Verdict
from compiler.searcher.explore.tables import Lookup, Table
from compiler.searcher.settings.exploring import NoRungs
from compiler.searcher.settings.judges import ProxyJudge, TableJudge
from compiler.searcher.settings.sections import SearchSettings
from compiler.util.errors import UsageError

from .config import RunConfig
from .derived_alone import DerivedAlone, network_of
from .fingerprint import fingerprint
from .proxies import batch_of, held_out


class ProxiesAlone(DerivedAlone):
    """Judges an architecture by zero-cost proxies, of the network that `--train` would train and as it starts it.

    Args:
        space: the architectures.
        request: the file.
        settings: those of the search.
        config: where and how to run.
    """

    def __init__(self, space: ExploredSpace, request: Request, settings: SearchSettings, config: RunConfig) -> None:
        super().__init__(space, request)
        assert isinstance(settings.judge, ProxyJudge)
        self.word = settings.judge
        example = self.derived(self.text(space.candidate(0)))
        seen = settings if example.train is None else example.train_settings
        self.seed = seen.seed
        images = held_out(seen, network_of(example), config)
        self.batch = batch_of(images, self.word.images, Compute(config.device), self.seed)
        self.budgets = Budgets(1, 1)
        part = space.part
        self.identity = fingerprint(part.program, part.space, settings.describe(full=True), None)

    def score(self, found: Candidate, budget: int) -> Verdict:
        """A proxy, or what several are of it, by which it is ranked.

        Raises:
            DivergedError: one is infinite, or not a number, or the network has nothing of what it looks at.
        """
        network = network_of(self.derived(self.text(found)))
        try:
            said = values(probe_of(network, *self.batch, self.seed), self.word.names)
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
        super().__init__(Table(path, part), word.partial, word.seeds)
        if len(self.table.epochs) == 1 and not isinstance(settings.rungs, NoRungs):
            raise UsageError(f"'{path}' has trainings of one length, and `rungs` are several: use `rungs = none`")
        self.identity = fingerprint(part.program, part.space, settings.describe(full=True), None, path)
