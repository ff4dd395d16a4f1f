"""The alphas in the records of a search: entropies, and the weight of every item by its label."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from compiler.elaborate import Elaborated
from compiler.ir.decision import Decision
from compiler.searcher.engine.reporting.records import Observed

from .mixtures import Mixture


def entropies(decisions: Mapping[str, Decision], mixture: Mixture, alphas: Mapping[str, Tensor]) -> dict[str, float]:
    """The entropy of each decision, as a share of the largest possible, 0 to 1.

    Args:
        decisions: those of a space, by path.
        mixture: how weights follow from alphas.
        alphas: the raw parameters of each decision, (items).
    """
    found = {}
    for path, alpha in alphas.items():
        largest = mixture.largest_entropy(decisions[path])
        found[path] = float(mixture.entropy(decisions[path], alpha) / largest) if largest else 0.0
    return found


def mean_entropies(space: Elaborated, mixture: Mixture, alphas: Mapping[str, Tensor]) -> dict[str, float]:
    """The mean entropy of the decisions of each level and of each copy, as a share of the largest possible, 0 to 1.

    Args:
        space: the space.
        mixture: how weights follow from alphas.
        alphas: the raw parameters of each decision, (items).
    """
    levels: dict[str, list[float]] = {}
    copies: dict[str, list[float]] = {}
    for path, value in entropies(space.decisions, mixture, alphas).items():
        decision = space.decisions[path]
        levels.setdefault(space.copies[decision.copy].body.level, []).append(value)
        copies.setdefault(decision.copy, []).append(value)
    return {name: sum(values) / len(values) for name, values in {**levels, **copies}.items()}


def observed(
    decisions: Mapping[str, Decision],
    mixture: Mixture,
    weights: Mapping[str, Tensor],
    alphas: Mapping[str, Tensor],
    of_items: Mapping[str, Tensor],
) -> Observed:
    """What records hold of each decision, by its path.

    Args:
        decisions: those of a space, by path.
        mixture: how weights follow from alphas.
        weights: of items and edges, (items).
        alphas: of items and edges, (items).
        of_items: the alphas of items alone, of which the entropies are.
    """
    of_each = {path: _short(value) for path, value in entropies(decisions, mixture, of_items).items()}
    return Observed(labelled(decisions, weights), labelled(decisions, alphas), of_each)


def labelled(decisions: Mapping[str, Decision], weights: Mapping[str, Tensor]) -> dict[str, dict[str, float]]:
    """Numbers of the items of each decision, (items), by label."""
    return {
        path: dict(zip(_labels(decisions[path]), map(_short, values.tolist()), strict=True))
        for path, values in weights.items()
    }


def _labels(decision: Decision) -> list[str]:
    """The labels of items, numbered where several have the same."""
    items = decision.items
    return [label if items.count(label) == 1 else f"{label} #{number}" for number, label in enumerate(items, 1)]


def _short(value: float) -> float:
    """A weight as records write it."""
    return float(f"{value:.6g}")
