"""The supernets of peers, and the released DARTS with our numbers in it.

The names of weights differ between the programs. Which is which follows from the structure alone: a peer's edges are
numbered node by node, its operations stand in the order of its menu, and the modules of an operation are listed in
the order in which they are applied, as ours are. All shapes are compared, and outputs by who asks for a `Twin`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from compiler.backend.lowering.names import attribute
from compiler.backend.passes import FLATTEN
from compiler.elaborate import Elaborated
from compiler.searcher.relaxations.supernet import Supernet
from peers.checkout import CheckoutError, load_module
from peers.nni import build_nni


class Peer(StrEnum):
    """Whose supernet."""

    DARTS = "darts"
    PC_DARTS = "pcdarts"
    NNI = "nni"


MODELS = {Peer.DARTS: "cnn", Peer.PC_DARTS: "."}
"""Where `model_search.py` lies in the checkout."""

SPACE = "the peers are compared on spaces/darts.hsp, with any c, cells and classes"


def build_peer(peer: Peer, checkout: Path | None, space: Elaborated) -> nn.Module:
    """The peer's supernet in the size of ours, its architecture parameters registered as parameters.

    Raises:
        CheckoutError: where the checkout or the space is another one.
    """
    sizes = _sizes(space)
    if peer is Peer.NNI:
        return build_nni(sizes.c, sizes.cells, sizes.classes)
    assert checkout is not None
    module = load_module(checkout / MODELS[peer], "model_search")
    network: nn.Module = module.Network(sizes.c, sizes.classes, sizes.cells, nn.CrossEntropyLoss())
    own = {id(value): key for key, value in vars(network).items() if isinstance(value, Tensor)}
    parameters: Any = network._arch_parameters
    for position, alpha in enumerate(parameters):
        key = own[id(alpha)]
        delattr(network, key)
        parameters[position] = nn.Parameter(alpha.detach().cpu())
        setattr(network, key, parameters[position])
    return network


@dataclass(frozen=True)
class _Sizes:
    c: int
    cells: int
    classes: int


def _sizes(space: Elaborated) -> _Sizes:
    params = [space.block.params.get(name) for name in ("c", "cells", "classes")]
    found = [value for value in params if isinstance(value, int)]
    if space.name != "Darts" or len(found) < len(params):
        raise CheckoutError(f"{SPACE}, not on '{space.name}'")
    return _Sizes(*found)


@dataclass(frozen=True, eq=False)
class Twin:
    """A peer of ours with our numbers in it; ``names`` says what each of its tensors is called here."""

    network: nn.Module
    names: dict[str, str]
    alphas: dict[str, list[str]]
    """For each of the peer's tables of alphas, the decision of each row; items are in the same order in both."""

    def gradients(self, parameters: dict[str, nn.Parameter]) -> dict[str, Tensor]:
        """The gradients of a network that has the peer's names, by our names."""
        found = {self.names[name]: p.grad for name, p in parameters.items() if name in self.names}
        for table, paths in self.alphas.items():
            rows = parameters[table].grad
            assert rows is not None
            for path, row in zip(paths, rows, strict=True):
                found[path] = row
        return {name: gradient for name, gradient in found.items() if gradient is not None}


def twin(checkout: Path, ours: Supernet) -> Twin:
    """The released DARTS with the weights, statistics and alphas of a naive supernet, in its precision."""
    network = build_peer(Peer.DARTS, checkout, ours.space).to(next(ours.parameters()).dtype)
    menu = load_module(checkout / MODELS[Peer.DARTS], "genotypes").PRIMITIVES
    names = dict(_names(network, ours, menu))
    state, mine = ours.network.state_dict(), network.state_dict()
    tables = {f"alphas_{kind}": _rows(ours, cell) for kind, cell in (("normal", "Normal"), ("reduce", "Reduction"))}
    unmatched = sorted({*mine} - {*names} - {*tables}), sorted({*state} - {*names.values()})
    if any(unmatched):
        raise CheckoutError(f"the two supernets do not match: {unmatched[0][:3]} there, {unmatched[1][:3]} here")
    loaded = {name: state[name_here] for name, name_here in names.items()}
    for table, paths in tables.items():
        for path in paths:
            if ours.space.decisions[path].items != tuple(menu):
                raise CheckoutError(f"the menus differ: {menu} there, {ours.space.decisions[path].items} here")
        loaded[table] = torch.stack([ours.alphas[path].detach() for path in paths])
    network.load_state_dict(loaded)
    return Twin(network, names, tables)


def _rows(ours: Supernet, cell: str) -> list[str]:
    return [path for path in ours.alphas if path.startswith(f"{cell}.")]


def _names(network: nn.Module, ours: Supernet, menu: list[str]) -> Iterator[tuple[str, str]]:
    """Our name of each tensor of the peer's state."""
    pairs = [("stem", "stem"), ("classifier", "output")]
    cells: Any = network.cells
    steps: Any = network._steps
    for i in range(len(cells)):
        pairs += [(f"cells.{i}.preprocess0", f"k{i}.x"), (f"cells.{i}.preprocess1", f"k{i}.y")]
        edges = [(n, source) for n in range(steps) for source in ("x", "y", *(f"n{j}" for j in range(n)))]
        for edge, (n, source) in enumerate(edges):
            here = f"k{i}.n{n}.from_{source}"
            pairs += [(f"cells.{i}._ops.{edge}._ops.{p}", f"{here}.{item}") for p, item in enumerate(menu)]
    theirs, applied = dict(_with_state(network.named_modules())), _applied(ours)
    for there, here in pairs:
        left, right = _below(there, theirs), _below(here, applied)
        if len(left) != len(right):
            raise CheckoutError(f"'{there}' has {len(left)} modules with a state, '{here}' {len(right)}")
        for name, name_here in zip(left, right, strict=True):
            shapes, shapes_here = _shapes(theirs[name]), _shapes(applied[name_here])
            if shapes != shapes_here:
                raise CheckoutError(f"'{name}' has {shapes}, '{name_here}' {shapes_here}")
            yield from ((f"{name}.{key}", f"{name_here}.{key}") for key in shapes)


def _applied(ours: Supernet) -> dict[str, nn.Module]:
    """Our modules with a state in the order in which they are applied; a module may lie within another's name."""
    modules = dict(_with_state(ours.network.named_modules()))
    names = (attribute(node.name) for _, node in FLATTEN.run(ours.space.block.graph).order())
    return {name: modules[name] for name in names if name in modules}


def _with_state(modules: Iterable[tuple[str, nn.Module]]) -> Iterator[tuple[str, nn.Module]]:
    for name, module in modules:
        if _shapes(module):
            yield name, module


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    """The parameters and buffers of a module itself."""
    own = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    return {name: tensor.shape for name, tensor in own}


def _below(path: str, modules: Iterable[str]) -> list[str]:
    return [name for name in modules if name == path or name.startswith(f"{path}.")]
