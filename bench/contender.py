"""What is measured: a supernet lowered in one of several ways, or a peer's, and one step of it.

Everything about a contender stands in one frozen model, so that it can be passed to a fresh process as JSON.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path

import torch
from peers import Peer, build_peer
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from compiler.backend.passes import FLATTEN, Target
from compiler.commands.values import read_bytes
from compiler.elaborate import Elaborated
from compiler.program.overrides import read_override
from compiler.program.request import Request
from compiler.searcher.relaxations.supernet import Supernet


class Ours(StrEnum):
    """A lowering of our own."""

    NAIVE = "naive"
    OPTIMISED = "optimised"


class Case(BaseModel):
    """A space and how a step of it is taken; the same for every contender."""

    model_config = ConfigDict(frozen=True)

    space: Path
    overrides: tuple[str, ...] = ()
    phase: str | None = None
    network: str | None = None
    batch: int = 32
    device: str = "cpu"
    threads: int | None = None
    memory_budget: str | None = None
    kernel: bool = True

    def elaborated(self) -> Elaborated:
        """The network that is searched: that of a phase, of the section, or the file's only one."""
        program = Request(self.space, tuple(map(read_override, self.overrides)), self.network).compile()
        if self.phase is None:
            return program.network
        found = {phase.name: phase.network for phase in program.phases}
        if self.phase not in found:
            raise SystemExit(f"{self.space} has no phase '{self.phase}'; it has: {', '.join(found) or 'none'}")
        return found[self.phase]


class Turn(BaseModel):
    """Iterations of a search instead of a step: how many at once, what they are called, and how many items live."""

    model_config = ConfigDict(frozen=True)

    name: str
    steps: int = 1
    keep: int | None = None
    """The items that each menu is narrowed to; None for all."""


class Contender(BaseModel):
    """Who takes the step of a case, or iterations of its search."""

    model_config = ConfigDict(frozen=True)

    case: Case
    kind: Ours | Peer
    channels_last: bool = False
    checkout: Path | None = None
    turn: Turn | None = None

    @property
    def name(self) -> str:
        if self.turn is not None:
            return self.turn.name
        return f"{self.kind.value}, channels last" if self.channels_last else self.kind.value


def build(contender: Contender, space: Elaborated) -> nn.Module:
    """The network, in train mode, float32, on the CPU: ``forward(images) -> logits``, every parameter registered."""
    if isinstance(contender.kind, Peer):
        return build_peer(contender.kind, contender.checkout, space)
    return build_supernet(contender, space)


def build_supernet(contender: Contender, space: Elaborated, init: float = 1e-3) -> Supernet:
    """The supernet of a lowering. The one place that knows how a memory budget and the kernel are asked for."""
    if not contender.case.kernel:
        os.environ["HDAS_KERNEL"] = "off"  # of this process, which measures nothing else
    if contender.kind is Ours.NAIVE:
        return Supernet(space, (FLATTEN,), init=init)
    case = contender.case
    budget = None if case.memory_budget is None else read_bytes(case.memory_budget)
    target = Target.on(case.device, memory_budget=budget, batch=case.batch)
    return Supernet(space, init=init, target=target)


class Step:
    """Forward and backward of the cross entropy of one batch, the gradients of all parameters included."""

    count = 1
    """How many steps one call takes."""

    def __init__(self, contender: Contender) -> None:
        case = contender.case
        space = case.elaborated()
        torch.manual_seed(0)
        layout = torch.channels_last if contender.channels_last else torch.contiguous_format
        self.device = torch.device(case.device)
        self.network = build(contender, space).train().to(self.device).to(memory_format=layout)
        images, self.labels = random_batch(space, case.batch, torch.float32)
        self.images = images.to(self.device, memory_format=layout)
        self.labels = self.labels.to(self.device)

    def __call__(self, batch: int | None = None) -> None:
        """Take the step, on the first ``batch`` images, and wait for the device."""
        self.network.zero_grad(set_to_none=True)
        cross_entropy(self.network(self.images[:batch]), self.labels[:batch]).backward()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def random_batch(space: Elaborated, batch: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Images of the network's input shape and labels of its output's, always the same ones."""
    generator = torch.Generator().manual_seed(1)
    assert space.block.graph.output is not None
    output = space.block.graph.node(space.block.graph.output).shape
    images = torch.randn(batch, *space.input.largest, dtype=torch.float64, generator=generator)
    return images.to(dtype), torch.randint(output.largest[0], (batch,), generator=generator)


def named_tensors(network: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Running statistics and other buffers that are numbers, by name."""
    return ((name, buffer) for name, buffer in network.named_buffers() if buffer.is_floating_point())
