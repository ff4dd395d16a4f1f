"""How far two lowerings are apart: outputs, every gradient by name, running statistics.

A difference is the largest of a tensor's, relative to the tensor's largest magnitude. A tensor that ought to be zero
holds rounding alone (a bias in front of a norm has no gradient), so a tensor's magnitude counts as at least a
millionth of the largest of its group. How far rounding alone goes is also measured: by the naive lowering with the same
images in reverse.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from enum import StrEnum
from statistics import mean

import torch
from contender import Case, Contender, Ours, build_supernet, named_tensors, random_batch
from pydantic import BaseModel
from torch import Tensor
from torch.nn.functional import cross_entropy

from compiler.elaborate import Elaborated


class Group(StrEnum):
    """What a tensor is."""

    OUTPUT = "output"
    INPUT = "gradient of the input"
    WEIGHT = "gradients of weights"
    ALPHA = "gradients of alphas"
    STATISTIC = "running statistics"


Tensors = Mapping[Group, Mapping[str, Tensor]]


class Worst(BaseModel):
    """The tensor of a group that differs most, and the mean of all."""

    largest: float
    name: str
    mean: float
    tensors: int


class Rounding(BaseModel):
    """The float32 error of each lowering against the naive one in float64; ``ratio`` is optimised / naive."""

    naive: Worst
    optimised: Worst
    ratio: float
    mean_ratio: float


class Equality(BaseModel):
    """``float64``: optimised against naive. ``largest`` is the largest of its differences.

    ``reverse``: naive on images in reverse against naive.
    """

    batch: int
    largest: float
    float64: dict[Group, Worst]
    reverse: dict[Group, Worst]
    float32: dict[Group, Rounding]


def equality(case: Case, batch: int) -> Equality:
    """Compare the lowerings of a case on some images, from the same weights, statistics and alphas."""
    space = case.elaborated()
    torch.manual_seed(2)
    naive, optimised = Contender(case=case, kind=Ours.NAIVE), Contender(case=case, kind=Ours.OPTIMISED)
    state = {name: tensor.clone() for name, tensor in build_supernet(naive, space, init=1.0).state_dict().items()}
    exact = _values(naive, space, state, batch, torch.float64)
    double = differences(_values(optimised, space, state, batch, torch.float64), exact)
    reverse = differences(_values(naive, space, state, batch, torch.float64, reverse=True), exact)
    single = differences(_values(naive, space, state, batch, torch.float32), exact)
    ours = differences(_values(optimised, space, state, batch, torch.float32), exact)
    return Equality(
        batch=batch,
        largest=max(worst.largest for worst in double.values()),
        float64=double,
        reverse=reverse,
        float32={group: _rounding(single[group], ours[group]) for group in exact},
    )


def differences(found: Tensors, expected: Tensors) -> dict[Group, Worst]:
    """The differences of each group; both must have the same tensors."""
    result: dict[Group, Worst] = {}
    for group, tensors in expected.items():
        if tensors.keys() != found[group].keys():
            raise ValueError(f"{group.value}: {sorted(tensors.keys() ^ found[group].keys())[:4]} are in one only")
        sizes = {name: float(tensor.abs().max()) for name, tensor in tensors.items()}
        floor = max(max(sizes.values()) * 1e-6, torch.finfo(torch.float64).tiny)
        apart = {
            name: float((found[group][name].double() - tensor).abs().max()) / max(sizes[name], floor)
            for name, tensor in tensors.items()
        }
        name = max(apart, key=lambda name: apart[name])
        result[group] = Worst(largest=apart[name], name=name, mean=mean(apart.values()), tensors=len(apart))
    return result


def _rounding(naive: Worst, optimised: Worst) -> Rounding:
    def ratio(ours: float, theirs: float) -> float:
        return ours / theirs if theirs else float(ours > 0)

    return Rounding(
        naive=naive,
        optimised=optimised,
        ratio=ratio(optimised.largest, naive.largest),
        mean_ratio=ratio(optimised.mean, naive.mean),
    )


def _values(
    contender: Contender,
    space: Elaborated,
    state: Mapping[str, Tensor],
    batch: int,
    dtype: torch.dtype,
    reverse: bool = False,
) -> Tensors:
    """All that a step computes, on the CPU in float64; with ``reverse``, of the images the other way round."""
    network = build_supernet(contender, space).train()
    network.load_state_dict(state)
    network.to(contender.case.device, dtype)
    images, labels = (tensor.to(contender.case.device) for tensor in random_batch(space, batch, dtype))
    images.requires_grad_()
    output = network(images.flip(0)).flip(0) if reverse else network(images)
    cross_entropy(output, labels).backward()
    alphas = {id(alpha): path for path, alpha in network.alphas.items()}
    gradients = {(name, id(p)): p.grad for name, p in network.named_parameters() if p.grad is not None}
    groups = {
        Group.OUTPUT: {"output": output},
        Group.INPUT: {"input": images.grad},
        Group.WEIGHT: {name: grad for (name, key), grad in gradients.items() if key not in alphas},
        Group.ALPHA: {alphas[key]: grad for (_, key), grad in gradients.items() if key in alphas},
        Group.STATISTIC: dict(named_tensors(network)),
    }
    found = {
        group: {name: tensor.detach().double().cpu() for name, tensor in tensors.items() if tensor is not None}
        for group, tensors in groups.items()
    }
    del network, output, gradients, groups
    gc.collect()
    return {group: tensors for group, tensors in found.items() if tensors}
