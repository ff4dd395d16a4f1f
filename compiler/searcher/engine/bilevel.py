"""The two gradients of bilevel search, and the steps that an iteration is made of.

Per iteration, in train mode: the alpha step on a batch of the alpha half; one further alpha step on the preferences,
with the same optimizer, where they stand apart; the weight step on a batch of the weight half. Second order is DARTS's
equation 7 (Liu et al., ICLR 2019), without the faults of the released programs (docs/hdas.md lists them).

Running statistics of batch norms are moved by the forward pass of the weight step alone. The passes of an alpha step
see other data, or displaced weights, and compute with batch statistics anyway; they leave every buffer as it was. So
the statistics, like the weights, depend on the weight half only, and the accuracy on the alpha half stays a fair score.

Each pass takes the gradient of the weights or of the alphas, and autograd records only what that gradient needs. One
pass of a second-order step takes both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from compiler.searcher.engine.state.seeds import Randomness

from .alignment import Alignment
from .freeze import Freezing
from .gradients import PLAIN, Gradients, frozen

Loss = Callable[[], Tensor]
"""Computes a loss at the present weights and alphas."""


@dataclass(frozen=True)
class Descent:
    """The lookahead step of second order, that of SGD: ``w - rate * (momentum m + gradient + decay w)``."""

    rate: float
    momentum: float = 0.0
    decay: float = 0.0
    buffers: Sequence[Tensor | None] = ()
    """The momentum buffer m of each weight; None, or none at all, is zero."""

    @classmethod
    def of(cls, optimizer: Optimizer, weights: Sequence[nn.Parameter]) -> Descent:
        """The step that an SGD optimizer would take now."""
        group = optimizer.param_groups[0]
        buffers = [optimizer.state[w].get("momentum_buffer") if w in optimizer.state else None for w in weights]
        return cls(group["lr"], group["momentum"], group["weight_decay"], buffers)

    def ahead(self, weights: Sequence[Tensor], gradients: Sequence[Tensor]) -> list[Tensor]:
        """The weights after the step along ``gradients``."""
        direction = list(torch._foreach_add(list(gradients), list(weights), alpha=self.decay))
        for step, buffer in zip(direction, self.buffers, strict=False):
            if buffer is not None:
                step.add_(buffer, alpha=self.momentum)
        return list(torch._foreach_add(list(weights), direction, alpha=-self.rate))


def first_order(
    alpha_loss: Loss, alphas: Sequence[Tensor], gradient: Gradients = PLAIN, weights: Sequence[Tensor] = ()
) -> list[Tensor]:
    """The gradient of the alpha loss in the alphas at the current ``weights``, which take no gradient."""
    with frozen(weights):
        return gradient(alpha_loss(), alphas)


def second_order(
    alpha_loss: Loss,
    weight_loss: Loss,
    alphas: Sequence[Tensor],
    weights: Sequence[Tensor],
    descent: Descent,
    gradient: Gradients = PLAIN,
    radius: float = 0.01,
) -> list[Tensor]:
    """The gradient in the alphas of the alpha loss A after one step of the weights down the weight loss W.

    dA(w', a)/da - rate * (dW(w + eps v, a)/da - dW(w - eps v, a)/da) / (2 eps), where w' is w after the step,
    v = dA/dw' at w' and eps = radius / |v|. The three passes of the weight loss draw the same random numbers: else the
    difference of two of them, over so small an eps, would be noise. The weights are left as they were, to the bit.
    """
    device = weights[0].device
    present = [weight.detach().clone() for weight in weights]
    draw = Randomness.now(device)
    try:
        with frozen(alphas):
            slopes = gradient(weight_loss(), weights)
        _assign(weights, descent.ahead(present, slopes))
        both = gradient(alpha_loss(), [*alphas, *weights])
        direct, v = both[: len(alphas)], both[len(alphas) :]
        norm = torch.stack(torch._foreach_norm(v)).norm()
        eps = radius / norm.clamp_min(torch.finfo(norm.dtype).tiny)
        sides = []
        for side in (eps, -eps):
            _assign(weights, torch._foreach_add(present, torch._foreach_mul(v, side)))
            draw.again(device)
            sides.append(first_order(weight_loss, alphas, gradient, weights))
    finally:
        _assign(weights, present)
    return [g - descent.rate * (p - m) / (2 * eps) for g, p, m in zip(direct, *sides, strict=True)]


@torch.no_grad()
def _assign(targets: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    torch._foreach_copy_(list(targets), list(values))


class PreservedBuffers:
    """A context that restores a module's buffers when it ends.

    They are copied type by type, each in one kernel, since a supernet has thousands of them.
    """

    def __init__(self, module: nn.Module) -> None:
        by_type: dict[torch.dtype, list[Tensor]] = {}
        for buffer in module.buffers():
            by_type.setdefault(buffer.dtype, []).append(buffer)
        self.groups = [(buffers, [torch.empty_like(buffer) for buffer in buffers]) for buffers in by_type.values()]

    def __enter__(self) -> None:
        for buffers, saved in self.groups:
            _assign(saved, buffers)

    def __exit__(self, *error: object) -> None:
        for buffers, saved in self.groups:
            _assign(buffers, saved)


@dataclass(frozen=True)
class Optimized:
    """Parameters and the optimizer that moves them; ``clip`` is the norm that gradients are clipped to, 0 for none."""

    parameters: Sequence[nn.Parameter]
    optimizer: Optimizer
    clip: float = 0.0


class Bilevel:
    """The steps on weights and alphas, each with its own optimizer, which never sees the other's parameters.

    Args:
        module: the network; its buffers change in weight steps only.
        weights: the weights, moved by `weight_step`.
        alphas: the alphas, moved by `alpha_step` and `preference_step`.
        second: whether alpha steps take the second-order gradient.
        gradient: takes gradients, averaged over processes.
        freezing: the operations whose weights no longer move.
    """

    def __init__(
        self,
        module: nn.Module,
        weights: Optimized,
        alphas: Optimized,
        *,
        second: bool = False,
        gradient: Gradients = PLAIN,
        freezing: Freezing | None = None,
    ) -> None:
        self.freezing = freezing
        self.kept = PreservedBuffers(module)
        self.weights, self.alphas = weights, alphas
        self.second, self.gradient = second, gradient

    def alpha_step(self, alpha_loss: Loss, weight_loss: Loss) -> None:
        """Move the alphas down the alpha loss; ``weight_loss``, of the iteration's other batch, is for second order."""
        alphas, weights = self.alphas.parameters, self.weights.parameters
        with self.kept:
            if self.second:
                descent = Descent.of(self.weights.optimizer, weights)
                found = second_order(alpha_loss, weight_loss, alphas, weights, descent, self.gradient)
            else:
                watched = self.freezing.watched if self.freezing else []
                seen = {id(weight) for weight in watched}
                others = [weight for weight in weights if id(weight) not in seen]
                found = first_order(alpha_loss, [*alphas, *watched], self.gradient, others)
        move(self.alphas, found[: len(alphas)], self.gradient)
        if self.freezing:
            self.freezing.compare(found[len(alphas) :])

    def joint_step(self, loss: Loss) -> None:
        """Move weights and alphas by one backward pass down one loss (SNAS); buffers follow its forward pass."""
        alphas, weights = self.alphas.parameters, self.weights.parameters
        found = self.gradient(loss(), [*alphas, *weights])
        move(self.alphas, found[: len(alphas)], self.gradient)
        move(self.weights, found[len(alphas) :], self.gradient)

    def preference_step(self, preferences: Mapping[str, Tensor]) -> None:
        """Move the alphas down the sum of the preferences; without any, do nothing, for Adam moves on zeros too.

        It is a step of the whole optimizer: an alpha that no preference mentions takes it with gradient zero.
        """
        if preferences:
            move(self.alphas, self.gradient(total(preferences), self.alphas.parameters), self.gradient)

    def weight_step(self, *losses: Loss, factor: float = 1.0, alignment: Alignment | None = None) -> None:
        """Move the weights down ``factor`` times the sum of losses, one backward pass each; alphas take no gradient.

        A weight that no loss uses, or that is frozen, does not move, not even by decay. An ``alignment`` adds its own
        gradient; its passes draw the random numbers of the first pass, and leave buffers as they are.
        """
        resting = self.freezing.resting if self.freezing else set()
        moving = [weight for weight in self.weights.parameters if id(weight) not in resting]
        more: list[Tensor | None] = []
        with frozen([*self.alphas.parameters, *(w for w in self.weights.parameters if id(w) in resting)]):
            if alignment:
                found, more = alignment.gradients(losses[0], moving, self.kept, self.gradient)
            else:
                found = list(self.gradient.used(losses[0](), moving))
            for loss in losses[1:]:
                found = [_sum(*pair) for pair in zip(found, self.gradient.used(loss(), moving), strict=True)]
        if factor != 1.0:
            found = [None if gradient is None else factor * gradient for gradient in found]
        of = dict(zip(map(id, moving), found, strict=True))
        if self.freezing:
            self.freezing.remember(of)
        of |= {id(weight): _sum(of[id(weight)], added) for weight, added in zip(moving, more, strict=False)}
        move(self.weights, [of.get(id(weight)) for weight in self.weights.parameters], self.gradient)


def _sum(one: Tensor | None, other: Tensor | None) -> Tensor | None:
    """The sum of two gradients; None is that of a loss which does not use the weight."""
    return other if one is None else one if other is None else one + other


def total(preferences: Mapping[str, Tensor]) -> Tensor:
    """The sum of the preferences."""
    return torch.stack([term.reshape(()) for term in preferences.values()]).sum()


def descend(loss: Tensor, weights: Optimized, gradient: Gradients = PLAIN) -> None:
    """One step of an optimizer down a loss; a weight that the loss does not use does not move, not even by decay."""
    move(weights, gradient.used(loss, weights.parameters), gradient)


def move(moved: Optimized, gradients: Sequence[Tensor | None], gradient: Gradients) -> None:
    """One step of an optimizer along given gradients, clipped to a total norm where that is asked for."""
    if not gradient.scale.usable(gradients):
        return
    for parameter, found in zip(moved.parameters, gradients, strict=True):
        parameter.grad = found
    if moved.clip:
        clip_grad_norm_(moved.parameters, moved.clip)
    moved.optimizer.step()
    moved.optimizer.zero_grad(set_to_none=True)
