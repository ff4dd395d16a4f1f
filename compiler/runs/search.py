"""Searching a program phase by phase, to a derived file."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path

import torch

from compiler.analysis.architectures.space_list import Part
from compiler.analysis.requirements.tables import carry_tables
from compiler.program.model import Phase, Program
from compiler.reports.settings_text import search_record
from compiler.searcher.engine.device.compute import is_main_process
from compiler.searcher.engine.outcome import SearchOutcome
from compiler.searcher.engine.protocol import RunOptions
from compiler.searcher.engine.search import run_search
from compiler.searcher.explore.space import ExploredSpace
from compiler.searcher.explore.trials import Trial
from compiler.searcher.listeners import EndEvent
from compiler.searcher.relaxations import relaxed
from compiler.searcher.run_files import CHECKPOINT, DERIVED, PARETO, RUNNER_UP, TRAININGS, TRIALS
from compiler.searcher.settings.exploring import ExplorerWord
from compiler.searcher.settings.judges import TrainedJudge
from compiler.searcher.settings.relaxation import NoRelaxation
from compiler.util.files import atomic_write
from compiler.util.seeds import mix
from compiler.util.threads import processors

from .anew import SEARCH, empty, set_aside, start_anew
from .changed import changed
from .data import matching_data
from .decided import Decided, derived_text
from .explore import explored
from .fingerprint import fingerprint
from .finished import found_before, teacher_weights_of, weights_of
from .fitting_threads import fitting_threads, room_for_workers
from .folder import held
from .front import write_front
from .job import job_of
from .judges import judge_alone, measure_of, shared_judge
from .plan import SearchPlan, check_phase, no_effect
from .record import write_record, write_space
from .remarks import remarks, unmoved, unread
from .source import check_source, remove_source, rewrite_source, write_source, written_source
from .start import started, teacher_of

Say = Callable[[str], None]


@dataclass(frozen=True, repr=False)
class SearchReport:
    """The result of a search: the derived file, its text, and each phase's outcome by name."""

    derived: Path
    text: str
    outcomes: Mapping[str, SearchOutcome]

    @property
    def score(self) -> float:
        """How good the architecture is on held-out samples, larger where better: that of the last phase."""
        return list(self.outcomes.values())[-1].score

    def __repr__(self) -> str:
        scores = [f"{name} score {found.score:.4f}".strip() for name, found in self.outcomes.items()]
        return f"SearchReport({', '.join([str(self.derived), *scores])})"

    def _repr_html_(self) -> str:
        return f"<details><summary>{escape(repr(self))}</summary><pre>{escape(self.text)}</pre></details>"


def search(plan: SearchPlan, say: Say = print, told: Callable[[Trial], None] = lambda trial: None) -> SearchReport:
    """Run the phases of a plan, as `trials` does, to the end; ``told`` gets each trial of an explorer."""
    found: list[SearchReport] = []

    def running() -> Iterator[Trial]:
        found.append((yield from trials(plan, say)))

    for trial in running():
        told(trial)
    return found[0]


def trials(plan: SearchPlan, say: Say = print) -> Generator[Trial, None, SearchReport]:
    """Run the phases of a plan in order and write ``derived.hsp``; ``say`` gets one sentence at a time.

    It gives each trial of an explorer when it is done. A phase that is finished is not run again when the run is
    resumed; one that is not goes on from its checkpoint.

    Raises:
        HspError: the network of a later phase cannot be built from what an earlier one found.
        UsageError: no architecture satisfies what a later phase requires; the data do not fit.
        EngineError: the run ends early.
    """
    with held(plan.config.out, [plan.folder(phase) for phase in plan.phases]), plan.listeners.logging():
        return (yield from _search(plan, say))


