"""The plan of a study: all combinations of files, methods, settings and seeds, as plain data. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import product
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from compiler.backend.plugins import allow
from compiler.program.methods import SETTING
from compiler.program.overrides import Override, read_override
from compiler.program.request import Request
from compiler.runs.config import RunConfig
from compiler.runs.plan import plan_search, plan_training
from compiler.searcher.run_files import DERIVED, RESULT, TRAINED
from compiler.searcher.settings.exploring import ExplorerWord
from compiler.searcher.settings.words import Applied
from compiler.util.errors import UsageError
from compiler.util.share import Share
from hdas_dsl.text.diagnostics import HspError


class Step(BaseModel):
    """One command of a run, and the file by which it is seen to be finished."""

    model_config = ConfigDict(frozen=True)

    words: tuple[str, ...]
    """The command line of `hdas`, without how it goes on."""
    folder: str
    """Where it writes, below the folder of the study."""
    result: str
    """The file that it ends with, in its folder."""


def folder_of(combination: str, seed: int) -> str:
    """The folder of a run, below that of its study."""
    return f"{combination}/seed-{seed}"


class Run(BaseModel):
    """One run of a study; one that is ``refused`` is not carried out."""

    model_config = ConfigDict(frozen=True)

    combination: str
    seed: int
    steps: tuple[Step, ...]
    refused: str = ""

    @property
    def name(self) -> str:
        """Its folder, below that of the study."""
        return folder_of(self.combination, self.seed)


class StudyPlan(BaseModel):
    """The runs of a study, in order: all seeds of a combination after each other."""

    model_config = ConfigDict(frozen=True)

    runs: tuple[Run, ...]
    warnings: tuple[str, ...] = ()
    """What makes a comparison of the combinations unequal, a sentence each."""

    @property
    def combinations(self) -> dict[str, list[Run]]:
        """The runs of each combination."""
        found: dict[str, list[Run]] = {}
        for run in self.runs:
            found.setdefault(run.combination, []).append(run)
        return found

    def part(self, share: Share) -> StudyPlan:
        """The runs of a share."""
        return StudyPlan(runs=tuple(share.of(self.runs)), warnings=self.warnings)


@dataclass(frozen=True)
class Asked:
    """The arguments of a study.

    Attributes:
        files: what is searched, or, where nothing is left to choose, trained.
        seeds: of each combination.
        grid: settings with the values that they take in turn, as ``NAME=A,B``.
        methods: of the searches; none: as the files say.
        sets: settings of all runs, as ``NAME=VALUE``.
        trains: whether what is derived is trained.
        plugins: modules and files of operations that the files may name.
        options: further words of all commands: data and device.
        optuna: the Optuna storage to which trials of explorers are written too.
    """

    files: Sequence[Path]
    seeds: Sequence[int]
    grid: Sequence[str] = ()
    methods: Sequence[str] = ()
    sets: Sequence[str] = ()
    trains: bool = False
    plugins: Sequence[str] = ()
    options: tuple[str, ...] = ()
    optuna: str | None = None


@dataclass(frozen=True)
class Combination:
    """One file, method and values of the grid."""

    name: str
    file: Path
    method: str | None
    sets: tuple[str, ...]

    def overrides(self) -> tuple[Override, ...]:
        """The values that replace the file's settings."""
        method = [] if self.method is None else [Override(SETTING, Applied(self.method), f"--method {self.method}")]
        return (*method, *map(read_override, self.sets))

    def words(self) -> tuple[str, ...]:
        """The same as words of a command."""
        method = () if self.method is None else ("--method", self.method)
        return (*method, *(word for text in self.sets for word in ("--set", text)))


def plan_study(asked: Asked) -> StudyPlan:
    """The plan of a study; each combination is compiled once, and one that is refused keeps the reason.

    Raises:
        HspError: a file is wrong, and no combination can run.
        UsageError: no combination can run, two have one name, or a value of the grid is none.
    """
    runs: list[Run] = []
    epochs: dict[Combination, int] = {}
    first: Exception | None = None
    for combination in _combinations(asked):
        refused, purpose = "", Purpose.SEARCHED
        try:
            purpose, epochs[combination] = _purpose(combination, asked)
        except HspError as error:
            first, refused = first or error, error.diagnostics[0].message
        except UsageError as error:
            first, refused = first or error, str(error)
        runs += [_run(combination, seed, asked, purpose, refused) for seed in asked.seeds]
    if first is not None and all(run.refused for run in runs):
        raise first
    return StudyPlan(runs=tuple(runs), warnings=tuple(_unequal_epochs(epochs)))


def _unequal_epochs(epochs: Mapping[Combination, int]) -> Iterator[str]:
    """A sentence for each file and settings that methods search for different numbers of epochs; 0 are not epochs."""
    groups: dict[tuple[Path, tuple[str, ...]], dict[str, int]] = {}
    for combination, number in epochs.items():
        if combination.method is not None and number:
            groups.setdefault((combination.file, combination.sets), {})[combination.method] = number
    for (file, sets), methods in groups.items():
        if len(set(methods.values())) > 1:
            where = " with ".join((str(file), *filter(None, [", ".join(sets)])))
            found = ", ".join(f"{number} by {method}" for method, number in methods.items())
            yield f"{where} is searched for different numbers of epochs: {found}; `--set epochs=N` gives all the same"


