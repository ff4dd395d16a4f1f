"""Hard Gumbel-softmax: one architecture runs; the alphas learn from the softmax of noisy alphas, straight through.

Jang, Gu, Poole, "Categorical Reparameterization with Gumbel-Softmax" (ICLR 2017). The weights of what runs are one,
and their gradient is that of the soft ones, as in GDAS (Dong and Yang, "Searching for a Robust Neural Architecture in
Four GPU Hours", CVPR 2019). Unlike there, picks are drawn too: what runs is an architecture of the space, never one
with `none`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from compiler.backend.torch_modules.mixing import joint
from compiler.derivation.selected_steps import SelectedStep
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.ir.payloads import Mix, Weigh
from compiler.ir.undecided import Var
from compiler.searcher.settings.derivation import Derivation

from .axes import Axes
from .draws import Logits
from .mixtures import Temperature
from .single_path import OnePath
from .weights import mixing, one_hot


class HardGumbel(OnePath):
    """One architecture runs a pass, and the alphas learn from its weights, which are one.

    The gradient of a weight of what did not run is zero, as if it had computed zeros. The weight of a width that is
    undecided stands at each of its channels.

    Args:
        space: an elaborated network with choices.
        temperature: what the noisy alphas are divided by.
        init: standard deviation of the normal distribution that the alphas start from.
        derive: the rule by which the leading architecture is found.
        axes: over how many epochs schedules go.
    """

    def __init__(
        self,
        space: Elaborated,
        temperature: Temperature,
        init: float = 1e-3,
        derive: Derivation | None = None,
        axes: Axes | None = None,
    ) -> None:
        super().__init__(space, init=init, derive=derive, axes=axes)
        self.temperature = temperature

    def anneal(self, epoch: float) -> None:
        """Set the temperature to that of an epoch."""
        super().anneal(epoch)
        self.temperature.epoch = epoch

    def forward(self, images: Tensor, chosen: Selection | None = None) -> Tensor:
        """Logits ``[n, classes]`` of images, under weights that are drawn anew or given."""
        if chosen is not None or not self.training:
            return super().forward(images, chosen)
        draw = self.draw(self.logits())
        if not any(values.requires_grad for values in draw.noisy.values()):
            return super().forward(images, draw.chosen)
        heat = self.temperature()
        soft = {path: mixing(self.space.decisions[path], values / heat) for path, values in draw.noisy.items()}
        return self.straight(images, draw.chosen, soft)

    def straight(self, images: Tensor, chosen: Selection, soft: Mapping[str, Tensor]) -> Tensor:
        """Logits of an architecture, whose weights are one and have the gradients of the soft ones."""
        weights = {path: hard.to(images) for path, hard in one_hot(self.space.decisions, chosen).items()}
        for path, values in soft.items():
            weights[path] = weights[path].to(values) + (values - values.detach())
        return self.operations(images, chosen, _Weights(weights, self))


class _Weights:
    """Passes each choice's tensor through its weight, which is one."""

    def __init__(self, weights: Logits, relaxed: HardGumbel) -> None:
        self.weights, self.paths = weights, relaxed.operations.paths
        self.known: dict[object, Tensor] = {}

    def __call__(self, step: SelectedStep, tensor: Tensor) -> Tensor:
        """The temperature of now."""
        match step.payload:
            case Weigh(decision=path) if self.paths.decisions[path].candidates:
                return tensor
            case Weigh(decision=path, index=index):
                share = self.share((path,), ((index,),))
            case Mix(decisions=paths, rows=rows):
                share = self.share(paths, rows[self.paths.sources[step.index].index(step.sources[0])])
            case _:
                width = self.paths.nodes[step.index].shape.c
                assert isinstance(width, Var)
                share = self.width(width, tensor.shape[1])
        return _Passed.apply(tensor, share.view(1, -1, *(1,) * (tensor.dim() - 2)).to(tensor.dtype))  # type: ignore[no-any-return]

    def share(self, paths: tuple[str, ...], row: tuple[tuple[int, ...], ...]) -> Tensor:
        """The weight of one input of a mix."""
        key = (paths, row)
        if key not in self.known:
            shares = [
                torch.stack([self.weights[p][item] for p, item in zip(paths, way, strict=True)]).prod() for way in row
            ]
            self.known[key] = torch.stack(shares).sum()
        return self.known[key]

    def width(self, width: Var[int], channels: int) -> Tensor:
        """The weights of channels: the share of the widths that reach each."""
        key = (width, channels)
        if key not in self.known:
            every = joint([self.weights[path] for path in width.decisions])
            at = torch.arange(channels, device=every.device)
            reach = torch.stack([(at < int(value)).to(every.dtype) for value in width.values])
            self.known[key] = (every.unsqueeze(1) * reach).sum(0)
        return self.known[key]


class _Passed(torch.autograd.Function):
    """A tensor times a weight that is one: no work forwards; backwards the weight has its gradient."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, weight: Tensor) -> Tensor:
        """Logits ``[n, classes]`` of images, under weights that are drawn anew or given."""
        ctx.save_for_backward(tensor)
        ctx.shape = weight.shape
        return tensor.view_as(tensor)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        (tensor,) = ctx.saved_tensors
        weight = (gradient * tensor).sum_to_size(ctx.shape) if ctx.needs_input_grad[1] else None
        return gradient, weight
