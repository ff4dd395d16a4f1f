"""Devices, processes and precision: a thin layer over Lightning Fabric.

Fabric launches the processes, places tensors and casts; it does not wrap the network. Its data-parallel wrapper
averages gradients in hooks that ``torch.autograd.grad`` never runs, and an alpha step takes its gradients with just
that. Here every gradient, of weights and alphas, is averaged over the processes by one explicit collective.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from compiler.backend.transfer import moved
from compiler.searcher.engine.errors import NoDeviceError
from compiler.searcher.engine.gradients import Gradients, LossScale


def is_main_process() -> bool:
    """Whether this process is the one that writes files and speaks to the user."""
    return int(os.environ.get("RANK", os.environ.get("LOCAL_RANK", "0"))) == 0


def main_flag(flag: bool) -> bool:
    """The flag of the main process, in every process."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return flag
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    said = torch.tensor(int(flag), device=device)
    torch.distributed.broadcast(said, src=0)
    return bool(said)


def sum_type(device: torch.device) -> torch.dtype:
    """The type in which sums over samples are taken: float64, or float32 on mps, which has no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


class Compute:
    """One process's device, and its share in what all processes do together."""

    def __init__(self, device: str = "auto", devices: int = 1, precision: str = "32-true") -> None:
        from lightning_fabric import Fabric

        kind, index = _check_available(device, devices)
        # It would advise users to set torch's global precision, and repeat the precision that they asked for.
        logging.getLogger("lightning_fabric.utilities.rank_zero").setLevel(logging.WARNING)
        self.fabric = Fabric(
            accelerator=kind,
            devices=devices if index is None else [index],
            strategy="ddp" if devices > 1 else "auto",
            precision=precision,  # type: ignore[arg-type]
        )
        self.fabric.launch()
        self.device: torch.device = self.fabric.device
        self.rank, self.world = self.fabric.global_rank, self.fabric.world_size
        self.main = self.rank == 0
        self.gradient = Gradients(
            LossScale(2.0**16 if precision == "16-mixed" else 1.0), self._average if self.world > 1 else None
        )

    def autocast(self) -> Any:
        """The context of a forward pass and its loss."""
        return self.fabric.autocast()

    def put(self, tensor: Tensor) -> Tensor:
        """A tensor on the device; a GPU copies it while it computes, since it comes from pinned memory."""
        return moved(tensor, self.device)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of a tensor over the processes."""
        if self.world > 1:
            tensor = tensor.clone()
            torch.distributed.all_reduce(tensor)
        return tensor

    def any(self, flag: bool) -> bool:
        """Whether the flag is true in some process."""
        return flag if self.world == 1 else bool(self.sum(torch.tensor(int(flag), device=self.device)))

    @torch.no_grad()
    def broadcast(self, tensors: Sequence[Tensor]) -> None:
        """Give every process the main one's values."""
        if self.world > 1:
            for tensor in tensors:
                there = tensor.to(self.device)  # A counter may lie on the CPU, of which NCCL does not know.
                torch.distributed.broadcast(there, src=0)
                if there is not tensor:
                    tensor.copy_(there)

    def wait(self) -> None:
        """Wait until every process has called this."""
        if self.world > 1:
            torch.distributed.barrier()

    def _average(self, tensors: list[Tensor]) -> None:
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        torch.distributed.all_reduce(flat)
        flat /= self.world
        parts = torch.split(flat, [tensor.numel() for tensor in tensors])
        for tensor, part in zip(tensors, parts, strict=True):
            tensor.copy_(part.view_as(tensor))


def _check_available(device: str, devices: int) -> tuple[str, int | None]:
    """The kind and the index of a device, if this machine has it."""
    kind, _, index = device.partition(":")
    have = {
        "auto": 1 << 10,
        "cpu": 1 << 10,
        "cuda": torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if kind not in have or (index and (kind != "cuda" or not index.isdecimal() or devices > 1)):
        raise NoDeviceError(f"There is no device {device!r}: name auto, cpu, cuda, one GPU as cuda:0, or mps.")
    if have[kind] < max(devices, int(index or 0) + 1):
        raise NoDeviceError(
            f"This machine has {int(have[kind])} {kind} devices: {device!r} x {devices} is not among them."
        )
    return kind, int(index) if index else None


@contextmanager
def deterministic() -> Iterator[None]:
    """A context with deterministic kernels, where torch has them; it restores the settings when it ends."""
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.utils.deterministic.fill_uninitialized_memory,  # type: ignore[attr-defined]
        torch.backends.cudnn.deterministic,
        torch.backends.cudnn.benchmark,
    )
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*does not have a deterministic implementation.*")
            yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        torch.utils.deterministic.fill_uninitialized_memory = before[2]  # type: ignore[attr-defined]
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before[3:]


PRECISIONS = {"float32": "32-true", "bfloat16": "bf16-mixed", "float16": "16-mixed"}
"""Fabric's names of the precisions of the language."""
