"""The target that a graph is lowered for: the passes decide by it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Machine:
    """Rough costs of operations, by which passes are weighed against each other; no prediction.

    ``work``: multiply-adds per second. ``traffic``: bytes per second to and from memory. ``launch``: seconds that an
    operation takes however small. ``channels_first``: how much longer a primitive takes on images that are not
    channels-last. ``kernel``: whether the C++ kernel computes the terms of sums. ``gpu``: whether it is one.
    """

    name: str
    work: float
    traffic: float
    launch: float
    channels_first: float = 1.0
    kernel: bool = False
    gpu: bool = False


# torch's max pool takes five times as long on images that are not channels-last, and what the kernel gives is.
CPU = Machine("cpu", 1e11, 2e10, 5e-6, channels_first=1.3)
CPU_WITH_KERNEL = Machine("cpu with the C++ kernel", 1e11, 2e10, 5e-6, channels_first=1.3, kernel=True)
CUDA = Machine("cuda", 1e13, 1e12, 6e-6, gpu=True)


@dataclass(frozen=True)
class Target:
    """A use and a machine.

    ``drop_path``: paths are dropped, as in training a discrete network, or in a search that says so.
    ``memory_budget``: bytes that the activations of a step on ``batch`` images may take, None for what is fastest.
    ``passes``: the names of those to run, whether they pay or not; None for those that pay. ``compiled``:
    `torch.compile` is to see every operation. ``half``: operations compute in half precision.
    """

    machine: Machine = CPU_WITH_KERNEL
    drop_path: bool = False
    memory_budget: int | None = None
    batch: int = 64
    passes: tuple[str, ...] | None = None
    compiled: bool = False
    half: bool = False

    @property
    def keeps_operations(self) -> bool:
        """Whether every operation stays as it is written.

        On a GPU sums of terms hold less, by a half for DARTS, but take longer than torch's own operations: a memory
        budget asks for them there. In half precision there is no kernel for them, and the channels-last images that
        they are made for have wrong gradients in dilated depthwise convolutions in bfloat16 on some processors
        (those with AMX tiles, in torch 2.14).
        """
        return self.compiled or self.half or (self.machine.gpu and self.memory_budget is None)

    @classmethod
    def on(cls, device: str = "cpu", memory_budget: int | None = None, batch: int = 64, half: bool = False) -> Target:
        """The target on a device of this machine: cpu, cuda, mps, or auto for the best there is."""
        import torch

        from compiler.backend.fused.kernel import is_available

        is_gpu = device.startswith(("cuda", "mps")) or (device == "auto" and torch.cuda.is_available())
        machine = CUDA if is_gpu else CPU_WITH_KERNEL if is_available() else CPU
        return cls(machine, memory_budget=memory_budget, batch=batch, half=half)
