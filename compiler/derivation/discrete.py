"""The discrete variant of a space: every operation as it will be derived, and only the items that can be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from compiler.elaborate import Elaborated, elaborate
from compiler.elaborate.values import Function
from compiler.ir.decision import Selection
from compiler.util.errors import HdasError
from hdas_dsl.text.diagnostics import HspError

from .assignment import undecided


class DifferentDecisionsError(HdasError):
    """The discrete variant of a space has decisions that the relaxed one lacks, so that no selection speaks of it."""

    exit_code = 2


@dataclass(frozen=True, eq=False)
class Discrete:
    """The discrete variant: ``items`` says of each of its decisions which item of the space each of its items is."""

    network: Elaborated
    items: Mapping[str, tuple[int, ...]]

    def selection(self, chosen: Selection) -> Selection:
        """A selection of the space in the items of the discrete variant."""
        return {
            path: tuple(index for index, item in enumerate(items) if item in chosen[path])
            for path, items in self.items.items()
        }


def discrete(space: Elaborated) -> Discrete:
    """The space with every operation in its discrete variant; the space itself where there is no other.

    Raises:
        DifferentDecisionsError: the two have other decisions.
    """
    network = _elaborated(space)
    return Discrete(network, {path: _kept(space, network, path) for path in network.decisions})


def _elaborated(space: Elaborated) -> Elaborated:
    consulted = any(copy.body.reads_relaxed for copy in space.copies.values())
    if not consulted and all(all(decision.derivable) for decision in space.decisions.values()):
        return space
    root = space.root
    label = root.path if root.path != root.definition.name else None
    function = Function(root.definition, root.instance, label)
    # What a default chooses is chosen there again: given, its values would speak of decisions that are never made.
    given = {name: value for name, value in space.given.items() if next(undecided(value), None) is None}
    found, diagnostics = elaborate(function, given, frozenset(), externals=space.externals)
    if found is None:
        raise HspError(diagnostics)
    return found


def _kept(space: Elaborated, network: Elaborated, path: str) -> tuple[int, ...]:
    """The items of a decision of the space that the discrete network has, by index."""
    if path not in space.decisions:
        raise DifferentDecisionsError(f"'{path}' is decided in the discrete network only")
    kept = space.decisions[path].derivable_items
    if len(kept) != len(network.decisions[path].items):
        raise DifferentDecisionsError(f"'{path}' has other items in the discrete network")
    return kept