class Purpose(Enum):
    """What is done with a combination: it is searched, by an explorer or otherwise, or trained."""

    SEARCHED = "searched"
    EXPLORED = "explored"
    TRAINED = "trained"


def _purpose(combination: Combination, asked: Asked) -> tuple[Purpose, int]:
    """What is done with a combination, and the epochs of all phases of its search.

    Raises:
        HspError: the file is wrong.
        UsageError: it cannot be run.
    """
    request = Request(combination.file, combination.overrides(), externals=allow(asked.plugins))
    config = RunConfig(Path(combination.name))
    program = request.compile()
    if phases := program.phases:
        plan_search(request, config, writes=False)
        explores = any(isinstance(phase.settings.derive, ExplorerWord) for phase in phases)
        purpose = Purpose.EXPLORED if explores else Purpose.SEARCHED
        return purpose, sum(phase.settings.epochs for phase in phases)
    if combination.method is not None:
        raise UsageError(f"--method {combination.method}: '{combination.file}' has no `search` section")
    plan_training(request, config, writes=False)
    return Purpose.TRAINED, 0


def _run(combination: Combination, seed: int, asked: Asked, purpose: Purpose, refused: str) -> Run:
    folder = folder_of(combination.name, seed)
    plugins = [word for item in asked.plugins for word in ("--allow-plugin", item)]
    common = (*plugins, *asked.options, "--seed", str(seed), "--quiet")
    file, steps = str(combination.file), []
    if purpose is not Purpose.TRAINED:
        mirror = ("--optuna", asked.optuna) if asked.optuna and purpose is Purpose.EXPLORED else ()
        words = "search", file, *combination.words(), *common, *mirror
        steps.append(Step(words=words, folder=folder, result=DERIVED))
        if asked.trains:
            words = "train", f"{folder}/{DERIVED}", *common
            steps.append(Step(words=words, folder=f"{folder}/{TRAINED}", result=RESULT))
    else:
        steps.append(Step(words=("train", file, *combination.words(), *common), folder=folder, result=RESULT))
    return Run(combination=combination.name, seed=seed, steps=tuple(steps), refused=refused)


def _combinations(asked: Asked) -> Iterator[Combination]:
    axes = [[f"{name}={value}" for value in values] for name, values in map(_axis, asked.grid)]
    files = zip(asked.files, _names(asked.files), strict=True)
    known: dict[str, Combination] = {}
    for (file, stem), method, values in product(files, asked.methods or (None,), product(*axes)):
        name = "-".join(map(_plain, filter(None, (*stem, method, *values))))
        if name in known:
            raise UsageError(f"two combinations are called '{name}': give their files other names")
        known[name] = Combination(name, file, method, (*asked.sets, *values))
        yield known[name]


def _names(files: Sequence[Path]) -> list[tuple[str, ...]]:
    """Each file by its stem, after as many of its folders as tell it from the others of this stem."""
    parts = [file.absolute().with_suffix("").parts for file in files]
    found = []
    for own in parts:
        alike = [other for other in parts if other[-1] == own[-1]]
        depths = range(1, max(map(len, alike)) + 1)
        depth = next((depth for depth in depths if len({other[-depth:] for other in alike}) == len(alike)), 1)
        found.append(own[-depth:])
    return found


def _axis(text: str) -> tuple[str, list[str]]:
    """The name and the values of ``NAME=A,B``; a comma in parentheses belongs to a value."""
    name, sign, rest = text.partition("=")
    values = [value.strip() for value in _split(rest)]
    if not sign or not name.strip() or not all(values):
        raise UsageError(f"--grid {text}: the form is name=value,value")
    for value in values:
        read_override(f"{name}={value}")
    return name.strip(), values


def _split(text: str) -> list[str]:
    found, depth = [""], 0
    for sign in text:
        depth += (sign in "([") - (sign in ")]")
        if sign == "," and not depth:
            found.append("")
        else:
            found[-1] += sign
    return found


def _plain(text: str) -> str:
    """A text as a part of the name of a folder."""
    return re.sub(r"[^\w.=+]+", "_", text).strip("_.") or "_"


def read_seeds(text: str) -> tuple[int, ...]:
    """Seeds: ``0..4`` are five, ``1,5`` are two.

    Raises:
        UsageError: the text is none of these, or has a seed twice.
    """
    found: list[int] = []
    for part in text.split(","):
        low, dots, high = part.strip().partition("..")
        if not low.isdigit() or (dots and not high.isdigit()):
            raise UsageError(f"'{text}' are not seeds: write them like 0..4 or 1,5")
        found += range(int(low), int(high if dots else low) + 1)
    if not found or len(set(found)) != len(found):
        raise UsageError(f"'{text}' has {'a seed twice' if found else 'no seed'}")
    return tuple(found)