def _search(plan: SearchPlan, say: Say) -> Generator[Trial, None, SearchReport]:
    config, last = plan.config, plan.phases[-1]
    program = plan.program
    found = dict(plan.found)
    for name in plan.found:
        say(f"phase {name}: found before, {plan.finished(name)}")
    outcomes: dict[str, SearchOutcome] = {}
    for planned in plan.phases:
        folder = plan.folder(planned)
        finished = folder / DERIVED
        if planned.name and config.resume and finished.is_file():
            found[planned.name] = found_before(finished)
            say(f"phase {planned.name}: finished before, {finished}")
            continue
        if found:
            program = plan.request.compile(found)
        phase = next(item for item in program.phases if item.name == planned.name)
        outcome, text = yield from search_phase(plan, program, phase, is_last=phase.name == last.name, say=say)
        outcomes[phase.name] = outcome
        found[phase.name] = text
    target = config.out / DERIVED
    atomic_write(target, found[last.name])
    carry_tables((item for item, _ in program.requirements), config.out)
    return SearchReport(target, found[last.name], outcomes)


def search_phase(
    plan: SearchPlan, program: Program, phase: Phase, *, is_last: bool, say: Say
) -> Generator[Trial, None, tuple[SearchOutcome, str]]:
    """Search one network and write its derived file, which satisfies what the network requires.

    Raises:
        UsageError: no architecture does, or that cannot be seen to; before the search.
    """
    folder, part = plan.folder(phase), Part(phase.name, program, is_last)
    if phase.after:
        check_phase(phase)
    by = _explored_alone if isinstance(phase.settings.relax, NoRelaxation) else _learned
    if is_main_process():
        plan.listeners.settings(phase.settings.written(full=True), phase.name)
    with fitting_threads(phase.network, phase.settings.batch, plan.config.device):
        found = yield from by(plan, part, phase, say)
    text = derived_text(part, phase, found)
    _write_second(part, phase, found.second, folder)
    rewrite_source(program, plan.config.out)  # One that goes on may have another text.
    atomic_write(folder / DERIVED, text)
    carry_tables(phase.network.requirements, folder)
    if found.explored is not None and (front := found.explored.front) is not None:
        space = ExploredSpace(part)
        each = [Decided.by_explorer(found.explored.at(trial, space), found.outcome) for trial in front.trials]
        write_front(front, [derived_text(part, phase, item) for item in each], folder)
        say(f"no other dominates {len(each)} of them: {folder / PARETO}")
    if is_main_process():
        plan.listeners.end(ended(phase, found.outcome, folder / DERIVED))
    return found.outcome, text


def ended(phase: Phase, outcome: SearchOutcome, file: Path) -> EndEvent:
    """What callbacks are told at the end of a phase."""
    done, score = len(outcome.history), {"score": outcome.score}
    return EndEvent("search", phase.name, done, outcome.stopped, score, dict(outcome.decisions), file)


def _write_second(part: Part, phase: Phase, second: Decided | None, folder: Path) -> None:
    """Write the runner-up beside what is derived, before it: where that lies, a phase is finished."""
    if second is not None:
        atomic_write(folder / RUNNER_UP, derived_text(part, phase, second))
    else:
        (folder / RUNNER_UP).unlink(missing_ok=True)


def _learned(plan: SearchPlan, part: Part, phase: Phase, say: Say) -> Generator[Trial, None, Decided]:
    """What the alphas of a supernet select, or an explorer finds by its weights."""
    space, settings, config = phase.network, phase.settings, plan.config
    data = matching_data(settings, space, config, phase.place("data"))
    for warning in data.warnings:
        say(f"warning: {warning}")
    target = config.target(settings)
    teaches = teacher_weights_of(phase, config.out)
    teacher = None if teaches is None else teacher_of(part.program, phase, teaches, target)
    torch.manual_seed(mix(settings.seed, "init", phase.name))
    supernet = relaxed(space, settings, target, phase.built)
    for warning in supernet.warnings:
        say(f"warning: {warning}")
    for option in config.lowering_options() if not settings.relax.runs_all else ():
        say(f"warning: {no_effect(option, phase)}")
    for remark in unmoved(settings):
        say(f"warning: {remark}")
    weights = weights_of(phase, config.out)
    identity = fingerprint(part.program, space, settings.describe(full=True), data, weights, teaches)
    options = run_options(plan, phase, CHECKPOINT, identity)
    if weights is not None and not options.resume:
        (earlier,) = (item for item in part.program.phases if item.name == settings.start.after)
        say(started(supernet, phase, weights, earlier.network.decisions))
    _record(plan, phase, say)
    write_space(phase, _number(part), options.out)
    outcome = run_search(supernet, data, settings, options, teacher)
    if isinstance(settings.derive, ExplorerWord):
        judge = shared_judge(part, supernet, data, settings, options)
        measure = measure_of(plan, phase, judge.space)
        found = yield from explored(phase, judge, options, say, job_of(plan, phase), measure)
        return Decided.by_explorer(found, outcome)
    answer = supernet.answer(outcome.alphas)
    for remark in remarks(supernet, outcome, answer):
        say(remark)
    return Decided(outcome, answer, supernet)


