"""Weights of what was drawn, straight through: their values are those of the draw, their gradients those of soft ones.

A weight is hard + (soft - soft without gradient). What has a weight of one is passed through without work; what has a
weight of zero and runs all the same adds nothing to the output, keeps no graph, and gives its weight a gradient.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from compiler.backend.torch_modules.mixing import entries, joint, product
from compiler.backend.transfer import moved
from compiler.derivation.selected_path import SelectedStep
from compiler.derivation.selected_steps import Paths
from compiler.ir.payloads import Mix, Weigh
from compiler.ir.undecided import Var
from compiler.searcher.settings.relaxation import Idle

from .path_program import DrawnShare

Hard = Mapping[str, Mapping[int, float]]
"""The values of the weights by decision path and item; those of items that are left out are zero."""

Assignment = tuple[int, ...]


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """Weights of the values ``hard``, exactly, with the gradients of ``soft``."""
    return moved(hard.to(soft.dtype), soft.device) + (soft - soft.detach())


class Straight:
    """Passes the tensors of each choice through their weights.

    Args:
        weights: by decision path, (items) each.
        hard: their values, known to the CPU.
        paths: of the space.
        idle: what an item that does not run counts as.
    """

    def __init__(self, weights: Mapping[str, Tensor], hard: Hard, paths: Paths, idle: Idle = Idle.ZEROS) -> None:
        self.weights, self.hard, self.paths, self.idle = weights, hard, paths, idle
        self.known: dict[object, Tensor] = {}

    @property
    def is_positive(self) -> bool:
        """Whether no item that runs has weight zero."""
        return all(value for items in self.hard.values() for value in items.values())

    def __call__(self, step: SelectedStep, tensors: Sequence[Tensor]) -> Tensor:
        """The weighed sum of the tensors of a choice; an undecided width weighs the channels of one tensor."""
        match step.payload:
            case Weigh(decision=path, index=index):
                return self.weighed((path,), [[(index,)]], tensors)
            case Mix(decisions=paths):
                return self.mixed(step, paths, tensors)
        width = self.paths.nodes[step.index].shape.c
        assert isinstance(width, Var)
        return _passed(tensors[0], self.width(width, tensors[0].shape[1]))

    def mixed(self, step: SelectedStep, paths: tuple[str, ...], tensors: Sequence[Tensor]) -> Tensor:
        """The weighed sum of the items of a mix that run; with what is idle, if that counts."""
        rows, _ = self.paths.ways(step)
        return self._beside(self.weighed(paths, rows, tensors), [step])

    def mixing(self, shares: Sequence[DrawnShare]) -> Tensor:
        """The weights of the terms of a sum, (terms)."""
        key = tuple((share.decisions, share.row) for share in shares)
        if key not in self.known:
            self.known[key] = torch.stack([self.share(*each) for each in key])
        return self.known[key]

    def beside(self, total: Tensor, shares: Sequence[DrawnShare]) -> Tensor:
        """A sum of terms with these weights; with what is idle, if that counts."""
        return self._beside(total, dict.fromkeys(share.step for share in shares))

    def _beside(self, total: Tensor, steps: Iterable[SelectedStep]) -> Tensor:
        """A sum of the tensors of choices, with their idle items, if those count."""
        if self.idle is Idle.ZEROS:
            return total
        idle = [
            (step.payload.decisions, rest)
            for step in steps
            if isinstance(step.payload, Mix) and (rest := self.paths.ways(step)[1])
        ]
        if not idle:
            return total
        return _Beside.apply(total, torch.stack([self.share(*each) for each in idle]).sum())  # type: ignore[no-any-return]

    def weighed(
        self, paths: tuple[str, ...], rows: Sequence[Sequence[Assignment]], tensors: Sequence[Tensor]
    ) -> Tensor:
        """The sum of the tensors, each times the weight of its assignments; those of weight zero come last."""
        values = [sum(self.value(paths, way) for way in row) for row in rows]
        order = sorted(range(len(rows)), key=lambda at: values[at] == 0)
        total: Tensor | None = None
        for at in order:
            share, tensor = self.share(paths, rows[at]), tensors[at]
            if values[at] == 1.0:
                term = _passed(tensor, share)
            elif values[at] == 0.0:
                nothing = torch.zeros_like(tensor) if total is None else total
                total = _Gate.apply(nothing, tensor.detach(), share)
                continue
            else:
                term = tensor * share.to(tensor.dtype)
            total = term if total is None else total + term
        assert total is not None
        return total

    def value(self, paths: tuple[str, ...], way: Assignment) -> float:
        """The value of the weight of an assignment."""
        return prod(self.hard[path].get(item, 0.0) for path, item in zip(paths, way, strict=True))

    def share(self, paths: tuple[str, ...], row: Sequence[Assignment]) -> Tensor:
        """The weight of assignments, a scalar."""
        key = (paths, tuple(row))
        if key not in self.known and len(paths) == 1:
            self.known[key] = entries(self.weights[paths[0]], [item for (item,) in row]).sum()
        elif key not in self.known:
            ways = [product([self.weights[p][item] for p, item in zip(paths, way, strict=True)]) for way in row]
            self.known[key] = torch.stack(ways).sum()
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


def _passed(tensor: Tensor, share: Tensor) -> Tensor:
    weight = share.view(1, -1, *(1,) * (tensor.dim() - 2)).to(tensor.dtype)
    passed: Tensor = _Passed.apply(tensor, weight)
    return passed


class _Passed(torch.autograd.Function):
    """A tensor times a weight that is one: no work forwards; backwards the weight has its gradient."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, weight: Tensor) -> Tensor:
        """The tensor."""
        ctx.save_for_backward(tensor)
        ctx.shape = weight.shape
        return tensor.view_as(tensor)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None]:
        """The gradient itself, and its product with the tensor."""
        (tensor,) = ctx.saved_tensors
        weight = _product(gradient, tensor, ctx.shape) if ctx.needs_input_grad[1] else None
        return gradient, weight


def _product(a: Tensor, b: Tensor, shape: torch.Size) -> Tensor:
    """The sum of a product in a shape that broadcasts to it; that of two images in one number stores no product."""
    if shape.numel() == 1 and a.dim() == 4 and a.device.type == "cpu" and a.dtype in (torch.float32, torch.float64):
        rows, others = (x.permute(0, 2, 3, 1).reshape(-1) for x in (a, b))
        return torch.dot(rows, others).view(shape)
    return (a * b).sum_to_size(shape)


class _Gate(torch.autograd.Function):
    """A total, to which a tensor is added with a weight that is zero: backwards that weight has its gradient."""

    @staticmethod
    def forward(ctx: Any, total: Tensor, tensor: Tensor, weight: Tensor) -> Tensor:
        """The total."""
        ctx.save_for_backward(tensor)
        ctx.dtype = weight.dtype
        return total.view_as(total)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor | None]:
        """The gradient itself, and its product with the tensor."""
        (tensor,) = ctx.saved_tensors
        return gradient, None, (gradient * tensor).sum().to(ctx.dtype) if ctx.needs_input_grad[2] else None


class _Beside(torch.autograd.Function):
    """A total, to which a weight that is zero is added as a number: its gradient is the sum of that of the total."""

    @staticmethod
    def forward(ctx: Any, total: Tensor, weight: Tensor) -> Tensor:
        """The total."""
        ctx.dtype = weight.dtype
        return total.view_as(total)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient itself, and its sum."""
        return gradient, gradient.sum().to(ctx.dtype)
