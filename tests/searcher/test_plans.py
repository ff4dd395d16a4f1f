"""The architectures that a step of the weights learns on: laws of each plan."""

from __future__ import annotations

from itertools import product

import pytest
import torch

from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.searcher.relaxations import Sampled, relaxed
from compiler.searcher.settings.relaxation import Fair, Sample, Sandwich
from compiler.searcher.settings.sections import SearchSettings
from compiler.util.errors import UsageError
from tests.support.programs import space

TEXT = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = zero if relaxed | unit | identity | unit(k = 3)
network Net(image: [1, 8, 8]; classes = 3) {
  stem = image -> conv(3, 4)
  a = stem -> Op
  b = (a -> Op) + stem
  output b -> conv(3, WIDTHS) -> classifier(classes)
}
"""
NET = TEXT.replace("WIDTHS", "6 | 4 | 8")


def sampled(found: Elaborated, word: Sample) -> Sampled:
    made = relaxed(found, SearchSettings(relax=word))
    assert isinstance(made, Sampled)
    return made


def test_each_item_runs_once_a_fair_step() -> None:
    found = space(NET.replace("a -> Op) + stem", "a -> Op)"))
    one = sampled(found, Sample(weights=Fair(), draws=2))
    seen = set()
    for seed in range(5):
        torch.manual_seed(seed)
        passes = one.weight_passes()
        assert (len(passes.runs), passes.factor) == (6, 0.5)
        for runs in (passes.runs[:3], passes.runs[3:]):
            for path, decision in found.decisions.items():
                taken = sorted(run[path][0] for run in runs if run is not None)
                assert taken == [i for i, usable in enumerate(decision.derivable) if usable]
        seen.add(str(passes.runs))
    assert len(seen) > 1


def test_a_fair_draw_meets_what_is_required() -> None:
    text = NET.replace("a -> Op) + stem", "a -> Op)").replace("  output", "  require params <= 600\n  output")
    one = sampled(space(text), Sample(weights=Fair()))
    torch.manual_seed(0)
    runs = one.weight_passes().runs
    assert all(run is not None and one.meets(dict(run)) for run in runs)
    loose = sampled(space(text.replace("600", "6000")), Sample(weights=Fair()))
    assert any(not one.meets(dict(run)) for _ in range(20) for run in loose.weight_passes().runs if run is not None)
    with pytest.raises(UsageError, match="fair draws"):
        sampled(space(text.replace("600", "200")), Sample(weights=Fair())).weight_passes()


def test_a_sandwich_has_both_extremes() -> None:
    """Exhaustively: no architecture costs more multiply-adds than the first, none fewer than the second."""
    found = space(NET)
    one = sampled(found, Sample(weights=Sandwich(random=3)))
    passes = one.weight_passes()
    costs = [one.operations.path(dict(run)).macs for run in passes.runs if run is not None]
    items = [[i for i, usable in enumerate(d.derivable) if usable] for d in found.decisions.values()]
    every: list[Selection] = [
        dict(zip(found.decisions, ((item,) for item in way), strict=True)) for way in product(*items)
    ]
    macs = [one.operations.path(chosen).macs for chosen in every]
    assert (costs[0], costs[1]) == (max(macs), min(macs))
    assert (len(costs), passes.factor) == (5, 1.0)
    assert one.weight_passes().runs[:2] == passes.runs[:2]


def test_an_extreme_that_is_not_allowed_is_refused() -> None:
    text = NET.replace("  output", "  require params <= 600\n  output")
    with pytest.raises(UsageError, match="largest architecture, which misses"):
        sampled(space(text), Sample(weights=Sandwich()))


def test_n_draws_are_n_draws() -> None:
    one = sampled(space(NET), Sample(draws=3))
    passes = one.weight_passes()
    assert len(passes.runs) == 3
    assert passes.factor == 1 / 3
    assert any(one.weight_passes().runs[0] != one.weight_passes().runs[1] for _ in range(5))
