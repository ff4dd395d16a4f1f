"""Comparing an architecture with random ones of its space, all trained alike."""

from __future__ import annotations

from collections.abc import Callable

from compiler.analysis.requirements.evaluate import amounts_of
from compiler.reports.versus import Comparison, Trained
from compiler.searcher.engine.device.compute import is_main_process
from compiler.searcher.run_files import COMPARISON
from compiler.util.files import atomic_write

from .folder import held
from .plan_versus import VersusPlan
from .train import train


def versus(
    plan: VersusPlan, say: Callable[[str], None] = print, warn: Callable[[str], None] = lambda _: None
) -> Comparison:
    """Train all architectures of a plan, test each once, and compare them.

    A training that is finished is only tested again, one that was interrupted goes on. ``say`` gets a sentence after
    each, ``warn`` what a training warns of.

    Raises:
        UsageError: a training in the folder is of another architecture or other settings.
        DataError: the data are missing or do not fit.
        EngineError: a training ends early.
    """
    out, found = plan.config.out, []
    with held(out):
        if is_main_process():
            if plan.config.force:  # What was found before would pass for what this finds.
                (out / COMPARISON).unlink(missing_ok=True)
            for name, text in plan.texts.items():
                atomic_write(out / f"{name}.hsp", text)
        for number, name in enumerate(plan.contenders, start=1):
            values = []
            for seed in plan.seeds:
                training = plan.training(name, seed)
                values.append(train(training, warn if number == 1 else lambda _: None).value)
            amounts = dict(amounts_of(training.network))
            trained = Trained(name=name, params=int(amounts["params"]), macs=int(amounts["macs"]), values=tuple(values))
            found.append(trained)
            metric = training.settings.task.facts.metric
            say(f"{number} of {len(plan.contenders)}: {name}, test {metric.name} {metric.show(trained.value, 2)}")
        comparison = Comparison(seeds=plan.seeds, architecture=found[0], random=tuple(found[1:]), metric=metric)
        if is_main_process():
            atomic_write(out / COMPARISON, comparison.model_dump_json(indent=2) + "\n")
    return comparison
