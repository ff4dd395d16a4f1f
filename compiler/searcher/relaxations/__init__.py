"""Relaxations: how a space becomes a network to train, and its architecture something that can move little by little.

To add one, write its class in a file here, its word in `searcher/settings/sections.py`, and its line in `relaxed`.
"""

from __future__ import annotations

from typing import assert_never

from compiler.backend.passes import Target
from compiler.elaborate import Elaborated
from compiler.searcher.settings.relaxation import Gumbel, Sample, Softmax
from compiler.searcher.settings.sections import SearchSettings

from .base import Relaxed, Supernet
from .gumbel import HardGumbel, SoftGumbel, Temperature
from .reinforce import Sampled
from .single_path import OnePath


def relaxed(space: Elaborated, settings: SearchSettings, target: Target | None = None) -> Relaxed:
    """The supernet of a space, relaxed as the settings say; what is mixed is lowered for the target.

    Raises:
        HspError: when the space cannot be relaxed by mixing, and should be.
    """
    init, derive = settings.alphas.init, settings.derive
    match settings.relax:
        case Softmax():
            return Supernet(space, init=init, derive=derive, target=target)
        case Gumbel(temperature=schedule, hard=True):
            return HardGumbel(space, Temperature(schedule, settings.epochs), init, derive)
        case Gumbel(temperature=schedule):
            return SoftGumbel(space, Temperature(schedule, settings.epochs), init, derive, target)
        case Sample(share=share, weights=draws):
            return Sampled(space, share, draws, init, derive)
        case never:
            assert_never(never)


__all__ = ["HardGumbel", "OnePath", "Relaxed", "Sampled", "SoftGumbel", "Temperature", "relaxed"]
