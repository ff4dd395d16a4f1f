"""What an earlier phase leaves to a later one: its weights, to start from, or the whole network, to be taught by."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from compiler.backend.passes import Target
from compiler.ir.decision import Decision
from compiler.program.model import Phase, Program
from compiler.searcher.engine.state import checkpoint
from compiler.searcher.relaxations import Relaxed, relaxed
from compiler.searcher.relaxations.started import start_alphas, start_from
from compiler.searcher.settings.axes import PhaseStart
from compiler.util.errors import UsageError


def started(supernet: Relaxed, phase: Phase, weights: Path, earlier: Mapping[str, Decision]) -> str:
    """Give a supernet the weights of a checkpoint, and alphas where that is asked for; a sentence on what it took.

    Args:
        supernet: the one that starts.
        phase: its phase.
        weights: the checkpoint of an earlier one.
        earlier: the decisions of that, by path.

    Raises:
        UsageError: the checkpoint has no tensor of the name and the shape of one of the supernet's.
        CheckpointError: it is missing or damaged.
    """
    tensors, _ = checkpoint.read(weights)
    saved = checkpoint.unpack("module", tensors)
    found = start_from(supernet, _below("network.", saved), phase.settings.seed)
    start = phase.settings.start.after
    taken = [name for name in (*found.whole, *found.part, *found.grown) if supernet.network.state_dict()[name].dim()]
    if not taken:  # Counters of steps have one shape everywhere.
        raise UsageError(
            f"phase '{phase.name}' starts from phase '{start}', which has no weights of its network: no tensor has the "
            "name and the shape of one of its own"
        )
    every = len(found.whole) + len(found.part) + len(found.fresh) + len(found.grown)
    said = f"phase {phase.name}: starts from phase {start}, {len(found.whole)} of {every} tensors as they are"
    parts = f", {len(found.part)} in part" if found.part else ""
    grown = f", {len(found.grown)} grown" if found.grown else ""
    alphas = ""
    if isinstance(phase.settings.start, PhaseStart) and phase.settings.start.alphas:
        known = {name.replace("/", "."): alpha for name, alpha in _below("architecture.", saved).items()}
        alphas = f", the alphas of {start_alphas(supernet, earlier, known)} decisions"
    fresh = f"; {len(found.fresh)} start fresh, as {found.fresh[0]}" if found.fresh else ""
    return f"{said}{parts}{grown}{alphas}{fresh}"


def teacher_of(program: Program, phase: Phase, weights: Path, target: Target) -> Relaxed | None:
    """The supernet of the phase that teaches another, with the weights that it left; None where it weighs nothing.

    Raises:
        CheckpointError: they are missing or damaged.
    """
    word = phase.settings.teacher
    if not word.ratio:
        return None
    earlier = next(found for found in program.phases if found.name == word.after)
    supernet = relaxed(earlier.network, earlier.settings, target, earlier.built)
    tensors, _ = checkpoint.read(weights)
    supernet.load_state_dict(checkpoint.unpack("module", tensors))
    supernet.begin(earlier.settings.epochs)
    supernet.anneal(earlier.settings.epochs)
    return supernet


def _below(start: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin so, by the rest of their names."""
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}