def _explored_alone(plan: SearchPlan, part: Part, phase: Phase, say: Say) -> Generator[Trial, None, Decided]:
    """What an explorer finds without a supernet: each architecture is judged by itself."""
    options = run_options(plan, phase, TRIALS)
    judge = judge_alone(plan, part, phase, options)
    if isinstance(phase.settings.judge, TrainedJudge):
        for remark in unread(phase.settings.data, plan.program.train_settings.data):
            say(f"warning: {remark}")
        if not plan.config.judges_elsewhere and plan.config.devices == 1 and (idle := room_for_workers()) > 1:
            say(
                f"The operations of this network are too small for more than {torch.get_num_threads()} of "
                f"{processors()} processors: `--workers {idle}` judges {idle} architectures at once."
            )
    _record(plan, phase, say)
    write_space(phase, _number(part), options.out)
    options, measure = replace(options, fingerprint=judge.identity), measure_of(plan, phase, judge.space)
    found = yield from explored(phase, judge, options, say, job_of(plan, phase), measure)
    if is_main_process():
        empty(options.out / TRAININGS)
    return Decided.by_explorer(found, SearchOutcome({}, {}, 0, 0.0, 0, ()))


def _record(plan: SearchPlan, phase: Phase, say: Say) -> None:
    """Write what the run is; in the first phase of one that starts anew, all that was there before is removed."""
    config, read = plan.config, [unit.path for unit in plan.program.unit.all_used() if unit.path is not None]
    check_source(plan.program, config.out)
    if config.force and not config.resume and phase.name == plan.phases[0].name:
        folders = {plan.folder(item) for item in plan.phases}
        for sentence in set_aside(config.out, folders):
            say(f"warning: {sentence}")
        start_anew({config.out, *folders}, SEARCH, read)
        remove_source(config.out, read)
    judged, settings = phase.settings.judged, phase.settings
    tasks, other = [item.settings.task for item in plan.phases], judged != settings.task.facts.metric
    written = written_source(plan.program, config.out)
    write_record(config, search_record(plan.phases), tasks, judged if other else None, written)
    if not config.resume:  # The text of a run that may not go on here stays.
        write_source(plan.program, config.out)


def _number(part: Part) -> int:
    """The place of a phase in its search."""
    return [phase.name for phase in part.program.phases].index(part.name)


def run_options(plan: SearchPlan, phase: Phase, kept: str, identity: str = "") -> RunOptions:
    """Where and how a phase runs; it is resumed where its folder has the file ``kept``."""
    config, folder = plan.config, plan.folder(phase)
    folder.mkdir(parents=True, exist_ok=True)
    return RunOptions(
        out=folder,
        device=config.device,
        devices=config.devices,
        resume=config.resume and (folder / kept).is_file(),
        overwrite=config.force,
        quiet=config.quiet,
        fingerprint=identity,
        title=f"search {plan.program.name}" + (f", phase {phase.name}" if phase.name else ""),
        checkpoint_every=config.checkpoint_every,
        phase=phase.name,
        listeners=plan.listeners,
        changed=changed(config, search_record(plan.phases), phase.name),
    )
