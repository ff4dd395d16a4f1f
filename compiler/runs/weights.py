"""Saved weights, checked against the network that they are for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from compiler.util.errors import UsageError

AUXILIARY = "network.aux."
"""How the names of the auxiliary head's tensors begin; its shapes follow the size of images, only trainings use it."""

SHOWN = 3
"""How many names a message lists."""


def load_weights(network: nn.Module, path: Path) -> None:
    """Give a network the tensors of a safetensors file, to be used outside of trainings: without the auxiliary head.

    Raises:
        UsageError: the file cannot be read, or belongs to another network.
    """
    network.load_state_dict(read_weights(path, network.state_dict()), strict=False)


def read_weights(path: Path, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a safetensors file with the names and shapes of those ``wanted``, without auxiliary ones.

    Raises:
        UsageError: the file cannot be read, or lacks one of them.
    """
    found = _read(path)
    names = [name for name in wanted if not name.startswith(AUXILIARY)]
    missing = [name for name in names if name not in found]
    wrong = [name for name in names if name in found and found[name].shape != wanted[name].shape]
    if missing or wrong:
        name = (missing or wrong)[0]
        why = f"it has no '{name}'" if missing else f"'{name}' has the shape {tuple(found[name].shape)}"
        raise UsageError(f"'{path}' does not belong to this network: {why}")
    return {name: found[name] for name in names}


def start_from(network: nn.Module, path: Path) -> Iterator[str]:
    """Give a network those tensors of a safetensors file that it has too, in the same shape; the others stay fresh.

    Returns:
        A sentence for each kind of tensor that does not come from the file, or is not taken from it.

    Raises:
        UsageError: the file cannot be read, or has nothing of this network.
    """
    found, wanted = _read(path), network.state_dict()
    taken = {name: found[name] for name, own in wanted.items() if name in found and found[name].shape == own.shape}
    if not any(tensor.dim() for tensor in taken.values()):  # Counters of steps have one shape everywhere.
        raise UsageError(
            f"'{path}' has no weights of this network: no tensor has the name and the shape of one of its own"
        )
    network.load_state_dict(taken, strict=False)
    missing = [name for name in wanted if name not in found]
    other = [f"{name} {tuple(found[name].shape)}" for name in wanted if name in found and name not in taken]
    unused = [name for name in found if name not in wanted]
    if missing:
        yield f"{_count(missing, wanted)} not found in '{path}', and start fresh: {_listed(missing)}"
    if other:
        yield f"{_count(other, wanted)} of another shape in '{path}', and start fresh: {_listed(other)}"
    if unused:
        yield f"{_count(unused, found)} of '{path}' are not used: {_listed(unused)}"


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise UsageError(f"'{path}' cannot be read as weights: {error}") from None


def _count(some: Iterable[str], every: Iterable[str]) -> str:
    return f"{len(list(some))} of {len(list(every))} tensors"


def _listed(names: list[str]) -> str:
    more = f", and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more
