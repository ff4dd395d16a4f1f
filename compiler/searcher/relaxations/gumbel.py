"""Gumbel-softmax: the softmax of the alphas plus noise, divided by a temperature; every pass draws anew.

Jang, Gu, Poole, "Categorical Reparameterization with Gumbel-Softmax" (ICLR 2017). Soft, every item runs and is weighed,
as in FBNet (Wu et al., CVPR 2019). Hard, only one architecture runs; its weights are one, and their gradient is that of
the soft ones (straight through), as in GDAS (Dong and Yang, "Searching for a Robust Neural Architecture in Four GPU
Hours", CVPR 2019). Unlike there, picks are drawn too: what runs is an architecture of the space, never one with `none`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from compiler.backend.passes import Target
from compiler.backend.torch_modules.mixing import joint
from compiler.derivation.selected_steps import SelectedStep
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.ir.payloads import Mix, Weigh
from compiler.ir.undecided import Var
from compiler.searcher.settings.derivation import Derivation
from compiler.searcher.settings.schedules import Schedule

from .draws import Logits, noise
from .single_path import OnePath
from .softmax import Supernet
from .weights import mixing, one_hot


class Temperature:
    """A temperature that follows a schedule over so many epochs."""

    def __init__(self, schedule: Schedule, epochs: int) -> None:
        self.schedule, self.epochs, self.epoch = schedule, epochs, 0.0

    def __call__(self) -> float:
        """The temperature of now."""
        return self.schedule.at(self.epoch, self.epochs)


class SoftGumbel(Supernet):
    """Every choice is the sum of its items, weighed by a Gumbel-softmax. In eval mode, by the softmax of the alphas.

    Args:
        space: an elaborated network with choices.
        temperature: what the noisy alphas are divided by.
        init: standard deviation of the normal distribution that the alphas start from.
        derive: the rule by which the leading architecture is found.
        target: the machine, its memory and the batch; by default this machine's CPU.

    Raises:
        HspError: when the space cannot be relaxed by mixing.
    """

    def __init__(
        self,
        space: Elaborated,
        temperature: Temperature,
        init: float = 1e-3,
        derive: Derivation | None = None,
        target: Target | None = None,
    ) -> None:
        super().__init__(space, init=init, derive=derive, target=target)
        self.temperature = temperature

    def anneal(self, epoch: float) -> None:
        """Set the temperature to that of an epoch."""
        self.temperature.epoch = epoch

    def forward(self, images: Tensor, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """Logits ``[n, classes]`` of images, under weights that are drawn anew or given."""
        if weights is None and self.training:
            alphas, decisions = self.alphas, self.space.decisions
            shift, heat = noise(decisions, alphas), self.temperature()
            weights = {path: mixing(decisions[path], (alpha + shift[path]) / heat) for path, alpha in alphas.items()}
        return super().forward(images, weights)


class HardGumbel(OnePath):
    """One architecture runs a pass, and the alphas learn from its weights, which are one.

    The gradient of a weight of what did not run is zero, as if it had computed zeros. The weight of a width that is
    undecided stands at each of its channels.

    Args:
        space: an elaborated network with choices.
        temperature: what the noisy alphas are divided by.
        init: standard deviation of the normal distribution that the alphas start from.
        derive: the rule by which the leading architecture is found.
    """

    def __init__(
        self, space: Elaborated, temperature: Temperature, init: float = 1e-3, derive: Derivation | None = None
    ) -> None:
        super().__init__(space, init=init, derive=derive)
        self.temperature = temperature

    def anneal(self, epoch: float) -> None:
        """Set the temperature to that of an epoch."""
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
