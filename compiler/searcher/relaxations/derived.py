"""The text that a search derives: an architecture, or a space in which choices have lost items."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import Tensor

from compiler.derivation import derive_module, derive_space
from compiler.derivation.remaining import kept_items
from compiler.derivation.training import Training
from compiler.ir.decision import Selection
from compiler.searcher.settings.derivation import Menus
from hdas_dsl.tree import ast

from .base import Relaxed


def derived_module(
    supernet: Relaxed,
    chosen: Selection,
    alphas: Mapping[str, Tensor] | None = None,
    train: Training | None = None,
    provenance: Iterable[ast.Setting] = (),
) -> ast.Module:
    """What the rule of a search derives, as a module of the language.

    Args:
        supernet: the space with its alphas and its rule.
        chosen: the architecture that the rule selects.
        alphas: others than the supernet's own, by path.
        train: the `train` section to carry over to an architecture.
        provenance: settings of the provenance section.

    Raises:
        HspError: the decisions of a body with `prune` leave nothing of it, or a choice cannot lose items.
    """
    space, rule = supernet.space, supernet.derive
    if not isinstance(rule, Menus):
        return derive_module(space, chosen, train, provenance)
    strengths, _ = supernet.evidence(alphas)
    alive = {path: supernet.live.items(path) for path in space.decisions}
    return derive_space(space, kept_items(space.decisions, strengths, chosen, rule.keep, alive), provenance)
