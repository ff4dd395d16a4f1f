"""What regularises a supernet by a rate that follows a schedule: a function of the epoch, and no state.

To add one, write its module in `backend/torch_modules/regularisation.py`, its setting, and its line in `fades_of`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torch import nn

from compiler.backend.torch_modules.regularisation import DropPath, Scheduled
from compiler.searcher.settings.schedules import Schedule
from compiler.searcher.settings.sections import SearchSettings


@dataclass(frozen=True)
class Fade:
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


def fades_of(settings: SearchSettings) -> tuple[Fade, ...]:
    """What the settings regularise by; nothing of a rate that is always 0."""
    found = ((DropPath, settings.drop_path),)
    return tuple(Fade(kind, rate, settings.epochs) for kind, rate in found if not rate.is_off)
