"""Protocols of networks in the engine, which knows neither the language nor the graph nor the lowering."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from torch import Tensor, nn

from compiler.searcher.engine.device.batches import Batches
from compiler.searcher.engine.reporting.records import Observed
from compiler.searcher.listeners import NOBODY, Listeners
from compiler.searcher.settings.narrowing import Measure

Run = Mapping[str, tuple[int, ...]]
"""The network of one pass: the items that it takes of each decision, by path."""


@dataclass(frozen=True)
class Passes:
    """The passes of a step, which is taken along ``factor`` times the sum of their gradients."""

    runs: tuple[Run | None, ...] = (None,)
    """The network of each pass; None for the network as it is."""
    factor: float = 1.0


@dataclass(frozen=True)
class Leading:
    """The architecture that deriving would give at the current alphas."""

    decisions: dict[str, str]
    """The readable items that each decision takes, by path."""
    live: frozenset[str]
    """The decisions that the architecture depends on: not those of menus that no pick takes."""
    taken: dict[str, list[str]]
    """The items that it takes of menus of operations, by copy of a cell."""
    free: dict[str, list[str]]
    """The taken items without parameters, of menus that also have others, by copy of a cell."""


class Searchable(Protocol):
    """A supernet, its architecture parameters, and what a search asks about them."""

    @property
    def module(self) -> nn.Module:
        """The supernet: ``forward(images) -> logits``."""

    @property
    def alphas(self) -> Mapping[str, nn.Parameter]:
        """The architecture parameters by readable path, such as ``Normal.n2.from_x``; none is among ``weights()``."""

    def begin(self, epoch: int) -> None:
        """Make ready for an epoch, from 0, also where a checkpoint has changed the supernet's tensors."""

    def narrow(self, done: int, judge: Callable[[Measure], float]) -> None:
        """Give up items after so many epochs, maybe; ``judge`` measures the supernet as it is, on the alpha half."""

    def weights(self) -> Iterable[nn.Parameter]:
        """The parameters that the first half of the data trains."""

    def anneal(self, epoch: float) -> None:
        """Follow the schedules of the relaxation; called before each step, ``epoch`` epochs done, a fraction."""

    def perturbed(self, loss: Callable[[], Tensor]) -> AbstractContextManager[None]:
        """A context for a step of the weights on ``loss``; mixing weights may be displaced in it (`perturb`)."""

    def apart(self) -> AbstractContextManager[Mapping[str, Sequence[Tensor]]]:
        """A context in which each instance of a cell computes with mixing weights of its own; it yields these.

        They are leaf tensors: a vector for each instance, by the name of each cell that has several instances.
        """

    def restricted(self) -> AbstractContextManager[None]:
        """A context for a step of the alphas; alphas that are not to move are put back when it ends."""

    def twice_differentiable(self) -> AbstractContextManager[None]:
        """A context in which a pass can be differentiated twice in the alphas."""

    def alpha_passes(self) -> Sequence[Run | None]:
        """The networks of the passes of the next step of the alphas; `objective` is then called with their losses."""

    def weight_passes(self) -> Passes:
        """The passes of the next step of the weights."""

    def weights_of_items(self) -> Mapping[str, Sequence[nn.Parameter]]:
        """The parameters of each item of a menu, in each place where it runs, by name; none where not all run."""

    def teacher(self) -> Run | None:
        """The architecture that may teach the others; None where there is none that runs by itself."""

    def running(self, run: Run | None) -> AbstractContextManager[None]:
        """A context in which forward passes in train mode run ``run``, or draw where it is None."""

    def preferences(self) -> dict[str, Tensor]:
        """Each soft preference by name, weighted, signed so that it is minimised; those of weight 0 are left out.

        Called for its gradients in the alphas, so it is computed anew by each call.
        """

    def objective(self, *losses: Tensor) -> Tensor:
        """The objective of the alphas besides the preferences: the loss, or the statements of the space in its place.

        Several losses are those of the planned passes.
        """

    def scores(self) -> dict[str, float]:
        """Further quantities to log per epoch, such as ``{"depth Stage@0": 2.13}``."""

    def entropy(self) -> dict[str, float]:
        """The mean entropy of the choices of each level (`cell`, `stage`) and each copy, normalised to [0, 1]."""

    def leading(self) -> Leading:
        """The leading architecture at the current alphas."""

    def observed(self) -> Observed:
        """What is seen of every decision: weights, alphas, entropies."""


class Evaluate(Protocol):
    """Measures the network on batches; what it measures may be interrupted."""

    def __call__(
        self, batches: Batches, *, measure: Measure = Measure.ACCURACY, batch_statistics: bool = False
    ) -> float:
        """The metric, or the mean loss; norms by running statistics, or by those of each batch, which leave none."""


class Trainable(Protocol):
    """A discrete network to train from scratch."""

    @property
    def has_aux(self) -> bool:
        """Whether it has an auxiliary head."""

    @property
    def module(self) -> nn.Module:
        """In train mode ``images -> logits`` or ``(logits, auxiliary logits)``; in eval mode ``images -> logits``."""

    def set_drop_path(self, rate: float) -> None:
        """Set the probability with which each path of each sample is dropped in train mode."""


@dataclass(frozen=True)
class RunOptions:
    """Where and how a run happens: nothing here changes what it computes, but that a callback may end it."""

    out: Path
    """The directory of the run: checkpoint, logs, events, results."""
    device: str = "auto"
    """``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``."""
    devices: int = 1
    """How many processes, one device each; each takes its share of every batch."""
    resume: bool = False
    """Go on from the checkpoint in ``out``."""
    overwrite: bool = False
    """Start anew although ``out`` holds a checkpoint."""
    quiet: bool = False
    """Show no progress; the files are written all the same."""
    fingerprint: str = ""
    """Identifies the space and the settings: a checkpoint with another one is refused."""
    changed: tuple[str, ...] = ()
    """What is set otherwise than in the run in ``out``, a clause each; why a checkpoint is refused."""
    title: str = ""
    """The name of this run in the display and the log."""
    resume_with: str = "run the same command with --resume"
    """The end of the sentence that says how to go on."""
    checkpoint_every: int = 0
    """Also write the checkpoint after every so many steps; 0: only at the ends of epochs."""
    phase: str = ""
    """The name of the phase of a search, as listeners are told."""
    listeners: Listeners = NOBODY
