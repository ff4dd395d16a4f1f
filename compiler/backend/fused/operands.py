"""Programs bound to tensors: what their terms read, and where their results and gradients go."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from compiler.backend.torch_modules.running_statistics import ColumnsOfNorm, Statistics

from . import kernel
from .program import Step

Holder: TypeAlias = "nn.Module | ColumnsOfNorm"
"""A convolution, a batch norm or some of its channels, or a pool: what may hold parameters and statistics."""


def parameters_of(holders: Sequence[Holder]) -> list[Tensor | None]:
    """A weight and a bias, or None, for each holder."""
    found: list[Tensor | None] = []
    for holder in holders:
        # Asking a module for what it has not is slow, and there are many.
        have = holder._parameters if isinstance(holder, nn.Module) else {"weight": holder.weight, "bias": holder.bias}
        found += have.get("weight"), have.get("bias")
    return found


def channels_last(x: Tensor) -> Tensor:
    """(n, c, h, w) as (n, h, w, c) of dense rows of pixels, without a copy where x lies so."""
    x = x.permute(0, 2, 3, 1)
    return x if kernel.pitch(x) else x.contiguous()


def rows(x: Tensor) -> Tensor:
    """(n, h, w, c) as (n h w, c)."""
    return x.reshape(-1, x.shape[-1])


class Bound:
    """Programs at given tensors; ``parameters`` are those of the holders.

    Forward, ``y`` is the sum so far and ``constant`` what is still to be added to each pixel of it. Backward, ``to_*``
    hold the gradients.
    """

    def __init__(
        self,
        holders: Sequence[Holder],
        mixing: Tensor | None,
        sources: Sequence[Tensor],
        parameters: Sequence[Tensor | None],
        batch: Sequence[bool],
        serves: bool,
    ) -> None:
        self.holders, self.sources, self.parameters = holders, sources, parameters
        self.mixing = None if mixing is None else mixing.contiguous()
        self.batch = batch
        """Whether each holder is a norm that takes the statistics of the batch."""
        self.serves = serves
        """Whether the kernel computes with these tensors."""
        self.pitches = [kernel.pitch(source) for source in sources]
        self.statistics = Statistics()
        self.y: Tensor | None = None
        self.constant: Tensor | None = None
        self.to_mixing: Tensor | None = None
        self.to_sources: list[Tensor | None] = [None] * len(sources)
        self._images: list[Tensor | None] = [None] * len(sources)
        """The same as (n, c, h, w), no views: autograd adds in place only to what has no other owner."""
        self.there = (ctypes.c_int64 * len(sources))()
        """Whether anything is written to them yet."""
        self.to_parameters: list[Tensor | None] = [None] * len(parameters)
        self.wants_sources: Sequence[bool] = ()
        self.wants_parameters: Sequence[bool] = ()

    # ------------------------------------------------------------ what is read

    def weight(self, holder: int | None) -> Tensor | None:
        return None if holder is None else self.parameters[2 * holder]

    def bias(self, holder: int) -> Tensor | None:
        return self.parameters[2 * holder + 1]

    def share(self, step: Step) -> Tensor | None:
        if step.weight is None:
            return None
        assert self.mixing is not None
        return self.mixing[step.weight]

    def eps(self, norm: int | None) -> float:
        return 0.0 if norm is None else self.holders[norm].eps  # type: ignore[return-value]

    # ------------------------------------------------------------ what is written

    def begin(self) -> None:
        """Begin with the sum of another program."""
        self.y = self.constant = None

    def begin_backward(
        self, wants_mixing: bool, wants_sources: Sequence[bool], wants_parameters: Sequence[bool]
    ) -> None:
        """Which gradients are wanted; the kernel gets places for those of sources."""
        self.wants_sources, self.wants_parameters = wants_sources, wants_parameters
        for source, wants in enumerate(wants_sources):
            if wants and self.serves:
                self._space_of_source(source)
        if wants_mixing and self.mixing is not None:
            self.to_mixing = torch.zeros_like(self.mixing)

    def observe(self, norms: Sequence[int], mean: Tensor, variance: Tensor, count: int) -> None:
        """Let the running statistics of norms follow a mean and an unbiased variance of ``count`` values."""
        for norm in norms:
            self.statistics.add(self.holders[norm], mean, variance, count)

    def wants(self, holder: int | None) -> bool:
        """Whether the gradient of a holder's weight is wanted."""
        return holder is not None and bool(self.wants_parameters[2 * holder])

    def space(self, place: int) -> None:
        """Make a place for the gradient of a parameter, where it is wanted."""
        parameter = self.parameters[place]
        if parameter is not None and self.wants_parameters[place]:
            self.to_parameters[place] = torch.empty_like(parameter, memory_format=torch.contiguous_format)

    def give(self, holder: int | None, gradient: Tensor) -> None:
        """Set the gradient of a holder's weight, where it is wanted."""
        weight = self.weight(holder)
        if holder is not None and weight is not None and self.wants_parameters[2 * holder]:
            self.to_parameters[2 * holder] = gradient.view_as(weight)

    def give_bias(self, holder: int, gradient: Tensor) -> None:
        """Set the gradient of a holder's bias, where it is wanted."""
        if self.wants_parameters[2 * holder + 1]:
            self.to_parameters[2 * holder + 1] = gradient

    def give_share(self, step: Step, gradient: Tensor | None) -> None:
        """Set the gradient of a term's weight, where it is wanted."""
        if self.to_mixing is not None and step.weight is not None and gradient is not None:
            self.to_mixing[step.weight] = gradient

    def _space_of_source(self, source: int) -> None:
        like = self.sources[source]
        n, h, w, c = like.shape
        image = torch.empty((n, c, h, w), dtype=like.dtype, device=like.device, memory_format=torch.channels_last)
        self._images[source] = image
        self.to_sources[source] = image.permute(0, 2, 3, 1)

    def give_source(self, source: int, gradient: Tensor) -> None:
        """Add to the gradient of a source a tensor that nothing else holds."""
        to = self.to_sources[source]
        if to is not None and self.there[source]:
            to.add_(gradient)
            return
        self.to_sources[source], self._images[source] = gradient, gradient.permute(0, 3, 1, 2)
        self.there[source] = 1

    @property
    def to_images(self) -> list[Tensor | None]:
        """The gradients of sources as (n, c, h, w), of those that were given any."""
        return [image if there else None for image, there in zip(self._images, self.there, strict=True)]
