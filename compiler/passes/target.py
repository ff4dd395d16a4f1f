"""What a graph is lowered for: the passes decide by it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """What operations cost, roughly: by it passes are weighed against each other, not predicted.

    ``work``: multiply-adds per second. ``traffic``: bytes per second to and from memory. ``launch``: seconds that an
    operation takes however small. ``channels_first``: how much more a primitive takes on images that are not channels-last.
    ``kernel``: whether the C++ kernel computes the terms of sums.
    """

    name: str
    work: float
    traffic: float
    launch: float
    channels_first: float = 1.0
    kernel: bool = False


CPU = Machine("cpu", 1e11, 2e10, 5e-6, channels_first=1.3)
CPU_WITH_KERNEL = Machine("cpu with the C++ kernel", 1e11, 2e10, 5e-6, channels_first=1.3, kernel=True)
CUDA = Machine("cuda", 1e13, 1e12, 6e-6)


@dataclass(frozen=True)
class Target:
    """A use and a machine.

    ``drop_path``: paths are dropped, as in training a discrete network. ``memory_budget``: bytes that the activations of
    a step on ``batch`` images may take, None for what is fastest.
    """

    machine: Machine = CPU_WITH_KERNEL
    drop_path: bool = False
    memory_budget: int | None = None
    batch: int = 64

    @classmethod
    def on(
        cls, device: str = "cpu", drop_path: bool = False, memory_budget: int | None = None, batch: int = 64
    ) -> Target:
        """The target on a device of this machine."""
        from ..fused.kernel import is_available

        machine = CUDA if device.startswith(("cuda", "mps")) else CPU_WITH_KERNEL if is_available() else CPU
        return cls(machine, drop_path, memory_budget, batch)
