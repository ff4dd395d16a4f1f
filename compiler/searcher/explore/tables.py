"""`judge = table`: accuracies that were measured before, looked up instead of trained. No torch.

A table is a CSV file. With columns `validation0`, `test0`, `seconds0`, `validation1`, ... a row is an architecture, and
the number behind a name is the seed of a training (`spaces/truth/*.csv`), whose loss some have. With columns
`validation`, `test`, `seconds` a row is a training, with its `seed` and its `epochs`, where there are such columns. An
architecture is named by its `number` in the space, or by an `architecture` as a string of NAS-Bench-201. The
equivalence `table` of the file defines which architectures share a row. Accuracies are from 0 to 1, or in
percent where one is above 1.

The log of an exploration, `trials.jsonl`, is a table too: its scores steer as they stand there, and nothing was tested.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import nan
from pathlib import Path
from statistics import mean

from compiler.analysis.architectures.equivalence.classes import EquivalenceKeys
from compiler.analysis.architectures.space_list import Part
from compiler.ir.combinatorics.circuit import rank_of, way
from compiler.ir.decision import Selection
from compiler.program.equivalence import Equivalence, equivalence
from compiler.util.errors import UsageError
from hdas_dsl.genotype.menu import LATTICE_NAMES
from hdas_dsl.names import is_called
from hdas_dsl.text.reading import is_file, no_file

from .proposer import Budgets
from .space import Candidate, ExploredSpace
from .study import Verdict
from .trial_log import recorded
from .trials import Trial

EQUIVALENCE = "table"
"""The equivalence of the file whose classes are the rows of a table."""
LISTED = 200_000
"""Of so many architectures each is looked up before the first trial."""
OPERATION = re.compile(r"([\w]+)~\d+")
LOG = ".jsonl"
"""What the name of a log of trials ends with."""


@dataclass(frozen=True)
class Training:
    """One training: accuracies from 0 to 1, or the score of a trial, and its seconds."""

    validation: float
    test: float
    """NaN where it is a trial, which was not tested."""
    seconds: float
    loss: float = nan
    """The mean training loss of all steps; NaN where it was not noted."""


def trainings_of(line: Mapping[str, str]) -> dict[int, Training]:
    """The trainings of a line by their seeds, with accuracies as they stand there.

    Raises:
        KeyError: it has no such columns.
        ValueError: what stands there is no number.
    """
    if "validation" in line:
        ends = {int(line.get("seed") or 0): ""}
    else:
        tests = [name.removeprefix("test") for name, cell in line.items() if name.startswith("test") and cell]
        ends = {int(end): end for end in tests}
    return {
        seed: Training(
            float(line[f"validation{end}"]),
            float(line[f"test{end}"]),
            float(line.get(f"seconds{end}") or 0),
            float(line.get(f"loss{end}") or nan),
        )
        for seed, end in ends.items()
    }


@dataclass
class Row:
    """The trainings of an architecture: by epochs, then by seed."""

    trainings: dict[int, dict[int, Training]] = field(default_factory=dict)

    def at(self, epochs: int) -> list[Training]:
        """The trainings of so many epochs, in the order of their seeds."""
        found = self.trainings.get(epochs, {})
        return [found[seed] for seed in sorted(found)]


class Table:
    """The rows of a table, by the key of their equivalence class.

    Args:
        path: the file.
        part: the space.

    Raises:
        UsageError: there is no such file, it is not such a table, or of another space.
    """

    def __init__(self, path: Path, part: Part) -> None:
        self.path, self.part = path, part
        if not is_file(path):
            raise UsageError(no_file(path))
        same = part.program.equivalences
        known = any(item.name == EQUIVALENCE for item in same)
        self.alike = EquivalenceKeys(part.space, equivalence(same, EQUIVALENCE)) if known else None
        self.rows: dict[Hashable, Row] = {}
        self.keys: dict[int, Hashable] = {}
        if path.suffix == LOG:
            self._read_log()
        else:
            self._read_file()
        if not self.rows:
            raise UsageError(f"'{path}' has no rows")

    @property
    def all(self) -> Iterable[Training]:
        """Every training."""
        return [it for row in self.rows.values() for seeds in row.trainings.values() for it in seeds.values()]

    @cached_property
    def epochs(self) -> list[int]:
        """The numbers of epochs after which accuracies were measured, or 1 where the table does not say."""
        return sorted({epochs for row in self.rows.values() for epochs in row.trainings})

    def find(self, number: int) -> Row | None:
        """The row of an architecture by its number."""
        return self.rows.get(self.key(number))

    def key(self, number: int) -> Hashable:
        """A key that equivalent architectures share, and no others."""
        if self.alike is None:
            return number
        if number not in self.keys:
            found = self.alike.key(way(self.part.circuit, number))
            assert isinstance(found, Hashable)
            self.keys[number] = found
        return self.keys[number]

    def _read_file(self) -> None:
        with self.path.open(newline="", encoding="utf-8") as file:
            for at, line in enumerate(csv.DictReader(file), start=2):
                try:
                    self._read(line)
                except (KeyError, ValueError, IndexError) as reason:
                    name = self.part.space.name
                    raise UsageError(f"'{self.path}', line {at}, is not a row of '{name}': {reason}") from None
        if any(max(found.validation, found.test) > 1 for found in self.all):
            self._from_percent()

    def _read_log(self) -> None:
        """The trials that were judged; of the same architecture and budget, the first."""
        space, seconds = ExploredSpace(self.part), dict[int, float]()
        for trial in recorded(self.path):
            if not isinstance(trial, Trial) or trial.failed:
                continue
            if trial.votes:
                raise UsageError(f"'{self.path}' has ranks among its own trials, which say nothing beside others")
            if not self._names(space, trial):
                raise UsageError(f"'{self.path}' is of another space: its trial {trial.id} is not in '{space.name}'")
            took = seconds.setdefault(trial.id if trial.same is None else trial.same, trial.seconds)
            row = self.rows.setdefault(self.key(trial.number), Row())
            row.trainings.setdefault(trial.budget, {}).setdefault(trial.repeat, Training(trial.score, nan, took))

    def _names(self, space: ExploredSpace, trial: Trial) -> bool:
        """Whether the number of a trial is the architecture whose decisions it has."""
        if trial.number >= space.count:
            return False
        return space.readable(space.candidate(trial.number)) == trial.decisions

    def _read(self, line: Mapping[str, str]) -> None:
        number = int(line["number"]) if "number" in line else self._numbered(line["architecture"])
        if not 0 <= number < self.part.circuit.number:
            raise ValueError(f"there is no architecture {number}")
        row = self.rows.setdefault(self.key(number), Row())
        row.trainings.setdefault(int(line.get("epochs") or 1), {}).update(trainings_of(line))

    def _numbered(self, architecture: str) -> int:
        """The number of a string of NAS-Bench-201, whose operations are in the order of the space's decisions."""
        taken = OPERATION.findall(architecture)
        decisions = self.part.space.decisions
        if len(taken) != len(decisions):
            raise ValueError(f"'{architecture}' has {len(taken)} operations, and the space {len(decisions)} choices")
        chosen: Selection = {}
        for (path, decision), name in zip(decisions.items(), taken, strict=True):
            wanted = LATTICE_NAMES.get(name, name)
            (item,) = (at for at, it in enumerate(decision.items) if is_called(it, wanted))
            chosen = {**chosen, path: (item,)}
        return rank_of(self.part.circuit, chosen)

    def _from_percent(self) -> None:
        for row in self.rows.values():
            row.trainings = {
                epochs: {
                    seed: replace(it, validation=it.validation / 100, test=it.test / 100) for seed, it in seeds.items()
                }
                for epochs, seeds in row.trainings.items()
            }


