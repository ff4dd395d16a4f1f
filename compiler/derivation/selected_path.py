"""One architecture as the nodes that run: its steps, its parameters and multiply-adds. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from compiler.ir.decision import Decision
from compiler.ir.payloads import Input, Mix, Prim, Weigh

Dims = tuple[int, ...]


@dataclass(frozen=True)
class SelectedStep:
    """A primitive of an architecture, or a choice that was made; ``sources`` are indices of earlier steps.

    ``index`` and ``name`` are the node's in the flat graph of the space. The parameters of a primitive are settled, as
    are the shapes, which are those of one image.
    """

    index: int
    name: str
    payload: Input | Prim | Mix | Weigh
    sources: tuple[int, ...]
    inputs: tuple[Dims, ...]
    shape: Dims
    undecided: bool = False
    """Whether the space leaves its parameters or shapes open, so that it may be smaller than in the space's graph."""


@dataclass(frozen=True)
class SelectedPath:
    """An architecture: its steps, sources first and the output last, and the decisions that it depends on."""

    steps: tuple[SelectedStep, ...]
    used: frozenset[str]

    @cached_property
    def params(self) -> int:
        """Trainable parameters (law 8)."""
        return sum(prim.op.params(step.inputs, step.shape) for step, prim in self.primitives)

    @cached_property
    def macs(self) -> int:
        """Multiply-adds of one image (law 8)."""
        return sum(prim.op.macs(step.inputs, step.shape) for step, prim in self.primitives)

    @property
    def primitives(self) -> list[tuple[SelectedStep, Prim]]:
        """The steps that are primitives, with these."""
        return [(step, step.payload) for step in self.steps if isinstance(step.payload, Prim)]

    def edges(self, copy: str, decisions: Mapping[str, Decision]) -> int:
        """How many tensors the picks of a copy take, where they take part in the architecture."""
        taken = {(s.payload.decision, s.payload.index) for s in self.steps if isinstance(s.payload, Weigh)}
        return sum(decisions[path].copy == copy for path, _ in taken)
