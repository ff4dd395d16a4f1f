"""How good an architecture may be, learned from those that were judged: a mean and a deviation.

White, Neiswanger, Savani, "BANANAS: Bayesian Optimization with Neural Architectures for Neural Architecture Search"
(AAAI 2021). Their ensemble is of five networks; here it is the trees of a forest, which need no tuning.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor

from compiler.ir.decision import Decision, Selection

SEEN = 1000
"""A tree learns from a draw of so many architectures at most: what it costs does not grow with the trials."""
SHARE = 1 / 3
"""A split is the best of so many of the features: the usual share in regression, a third (Breiman 2001)."""


class Features:
    """An architecture as numbers: for each item of each decision, whether it is taken; nothing of what does not exist.

    Args:
        decisions: those of a space.
    """

    def __init__(self, decisions: Mapping[str, Decision]) -> None:
        self.start: dict[str, int] = {}
        end = 0
        for path, decision in decisions.items():
            self.start[path] = end
            end += len(decision.items)
        self.count = end

    def __call__(self, many: Sequence[Selection]) -> NDArray[np.float32]:
        """A row for each architecture, (architectures, items)."""
        found = np.zeros((len(many), self.count), dtype=np.float32)
        for row, chosen in zip(found, many, strict=True):
            for path, items in chosen.items():
                row[[self.start[path] + item for item in items]] = 1
        return found


class Forest:
    """A forest that learned how good architectures are.

    Args:
        known: the features of those that were judged, (architectures, features).
        scores: how good these are.
        trees: how many trees the forest has.
        seed: of the forest, below 2 ** 32.
    """

    def __init__(self, known: NDArray[np.float32], scores: Sequence[float], trees: int, seed: int) -> None:
        seen = SEEN if len(scores) > SEEN else None
        forest = RandomForestRegressor(trees, max_samples=seen, max_features=SHARE, random_state=seed, n_jobs=1)
        self.trees = forest.fit(known, np.asarray(scores)).estimators_

    def __call__(self, asked: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The mean and the deviation over the trees for others, by their features: (architectures) each."""
        # Each tree would check the rows again, which takes longer than its answer.
        each = np.stack([tree.predict(asked, check_input=False) for tree in self.trees])
        return each.mean(0), each.std(0)
