"""What a graph is lowered for: the passes decide by it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """A use and a machine.

    ``drop_path``: paths are dropped, as in training a discrete network. ``memory_budget``: bytes that activations of a
    step on ``batch`` images may take, None for what is fastest. ``kernel``: the C++ kernel is there (`compiler.fused`).
    """

    device: str = "cpu"
    drop_path: bool = False
    memory_budget: int | None = None
    batch: int = 64
    kernel: bool = True
