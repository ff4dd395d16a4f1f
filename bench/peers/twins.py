"""A released program's supernet with our numbers in it.

The names of weights differ between the programs. Which is which follows from the structure alone: a peer's edges are
numbered node by node, its operations stand in the order of its menu, and the modules of an operation are listed in
the order in which they are applied, as ours are. All shapes are compared, and outputs by who asks for a `Twin`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType

import torch
from torch import Tensor, nn

from compiler.backend.lowering.names import attribute
from compiler.backend.passes import FLATTEN
from compiler.searcher.relaxations import Relaxed
from compiler.searcher.relaxations.supernet import Supernet
from peers.checkout import CheckoutError
from peers.programs import Program, Sizes


@dataclass(frozen=True)
class Rows:
    """The alphas of one decision among a program's: a row or a part of a table, or one of several tensors."""

    table: Tensor
    part: int | slice | EllipsisType = ...

    def read(self) -> Tensor:
        """The numbers."""
        return self.table[self.part]

    @property
    def gradient(self) -> Tensor:
        """Their gradient, zero where there is none."""
        return gradient(self.table)[self.part]


@dataclass(frozen=True, eq=False)
class Twin:
    """A peer of ours with our numbers in it, each of its tensors by our name."""

    network: nn.Module
    weights: dict[str, nn.Parameter]
    alphas: dict[str, Rows]

    def gradients(self) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """The gradients of weights and of alphas; what no pass used has none, that is zero."""
        weights = {name: gradient(weight) for name, weight in self.weights.items()}
        return weights, {path: rows.gradient for path, rows in self.alphas.items()}


def gradient(tensor: Tensor) -> Tensor:
    """The gradient of a tensor, zero where there is none."""
    return torch.zeros_like(tensor) if tensor.grad is None else tensor.grad


def twin(program: Program, checkout: Path, ours: Relaxed) -> Twin:
    """A released supernet with the weights and alphas of ours, in today's default precision."""
    menus = {ours.space.decisions[path].items for path in ours.item_alphas()}
    if len(menus) != 1:
        raise CheckoutError(f"the menus differ from edge to edge: {menus}")
    (menu,) = menus
    network = program.build(program.load(checkout), Sizes.of(ours.space), menu).to(next(ours.parameters()))
    found = Twin(network, dict(_weights(program, network, ours, menu)), dict(_alphas(program, network, ours)))
    mine = dict(ours.network.named_parameters())
    unmatched = sorted(mine.keys() ^ found.weights.keys())
    if unmatched or found.alphas.keys() != ours.alphas.keys():
        raise CheckoutError(f"the two supernets do not match: {unmatched[:3]} in one of them only")
    with torch.no_grad():
        for name, weight in found.weights.items():
            weight.copy_(mine[name])
        for path, rows in found.alphas.items():
            rows.read().copy_(ours.alphas[path])
    program.settle(network, ours)
    return found


def _alphas(program: Program, network: nn.Module, ours: Relaxed) -> Iterator[tuple[str, Rows]]:
    """The alphas of a program by the path of our decision: menus row by row, picks part after part of a vector."""
    for cell, name in program.alphas.items():
        paths = [path for path in ours.item_alphas() if path.startswith(f"{cell}.")]
        table = getattr(network, name)
        alone = isinstance(table, list)
        yield from ((path, Rows(table[i]) if alone else Rows(table, i)) for i, path in enumerate(paths))
    for cell, name in program.edges.items():
        end = 0
        for path in (path for path in ours.edges if path.startswith(f"{cell}.")):
            start, end = end, end + len(ours.alphas[path])
            yield path, Rows(getattr(network, name), slice(start, end))


def _weights(
    program: Program, network: nn.Module, ours: Relaxed, menu: tuple[str, ...]
) -> Iterator[tuple[str, nn.Parameter]]:
    """The peer's weights by our names."""
    theirs, applied = dict(_with_weights(network.named_modules())), _applied(ours)
    for there, here in program.parts(network, menu):
        left, right = _below(there, theirs), _below(here, applied)
        if len(left) != len(right):
            raise CheckoutError(f"'{there}' has {len(left)} modules with weights, '{here}' {len(right)}")
        for name, name_here in zip(left, right, strict=True):
            own, shapes = dict(theirs[name].named_parameters(recurse=False)), _shapes(applied[name_here])
            if shapes != _shapes(theirs[name]):
                raise CheckoutError(f"'{name}' has {_shapes(theirs[name])}, '{name_here}' {shapes}")
            yield from ((f"{name_here}.{key}", parameter) for key, parameter in own.items())


def _applied(ours: Relaxed) -> dict[str, nn.Module]:
    """Our modules with weights in the order in which they are applied; a module may lie within another's name."""
    built = ours.lowering.space if isinstance(ours, Supernet) else ours.space
    modules = dict(_with_weights(ours.network.named_modules()))
    names = (attribute(node.name) for _, node in FLATTEN.run(built.block.graph).order())
    return {name: modules[name] for name in names if name in modules}


def _with_weights(modules: Iterable[tuple[str, nn.Module]]) -> Iterator[tuple[str, nn.Module]]:
    for name, module in modules:
        if _shapes(module):
            yield name, module


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    """The parameters of a module itself."""
    return {name: tensor.shape for name, tensor in module.named_parameters(recurse=False)}


def _below(path: str, modules: Iterable[str]) -> list[str]:
    return [name for name in modules if name == path or name.startswith(f"{path}.")]
