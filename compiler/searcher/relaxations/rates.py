"""Regularisers of a supernet whose rate follows a schedule: a function of the epoch, without state.

To add one, write its module in `backend/torch_modules/regularisation.py`, its setting, and its line in `rates_of`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from compiler.backend.torch_modules.regularisation import Dropout, DropPath, Fade, Scheduled
from compiler.searcher.settings.schedules import Schedule
from compiler.searcher.settings.sections import SearchSettings


@dataclass(frozen=True)
class ScheduledRate:
    """Modules of one kind, whose rates follow one schedule over so many epochs."""

    kind: type[Scheduled]
    schedule: Schedule
    epochs: int

    def follow(self, modules: Iterable[nn.Module], epoch: float) -> None:
        """Set the rates after ``epoch`` epochs, a fraction."""
        rate = self.schedule(epoch, self.epochs)
        for module in modules:
            if isinstance(module, self.kind):
                module.rate = rate


def rates_of(settings: SearchSettings) -> tuple[ScheduledRate, ...]:
    """The regularisers of the settings, without those whose rate is always 0."""
    found = ((Fade, settings.beside.rate), (Dropout, settings.dropout.rate), (DropPath, settings.drop_path))
    return tuple(ScheduledRate(kind, rate, settings.epochs) for kind, rate in found if not rate.is_off)
