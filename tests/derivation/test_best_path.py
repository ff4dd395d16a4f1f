"""The strongest path against all paths."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from compiler.derivation.best_path import best_path, decided
from compiler.derivation.presence import settle
from compiler.derivation.strongest import strongest
from compiler.elaborate import Elaborated
from compiler.ir.decision import DecisionKind
from compiler.searcher.settings.derivation import BestPath, By, Strongest
from hdas_dsl.text.diagnostics import HspError
from tests.support.programs import space

TRELLIS = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm

network Net(image: [3, 8, 8]; layers = 4) {
  stem = image -> conv(3, 4)
  h[l < layers, s < min(l + 1, 3)] = if l == 0 then stem else pick 1 of unit(each h[l - 1, s - 1 .. s + 1])
  output pick 1 of h[layers - 1, 0 .. 2]
  prune
}
"""

CELL = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = unit | unit(k = 3)

cell Cell(x) {
  n[i < 3] = Op(sum(from)) where from = pick any of (x, earlier n)
  output sum(pick any of n)
  prune
}

network Net(image: [3, 8, 8]) {
  output image -> conv(3, 4) -> Cell
}
"""


def drawn(searched: Elaborated, seed: int) -> dict[str, list[float]]:
    torch.manual_seed(seed)
    return {p: (2 * torch.randn(d.alphas)).tolist() for p, d in searched.decisions.items() if d.alphas}


def log_softmax(values: list[float]) -> list[float]:
    return torch.tensor(values, dtype=torch.float64).log_softmax(0).tolist()


def walk(alphas: dict[str, list[float]], layers: int) -> float:
    """The largest product along a path of the trellis, forwards, by the definition."""
    best = {0: 0.0}
    for layer in range(1, layers):
        here = {}
        for s in range(min(layer + 1, 3)):
            sources = [t for t in range(s - 1, s + 2) if 0 <= t < min(layer, 3)]
            shares = log_softmax(alphas.get(f"Net.h{layer}_{s}.in", [0.0] * len(sources)))
            here[s] = max(best[t] + share for t, share in zip(sources, shares, strict=True))
        best = here
    return max(best[s] + share for s, share in enumerate(log_softmax(alphas["Net.output.in"])))


@pytest.mark.parametrize("seed", range(5))
def test_the_best_path_of_a_trellis(seed: int) -> None:
    searched = space(TRELLIS)
    alphas = drawn(searched, seed)
    chosen = best_path(searched, alphas, By.PROBABILITY)
    s, total = chosen["Net.output.in"][0], 0.0
    total += log_softmax(alphas["Net.output.in"])[s]
    for layer in range(3, 0, -1):
        sources = [t for t in range(s - 1, s + 2) if 0 <= t < min(layer, 3)]
        (taken,) = chosen[f"Net.h{layer}_{s}.in"]
        total += log_softmax(alphas[f"Net.h{layer}_{s}.in"])[taken]
        s = sources[taken]
    assert total == pytest.approx(walk(alphas, 4))


def worth(searched: Elaborated, alphas: dict[str, list[float]], chosen: dict[str, tuple[int, ...]]) -> float:
    """The logarithm of the probability of what exists of the cell."""
    presence = settle(searched, chosen)
    needed, pending = set(), ["output"]
    total = 0.0
    names = ("x", "n0", "n1", "n2")
    while pending:
        name = pending.pop()
        if name in needed or name == "x":
            continue
        needed.add(name)
        pick = f"Cell.{name}.in" if name == "output" else f"Cell.{name}.from.in"
        taken = presence.chosen[pick]
        for item, alpha in enumerate(alphas[pick]):
            p = torch.tensor(alpha, dtype=torch.float64)
            total += float(torch.nn.functional.logsigmoid(p if item in taken else -p))
        pending += [names[item + 1] if name == "output" else names[item] for item in taken]
        if name != "output":
            op = next(p for p in searched.decisions if p.startswith(f"Cell.{name}.") and not p.endswith(".in"))
            total += log_softmax(alphas[op])[chosen[op][0]]
    return total


@pytest.mark.parametrize("seed", range(3))
def test_the_most_probable_cell_of_all(seed: int) -> None:
    """Over every way to pick; what is taken must exist."""
    searched = space(CELL)
    alphas = drawn(searched, seed)
    picks = [p for p, d in searched.decisions.items() if d.kind is DecisionKind.ANY]
    free = strongest(searched.decisions, alphas, By.PROBABILITY)
    best = -math.inf
    subsets = [
        [tuple(i for i in range(len(alphas[p])) if number >> i & 1) for number in range(2 ** len(alphas[p]))]
        for p in picks
    ]
    for items in product(*subsets):
        chosen = {**free, **dict(zip(picks, items, strict=True))}
        try:
            presence = settle(searched, chosen)
        except HspError:
            continue
        if presence.chosen == chosen:
            best = max(best, worth(searched, alphas, chosen))
    found = best_path(searched, alphas, By.PROBABILITY)
    assert worth(searched, alphas, found) == pytest.approx(best)
    assert decided(searched, alphas, BestPath()) == found
    assert decided(searched, alphas, Strongest()) == free
