"""Checkpoints: named tensors and JSON facts in one safetensors file, written atomically. No pickle anywhere.

The facts travel in the metadata of the safetensors header, with one CRC-32 of the facts and of the tensors with their
names, types and shapes, so that a file is either complete and intact or refused. The same content, facts in the same
order, always gives the same bytes.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim import Optimizer

from compiler.searcher.engine.errors import CheckpointError
from compiler.util.files import atomic_write

Plain = bool | int | float | None
OptimizerFacts = dict[str, Plain]
"""The entries of an optimizer's state that are not tensors, as ``parameter/entry``."""

FACTS = "hsp"
"""The one key of the safetensors metadata: with several, their order in the file would vary."""


def write(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
    """Write ``path`` so that it holds the old content or the new one, never a part of it."""
    owned = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    text = json.dumps(facts, separators=(",", ":"))
    header = json.dumps({"crc32": _crc32(text, owned), "facts": text}, separators=(",", ":"))
    atomic_write(path, save(owned, {FACTS: header}))


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, on the CPU, and the facts of a file that ``write`` wrote."""
    if not path.is_file():
        raise CheckpointError(f"There is no checkpoint at {path}.")
    try:
        with safe_open(path, framework="pt") as file:
            header = json.loads((file.metadata() or {})[FACTS])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        facts = json.loads(header["facts"])
        intact = header["crc32"] == _crc32(header["facts"], tensors)
    except (SafetensorError, KeyError, ValueError, TypeError, AttributeError, OSError) as error:
        raise CheckpointError(f"The checkpoint {path} is damaged, or is not one of this program.") from error
    if not intact:
        raise CheckpointError(f"The checkpoint {path} is damaged: its checksum is wrong.")
    return tensors, facts


def pack(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under ``prefix/name``."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def unpack(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that ``pack`` put under ``prefix``."""
    start = f"{prefix}/"
    return {name.removeprefix(start): tensor for name, tensor in tensors.items() if name.startswith(start)}


@torch.no_grad()
def assign(kind: str, targets: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> None:
    """Copy saved tensors into those of the same names, which must be the same set with the same shapes and types."""
    for name in sorted(targets.keys() ^ saved.keys()):
        where = "lacks" if name in targets else "has, and this network lacks,"
        raise CheckpointError(f"The checkpoint is of another network: it {where} the {kind} {name!r}.")
    for name, target in targets.items():
        ours, theirs = _kind(target), _kind(saved[name])
        if ours != theirs:
            raise CheckpointError(
                f"The checkpoint is of another network: the {kind} {name!r} is {theirs} there and {ours} here."
            )
    for name, target in targets.items():
        target.copy_(saved[name])


def optimizer_state(optimizer: Optimizer, names: list[str]) -> tuple[dict[str, Tensor], OptimizerFacts]:
    """An optimizer's state as tensors ``parameter/entry``, and as facts what of it is not a tensor.

    ``names`` are those of the parameters in the order of the optimizer's groups.
    """
    tensors: dict[str, Tensor] = {}
    plain: OptimizerFacts = {}
    state = optimizer.state_dict()
    for index, entries in sorted(state["state"].items()):  # Else in the order in which parameters were first moved.
        for key, value in entries.items():
            name = f"{names[index]}/{key}"
            if isinstance(value, Tensor):
                tensors[name] = value
            else:
                plain[name] = value
    return tensors, plain


def load_optimizer_state(
    optimizer: Optimizer, names: list[str], tensors: Mapping[str, Tensor], facts: Mapping[str, Plain]
) -> None:
    """Give an optimizer the state that ``optimizer_state`` returned; its options stay those it was made with."""
    index = {name: i for i, name in enumerate(names)}
    shapes = {name: p.shape for name, p in zip(names, parameters_of(optimizer), strict=True)}
    state: dict[int, dict[str, Any]] = {}
    for full, value in [*tensors.items(), *facts.items()]:
        name, _, key = full.rpartition("/")
        if name not in index or (isinstance(value, Tensor) and value.dim() and value.shape != shapes[name]):
            raise CheckpointError(f"The checkpoint is of another network: its optimizer state {full!r} does not fit.")
        state.setdefault(index[name], {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": dict(sorted(state.items()))})


def parameters_of(optimizer: Optimizer) -> list[nn.Parameter]:
    """All parameters of an optimizer, in the order in which its state dictionary numbers them."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')}{list(tensor.shape)}"


def _crc32(facts: str, tensors: Mapping[str, Tensor]) -> int:
    crc = zlib.crc32(facts.encode())
    for name in sorted(tensors):
        crc = zlib.crc32(f"{name} {_kind(tensors[name])}".encode(), crc)
        crc = zlib.crc32(tensors[name].contiguous().reshape(-1).view(torch.uint8).numpy().data, crc)
    return crc
