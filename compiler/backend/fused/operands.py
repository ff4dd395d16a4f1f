"""Operands of the plans of a call: the tensors that they read, the sum, and the gradients."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from compiler.backend.torch_modules.running_statistics import NORMS, ColumnsOfNorm, Statistics, uses_batch
from compiler.ir.sums import Columns

from . import kernel
from .plan import TermPlan

ParameterModule: TypeAlias = "nn.Module | ColumnsOfNorm"
"""A convolution, a batch norm or some of its channels, or a pool: what may hold parameters and statistics."""


def parameters_of(modules: Sequence[ParameterModule]) -> list[Tensor | None]:
    """A weight and a bias, or None, for each module."""
    found: list[Tensor | None] = []
    for module in modules:
        # Asking a module for what it has not is slow, and there are many.
        have = module._parameters if isinstance(module, nn.Module) else {"weight": module.weight, "bias": module.bias}
        found += have.get("weight"), have.get("bias")
    return found


def channels_last(x: Tensor) -> Tensor:
    """(n, c, h, w) as (n, h, w, c) of dense rows of pixels, without a copy where x lies so."""
    x = x.permute(0, 2, 3, 1)
    return x if kernel.pitch(x) else x.contiguous()


def rows(x: Tensor) -> Tensor:
    """(n, h, w, c) as (n h w, c)."""
    return x.reshape(-1, x.shape[-1])


class Operands:
    """The tensors that the plans of a call read.

    Args:
        modules: the convolutions, norms and pools of the plans.
        mixing: the weights of the terms that have one, (terms); None where none has.
        sources: the distinct sources, (n, h, w, c) of dense rows of pixels.
        parameters: `parameters_of` the modules, contiguous.
        batch: of each module, whether it is a norm that takes the statistics of the batch.
        uses_kernel: whether the C++ kernel computes the terms that it supports.
    """

    def __init__(
        self,
        modules: Sequence[ParameterModule],
        mixing: Tensor | None,
        sources: Sequence[Tensor],
        parameters: Sequence[Tensor | None],
        batch: Sequence[bool],
        uses_kernel: bool,
    ) -> None:
        self.modules, self.sources, self.parameters = modules, sources, parameters
        self.mixing = None if mixing is None else mixing.contiguous()
        self.batch, self.uses_kernel = batch, uses_kernel
        self.pitches = [kernel.pitch(source) for source in sources]

    @classmethod
    def of(
        cls,
        modules: Sequence[ParameterModule],
        mixing: Tensor | None,
        images: Sequence[Tensor],
        parameters: Sequence[Tensor | None],
    ) -> Operands:
        """The operands of a forward pass; ``images`` are the sources as (n, c, h, w)."""
        sources = [channels_last(x) for x in images]
        dense = [p if p is None or p.is_contiguous() else p.contiguous() for p in parameters]
        batch = [uses_batch(module) for module in modules]
        return cls(modules, mixing, sources, dense, batch, kernel.can_run(sources[0]))

    def weight(self, module: int | None) -> Tensor | None:
        """The weight of a module, or gamma of a norm."""
        return None if module is None else self.parameters[2 * module]

    def bias(self, module: int) -> Tensor | None:
        """The bias of a module, or beta of a norm."""
        return self.parameters[2 * module + 1]

    def share(self, term: TermPlan) -> Tensor | None:
        """The mixing weight of a term, a scalar; None for 1."""
        return None if term.weight is None or self.mixing is None else self.mixing[term.weight]

    def norm(self, norm: int) -> nn.BatchNorm2d | ColumnsOfNorm:
        """The module of a norm."""
        module = self.modules[norm]
        assert isinstance(module, NORMS)
        return module


class Accumulator:
    """The sum of a plan so far, and the statistics that its norms have seen.

    ``y`` is (n, h', w', c'), None before the first term; ``constant`` (c') is still to be added to each pixel of it.
    """

    def __init__(self, operands: Operands) -> None:
        self.operands = operands
        self.y: Tensor | None = None
        self.constant: Tensor | None = None
        self.statistics = Statistics()

    def begin(self) -> None:
        """Begin with the sum of another plan."""
        self.y = self.constant = None

    def observe(self, norms: Sequence[int], mean: Tensor, variance: Tensor, count: int) -> None:
        """Let the running statistics of norms follow a mean and an unbiased variance of ``count`` values, (c) each."""
        for norm in norms:
            self.statistics.add(self.operands.modules[norm], mean, variance, count)

    def add_constant(self, more: Tensor | None) -> None:
        """Add the same to every pixel, in the end."""
        if more is not None:
            self.constant = more if self.constant is None else self.constant + more

    def finish(self) -> Tensor:
        """The sum, complete: (n, h', w', c')."""
        assert self.y is not None, "a plan has terms"
        return self.y if self.constant is None else self.y.add_(self.constant)

    def place(self, part: Tensor, columns: Columns) -> None:
        """Add a sum of its own to some channels of this one."""
        if self.y is None:
            self.y = part.new_zeros(*part.shape[:3], columns.width)
        self.y[..., columns.first : columns.first + columns.count] += part


class Gradients:
    """The gradients of operands that are wanted; each is None until it is set.

    Args:
        operands: what the plans read.
        wants_mixing: whether the gradient of the mixing weights is wanted.
        wants_sources: of each source, whether its gradient is.
        wants_parameters: of each parameter, whether its gradient is.
    """

    def __init__(
        self,
        operands: Operands,
        wants_mixing: bool,
        wants_sources: Sequence[bool],
        wants_parameters: Sequence[bool],
    ) -> None:
        self.operands = operands
        self.wants_sources, self.wants_parameters = wants_sources, wants_parameters
        mixing, sources = operands.mixing, operands.sources
        self.mixing = torch.zeros_like(mixing) if wants_mixing and mixing is not None else None
        self.parameters: list[Tensor | None] = [None] * len(operands.parameters)
        self.sources: list[Tensor | None] = [None] * len(sources)
        self._images: list[Tensor | None] = [None] * len(sources)
        """The same as (n, c, h, w), no views: autograd adds in place only to what has no other owner."""
        self.written = (ctypes.c_int64 * len(sources))()
        """For each source, whether its gradient is written already."""
        if operands.uses_kernel:
            for number, source in enumerate(sources):
                if wants_sources[number]:
                    self._allocate_source(number, source)

    def _allocate_source(self, number: int, like: Tensor) -> None:
        """Memory for the gradient of a source, which the kernel writes to."""
        n, h, w, c = like.shape
        image = torch.empty((n, c, h, w), dtype=like.dtype, device=like.device, memory_format=torch.channels_last)
        self._images[number] = image
        self.sources[number] = image.permute(0, 2, 3, 1)

    def allocate(self, place: int) -> None:
        """Memory for the gradient of a parameter, where it is wanted."""
        parameter = self.operands.parameters[place]
        if parameter is not None and self.wants_parameters[place]:
            self.parameters[place] = torch.empty_like(parameter, memory_format=torch.contiguous_format)

    def wants_weight(self, module: int | None) -> bool:
        """Whether the gradient of a module's weight is wanted."""
        return module is not None and bool(self.wants_parameters[2 * module])

    def set_weight(self, module: int, gradient: Tensor) -> None:
        """Set the gradient of a module's weight, where it is wanted."""
        weight = self.operands.weight(module)
        if weight is not None and self.wants_parameters[2 * module]:
            self.parameters[2 * module] = gradient.view_as(weight)

    def set_bias(self, module: int, gradient: Tensor) -> None:
        """Set the gradient of a module's bias, where it is wanted."""
        if self.wants_parameters[2 * module + 1]:
            self.parameters[2 * module + 1] = gradient

    def set_share(self, term: TermPlan, gradient: Tensor | None) -> None:
        """Set the gradient of a term's weight, where it is wanted."""
        if self.mixing is not None and term.weight is not None and gradient is not None:
            self.mixing[term.weight] = gradient

    def add_source(self, number: int, gradient: Tensor) -> None:
        """Add a tensor (n, h, w, c) that nothing else holds to the gradient of a source."""
        to = self.sources[number]
        if to is not None and self.written[number]:
            to.add_(gradient)
            return
        self.sources[number], self._images[number] = gradient, gradient.permute(0, 3, 1, 2)
        self.written[number] = 1

    @property
    def images(self) -> list[Tensor | None]:
        """The gradients of sources as (n, c, h, w), of those that anything was written to."""
        return [image if written else None for image, written in zip(self._images, self.written, strict=True)]
