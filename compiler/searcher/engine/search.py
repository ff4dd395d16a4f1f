"""Differentiable search: from a supernet and data to the alphas and decisions of the last or the best epoch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

from compiler.searcher.data.load import Data, halves
from compiler.searcher.data.source import Batch
from compiler.searcher.engine.device.batches import Batches
from compiler.searcher.engine.device.compute import PRECISIONS, Compute
from compiler.searcher.engine.reporting.records import EpochRecord, Meter
from compiler.searcher.engine.reporting.report import Report
from compiler.searcher.engine.state.run_state import State, parameter_names
from compiler.searcher.settings.axes import AlignInstances, Levels, Order, Preferences
from compiler.searcher.settings.derivation import Epoch
from compiler.searcher.settings.exploring import ExplorerWord
from compiler.searcher.settings.narrowing import Measure
from compiler.searcher.settings.sections import SearchSettings
from compiler.util.seeds import mix

from .alignment import aligned, cosines
from .bilevel import Bilevel, Optimized, total
from .errors import EngineError
from .evidence import evidence, steadiness
from .freeze import freezing_of
from .gradients import frozen
from .loop import run_epochs
from .optimizers import build_optimizer, set_learning_rate
from .outcome import SearchOutcome
from .protocol import Evaluate, Run, RunOptions, Searchable
from .sharpness import largest_eigenvalue
from .tasks import behaviour_of
from .teacher import OfPhase, distillation_loss, soft_labels, teacher_of


def run_search(
    searchable: Searchable, data: Data, settings: SearchSettings, run: RunOptions, teacher: OfPhase = None
) -> SearchOutcome:
    """Search for the settings' epochs, or go on from a checkpoint; ``teacher`` is a phase's network, if one teaches.

    Raises:
        EngineError: the settings, the space and the device do not fit together.
    """
    compute = Compute(run.device, run.devices, PRECISIONS[settings.precision])
    search = Searching(searchable, data, settings, compute, teacher)
    run_epochs(search, search.state, mix(settings.seed, "search"), run, Report.of(run, compute))
    return search.outcome()


class Searching:
    """The steps of a search, and the score of its epochs."""

    def __init__(
        self, searchable: Searchable, data: Data, settings: SearchSettings, compute: Compute, teacher: OfPhase = None
    ) -> None:
        self.searchable, self.settings, self.compute = searchable, settings, compute
        self.module = searchable.module.to(compute.device)
        alphas = dict(searchable.alphas)
        if not alphas:
            raise EngineError("This space has no choice in it: there is nothing to search.")
        for alpha in alphas.values():
            alpha.data = alpha.data.to(compute.device)
        hidden = {id(alpha) for alpha in alphas.values()}
        weights = list(searchable.weights())
        if any(id(weight) in hidden for weight in weights):
            raise ValueError("an alpha is among the weights")
        self.weight_optimizer = build_optimizer(settings.weights, weights)
        self.alpha_optimizer = build_optimizer(settings.alphas, list(alphas.values()))
        self.freezing = freezing_of(searchable, settings.freeze)
        self.bilevel = Bilevel(
            self.module,
            Optimized(weights, self.weight_optimizer, settings.weights.clip),
            Optimized(list(alphas.values()), self.alpha_optimizer, settings.alphas.clip),
            second=settings.order is Order.SECOND,
            gradient=compute.gradient,
            freezing=self.freezing,
        )
        of_weights, of_alphas = halves(data, settings.data.weights_share, settings.seed)
        if settings.levels is Levels.ONE:
            of_weights = data.train
        seed, workers = mix(settings.seed, "data"), settings.workers
        self.weight_half = Batches("weight half", of_weights, settings.batch, compute, seed, workers)
        self.alpha_half = Batches("alpha half", of_alphas, settings.batch, compute, seed, workers)
        self.teacher = teacher_of(settings.teacher, searchable, teacher, self.bilevel.kept, compute)
        self.behaviour = behaviour_of(settings.task, data.classes)
        self.meters = {name: Meter(compute.device, self.behaviour) for name in ("weights", "alphas")}
        self.state = State(
            "search",
            self.module,
            alphas,
            {
                "weights": (self.weight_optimizer, parameter_names(self.module, weights)),
                "alphas": (self.alpha_optimizer, list(alphas)),
            },
            self.meters,
            compute,
            more=self.freezing.tensors if self.freezing else {},
        )

    @property
    def epochs(self) -> int:
        """How many epochs the search has."""
        return self.settings.epochs

    @property
    def steps(self) -> int:
        """How many steps an epoch has: the batches of the weights."""
        return self.weight_half.steps

    def begin(self, epoch: int, skip: int) -> None:
        """Open the batches of an epoch, of which the first ``skip`` are done."""
        self.searchable.begin(epoch)
        if self.freezing:
            self.freezing.refresh()
        self.weight_batches = self.weight_half.epoch(epoch, skip)
        moving = epoch >= self.settings.alphas_from and self.settings.levels is Levels.TWO
        self.alpha_batches: Iterator[Batch] | None = self.alpha_half.epoch(epoch, skip) if moving else None

    def fetch(self) -> None:
        """Take the batches of the next step."""
        self.weight_batch = next(self.weight_batches)
        self.alpha_batch = next(self.alpha_batches) if self.alpha_batches else None

    def step(self, epoch: int, step: int) -> None:
        """One iteration: the alphas, then the weights; of one level both at once."""
        self._schedule(epoch, step)
        weight_batch, alpha_batch = self.weight_batch, self.alpha_batch
        moves = epoch >= self.settings.alphas_from and self.settings.alphas.moves(epoch, step)
        if moves and self.settings.levels is Levels.ONE:
            with self.searchable.restricted():
                self.bilevel.joint_step(partial(self._alpha_loss, weight_batch, self.meters["weights"]))
            return
        if moves and alpha_batch is not None:
            with self.searchable.restricted():
                self._move_alphas(alpha_batch, weight_batch)
        passes = self.searchable.weight_passes()
        taught = None if self.teacher is None else soft_labels(self.teacher(weight_batch[0]))
        losses = [partial(self._loss, weight_batch, self.meters["weights"], run, taught) for run in passes.runs]
        loss, word = partial(self._loss, weight_batch), self.settings.align
        weight = word.weight(epoch, self.epochs)
        with self.searchable.perturbed(loss), aligned(self.searchable, word, weight, loss) as alignment:
            self.bilevel.weight_step(*losses, factor=passes.factor, alignment=alignment)

    def _move_alphas(self, alpha_batch: Batch, weight_batch: Batch) -> None:
        """The step of the alphas, and one on the preferences where they stand apart."""
        self.bilevel.alpha_step(
            partial(self._alpha_loss, alpha_batch, self.meters["alphas"]), partial(self._loss, weight_batch)
        )
        if self.settings.preferences is Preferences.APART:
            self.bilevel.preference_step(self.searchable.preferences())

    def _schedule(self, epoch: int, step: int) -> dict[str, float]:
        """Set everything that follows a schedule; returns the learning rates."""
        now = epoch + step / self.steps
        self.searchable.anneal(now)
        return {
            "lr/weights": set_learning_rate(self.weight_optimizer, self.settings.weights, now, self.epochs),
            "lr/alphas": set_learning_rate(self.alpha_optimizer, self.settings.alphas, now, self.epochs),
        }

    def _loss(
        self, batch: Batch, meter: Meter | None = None, run: Run | None = None, taught: Tensor | None = None
    ) -> Tensor:
        images, labels = batch
        with self.searchable.running(run), self.compute.autocast():
            logits = self.module(images)
            loss = self.behaviour.loss(logits, labels)
            total = loss if taught is None else loss + self.settings.teacher.ratio * distillation_loss(logits, taught)
        if meter:
            meter.add(loss, logits, labels)
        return total

    def _alpha_loss(self, batch: Batch, meter: Meter) -> Tensor:
        losses = [self._loss(batch, meter, run) for run in self.searchable.alpha_passes()]
        loss = self.searchable.objective(*losses)
        if self.settings.preferences is Preferences.TOGETHER and (terms := self.searchable.preferences()):
            return loss + total(terms)
        return loss

    def running_means(self) -> dict[str, float]:
        """The running means of losses and metrics of this epoch."""
        seen = {name: means for name, meter in self.meters.items() if (means := meter.means(self.compute))}
        losses = {f"loss/{name}": loss for name, (loss, _) in seen.items()}
        return losses | {f"{self.settings.task.metric}/{name}": value for name, (_, value) in seen.items()}

    @torch.no_grad()
    def look(self, epoch: int) -> EpochRecord:
        """The leading architecture and the observed values within an epoch."""
        return EpochRecord(epoch + 1, {}, self.searchable.leading().decisions, self.searchable.observed())

    def end(self, epoch: int, evaluate: Evaluate) -> EpochRecord:
        """Judge an epoch by the metric on the alpha half, give up items maybe, and remember the best."""
        rates = self._schedule(epoch, self.steps - 1)
        scalars = self.running_means()
        scalars |= self.settings.task.scored(evaluate(self.alpha_half))
        self.searchable.narrow(epoch + 1, partial(self._judge, evaluate))
        with torch.no_grad():
            scalars |= {f"preference/{name}": float(term) for name, term in self.searchable.preferences().items()}
            scalars |= {f"quantity/{name}": value for name, value in self.searchable.scores().items()}
            scalars |= {f"entropy/{name}": value for name, value in self.searchable.entropy().items()}
            leading = self.searchable.leading()
            observed = self.searchable.observed()
        moved = epoch >= self.settings.alphas_from and self.settings.alphas.moves(epoch, 0)
        scalars |= steadiness(self.state.history, leading, moved)
        scalars |= {f"free/{copy}": float(len(items)) for copy, items in leading.free.items()}
        if self.freezing:
            scalars["frozen"] = float(self.freezing.count)
        if self.settings.until.measures(epoch):
            scalars["sharpness"] = self._sharpness(epoch)
        if isinstance(self.settings.align, AlignInstances):
            scalars |= {f"alignment/{cell}": found for cell, found in self._cosines(epoch).items()}
        if self.settings.until.holds(evidence(self.state.history, scalars, leading)):
            scalars["until"] = 1.0
        record = EpochRecord(epoch + 1, scalars | rates, leading.decisions, observed)
        self._remember_if_best(record)
        self._remember_for_before(epoch)
        return record

    def _sharpness(self, epoch: int) -> float:
        """The largest eigenvalue of the Hessian of the loss in the alphas, on the images of their last step."""
        batch, alphas = next(self.alpha_half.epoch(epoch, self.steps - 1)), self.bilevel.alphas.parameters
        with self._probing(), self.searchable.twice_differentiable():
            return largest_eigenvalue(self._loss(batch), alphas, self.compute.gradient)

    def _cosines(self, epoch: int) -> dict[str, float]:
        """How far the instances of each cell agree, on the images of the last step of the weights, by its name."""
        batch = next(self.weight_half.epoch(epoch, self.steps - 1))
        with self._probing():
            return cosines(self.searchable, partial(self._loss, batch), self.compute.gradient)

    @contextmanager
    def _probing(self) -> Iterator[None]:
        """A context in which passes run in train mode, take no gradient of the weights, and leave buffers unchanged."""
        training = self.module.training
        self.module.train()
        try:
            with self.bilevel.kept, frozen(self.bilevel.weights.parameters):
                yield
        finally:
            self.module.train(training)

    def _remember_for_before(self, epoch: int) -> None:
        """Remember the alphas of an epoch that may turn out to be the one before the search ended."""
        state, until = self.state, self.settings.until
        if self.settings.derive.epoch is not Epoch.BEFORE:
            return
        found = {f"{epoch}/{path}": alpha for path, alpha in state.alphas_on_cpu().items()}
        known = {name: alpha for name, alpha in state.past.items() if int(name.split("/")[0]) >= until.before(epoch)}
        state.past = known | found

    @property
    def is_over(self) -> bool:
        """Whether the setting `until` has ended the search."""
        return bool(self.state.history and self.state.history[-1].scalars.get("until"))

    def _judge(self, evaluate: Evaluate, measure: Measure) -> float:
        """The supernet's score on the alpha half, its norms with the statistics of each batch, as in training."""
        found = evaluate(self.alpha_half, measure=measure, batch_statistics=True)
        return self.settings.task.score(found) if measure is Measure.ACCURACY else -found

    def _remember_if_best(self, record: EpochRecord) -> None:
        """Remember the alphas of the best epoch: the first with the highest score, once the alphas move."""
        state = self.state
        if record.epoch <= min(self.settings.alphas_from, self.epochs - 1):
            return
        if state.best_epoch == 0 or record.scalars["score"] > state.history[state.best_epoch - 1].scalars["score"]:
            state.best_epoch, state.best = record.epoch, state.alphas_on_cpu()

    def finish(self, evaluate: Evaluate) -> str:
        """A sentence on the architecture that is reported."""
        found = self.outcome()
        done = len(self.state.history)
        if done < self.epochs:
            why = f"as `until = {self.settings.until.describe()}` says" if self.is_over else "as a callback asked"
            of = "" if found.epoch == done else f" Derived is epoch {found.epoch}."
            return f"The search ended after epoch {done} of {self.epochs}, {why}.{of}"
        if isinstance(self.settings.derive, ExplorerWord):
            return f"The weights have learned for {done} epochs; an explorer proposes architectures now."
        return f"The architecture is that of epoch {found.epoch}, with {self.settings.task.said(found.score)}."

    def outcome(self) -> SearchOutcome:
        """The alphas and decisions of the last epoch, of the best, or of one before the end, as the settings say."""
        state = self.state
        epoch, alphas = len(state.history), state.alphas_on_cpu()
        if self.settings.derive.epoch is Epoch.BEST and state.best_epoch:  # None where it ended before alphas moved.
            epoch, alphas = state.best_epoch, dict(state.best)
        elif self.settings.derive.epoch is Epoch.BEFORE and self.is_over:
            epoch = self.settings.until.before(epoch - 1) + 1
            alphas = {path: state.past[f"{epoch - 1}/{path}"] for path in alphas}
        record = state.history[epoch - 1]
        score, history = record.scalars["score"], tuple(state.history)
        return SearchOutcome(record.decisions, alphas, epoch, score, state.best_epoch, history, state.stopped)
