"""Programs for tests: from a text or a file to a space, and from decisions to the architecture's own text."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from compiler.backend.passes.flatten import flatten
from compiler.derivation import derive_module
from compiler.derivation.strongest import default_decisions, strongest
from compiler.elaborate import Elaborated, elaborate
from compiler.elaborate.values import Function, Value
from compiler.ir.decision import Selection
from compiler.ir.payloads import Prim
from compiler.ir.primitives.external import NO_PLUGINS, Externals
from compiler.searcher.settings.derivation import By
from hdas_dsl.files import Loader
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_module
from hdas_dsl.units import LIBRARY, Entity, Instance
from tests.reference.genotypes import Dag

SPACES = LIBRARY

M = TypeVar("M", bound=nn.Module)

torch.set_num_threads(1)  # tensors here are tiny


def load(program: str | Path) -> Instance:
    """A program: a text (it has more than one line), or a file of ``spaces/``."""
    loader = Loader()
    if isinstance(program, str) and "\n" in program:
        instance = loader.load_text(program, "test.hsp", SPACES)
    else:
        instance = loader.load(SPACES / program)
    if loader.diagnostics:
        raise HspError(loader.diagnostics)
    assert instance is not None
    return instance


def definition(instance: Instance, name: str) -> Function:
    """What a name of a program stands for."""
    found = instance.lookup(name)
    assert isinstance(found, Entity), f"'{name}' is not a definition"
    assert found.plain is not None, f"'{name}' has labelled copies only"
    assert not isinstance(found.plain, ast.MenuDef), f"'{name}' is a choice"
    return Function(found.plain, found.instance)


def network(instance: Instance, name: str | None = None, size: int | None = None) -> Function:
    """A network of a program, by default the last one; ``size`` replaces the height and width of its inputs."""
    graphs = [d for d in instance.unit.module.definitions if isinstance(d, ast.GraphDef)]
    networks = [graph.name for graph in graphs if graph.level is ast.Level.NETWORK]
    function = definition(instance, name or networks[-1])
    if size is None:
        return function
    assert isinstance(function.definition, ast.GraphDef)
    side = ast.Number(str(size))
    inputs = tuple(replace(param, shape=((param.shape or ())[0], side, side)) for param in function.definition.inputs)
    return Function(replace(function.definition, inputs=inputs), function.instance)


def space(
    program: str | Path | Instance,
    name: str | None = None,
    *,
    size: int | None = None,
    relaxed_copies: frozenset[str] | None = None,
    externals: Externals = NO_PLUGINS,
    **args: Value,
) -> Elaborated:
    """Elaborate a network of a program; a text among ``args`` names a definition. Errors are raised."""
    instance = program if isinstance(program, Instance) else load(program)
    values = {key: definition(instance, value) if isinstance(value, str) else value for key, value in args.items()}
    found, diagnostics = elaborate(network(instance, name, size), values, relaxed_copies, externals=externals)
    if diagnostics:
        raise HspError(diagnostics)
    assert found is not None
    return found


def architecture(space_: Elaborated, chosen: Selection, *, relaxed: bool = False) -> tuple[str, Elaborated]:
    """The derived text of an architecture, and what it elaborates to.

    ``relaxed`` elaborates it in the variants that its operations have while searching (law 3).
    """
    text = print_module(derive_module(space_, chosen))
    return text, space(text, relaxed_copies=space_.live if relaxed else None, externals=space_.externals)


def random_decisions(space_: Elaborated, seed: int, by: By = By.LOGIT) -> Selection:
    """What a derivation from random alphas decides."""
    source = random.Random(seed)
    alphas = {path: [source.gauss(0, 1) for _ in d.items] for path, d in space_.decisions.items()}
    return strongest(space_.decisions, alphas, by)


def published(space_: Elaborated, dags: Mapping[str, Dag]) -> Selection:
    """The decisions of published cells or stages, by copy."""
    result = default_decisions(space_.decisions)
    for copy, dag in dags.items():
        is_stage = f"{copy}.s0.mix.in" in space_.decisions
        for j, edges in enumerate(dag):
            node = f"{copy}.s{j}.mix" if is_stage else f"{copy}.n{j}"
            pick = space_.decisions[f"{node}.in"]
            first = j + 2 - len(pick.candidates)
            result[pick.path] = tuple(source - first for _, source in edges)
            for op, source in edges:
                decision = space_.decisions[pick.candidates[source - first] or ""]
                result[decision.path] = (decision.items.index(op),)
    return result


# ---------------------------------------------------------------- tensors of a lowered network


def in_order(tensors: Iterable[tuple[str, Tensor]], space_: Elaborated) -> dict[str, Tensor]:
    """Named parameters or buffers of a lowered network in the order of the text."""
    nodes = enumerate(node for _, node in flatten(space_.block.graph).order())
    place = {node.name: position for position, node in nodes if isinstance(node.payload, Prim)}

    def key(name: str) -> int:
        while name not in place:
            assert name, "every module is a node's"
            name = name.rpartition(".")[0]
        return place[name]

    return dict(sorted(tensors, key=lambda item: key(item[0])))


def randomize(module: M, seed: int = 0) -> M:
    """Float64, and norms that are not all alike."""
    torch.manual_seed(seed)
    for part in module.double().modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None
            assert part.running_var is not None
            part.running_mean.normal_(0, 0.1)
            part.running_var.uniform_(0.5, 1.5)
            if part.affine:
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias, 0, 0.1)
    return module


def floats(tensors: Iterable[tuple[str, Tensor]]) -> list[tuple[str, Tensor]]:
    return [(name, tensor) for name, tensor in tensors if tensor.is_floating_point()]


def assert_same(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], tolerance: float = 1e-10) -> None:
    """The same names, and values that differ by no more than rounding does, measured on the largest of all."""
    assert list(ours) == list(theirs)
    scale = max((float(t.detach().abs().max()) for t in theirs.values() if t.numel()), default=0.0)
    for name, tensor in ours.items():
        assert tensor.shape == theirs[name].shape, name
        worst = float((tensor - theirs[name]).detach().abs().max()) if tensor.numel() else 0.0
        assert worst <= tolerance * max(scale, 1e-3), f"{name}: differs by {worst} of {scale}"
