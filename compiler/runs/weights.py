"""Saved weights, checked against the network that they are for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from compiler.util.errors import UsageError


def load_weights(network: nn.Module, path: Path) -> None:
    """Give a network the tensors of a safetensors file.

    Raises:
        UsageError: the file cannot be read, or belongs to another network.
    """
    network.load_state_dict(read_weights(path, network.state_dict()))


def read_weights(path: Path, wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a safetensors file under the names, and of the shapes, of those ``wanted``.

    Raises:
        UsageError: the file cannot be read, or lacks one of them.
    """
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise UsageError(f"'{path}' cannot be read as weights: {error}") from None
    missing = [name for name in wanted if name not in found]
    wrong = [name for name in wanted if name in found and found[name].shape != wanted[name].shape]
    if missing or wrong:
        name = (missing or wrong)[0]
        why = f"it has no '{name}'" if missing else f"'{name}' has the shape {tuple(found[name].shape)}"
        raise UsageError(f"'{path}' does not belong to this network: {why}")
    return {name: found[name] for name in wanted}