class Lookup:
    """Judges architectures by a table: validation accuracy, the mean over seeds, and the seconds that they took.

    Args:
        table: the table.
        partial: whether the table may lack architectures, which are then not proposed.
        seeds: the most trainings of a row that the mean is taken over.
        same: the equivalence up to which architectures are judged once.

    Raises:
        UsageError: the table lacks architectures, and is not ``partial``.
    """

    def __init__(self, table: Table, partial: bool = False, seeds: int = 1, same: Equivalence | None = None) -> None:
        self.table, self.seeds = table, seeds
        self.space = ExploredSpace(table.part, self.has if partial else None, same)
        self.budgets = Budgets(table.epochs[-1], table.epochs[-1])
        if not partial and self.space.count <= LISTED:
            self._check_whole()

    def has(self, number: int) -> bool:
        """Whether the table has an architecture."""
        row = self.table.find(number)
        return row is not None and bool(row.at(self.budgets.whole))

    def _check_whole(self) -> None:
        lacking = [number for number in range(self.space.count) if not self.has(number)]
        if lacking:
            raise UsageError(
                f"'{self.table.path}' lacks {len(lacking):,} of {self.space.count:,} architectures, "
                f"the first is number {lacking[0]}: `partial = true` explores those that it has"
            )

    def trainings(self, number: int, budget: int) -> list[Training]:
        """The trainings of an architecture; raises UsageError where there are none."""
        row = self.table.find(number)
        if row is None or not (found := row.at(budget)):
            raise UsageError(f"'{self.table.path}' has no architecture {number} after {budget} epochs")
        return found

    def score(self, found: Candidate, budget: int, repeat: int = 0) -> Verdict:
        """The mean validation accuracy of the first seeds, or of those that follow, and the seconds of these trainings.

        Raises:
            UsageError: the row has no more of them.
        """
        every = self.trainings(found.number, budget)
        some = every[repeat * self.seeds : (repeat + 1) * self.seeds]
        if not some:
            raise UsageError(
                f"'{self.table.path}' has {len(every)} trainings of architecture {found.number}, and `confirm` asks "
                f"for more: use fewer `seeds`, or `confirm = none`"
            )
        return Verdict(mean(it.validation for it in some), seconds=sum(it.seconds for it in some))

    def test(self, found: Candidate) -> float:
        """The mean test accuracy over all seeds, which no explorer is told; NaN where none was tested."""
        return mean(it.test for it in self.trainings(found.number, self.budgets.whole))
