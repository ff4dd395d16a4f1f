"""The strength of each item for deriving, where weights are not the softmax of alphas or edges weigh too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from compiler.ir.decision import Decision
from compiler.searcher.settings.derivation import By
from compiler.util.errors import UsageError

from .draws import lists
from .live import Live
from .mixtures import Mixture


def numbers(own: Mapping[str, Tensor], given: Mapping[str, Tensor] | None = None) -> dict[str, list[float]]:
    """The alphas, or those given in their stead, as numbers.

    Raises:
        UsageError: not every decision is given as many as it has.
    """
    found = own if given is None else {path: given[path] for path in own if path in given}
    for path, alpha in own.items():
        if path not in found or found[path].shape != alpha.shape:
            said = f"is given {found[path].numel()}" if path in found else "is given none"
            raise UsageError(f"'{path}' has {alpha.numel()} alphas, and {said}")
    return lists(found)


def logarithms(
    decisions: Mapping[str, Decision],
    alphas: Mapping[str, list[float]],
    edges: Sequence[str],
    mixture: Mixture,
    live: Live,
    by: By,
) -> dict[str, list[float]]:
    """Logarithms of strengths, so that the edge of an item counts by addition.

    Args:
        decisions: the decisions of the space, by path.
        alphas: the raw parameters of each decision, (items).
        edges: the picks of menus whose candidates have alphas of their own.
        mixture: how weights follow from alphas.
        live: which items live.
        by: whether a strength is the probability of an item, or its alpha.

    Returns:
        The strengths of the items of each decision that is not an edge, (items).
    """
    tensors = {path: torch.tensor(values, dtype=torch.float64) for path, values in alphas.items()}
    if by is By.PROBABILITY:
        for path, values in tensors.items():
            is_edge = path in edges
            tensors[path] = live.log_softmax(path, values) if is_edge else mixture.logarithms(decisions[path], values)
    else:
        tensors = {path: live.marked(path, values) for path, values in tensors.items()}
    for path in edges:
        for edge, menu in zip(tensors.pop(path), decisions[path].candidates, strict=True):
            if menu is not None:
                tensors[menu] = tensors[menu] + edge
    return {path: values.tolist() for path, values in tensors.items()}
