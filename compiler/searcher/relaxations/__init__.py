"""Relaxations: how a space becomes a network to train, and its architecture parameters that can move little by little.

To add one, write its class in a file here, its word in `searcher/settings/relaxation.py`, and its line in `relaxed`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from compiler.backend.passes import Target
from compiler.elaborate import Elaborated
from compiler.searcher.settings.axes import AdversarialDisplacement, NoPerturbation, Perturbation, RandomDisplacement
from compiler.searcher.settings.optimizers import AlphaNatural
from compiler.searcher.settings.relaxation import Dirichlet, Gumbel, NoRelaxation, Sample, Shares, Sigmoid, Softmax
from compiler.searcher.settings.relaxation import Gates as GatesWord
from compiler.searcher.settings.relaxation import Sparse as SparseWord
from compiler.searcher.settings.sections import SearchSettings
from compiler.util.errors import UsageError

from .axes import Axes
from .base import Relaxed
from .displaced import AdversarialDisplaced, Displacement, RandomDisplaced
from .gates import Gates
from .gumbel import HardGumbel
from .mixtures import DirichletMixture, GumbelMixture, Mixture, ReluMixture, SigmoidMixture, SoftmaxMixture, Temperature
from .narrowing import narrower_of
from .rates import rates_of
from .reinforce import Sampled, Trials
from .single_path import OnePath
from .sparse import Sparse
from .supernet import Supernet


def relaxed(
    space: Elaborated, settings: SearchSettings, target: Target | None = None, built: Elaborated | None = None
) -> Relaxed:
    """The supernet of a space, relaxed as the settings say; what is mixed is lowered for the target.

    Args:
        space: an elaborated network with choices.
        settings: those of the search.
        target: the machine, its memory and the batch; by default this machine's CPU.
        built: the space as it is built, where settings have menus built otherwise than they are written.

    Raises:
        HspError: when the space cannot be relaxed by mixing, and should be.
        UsageError: there is no supernet.
    """
    init, derive, epochs = settings.alphas.init, settings.derive.rule, settings.epochs
    match settings.relax:
        case Softmax() | Sigmoid() | Dirichlet() | Gumbel(hard=False) as word:
            axes = Axes(
                mixture_of(word, epochs),
                settings.edges,
                displacement_of(settings.perturb, epochs),
                epochs,
                narrower_of(settings.narrow, settings.seed),
                rates_of(settings),
                settings.align,
            )
            if not settings.drop_path.is_off:
                target = replace(target or Target.on(), drop_path=True)
            return Supernet(space, init=init, derive=derive, target=target, axes=axes, built=built)
        case SparseWord(dims=dims):
            target = replace(target or Target.on(), drop_path=not settings.drop_path.is_off)
            return Sparse(space, dims, init, derive, target, Axes(epochs=epochs, rates=rates_of(settings)), built)
        case Gumbel(temperature=schedule, logits=shares) as word:
            axes = Axes(ReluMixture() if shares is Shares.RELU else SoftmaxMixture(), epochs=epochs)
            return HardGumbel(space, Temperature(schedule, epochs), init, derive, axes, word)
        case GatesWord(paths=paths):
            return Gates(space, paths, init, derive, Axes(epochs=epochs))
        case Sample() as word:
            trials = (
                Trials(settings.alphas.draws, ranked=True) if isinstance(settings.alphas, AlphaNatural) else Trials()
            )
            return Sampled(space, word, init, derive, Axes(epochs=epochs), trials)
        case NoRelaxation():
            raise UsageError("`relax = none` has no supernet")
        case never:
            assert_never(never)


def mixture_of(word: Softmax | Sigmoid | Dirichlet | Gumbel, epochs: int) -> Mixture:
    """The mixture that a word of the setting `relax` says, over so many epochs."""
    match word:
        case Softmax():
            return SoftmaxMixture()
        case Sigmoid():
            return SigmoidMixture()
        case Dirichlet():
            return DirichletMixture()
        case Gumbel(temperature=schedule):
            return GumbelMixture(Temperature(schedule, epochs))
        case never:
            assert_never(never)


def displacement_of(word: Perturbation, epochs: int) -> Displacement | None:
    """The displacement that a word of the setting `perturb` says, over so many epochs."""
    match word:
        case NoPerturbation():
            return None
        case RandomDisplacement(eps=eps):
            return RandomDisplaced(eps, epochs)
        case AdversarialDisplacement(eps=eps, steps=steps):
            return AdversarialDisplaced(eps, epochs, steps)
        case never:
            assert_never(never)


__all__ = ["Gates", "HardGumbel", "OnePath", "Relaxed", "Sampled", "Sparse", "Supernet", "Temperature", "relaxed"]
