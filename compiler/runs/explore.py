"""Exploring after a supernet has learned: architectures are proposed and judged, and the best one is derived."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from math import isnan

from compiler.analysis.requirements.constrained import Answer
from compiler.program.model import Phase
from compiler.searcher.engine.device.compute import deterministic, is_main_process, main_flag
from compiler.searcher.engine.errors import EngineError, RunInterruptedError
from compiler.searcher.engine.protocol import RunOptions
from compiler.searcher.engine.state.signals import Stop
from compiler.searcher.explore.confirming import Confirming
from compiler.searcher.explore.guided import Measure
from compiler.searcher.explore.progress import TrialProgress
from compiler.searcher.explore.proposers import proposer_of
from compiler.searcher.explore.space import Candidate, ExploredSpace
from compiler.searcher.explore.study import AnyProposer, Study, TimeLimited, Workers, stream_of
from compiler.searcher.explore.tables import Lookup
from compiler.searcher.explore.trial_log import TrialLog
from compiler.searcher.explore.trials import Event, History, Trial
from compiler.searcher.run_files import TRIALS
from compiler.searcher.settings.confirmation import ConfirmBest, NoConfirmation
from compiler.searcher.settings.exploring import ExplorerWord, Nsga2, OwnExplorer
from compiler.searcher.settings.judges import ProxyName, TableJudge
from compiler.searcher.settings.optimizers import AlphaFixed
from compiler.searcher.settings.rungs import NoRungs
from compiler.searcher.settings.sections import SearchSettings
from compiler.util.errors import UsageError
from compiler.util.plural import plural

from .front import Front
from .job import Job
from .judges import RunJudge
from .local_workers import LocalWorkers
from .own import own_proposer


@dataclass(frozen=True)
class Explored:
    """What an exploration found: the decisions of the best architecture, its trial, and what provenance says of it."""

    answer: Answer
    best: Trial
    decisions: dict[str, str]
    facts: Mapping[str, str]
    front: Front | None = None
    """What no other dominates, where several objectives count."""
    second: Explored | None = None
    """What would have been found without the best architecture."""

    def at(self, trial: Trial, space: ExploredSpace) -> Explored:
        """What would have been found had another trial been the best."""
        chosen = space.completed(space.candidate(trial.number))
        facts = {**self.facts, "number": f'"{trial.number}"'}
        return Explored(Answer.of(chosen), trial, space.described(chosen), facts)


def explored(
    phase: Phase,
    judge: RunJudge,
    options: RunOptions,
    say: Callable[[str], None],
    job: Job | None = None,
    measure: Measure | None = None,
) -> Generator[Trial, None, Explored]:
    """Explore the architectures of a phase, or go on with the trials that its folder has; each that is done is given.

    With a ``job``, other processes judge; ``measure`` gives a predictor its proxies.

    Raises:
        UsageError: the trials in the folder are damaged; none of many architectures meets what is required.
        EngineError: every trial failed.
        RunInterruptedError: SIGINT or SIGTERM asked to stop; every trial that is done is kept.
    """
    settings, space = phase.settings, judge.space
    assert isinstance(settings.derive, ExplorerWord)
    for warning in warnings(phase):
        say(f"warning: {warning}")

    def measuring(found: Candidate, names: Sequence[ProxyName]) -> Mapping[str, float]:
        assert measure is not None
        recorded.check()
        values = measure(found, names)
        recorded.progress.measured(found.number)
        return values

    proposer = proposer_for(settings, judge, None if measure is None else measuring)
    log = TrialLog(options.out / TRIALS, options.fingerprint, is_main_process(), options.changed)
    show = score_writer(settings)
    recorded = Recorded(log, proposer.total, options, show)
    recorded.history.replay(of_space(log.start(options.resume), space, log))
    history = recorded.history
    with deterministic(), recorded.stop.listening(), recorded.progress, ExitStack() as opened:
        study = Study(space, proposer, judge, recorded.tell)
        if job is not None:
            workers: Workers = opened.enter_context(workers_of(job, recorded.check))
            began = log.append if workers.count > 1 else study.began
            study = replace(study, workers=workers, began=began)
        yield from study.trials(history)
    best = best_of(history)
    chosen = space.completed(space.candidate(best.number))
    say(summary(history, best, show))
    if isinstance(judge, Lookup) and not isnan(tested := judge.test(space.candidate(best.number))):
        say(f"the table says that its test accuracy is {tested:.2%}")
    facts = {
        "judge": settings.judge.describe(full=True),
        "rungs": "" if isinstance(settings.rungs, NoRungs) else settings.rungs.describe(full=True),
        "confirm": "" if isinstance(settings.confirm, NoConfirmation) else settings.confirm.describe(full=True),
        "trials": str(len(history)),
        "number": f'"{best.number}"',
    }
    found = Front.of(history, space, settings.derive, settings.judged) if isinstance(settings.derive, Nsga2) else None
    first = Explored(Answer.of(chosen), best, space.described(chosen), facts, found)
    second = history.second
    return first if second is None else replace(first, second=first.at(second, space))


def best_of(history: History) -> Trial:
    """The trial whose architecture is derived.

    Raises:
        EngineError: every trial failed.
    """
    best = history.best
    assert best is not None, "an exploration has a trial"
    if best.failed:
        said = f"None of {plural(len(history), 'trial')} gave an architecture to derive"
        raise EngineError(f"{said}; `id` {best.id} in {TRIALS} failed: {best.failed.rstrip('.')}.")
    return best


def of_space(events: Sequence[Event], space: ExploredSpace, log: TrialLog) -> Sequence[Event]:
    """What a file of trials has, if all of it is about architectures of a space.

    Raises:
        UsageError: it is not.
    """
    for event in events:
        fits = space.holds(event.number)
        if fits and isinstance(event, Trial) and event.decisions:
            fits = event.decisions == space.readable(space.candidate(event.number))
        if not fits:
            message = f"trial {event.id} is not of the architecture that its number says; --force starts anew"
            raise UsageError(f"'{log.path}' is damaged: {message}")
    return events


def workers_of(job: Job, stopped: Callable[[], None]) -> AbstractContextManager[Workers]:
    """The processes that judge, here or on a cluster."""
    if job.config.ray is None:
        return LocalWorkers(job, job.config.workers, stopped)
    from .ray_workers import RayWorkers

    return RayWorkers(job, job.config.workers, stopped, job.config.ray)


def proposer_for(settings: SearchSettings, judge: RunJudge, measure: Measure | None) -> AnyProposer:
    """The proposer of a phase: within the seconds of a table, and with `confirm` followed by repeats of the best.

    Raises:
        UsageError: a proposer of the user's own is not allowed, or cannot be made.
    """
    stream = stream_of(settings.seed)
    assert isinstance(settings.derive, ExplorerWord)
    made: AnyProposer
    if isinstance(settings.derive, OwnExplorer):
        made = own_proposer(settings.derive, judge.space, judge.budgets, stream)
    else:
        made = proposer_of(settings.derive, judge.space, judge.budgets, stream, settings.rungs, measure)
    if isinstance(settings.judge, TableJudge) and settings.judge.seconds:
        made = TimeLimited(made, settings.judge.seconds)
    return Confirming(made, judge.space, settings.confirm) if isinstance(settings.confirm, ConfirmBest) else made


def score_writer(settings: SearchSettings) -> Callable[[float], str]:
    """Writes scores: values of the metric, mean ranks in per cent, or the numbers of another judge."""
    metric = settings.judged
    return lambda score: metric.show(metric.score(score), 1)


class Recorded:
    """Records each trial that is done: writes it, shows it, and stops the run where the user has asked for that.

    Args:
        log: the file of trials.
        total: the most trials.
        options: the options of the run.
        show: writes a score as text.
    """

    def __init__(self, log: TrialLog, total: int, options: RunOptions, show: Callable[[float], str]) -> None:
        self.log, self.total, self.options = log, total, options
        self.stop, self.history = Stop(), History()
        self.progress = TrialProgress("explore", total, options.quiet or not is_main_process(), show=show)

    def tell(self, trial: Trial, history: History) -> None:
        """Record a trial, and stop where the user has asked for that."""
        listeners = self.options.listeners
        if listeners.callbacks or listeners.loggers:
            history.stopped = main_flag(is_main_process() and listeners.trial(trial)) or history.stopped
        self.log.append(trial.model_copy(update={"last": history.stopped}))
        self.progress.tell(trial, history)
        self.check()

    def check(self) -> None:
        """Raise RunInterruptedError where the user has asked to stop."""
        if main_flag(self.stop.requested):
            where = f"after {len(self.history)} of {self.total} trials"
            raise RunInterruptedError(f"Stopped {where}; to go on from {self.log.path}, {self.options.resume_with}.")


def warnings(phase: Phase) -> Iterator[str]:
    """Sentences on what an explorer does not see, and on weights that never ran alone."""
    settings = phase.settings
    if names := [f"'{preference.name}'" for preference in phase.network.preferences]:
        has = "has" if len(names) == 1 else "have"
        yield f"an explorer judges by its score alone, in which {', '.join(names)} {has} no part: use `require`"
    if settings.epochs and not isinstance(settings.alphas, AlphaFixed):
        yield "alphas learn, and no explorer proposes by them: use `alphas = fixed`, or `derive = strongest`"
    if settings.relax.runs_all:
        relax = settings.relax.describe()
        yield f"under `relax = {relax}` no weight ever ran alone, as `judge = shared` has it: use `relax = sample`"


def summary(history: History, best: Trial, show: Callable[[float], str]) -> str:
    """A sentence on what was judged, and how good the best is."""
    known = len(history) - history.judged
    again = f", {known} of them known before" if known else ""
    repeated = sum(trial.repeat > 0 for trial in history.trials)
    explored = f"explored {plural(len(history) - repeated, 'architecture')}{again}"
    if repeated:
        anew = f"{explored}, and judged the best anew in {repeated} trials"
        return f"{anew}: the best mean score is {show(best.score)}, of `id` {best.id} in {TRIALS}"
    return f"{explored}: the best has score {show(best.score)}, `id` {best.id} in {TRIALS}"
