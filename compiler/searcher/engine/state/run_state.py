"""The state of a run and its one file: enough to go on at any step as if nothing had happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.engine.errors import CheckpointError
from compiler.searcher.engine.reporting.records import EpochRecord, Meter

from . import checkpoint

FORMAT = 1


@dataclass
class State:
    """The tensors of a run, live, and where the run is: ``step`` steps of epoch ``epoch`` are done, both from 0."""

    kind: str
    """``search`` or ``train``."""
    module: nn.Module
    alphas: Mapping[str, nn.Parameter]
    optimizers: dict[str, tuple[Optimizer, list[str]]]
    """Each optimizer with the names of its parameters, in its order."""
    meters: dict[str, Meter]
    compute: Compute
    epoch: int = 0
    step: int = 0
    history: list[EpochRecord] = field(default_factory=list)
    best: dict[str, Tensor] = field(default_factory=dict)
    """The alphas of the best epoch so far, on the CPU."""
    best_epoch: int = 0
    """Counted from 1; 0 is none."""

    def save(self, path: Path, fingerprint: str) -> None:
        """Write the checkpoint; every process calls this, the main one writes."""
        sums = {name: self.compute.sum(meter.sums) for name, meter in self.meters.items()}
        if self.compute.main:
            self._write(path, fingerprint, sums)
        self.compute.wait()

    def _write(self, path: Path, fingerprint: str, sums: dict[str, Tensor]) -> None:
        tensors = {
            **checkpoint.pack("module", _tensors(self.module)),
            **checkpoint.pack("alphas", self.alphas),
            **checkpoint.pack("best", self.best),
            **checkpoint.pack("meter", sums),
        }
        plain: dict[str, Any] = {}
        for name, (optimizer, names) in self.optimizers.items():
            found, plain[name] = checkpoint.optimizer_state(optimizer, names)
            tensors |= checkpoint.pack(f"optimizer/{name}", found)
        facts = {
            "format": FORMAT,
            "kind": self.kind,
            "fingerprint": fingerprint,
            "epoch": self.epoch,
            "step": self.step,
            "best_epoch": self.best_epoch,
            "history": [record.to_json() for record in self.history],
            "optimizers": plain,
            "loss_scale": [self.compute.gradient.scale.value, self.compute.gradient.scale.finite_steps],
        }
        checkpoint.write(path, tensors, facts)

    def load(self, path: Path, fingerprint: str) -> None:
        """Go to where a checkpoint was written, if it is one of this run."""
        tensors, facts = checkpoint.read(path)
        if facts.get("format") != FORMAT:
            raise CheckpointError(f"The checkpoint {path} was written by another version of this program.")
        if facts["kind"] != self.kind:
            raise CheckpointError(f"The checkpoint {path} is of a {facts['kind']}, not of a {self.kind}.")
        if facts["fingerprint"] != fingerprint:
            raise CheckpointError(
                f"The checkpoint {path} is of another space, or of other settings: it cannot go on here."
            )
        checkpoint.assign("tensor", _tensors(self.module), checkpoint.unpack("module", tensors))
        checkpoint.assign("alpha", self.alphas, checkpoint.unpack("alphas", tensors))
        for name, (optimizer, names) in self.optimizers.items():
            saved = checkpoint.unpack(f"optimizer/{name}", tensors)
            checkpoint.load_optimizer_state(optimizer, names, saved, facts["optimizers"][name])
        for name, sums in checkpoint.unpack("meter", tensors).items():
            self.meters[name].sums.copy_(sums if self.compute.main else torch.zeros_like(sums))
        self.compute.gradient.scale.value, self.compute.gradient.scale.finite_steps = facts["loss_scale"]
        self.epoch, self.step = facts["epoch"], facts["step"]
        self.best, self.best_epoch = checkpoint.unpack("best", tensors), facts["best_epoch"]
        self.history = [EpochRecord.from_json(values) for values in facts["history"]]

    def next_epoch(self, record: EpochRecord) -> None:
        """Close an epoch with its record."""
        self.history.append(record)
        self.epoch, self.step = self.epoch + 1, 0
        for meter in self.meters.values():
            meter.reset()

    def parameters(self) -> list[Tensor]:
        """Every tensor that training moves."""
        return [p for optimizer, _ in self.optimizers.values() for p in checkpoint.parameters_of(optimizer)]

    def broadcast(self) -> None:
        """Give every process the main one's tensors."""
        self.compute.broadcast([*_tensors(self.module).values(), *self.alphas.values()])


def parameter_names(module: nn.Module, parameters: list[nn.Parameter]) -> list[str]:
    """The names that parameters have in a module; one from elsewhere goes by its place in the list."""
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    return [names.get(id(parameter), f"#{i}") for i, parameter in enumerate(parameters)]


def _tensors(module: nn.Module) -> dict[str, Tensor]:
    return {name: value for name, value in module.state_dict().items() if isinstance(value, Tensor)}
