"""Relaxations of which every pass runs one architecture, drawn anew while training.

They take every space, also those whose alternatives cannot be mixed. In eval mode nothing is drawn: the architecture
runs that would be derived now, with the weights that it has in the supernet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from compiler.analysis.counting.errors import UncountableError
from compiler.analysis.requirements.alive import Strengths
from compiler.analysis.requirements.constrained import Answer, derive_within
from compiler.derivation.best_path import best_path, decided
from compiler.derivation.selected_steps import NothingSelectedError
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.searcher.data.source import Inputs
from compiler.searcher.engine.protocol import Run
from compiler.searcher.settings.derivation import By, Derivation
from compiler.util.errors import UsageError

from .axes import Axes
from .base import Relaxed
from .draws import Logits, added, drawn, log_probability, logits, noise
from .mixtures import SoftmaxMixture
from .path_executor import Operations

TRIES = 1000
"""How many draws may miss what the space requires before none is believed to meet it."""

CANDIDATES = 256
"""How many draws the most probable one is taken from where deriving leads to no architecture."""


@dataclass(frozen=True)
class Draw:
    """A drawn architecture, and the noisy logits that select it."""

    chosen: Selection
    noisy: Logits


class OnePath(Relaxed):
    """A relaxation of which every pass runs one architecture.

    Args:
        space: an elaborated network with choices.
        share: whether the values of an undecided number share one weight, of which each takes a slice.
        init: standard deviation of the normal distribution that the alphas start from.
        derive: the rule by which the leading architecture is found.
        axes: how probabilities follow from alphas, and over how many epochs schedules go.
        keep_zeros: whether zeros that are added to something run all the same.
    """

    def __init__(
        self,
        space: Elaborated,
        share: bool = False,
        init: float = 1e-3,
        derive: Derivation | None = None,
        axes: Axes | None = None,
        keep_zeros: bool = False,
    ) -> None:
        operations = Operations(space.block.graph, space.decisions, share, keep_zeros)
        super().__init__(space, operations.module, init, derive, axes)
        self.operations = operations
        self.last: tuple[dict[str, list[float]], Answer] | None = None
        self.planned: Selection | None = None

    def forward(self, images: Inputs, chosen: Selection | None = None) -> Tensor:
        """Logits of a batch, of the given architecture or of a drawn one; in eval mode, of the leading one."""
        if chosen is None:
            chosen = self.to_run() if self.training else self.chosen()
        return self.operations(images, chosen)

    def alone(self, images: Inputs, chosen: Selection) -> Tensor:
        """Logits of one architecture: only its operations run."""
        return self.operations(images, chosen)

    def to_run(self) -> Selection:
        """The architecture of a pass in train mode: the planned one, or a draw."""
        return self.draw(self.logits()).chosen if self.planned is None else self.planned

    @contextmanager
    def running(self, run: Run | None) -> Iterator[None]:
        """A context in which forward passes in train mode run ``run``, or draw where it is None."""
        self.planned = None if run is None else dict(run)
        try:
            yield
        finally:
            self.planned = None

    def logits(self) -> Logits:
        """The logits of draws: the alphas as the derivation rule measures their strength."""
        mixture, decisions = self.axes.mixture, self.space.decisions
        if isinstance(mixture, SoftmaxMixture) or self.derive.by is By.LOGIT:
            return logits(decisions, self.alphas, self.derive.by)
        return {path: mixture.logarithms(decisions[path], alpha) for path, alpha in self.alphas.items()}

    def draw(self, clean: Mapping[str, Tensor]) -> Draw:
        """An architecture that meets the space's requirements, from torch's global generator of the CPU.

        Raises:
            UsageError: none of many does.
        """
        for _ in range(TRIES):
            shift = noise(self.space.decisions, clean)
            noisy = added(self.space.decisions, clean, shift)
            chosen = drawn(self.space.decisions, noisy)
            if self.meets(chosen):
                return Draw(chosen, noisy)
        required = " and ".join(map(str, self.required.requirements))
        raise UsageError(
            f"of {TRIES} architectures drawn from '{self.space.name}', none meets "
            + (f"`require {required}`" if required else "the condition that its output is made of something")
            + ": use a `relax` that mixes, or `relax = none` with an explorer, which search within a tight budget"
        )

    def meets(self, chosen: Selection) -> bool:
        """Whether an architecture meets what the space requires."""
        try:
            self.operations.path(chosen)
        except NothingSelectedError:
            return False
        return super().meets(chosen)

    def probability(self, clean: Mapping[str, Tensor], draw: Draw) -> Tensor:
        """The logarithm of the probability of a draw, differentiable in the logits; requirements left aside."""
        used = self.operations.path(draw.chosen).used
        return log_probability(self.space.decisions, clean, draw.noisy, draw.chosen, used)

    def chosen(self, alphas: Mapping[str, Tensor] | None = None) -> Selection:
        """The selection of the rule; where it is not an architecture, or misses a requirement, the best that is one."""
        return self.answer(alphas).chosen

    def answer(self, alphas: Mapping[str, Tensor] | None = None) -> Answer:
        """The decisions that alphas select; kept, since every pass in eval mode runs them."""
        strengths, _ = self.evidence(alphas)
        if self.last is None or self.last[0] != strengths:
            self.last = strengths, super().answer(alphas)
        return self.last[1]

    @torch.no_grad()
    def select(self, strengths: Strengths, rule: Derivation) -> Answer:
        """The selection of a rule, or the best path, or the best that meets the requirements, or a probable draw."""
        for found in self._leading(strengths, rule):
            if self.meets(found):
                return Answer.of(found)
        if self.required:
            answer = derive_within(self.required, strengths, rule.by)
            if self.meets(answer.chosen):
                return answer
        tensors = {path: torch.tensor(values) for path, values in strengths.items()}
        clean = logits(self.space.decisions, tensors, rule.by)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            draws = [self.draw(clean) for _ in range(CANDIDATES)]
        return Answer.of(max(draws, key=lambda draw: float(self.probability(clean, draw))).chosen)

    def _leading(self, strengths: Strengths, rule: Derivation) -> Iterator[Selection]:
        """The selection of the rule, then the best path, where texts with `prune` can be counted."""
        yield decided(self.space, strengths, rule)
        with suppress(UncountableError):
            yield best_path(self.space, strengths, rule.by)
