"""Zero-cost proxies from their formulas, on a network of one cell of NAS-Bench-201 that is written out here.

By other ways than the compiler's: plain functions of a dictionary of tensors, whole Jacobians and Hessians, loops.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import count

import torch
from torch import Tensor
from torch.autograd import functional
from torch.nn import functional as F

Tensors = Mapping[str, Tensor]
EPS = 1e-5


def jacobian(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    found: Tensor = functional.jacobian(function, at)  # type: ignore[no-untyped-call]
    return found


def hessian(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    found: Tensor = functional.hessian(function, at)  # type: ignore[no-untyped-call]
    return found


@dataclass
class Seen:
    """What a pass through the network leaves."""

    relus: list[Tensor] = field(default_factory=list)
    """What enters each."""
    layers: dict[str, Tensor] = field(default_factory=dict)
    """What each layer with weights answers, by the name of the weights."""
    norms: list[Tensor] = field(default_factory=list)
    """What enters each."""
    maps: Tensor = field(default_factory=lambda: torch.zeros(()))
    """What is pooled at the end."""
    added: Tensors = field(default_factory=dict)
    """What is added to answers of layers."""


def forward(tensors: Tensors, image: Tensor, seen: Seen | None = None, norms: bool = True) -> Tensor:
    """The stem; a cell with conv 3x3 to node 1, a skip and conv 1x1 to node 2, a pool, none and a skip to the last."""
    seen = seen or Seen()
    names = count()

    def norm(x: Tensor) -> Tensor:
        at = next(names)
        seen.norms.append(x)
        if not norms:
            return x
        mean, var = x.mean((0, 2, 3), keepdim=True), x.var((0, 2, 3), correction=0, keepdim=True)
        shape = (1, -1, 1, 1)
        scaled = (x - mean) / (var + EPS).sqrt()
        return scaled * tensors[f"norm{at}.weight"].view(shape) + tensors[f"norm{at}.bias"].view(shape)

    def relu(x: Tensor) -> Tensor:
        seen.relus.append(x)
        return x.clamp(min=0)

    def layer(name: str, answer: Tensor) -> Tensor:
        seen.layers[name] = answer = answer + seen.added.get(name, torch.zeros((), dtype=answer.dtype))
        return answer

    def conv(name: str, x: Tensor, k: int) -> Tensor:
        return layer(name, F.conv2d(x, tensors[name], padding=k // 2))

    x = norm(conv("stem", image, 3))
    first = norm(conv("conv3", relu(x), 3))
    second = x + norm(conv("conv1", relu(first), 1))
    last = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False) + second
    seen.maps = relu(norm(last))
    return layer("linear", seen.maps.mean((2, 3)) @ tensors["linear"].T + tensors["bias"])


WEIGHTS = ("stem", "conv3", "conv1", "linear")


def loss(tensors: Tensors, images: Tensor, labels: Tensor, seen: Seen | None = None) -> Tensor:
    logits = forward(tensors, images, seen)
    chosen = logits[torch.arange(len(labels)), labels]
    return (logits.exp().sum(1).log() - chosen).mean()


def of_weights(function: Callable[[Tensors], Tensor], tensors: Tensors) -> tuple[Callable[[Tensor], Tensor], Tensor]:
    """The function as one of all weights in a row, and these."""
    shapes = [tensors[name].shape for name in WEIGHTS]

    def run(flat: Tensor) -> Tensor:
        parts = flat.split([shape.numel() for shape in shapes])
        named = {name: part.view(shape) for name, part, shape in zip(WEIGHTS, parts, shapes, strict=True)}
        return function({**tensors, **named})

    return run, torch.cat([tensors[name].flatten() for name in WEIGHTS])


def gradients(tensors: Tensors, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    def with_one(name: str, value: Tensor) -> Tensor:
        return loss({**tensors, name: value}, images, labels)

    return {name: jacobian(partial(with_one, name), tensors[name]) for name in WEIGHTS}


def grad_norm(tensors: Tensors, images: Tensor, labels: Tensor) -> float:
    return sum(float(g.square().sum().sqrt()) for g in gradients(tensors, images, labels).values())


def snip(tensors: Tensors, images: Tensor, labels: Tensor) -> float:
    return sum(float((tensors[name] * g).abs().sum()) for name, g in gradients(tensors, images, labels).items())


def grasp(tensors: Tensors, images: Tensor, labels: Tensor) -> float:
    run, flat = of_weights(lambda changed: loss(changed, images, labels), tensors)
    return float(-flat @ hessian(run, flat) @ jacobian(run, flat))


def synflow(tensors: Tensors, images: Tensor, labels: Tensor) -> float:
    """Each layer's sum of w dR/dw is R's homogeneous part in it: here by differences, since R is linear in each layer.

    R(2w) - R(w) = w dR/dw where R is linear in w and constant apart from it.
    """
    plain = {name: value.abs() for name, value in tensors.items()}
    image = torch.ones_like(images[:1])

    def total(named: Tensors) -> float:
        return float(forward(named, image, norms=False).sum())

    return sum(total({**plain, name: 2 * plain[name]}) - total(plain) for name in WEIGHTS)


def naswot(tensors: Tensors, images: Tensor, labels: Tensor) -> float:
    seen = Seen()
    forward(tensors, images, seen)
    codes = torch.cat([(x > 0).flatten(1) for x in seen.relus], 1)
    alike = torch.tensor([[float((a == b).sum()) for b in codes] for a in codes], dtype=torch.float64)
    most = float(alike.max())
    return math.log(float(torch.linalg.det(alike / most))) + len(codes) * math.log(most)


def jacob_cov(tensors: Tensors, images: Tensor, labels: Tensor) -> float:
    rows = jacobian(lambda x: forward(tensors, x).sum(0), images).sum(0).flatten(1)
    values: list[float] = torch.linalg.svdvals(torch.corrcoef(rows)).tolist()
    return -sum(math.log(v + 1e-5) + 1 / (v + 1e-5) for v in values)


def fisher(tensors: Tensors, images: Tensor, labels: Tensor) -> float:
    """By channel, of a gate z on the channel of one image: dL/dz at 1, squared, halved, the mean over images."""
    plain = Seen()
    loss(tensors, images, labels, plain)
    found = 0.0
    for name, answer in plain.layers.items():
        shape = answer.shape[:2]

        def gated(z: Tensor, name: str = name, answer: Tensor = answer) -> Tensor:
            change = (z - 1).view(*z.shape, *[1] * (answer.dim() - 2)) * answer.detach()
            return loss(tensors, images, labels, Seen(added={name: change}))

        gates = jacobian(gated, torch.ones(shape, dtype=answer.dtype))
        found += float((gates**2).sum() / 2 / len(images))
    return found


def zen(tensors: Tensors, first: Tensor, other: Tensor) -> float:
    seen, moved = Seen(), Seen()
    forward(tensors, first, seen)
    forward(tensors, first + 0.01 * other, moved)
    distance = sum(float((a - b).abs().sum()) for a, b in zip(seen.maps, moved.maps, strict=True)) / len(first)
    scales = [x.var((0, 2, 3), correction=0).mean().sqrt().log().item() for x in seen.norms]
    return math.log(distance) + sum(scales)
