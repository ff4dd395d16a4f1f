"""Plans of runs as plain data, and every refusal of a run that is possible without torch.

A command makes its plan first, and loads torch only to carry the plan out, so that a refusal comes at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path

from compiler.analysis.architectures.grammar_items import reviewed
from compiler.analysis.architectures.space_list import Part
from compiler.analysis.requirements.constrained import check_feasible
from compiler.analysis.requirements.evaluate import Requirements
from compiler.backend.export_kind import WEIGHTS_OF_PY, ExportKind
from compiler.derivation.best_path import check_decidable
from compiler.elaborate import Elaborated
from compiler.ir.graph import operations_of
from compiler.program.model import Phase, Program
from compiler.program.request import Request
from compiler.searcher.explore.grammars import explored_space
from compiler.searcher.explore.space import same_of
from compiler.searcher.listeners import NOBODY, Listeners
from compiler.searcher.run_files import CHECKPOINT, DERIVED, RESULT, TRIALS, WEIGHTS
from compiler.searcher.settings.exploring import ExplorerWord, Sampled
from compiler.searcher.settings.judges import TrainedJudge
from compiler.searcher.settings.sections import TrainSettings
from compiler.util.errors import UsageError
from hdas_dsl.text.diagnostics import hinted, suggest
from hdas_dsl.text.reading import is_file, no_file

from .check_runs import check_runs
from .config import RunConfig
from .finished import found_before, teacher_weights_of, weights_of


@dataclass(frozen=True, eq=False)
class SearchPlan:
    """The phases of a program to be searched, in order.

    ``found`` are the texts of derived files by phase: of the phases that an earlier run searched and these build on.
    """

    request: Request
    config: RunConfig
    program: Program
    phases: tuple[Phase, ...]
    found: Mapping[str, str] = field(default_factory=dict)
    listeners: Listeners = NOBODY

    def folder(self, phase: Phase) -> Path:
        """Where a phase keeps its files."""
        return self.config.out / phase.name if phase.name else self.config.out

    @property
    def earlier(self) -> dict[str, Phase]:
        """The phases that are needed but not searched, by name, each with a searched phase that builds on it."""
        searched = {phase.name for phase in self.phases}
        return {name: phase for phase in self.phases for name in phase.needs if name not in searched}

    def finished(self, name: str) -> Path:
        """The derived file of a phase."""
        return self.config.out / name / DERIVED


@dataclass(frozen=True, eq=False)
class TrainPlan:
    """A discrete network to be trained or tested; a training starts from ``weights``, where a file of them is given."""

    config: RunConfig
    program: Program
    network: Elaborated
    weights: Path | None = None
    listeners: Listeners = NOBODY

    @property
    def settings(self) -> TrainSettings:
        """The settings of the `train` section."""
        return self.program.train_settings


@dataclass(frozen=True, eq=False)
class ExportPlan:
    """A discrete network to be written for another tool, to ``out``, with the weights of a file where one is given."""

    program: Program
    network: Elaborated
    kind: ExportKind
    out: Path
    weights: Path | None

    @property
    def fresh(self) -> str:
        """The remark of an export without weights."""
        if self.kind is ExportKind.PY:
            return "without --weights FILE no weights come with the file, and its network starts fresh"
        return "without --weights FILE the weights are fresh ones, drawn at random"


def plan_search(request: Request, config: RunConfig, *, writes: bool = True) -> SearchPlan:
    """The plan of a search; one that ``writes`` needs a folder that holds no other run.

    Raises:
        HspError: the file is wrong, or cannot be relaxed, or an item of a grammar is wrong.
        UsageError: it has nothing to search, no architecture satisfies what it requires, the run's folder is in use,
            an option has no effect, or a phase builds on another that was not searched.
    """
    program = request.compile()
    plan = SearchPlan(request, config, program, _wanted(program, config.phases))
    if writes:
        kept = [plan.folder(phase) / name for phase in plan.phases for name in (CHECKPOINT, TRIALS)]
        started = any(path.is_file() for path in kept)
        named = any(phase.name and (plan.folder(phase) / DERIVED).is_file() for phase in plan.phases)
        if started or named or not plan.earlier:
            guard(config, config.out / DERIVED, started or named)
        plan = _with_earlier(plan)
    idle = config.lowering_options()
    if idle and not any(p.settings.relax.runs_all or isinstance(p.settings.judge, TrainedJudge) for p in plan.phases):
        raise UsageError(no_effect(idle[0], plan.phases[0]))
    config.check_workers(any(isinstance(phase.settings.derive, ExplorerWord) for phase in plan.phases))
    for phase in plan.phases:
        check_runs(phase.network, phase.settings)
        if not phase.after:
            check_phase(phase)
            if isinstance(phase.settings.derive, ExplorerWord):
                _check_explorer(plan, phase)
    return replace(plan, program=reviewed(plan.program))


def _with_earlier(plan: SearchPlan) -> SearchPlan:
    """The plan with the results of an earlier run in this folder for the phases that it builds on."""
    found: dict[str, str] = {}
    for name, later in plan.earlier.items():
        path = plan.finished(name)
        if not path.is_file():
            message = f"phase '{later.name}' builds on phase '{name}', and there is no '{path}'"
            raise UsageError(f"{message}: search that first, with --phases {name}, or both, with {name},{later.name}")
        found[name] = found_before(path)
        if later.settings.start.after == name:
            weights_of(later, plan.config.out)
        if later.settings.teacher.after == name:
            teacher_weights_of(later, plan.config.out)
    if not found:
        return plan
    program = plan.request.compile(found)
    return replace(plan, program=program, phases=_wanted(program, plan.config.phases), found=found)


def check_phase(phase: Phase) -> None:
    """Check before a phase starts that its rule can decide its network, and its result can meet the requirements.

    Raises:
        UsageError: one of them is impossible.
    """
    check_decidable(phase.network, phase.settings.derive.rule)
    check_feasible(Requirements(phase.network))


def _check_explorer(plan: SearchPlan, phase: Phase) -> None:
    """Check that the architectures of a phase are numbered, and can be trained where `judge` trains them."""
    is_last = phase is plan.phases[-1]
    part = Part(phase.name, plan.program, is_last)
    explored_space(part, same_of(part, phase.settings.unique.name))
    derive = phase.settings.derive
    if isinstance(derive, Sampled) and any(find_spec(name) is None for name in derive.needs):
        raise UsageError(f"`derive = {derive.describe()}` needs {derive.needs[-1]}: pip install 'hdas-dsl[optuna]'")
    if not isinstance(phase.settings.judge, TrainedJudge):
        return
    if not is_last:
        message = f"`judge = trained` trains what the last phase derives, and '{phase.name}' is not the last"
        raise UsageError(f"{message}: use `judge = shared`")
    if plan.program.train is None:
        raise UsageError("`judge = trained` trains as the `train` section says, and this file has none: write one")
    mine, trained = phase.settings.task.describe(), plan.program.train_settings.task.describe()
    if mine != trained:
        raise UsageError(f"`judge = trained` trains for `task = {trained}`, the search is for `{mine}`: say the same")


def no_effect(option: str, phase: Phase) -> str:
    """Why an option about lowering does nothing in a phase whose relaxation draws architectures."""
    where = f" in phase '{phase.name}'" if phase.name else ""
    relax = phase.settings.relax.describe()
    return f"{option} does nothing{where} with `relax = {relax}`: a step runs one architecture, operation by operation"


def plan_training(
    request: Request, config: RunConfig, *, writes: bool = True, weights: Path | None = None
) -> TrainPlan:
    """The plan of a training; one that ``writes`` needs a folder that holds no other run.

    Raises:
        HspError: the file is wrong.
        UsageError: it still has choices, the run's folder is in use, or there is no file of weights.
    """
    if weights is not None:
        _existing(weights)
    program = request.compile()
    network = _discrete(program)
    check_runs(network, program.train_settings)
    if writes:
        started = (config.out / CHECKPOINT).is_file()
        guard(config, config.out / RESULT, started)
        made = config.out / WEIGHTS
        if made.exists() and not started and not config.force:
            raise UsageError(f"'{made}' would be overwritten: choose another --out, or --force")
    return TrainPlan(config, program, network, weights)


def plan_evaluation(request: Request, weights: Path, config: RunConfig) -> TrainPlan:
    """The plan of a test of saved weights.

    Raises:
        HspError: the file is wrong.
        UsageError: it still has choices, or there is no file of weights.
    """
    _existing(weights)
    return plan_training(request, config, writes=False)


def plan_export(request: Request, kind: str, out: Path | None, weights: Path | None) -> ExportPlan:
    """The plan of an export; without ``out`` the file is named after the program.

    Raises:
        HspError: the file is wrong.
        UsageError: there is no such kind, the file still has choices, the network is too large for the kind, or there
            is no file of weights.
    """
    known = [item.value for item in ExportKind]
    if kind not in known:
        hint = suggest(kind, known)
        raise UsageError(hinted(f"there is no export '{kind}': the kinds are {', '.join(known)}", hint))
    if weights is not None:
        _existing(weights)
    wanted = ExportKind(kind)
    wanted.check_installed()
    program = request.compile()
    network = _discrete(program)
    wanted.check_size(operations_of(network.block))
    stem = network.name.lower() if program.unit.path is None else program.unit.path.stem
    return ExportPlan(program, network, wanted, _exported(out, stem, wanted), weights)


def _exported(out: Path | None, stem: str, kind: ExportKind) -> Path:
    """The file that an export writes: named as the program is where ``out`` is a folder, and with a suffix."""
    found = Path(stem) if out is None else out / stem if out.is_dir() else out
    if kind is ExportKind.PY and found.suffix == WEIGHTS_OF_PY:
        raise UsageError(f"'{found}' is where the weights of a py file lie: name another --out")
    return found if found.suffix and out is found else found.with_name(found.name + kind.suffix)


def _wanted(program: Program, names: tuple[str, ...]) -> tuple[Phase, ...]:
    """The phases to run: those named, or all that are not optional."""
    if not program.phases and not program.is_space:
        way = "`hdas train FILE` trains it, and `hdas dry-run FILE --train` says what that takes"
        raise UsageError(f"'{program.name}' is an architecture, in which nothing is left to search: {way}")
    if not program.phases:
        data = "digits" if program.train is None else program.train_settings.data.describe()
        written = f"search {program.network.name} {{ data = {data} }}"
        raise UsageError(f"'{program.name}' has no `search` section, which says how and on what: add `{written}`")
    known = [phase.name for phase in program.phases if phase.name]
    for name in names:
        if name not in known:
            hint = suggest(name, known)
            listed = f"the phases of this file are {', '.join(known)}" if known else "this file has no phases"
            raise UsageError(hinted(f"--phases {name}: {listed}", hint))
    return tuple(phase for phase in program.phases if (phase.name in names if names else not phase.optional))


def _discrete(program: Program) -> Elaborated:
    """The network that a file trains: that of its `train` section, else its own."""
    network = program.train_network or program.network
    if network.is_space or program.is_space:
        hint = "search it first, or give a derived file"
        raise UsageError(f"'{program.name}' still has choices in it: {hint}")
    return network


def guard(config: RunConfig, result: Path, started: bool) -> None:
    """Refuse to overwrite a finished run, to mix with an unfinished one, or to resume nothing."""
    if config.force:
        return
    if config.resume and not started:
        lost = " but the result of one, whose checkpoint is gone" if result.exists() else ""
        raise UsageError(f"'{config.out}' holds no run to resume{lost}; --force starts anew")
    if result.exists() and not config.resume:
        raise UsageError(f"'{config.out}' holds a finished run: choose another --out, or --force to overwrite it")
    if started and not config.resume:
        raise UsageError(f"'{config.out}' holds an unfinished run: --resume goes on with it, --force starts anew")


def _existing(path: Path) -> None:
    if not is_file(path):
        raise UsageError(no_file(path))
