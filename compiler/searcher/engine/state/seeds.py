"""All randomness of a run as a pure function of its seed and of where in the run it happens.

Nothing that is random depends on what was drawn before, so a run resumed at any step draws what an unbroken one does,
and no generator's state needs saving.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy
import torch


def seed_all(seed: int, device: torch.device) -> None:
    """Seed every generator that a step may draw from."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
    elif device.type == "mps":
        torch.mps.manual_seed(seed)
    random.seed(seed)
    numpy.random.seed(seed % 2**32)


@dataclass(frozen=True)
class Randomness:
    """The state of torch's generators, to draw the same numbers again."""

    cpu: torch.Tensor
    cuda: torch.Tensor | None

    @classmethod
    def now(cls, device: torch.device) -> Randomness:
        """The state of the generators at this moment."""
        return cls(torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None)

    def again(self, device: torch.device) -> None:
        """Put the generators back to this state."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, device)


@contextmanager
def preserved_generators(device: torch.device) -> Iterator[None]:
    """A context that restores the state of all random generators when it ends."""
    now, plain, of_numpy = Randomness.now(device), random.getstate(), numpy.random.get_state()
    try:
        yield
    finally:
        now.again(device)
        random.setstate(plain)
        numpy.random.set_state(of_numpy)
