"""A network lowered for a target: its passes, its modules, what a step will cost, and the discrete `Network`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, fx, nn

from compiler.backend.passes import CUDA, FLATTEN, Pass, Target, optimised, run_passes
from compiler.backend.passes.apart import apart, instances, renamed
from compiler.backend.passes.estimate import Estimate, estimate
from compiler.backend.passes.narrow import narrow
from compiler.backend.torch_modules.regularisation import DropPath
from compiler.elaborate import Elaborated
from compiler.ir.payloads import Prim
from compiler.ir.primitives.external import External

from .build import build_modules
from .checkpointing import recomputed_scopes
from .cuda_graphs import Replays
from .fx import lower


@dataclass(frozen=True)
class Lowered:
    """A lowered network, the target that it was lowered for, and what a step of one image costs there."""

    network: fx.GraphModule
    target: Target
    estimate: Estimate
    modules: Mapping[str, nn.Module]
    """The modules of primitives with parameters or state, by the names of nodes."""
    replays: Replays
    """The network as it is called: on a GPU by replays of CUDA graphs (not with operations of the user's own)."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Options of the target that cannot be honoured, a sentence each."""
        found = (over_budget(self.estimate, self.target), compiling_is_slow(self.target))
        return tuple(warning for warning in found if warning is not None)


def lowered(
    space: Elaborated,
    passes: Iterable[Pass] | None = None,
    target: Target | None = None,
    live: Mapping[str, Collection[int]] | None = None,
    modules: Mapping[str, nn.Module] | None = None,
    own: Collection[str] = (),
) -> Lowered:
    """Lower a network after the given passes, or those of the target; its weights start the same for all.

    Args:
        space: an elaborated network, with or without choices.
        passes: what is done to the graph; `(FLATTEN,)` for the naive lowering, None for what the target asks for.
        target: the machine, its memory and the batch; by default this machine's CPU.
        live: the items that live of decisions that have lost some, by path: the network is lowered without the others.
        modules: those of another lowering of the same network, to share its weights.
        own: the decisions whose weights each instance of their cell reads by a name of its own (`passes.apart`).

    Raises:
        LoweringError: where a width is still open, or an operation is not known.
    """
    target = target or Target.on()
    flat = FLATTEN.run(space.block.graph)
    if modules is None:
        modules = build_modules(flat)
    if live:
        flat = narrow(flat, live)
    names = renamed(instances(flat, own)) if own else {}
    if own:
        flat = apart(flat, own)
    if passes is None:
        graph = optimised(flat, target)
    else:
        graph = run_passes(flat, [item for item in passes if item is not FLATTEN], target)
    decisions = {**space.decisions, **{name: space.decisions[path] for name, path in names.items()}}
    again = recomputed_scopes(graph, target)
    network = lower(graph, decisions, drop_path=target.drop_path, modules=modules, recomputed=again)
    if target.compiled:
        # Small cells are bound by launches on a GPU, which its graphs save.
        network.compile(mode="reduce-overhead" if target.machine is CUDA else "default")
    is_own = any(isinstance(node.payload, Prim) and isinstance(node.payload.op, External) for _, node in flat.order())
    replays = Replays(network, target.machine.gpu and not (target.compiled or is_own or again))
    return Lowered(network, target, estimate(graph, target.machine, again), modules, replays)


def over_budget(costs: Estimate, target: Target) -> str | None:
    """The warning that a step takes more memory than the target's budget; None where it fits, or there is no budget.

    ``costs`` are those of one image.
    """
    held = costs.held * target.batch
    if target.memory_budget is None or held <= target.memory_budget:
        return None
    found, wanted = (
        f"{size / 2**20:,.0f} MiB" if size >= 2**20 else f"{size / 2**10:,.0f} KiB"
        for size in (held, target.memory_budget)
    )
    return (
        f"activations of {target.batch} images take about {found}, over the memory budget of {wanted}: use fewer images"
    )


def compiling_is_slow(target: Target) -> str | None:
    """The warning that `torch.compile` does not pay on the target; None where it does, or is not asked for."""
    if target.compiled and target.machine is not CUDA:
        return "torch.compile takes minutes on the CPU, and steps are slower after it: leave `--compile` out"
    return None


class Network(nn.Module):
    """A discrete network: images (n, c, h, w) to logits (n, classes), in training a pair with the auxiliary ones.

    Logits are a tuple where the network has several outputs.

    Args:
        space: an elaborated network without choices.
        passes: what is done to the graph before lowering; None for what the target asks for.
        training_only: whether what only a training needs is kept: dropped paths, the auxiliary head.
        target: the machine, its memory and the batch; by default this machine's CPU.

    Raises:
        ValueError: the network still has choices.
    """

    def __init__(
        self,
        space: Elaborated,
        passes: Iterable[Pass] | None = None,
        *,
        training_only: bool = True,
        target: Target | None = None,
    ) -> None:
        super().__init__()
        if space.is_space:
            raise ValueError(f"'{space.name}' still has choices; search it, or give an architecture")
        self.has_aux = space.block.graph.aux is not None and training_only
        made = lowered(space, passes, replace(target or Target.on(), drop_path=training_only))
        self.network, self.replays, self.warnings = made.network, made.replays, made.warnings
        self.space, self.built = space, made.modules

    @property
    def module(self) -> nn.Module:
        """The network to call."""
        return self

    def forward(self, *images: Tensor | tuple[Tensor, ...]) -> Tensor | tuple[Any, ...]:
        """Logits (n, classes) of the inputs; in training, where there is an auxiliary head, a pair with its logits."""
        given = images[0] if isinstance(images[0], tuple) else images  # A batch of data is a tuple of several inputs.
        result: Tensor | tuple[Any, ...] = self.replays(*given)
        if self.space.block.graph.aux is not None and not self.training:
            result = result[0]
        return result

    def set_drop_path(self, rate: float) -> None:
        """Set the probability with which each path of a sample is dropped in training."""
        for module in self.modules():
            if isinstance(module, DropPath):
                module.rate = rate
