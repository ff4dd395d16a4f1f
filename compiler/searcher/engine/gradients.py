"""How a run takes gradients: of chosen tensors only, averaged over processes, scaled where float16 needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor


@contextmanager
def frozen(parameters: Iterable[Tensor]) -> Iterator[None]:
    """No gradient in these: a forward pass inside this context records nothing that it alone would take."""
    moving = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in moving:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in moving:
            parameter.requires_grad_(True)


def finite(tensors: Sequence[Tensor]) -> bool:
    """Whether every number is finite; one wait for the device."""
    return not tensors or bool(torch.stack(torch._foreach_norm([t.detach() for t in tensors], ord=1)).isfinite().all())


class LossScale:
    """Dynamic loss scaling for float16: the factor halves on overflow, and doubles after ``patience`` finite steps."""

    def __init__(self, value: float = 1.0, *, patience: int = 2000) -> None:
        self.value = value
        self.patience = patience
        self.finite_steps = 0
        """How many steps in a row had finite gradients."""

    def usable(self, gradients: Sequence[Tensor | None]) -> bool:
        """Whether a step may use these gradients; without scaling, any may. With it, this waits for the device."""
        if self.value == 1.0:
            return True
        is_finite = finite([gradient for gradient in gradients if gradient is not None])
        self.finite_steps = self.finite_steps + 1 if is_finite else 0
        if not is_finite:
            self.value = max(self.value / 2, 1.0)
        elif self.finite_steps == self.patience:
            self.value, self.finite_steps = self.value * 2, 0
        return is_finite


class Gradients:
    """Takes the gradients of losses."""

    def __init__(self, scale: LossScale | None = None, average: Callable[[list[Tensor]], None] | None = None) -> None:
        self.scale = scale or LossScale()
        self.average = average
        """Averages tensors over all processes, in place; None: there is one process."""

    def __call__(self, loss: Tensor, inputs: Sequence[Tensor]) -> list[Tensor]:
        """Autograd's gradient in ``inputs`` alone; what the loss does not depend on has gradient zero."""
        gradients = [
            torch.zeros_like(tensor) if gradient is None else gradient
            for tensor, gradient in zip(inputs, self._local(loss, inputs), strict=True)
        ]
        if self.average is not None:
            self.average(gradients)
        return gradients

    def used(self, loss: Tensor, inputs: Sequence[Tensor]) -> Sequence[Tensor | None]:
        """The same with None for what the loss does not depend on, so that an optimizer leaves it alone.

        With several processes, which may differ in what they use, that is zero again.
        """
        return self._local(loss, inputs) if self.average is None else self(loss, inputs)

    def _local(self, loss: Tensor, inputs: Sequence[Tensor]) -> Sequence[Tensor | None]:
        if not loss.requires_grad:
            return [None] * len(inputs)
        if self.scale.value == 1.0:
            return torch.autograd.grad(loss, inputs, allow_unused=True)
        scaled = torch.autograd.grad(loss * self.scale.value, inputs, allow_unused=True)
        return [None if gradient is None else gradient / self.scale.value for gradient in scaled]


PLAIN = Gradients()
"""Autograd's gradients as they are: one process, no scaling."""
