"""The strongest path against all paths."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch

from compiler.analysis.counting.count import counted
from compiler.derivation.best_path import best_path, check_decidable, decided
from compiler.derivation.presence import settle
from compiler.derivation.strongest import strongest
from compiler.elaborate import Elaborated
from compiler.ir.combinatorics.circuit import way
from compiler.ir.decision import Selection
from compiler.searcher.settings.derivation import BestPath, By, Strongest
from compiler.util.errors import UsageError
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
    picks = [p for p, d in searched.decisions.items() if not d.least]
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


LIMITED = CELL.replace("  prune\n", "  prune\n  require edges == 4 and count(unit) >= 1\n")

SHARED = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = unit | unit(k = 3)

network Net(image: [3, 8, 8]) {
  x = image -> conv(3, 4)
  p = pick any of (x, unit(x))
  n[i < 3] = Op(sum(p, pick any of (x, Op(each earlier n))))
  output sum(pick 2 of (x, n))
  prune
}
"""


def log_probability(searched: Elaborated, alphas: dict[str, list[float]], made: Selection) -> float:
    """That of the decisions that exist in an architecture, by the definition; picks of menus have none of their own."""
    total = 0.0
    for path, items in made.items():
        decision = searched.decisions[path]
        if decision.independent and alphas.get(path):
            values = torch.tensor(alphas[path], dtype=torch.float64)
            signs = torch.tensor([1.0 if item in items else -1.0 for item in range(len(values))])
            total += float(torch.nn.functional.logsigmoid(signs * values).sum())
        elif not decision.candidates:
            total += sum(log_softmax(alphas[path])[item] for item in items)
    return total


@pytest.mark.parametrize("text", [TRELLIS, CELL, LIMITED, SHARED], ids=["trellis", "cell", "required", "shared"])
@pytest.mark.parametrize("seed", range(3))
def test_none_of_all_architectures_is_more_probable(text: str, seed: int) -> None:
    searched = space(text)
    alphas = drawn(searched, seed)
    circuit = counted(searched)[0]
    best = max(log_probability(searched, alphas, way(circuit, rank)) for rank in range(circuit.number))
    chosen = best_path(searched, alphas, By.PROBABILITY)
    exists = next(made for rank in range(circuit.number) if agrees(made := way(circuit, rank), chosen))
    assert log_probability(searched, alphas, exists) == pytest.approx(best)


def agrees(made: Selection, chosen: Selection) -> bool:
    """Whether an architecture is the one that decisions select."""
    return all(chosen[path] == items for path, items in made.items())


@pytest.mark.parametrize("order", ["u, v, w", "w, v, u", "v, u, w"])
@pytest.mark.parametrize(("take", "first"), [("1", (0,)), ("2", (0, 1)), ("any", (0,))])
def test_ties_go_to_the_first_in_source_order(order: str, take: str, first: tuple[int, ...]) -> None:
    """Every way is equally probable; of any number the fewest are taken that leave an output."""
    head = "hsp 1\nop a(x) = x -> relu\nop b(x) = x -> gelu\n"
    menu = "a" if take == "any" else "(a | b)"
    lines = "".join(f"  {name} = {menu}(image)\n" for name in "uvw")
    body = f"{lines}  output sum(pick {take} of ({order}))\n  prune\n"
    searched = space(f"{head}network Net(image: [4, 8, 8]) {{\n{body}}}\n")
    alphas = {path: [0.0] * decision.alphas for path, decision in searched.decisions.items() if decision.alphas}
    expected = dict.fromkeys(searched.decisions, (0,)) | {"Net.output.in": first}
    assert best_path(searched, alphas, By.PROBABILITY) == expected


JOINED = """\
hsp 1
cell Join(x, y) {
  output concat(x, y) -> conv(1, x.c)
}
network Net(image: [4, 8, 8]) {
  u = sum(pick any of (image)) -> relu
  v = sum(pick any of (image)) -> relu
  output image + Join(u, v)
  prune
}
"""


def test_a_text_that_cannot_be_counted_is_refused() -> None:
    """Before the search, with the reason; the strongest items can still be asked for."""
    searched = space(JOINED)
    with pytest.raises(UsageError, match="best_path` does not decide 'Net': 'Net' joins two tensors"):
        check_decidable(searched, BestPath())
    check_decidable(searched, Strongest())
