"""Functions with a hand-written gradient say that it cannot be differentiated again.

`torch.autograd.function.once_differentiable` says so only where a second backward pass runs into the gradient.
`torch.autograd.grad(gradient, inputs)` walks only to the inputs, finds no way through, and gives a wrong second
derivative without a word. So the first backward pass is where it is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import torch

from compiler.util.errors import HdasError

R = TypeVar("R")


class TwiceDifferentiatedError(HdasError, RuntimeError):
    """A second derivative is asked of a function that has a first one only."""


def once_differentiable(backward: Callable[..., R]) -> Callable[..., R]:
    """A ``backward`` of a `torch.autograd.Function` that runs without a graph of its own.

    Raises:
        TwiceDifferentiatedError: under ``create_graph=True``.
    """

    @wraps(backward)
    def run(ctx: Any, *gradients: Any) -> R:
        if torch.is_grad_enabled() and not torch.compiler.is_compiling():
            raise TwiceDifferentiatedError(
                "the optimised lowering has first derivatives only: use `create_graph=True` "
                "within `supernet.twice_differentiable()`, or on a network lowered without passes"
            )
        return backward(ctx, *gradients)

    return run
