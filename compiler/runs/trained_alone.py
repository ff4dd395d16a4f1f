"""`judge = trained`: an architecture is derived, and trained from scratch on a part of the training images."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from statistics import mean

import torch
from filelock import FileLock

from compiler.elaborate import Elaborated
from compiler.program.model import Program
from compiler.program.request import Request
from compiler.searcher.data.load import Data, halves
from compiler.searcher.engine.device.compute import Compute, is_main_process
from compiler.searcher.engine.protocol import RunOptions
from compiler.searcher.engine.retrain import run_train
from compiler.searcher.explore.proposer import Budgets
from compiler.searcher.explore.space import Candidate, ExploredSpace
from compiler.searcher.listeners import NOBODY
from compiler.searcher.run_files import CHECKPOINT, LOCK, TRAININGS
from compiler.searcher.settings.judges import Measured, TrainedJudge
from compiler.searcher.settings.sections import SearchSettings, TrainSettings

from .anew import empty
from .config import RunConfig
from .data import matching_data
from .derived_alone import DerivedAlone, network_of
from .fingerprint import fingerprint
from .train import fresh_network


class TrainedAlone(DerivedAlone):
    """Judges an architecture by training it as `--train` does its derived file, on the images of the weights.

    It is tested on those of the alphas, without random changes; the test images are never asked. A training that was
    killed goes on from its checkpoint.

    Args:
        space: the architectures.
        request: the file.
        settings: those of the search.
        config: where and how to run.
        options: those of the run; trainings are in a folder below its own.
    """

    def __init__(
        self,
        space: ExploredSpace,
        request: Request,
        settings: SearchSettings,
        config: RunConfig,
        options: RunOptions,
    ) -> None:
        assert isinstance(settings.judge, TrainedJudge)
        super().__init__(space, request)
        self.settings, self.word = settings, settings.judge
        self.config, self.options = config, options
        if options.devices > 1:
            # Each process begins with this command, and must find the folder as the first one did: empty.
            Compute(options.device, options.devices)
        if not options.resume and is_main_process():
            empty(options.out / TRAININGS)
        example = self.derived(self.text(space.candidate(0)))
        whole = example.train_settings.epochs
        self.budgets = Budgets(self.word.epochs or whole, whole)
        self.batch = example.train_settings.batch
        self.data = self._held_out(example)

    @property
    def identity(self) -> str:
        """The identity of what is explored, by which the trials of another run are refused."""
        part = self.space.part
        return fingerprint(part.program, part.space, self.settings.describe(full=True), self.data)

    def score(self, found: Candidate, budget: int, repeat: int = 0) -> float:
        """What is measured in ``budget`` epochs, such as the accuracy on held-out samples: its mean over the seeds.

        Each ``repeat`` has seeds of its own.

        Raises:
            DivergedError: a training did.
        """
        text = self.text(found)
        program = self.derived(text)
        first = program.train_settings.replace("epochs", budget)
        start = first.seed + repeat * self.word.seeds
        each = [first.replace("seed", seed) for seed in range(start, start + self.word.seeds)]
        return sum(self._trained(program, text, settings) for settings in each) / len(each)

    def _trained(self, program: Program, text: str, settings: TrainSettings) -> float:
        network = network_of(program)
        name = hashlib.sha256(f"{settings.describe(full=True)}{text}".encode()).hexdigest()[:16]
        folder = self.options.out / TRAININGS / name
        with self._alone(folder):
            return self._trained_in(folder, program, network, settings)

    @contextmanager
    def _alone(self, folder: Path) -> Iterator[None]:
        """Wait until no other worker trains in a folder: one of an earlier run may be about to end."""
        if not self.config.judges_elsewhere:
            yield
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(LOCK)):
            yield

    def _trained_in(self, folder: Path, program: Program, network: Elaborated, settings: TrainSettings) -> float:
        options = replace(
            self.options,
            out=folder,
            resume=(folder / CHECKPOINT).is_file(),
            quiet=True,
            fingerprint=fingerprint(program, network, settings.describe(full=True), self.data),
            title=f"train {program.name}",
            listeners=NOBODY,
        )
        outcome = run_train(fresh_network(network, settings, self.config), self.data, settings, options)
        if is_main_process():
            rmtree(folder)
        if self.word.by is Measured.LOSS:
            return -mean(record.scalars["loss/train"] for record in outcome.history)
        return settings.task.score(outcome.value)

    def _held_out(self, program: Program) -> Data:
        """The images that a training learns on, and as those that it is tested on, those of the alphas.

        Where its loss says how good it is, no more of these than a batch: their accuracy is not asked for.
        """
        data = matching_data(program.train_settings, network_of(program), self.config)
        of_weights, of_alphas = halves(data, self.settings.data.weights_share, self.settings.seed)
        if self.word.by is Measured.LOSS:
            of_alphas = of_alphas.subset(torch.arange(min(program.train_settings.batch, len(of_alphas))))
        return replace(
            data, train=of_weights, test=replace(of_alphas, finishing=data.test.finishing, pairing=data.test.pairing)
        )
