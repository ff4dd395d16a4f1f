"""Which items of a space live: all, or those that narrowing has left; and the mixture of those alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from compiler.backend.torch_modules.mixing import entries, with_entries
from compiler.backend.transfer import moved_together
from compiler.ir.decision import Decision

from .mixtures import Mixture

DEAD = -1e3
"""The strength of an item that was given up: no living one is weaker, and its exponential is 0."""

T = TypeVar("T")


class Live(nn.Module):
    """A mask over the items of every decision, which checkpoints keep.

    It is read at the start of an epoch (`refresh`) and not in every pass, which would wait for the device.

    Args:
        decisions: those of a space, by path.
        narrows: whether items are ever given up; else nothing is kept.
        history: how many distributions of items are remembered.
    """

    def __init__(self, decisions: Mapping[str, Decision], narrows: bool = False, history: int = 0) -> None:
        super().__init__()
        self.decisions = decisions
        self.slices: dict[str, slice] = {}
        end = 0
        for path, decision in decisions.items():
            self.slices[path] = slice(end, end + len(decision.items))
            end += len(decision.items)
        self.narrow: dict[str, tuple[int, ...]] = {}
        """The items that live of each decision that has lost some."""
        self.left: dict[str, Decision] = {}
        """The same decisions, with these items alone."""
        if narrows:
            self.register_buffer("mask", torch.ones(end, dtype=torch.bool))
        if history:
            self.register_buffer("past", torch.zeros(history, end, dtype=torch.float64))

    def refresh(self) -> None:
        """Read the mask, which a checkpoint may have changed."""
        if not hasattr(self, "mask"):
            return
        mask = self.get_buffer("mask").tolist()
        alive = {path: _places(mask[part]) for path, part in self.slices.items()}
        self.narrow = {p: items for p, items in alive.items() if len(items) < len(self.decisions[p].items)}
        self.left = {path: with_items(self.decisions[path], items) for path, items in self.narrow.items()}

    def keep(self, kept: Mapping[str, Iterable[int]]) -> None:
        """Give up all other items of some decisions; what was given up before stays so."""
        mask = self.get_buffer("mask")
        for path, items in kept.items():
            part = mask[self.slices[path]]
            wanted = torch.zeros_like(part)
            wanted[list(items)] = True
            part &= wanted
        self.refresh()

    def remember(self, distributions: Mapping[str, Tensor]) -> None:
        """Remember the distributions of items, by path, as the last of the past; the first is forgotten."""
        past = self.get_buffer("past")
        past.copy_(past.roll(-1, 0))
        for path, values in distributions.items():
            past[-1, self.slices[path]] = values.to(past)

    def remembered(self, path: str) -> Tensor:
        """The remembered distributions of a decision, oldest first, (remembered, items)."""
        rows = self.get_buffer("past")[:, self.slices[path]]
        return rows[rows.sum(1) > 0]

    def items(self, path: str) -> tuple[int, ...]:
        """The items of a decision that live."""
        found = self.narrow.get(path)
        return tuple(range(len(self.decisions[path].items))) if found is None else found

    def decision(self, path: str) -> Decision:
        """A decision with the items that live."""
        return self.left.get(path) or self.decisions[path]

    def of(self, path: str, values: Tensor) -> Tensor:
        """The values of the items that live, (living items), of those of all, (items)."""
        return entries(values, self.narrow[path]) if path in self.narrow else values

    def spread(self, path: str, values: Tensor, dead: float = 0.0) -> Tensor:
        """Values of the items that live as values of all, (items): ``dead`` for those that do not."""
        if path not in self.narrow:
            return values
        return with_entries(values.new_full((len(self.decisions[path].items),), dead), self.narrow[path], values)

    def candidates(self, path: str) -> tuple[int, ...]:
        """The candidates of a pick of menus that live: an image of its own, or a menu with an item that lives."""
        menus = self.decisions[path].candidates
        return tuple(i for i, menu in enumerate(menus) if menu is None or self.items(menu))

    def present(self, path: str) -> Tensor:
        """1 for the candidates of a pick of menus that live, 0 for the others, (candidates)."""
        alive = self.candidates(path)
        return torch.tensor([float(i in alive) for i in range(len(self.decisions[path].items))])

    def softmax(self, path: str, alpha: Tensor) -> Tensor:
        """The softmax of the alphas of a pick of menus over the candidates that live, (candidates)."""
        return self._over_candidates(path, alpha, lambda living: living.softmax(0), 0.0)

    def log_softmax(self, path: str, alpha: Tensor) -> Tensor:
        """Its logarithm, (candidates)."""
        return self._over_candidates(path, alpha, lambda living: living.log_softmax(0), DEAD)

    def marked(self, path: str, strengths: Tensor) -> Tensor:
        """Strengths of items, or of the candidates of a pick of menus, where those that do not live are the weakest."""
        if self.decisions[path].candidates:
            return self._over_candidates(path, strengths, lambda living: living, DEAD)
        return self.spread(path, self.of(path, strengths), DEAD)

    def shares(self, like: Tensor) -> dict[str, Tensor]:
        """How probable each candidate is of the picks of menus that have no alphas, by path, (candidates)."""
        found = {}
        for path, decision in self.decisions.items():
            if decision.candidates:
                alive = self.candidates(path)
                share = min(decision.most, len(alive)) / max(len(alive), 1)
                found[path] = torch.tensor([share * (i in alive) for i in range(len(decision.items))])
        return moved_together(found, like)

    def counts(self) -> dict[str, float]:
        """How many items live, by copy; none where nothing is given up."""
        found: dict[str, float] = {}
        for path, decision in self.decisions.items() if hasattr(self, "mask") else ():
            name = f"items {decision.copy}"
            found[name] = found.get(name, 0.0) + (0 if decision.candidates else len(self.items(path)))
        return found

    def _over_candidates(self, path: str, values: Tensor, of: Callable[[Tensor], Tensor], dead: float) -> Tensor:
        alive = list(self.candidates(path)) if self.narrow else []
        if len(alive) in (0, len(values)):
            return of(values)
        return with_entries(torch.full_like(values, dead), alive, of(entries(values, alive)))


class LiveMixture(Mixture):
    """A mixture of the items that live; the others weigh nothing.

    Args:
        mixture: that of the same items if there were no others.
        live: which items live.
    """

    def __init__(self, mixture: Mixture, live: Live) -> None:
        self.mixture, self.live = mixture, live

    def anneal(self, epoch: float) -> None:
        """Follow schedules."""
        self.mixture.anneal(epoch)

    def mean(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The weights of a decision's items, (items), without noise."""
        path = decision.path
        return self.live.spread(path, self.mixture.mean(self.live.decision(path), self.live.of(path, alpha)))

    def draw(self, decisions: Mapping[str, Decision], alphas: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights of a pass in train mode: those of a draw of the items that live."""
        living = {path: self.live.of(path, alpha) for path, alpha in alphas.items() if self.live.items(path)}
        drawn = self.mixture.draw({path: self.live.decision(path) for path in living}, living)
        return {
            path: self.live.spread(path, drawn[path]) if path in drawn else torch.zeros_like(alpha)
            for path, alpha in alphas.items()
        }

    def logarithms(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The logarithms of the weights, (items)."""
        path = decision.path
        found = self.mixture.logarithms(self.live.decision(path), self.live.of(path, alpha))
        return self.live.spread(path, found, DEAD)

    def probabilities(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The weights scaled to the sum of probabilities, (items)."""
        path = decision.path
        return self.live.spread(path, self.mixture.probabilities(self.live.decision(path), self.live.of(path, alpha)))

    def project(self, decision: Decision, weights: Tensor) -> Tensor:
        """Weights that were displaced, brought back to where weights may lie, (items)."""
        path = decision.path
        return self.live.spread(path, self.mixture.project(self.live.decision(path), self.live.of(path, weights)))

    def entropy(self, decision: Decision, alpha: Tensor) -> Tensor:
        """The entropy of the items that live, in nats, a scalar."""
        path = decision.path
        return self.mixture.entropy(self.live.decision(path), self.live.of(path, alpha))

    def largest_entropy(self, decision: Decision) -> float:
        """The entropy of a decision of which nothing is known but what lives, in nats."""
        return self.mixture.largest_entropy(self.live.decision(decision.path)) if self.live.items(decision.path) else 0

    def living(self, decision: Decision, values: Tensor) -> Tensor:
        """The values of the items that live."""
        return self.live.of(decision.path, values)


def with_items(decision: Decision, items: Sequence[int]) -> Decision:
    """A decision with some of its items alone."""

    def of(values: Sequence[T]) -> tuple[T, ...]:
        return tuple(values[item] for item in items) if values else ()

    return replace(
        decision,
        items=of(decision.items),
        derivable=of(decision.derivable),
        candidates=of(decision.candidates),
        sources=of(decision.sources),
        numbers=of(decision.numbers),
        least=min(decision.least, len(items)),
        most=min(decision.most, len(items)),
    )


def _places(mask: Sequence[bool]) -> tuple[int, ...]:
    return tuple(place for place, found in enumerate(mask) if found)
