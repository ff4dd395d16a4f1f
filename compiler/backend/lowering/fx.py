"""Lowering: a flat space graph becomes nested `torch.fx.GraphModule`s with readable code.

One lowering serves the supernet and the discrete network alike; they differ in their graphs only. Each cell and stage
is a GraphModule of its own; weights of choices come in as one mapping from decision path to tensor.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import fx, nn

from compiler.backend.passes.estimate import Scope
from compiler.ir.decision import Decision
from compiler.ir.graph import SpaceGraph
from compiler.util.gc_pause import uncollected

from .build import check_weights_fit
from .lowering import Lowering
from .region_builder import RegionBuilder
from .regions import regions_of


@uncollected()
def lower(
    graph: SpaceGraph,
    decisions: Mapping[str, Decision],
    *,
    drop_path: bool = False,
    modules: Mapping[str, nn.Module] | None = None,
    recomputed: Collection[Scope] = (),
) -> fx.GraphModule:
    """Lower a flat graph.

    Args:
        graph: a graph that holds only primitives and choices (`passes.flatten`).
        decisions: the decisions that it mentions, by path.
        drop_path: keep the primitive of that name, which a training schedules; else it vanishes.
        modules: the modules of some primitives, by the nodes' names (`build_modules`); others are built here.
        recomputed: the scopes of the cells whose activations are not held, but computed again in the backward pass.

    Returns:
        A module of the network's inputs (batches first) and, where there are choices, ``weights``: a mapping from
        decision path to a tensor with one weight per item. It returns the output, or a pair with the auxiliary one.

    Raises:
        LoweringError: where a width is still open, or an operation is not known.
        UsageError: the weights and their gradients are larger than the memory of this machine.
    """
    if not modules:
        check_weights_fit(graph)
    lowering = Lowering(graph, decisions, drop_path, modules or {}, frozenset(recomputed))
    return RegionBuilder(lowering, regions_of(graph)).build()
