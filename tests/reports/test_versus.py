"""Figures of a comparison with chance, against values worked out by hand and by drawing."""

from __future__ import annotations

import random
from math import sqrt

import pytest

from compiler.reports.columns import text_of
from compiler.reports.spread import Spread
from compiler.reports.versus import Comparison, Trained
from compiler.searcher.settings.metric import Metric


def comparison(accuracy: float, *others: float) -> Comparison:
    def made(name: str, value: float) -> Trained:
        return Trained(name=name, params=1000, macs=20000, values=(value,))

    found = tuple(made(f"random-{number}", value) for number, value in enumerate(others))
    return Comparison(seeds=(0,), architecture=made("architecture", accuracy), random=found)


def test_rank_p_difference_and_interval_by_hand() -> None:
    found = comparison(0.90, 0.80, 0.84, 0.86, 0.82)
    assert (found.rank, found.p) == (1, 1 / 5)
    assert found.difference == pytest.approx(0.07)
    # The spread of 80, 84, 86, 82 is sqrt(20 / 3); Student's t of 3 degrees of freedom at 97.5% is 3.182446.
    reach = 3.182446 * sqrt(20 / 3) / 100 * sqrt(1 + 1 / 4)
    assert found.interval == pytest.approx((0.07 - reach, 0.07 + reach), abs=1e-6)


def test_the_median_of_the_space_by_hand() -> None:
    found = comparison(0.85, 0.80, 0.84, 0.86, 0.82)
    assert found.p_median == pytest.approx(5 / 16), "of 16 outcomes of 4 coins, one has four heads, and four have three"
    assert list(found.verdict())[-1] == "p = 0.312 that one at the median of such draws beats 3 of 4 (sign test)"
    assert comparison(0.7, 0.8, 0.8).p_median == 1


def test_where_the_variance_comes_from_by_hand_and_by_drawing() -> None:
    """Rows 1 3, 3 5, 5 7 differ by their architecture and a seed that all have in common, and by no luck."""
    assert Spread.of([(1, 3), (3, 5), (5, 7)]) == Spread(architectures=2.0, trainings=0.0)
    # Of 0 2, 4 2 the means are 1 and 3, the residuals 1 each: luck 4, between (2 - 4 / 2) = 0.
    assert Spread.of([(0, 2), (4, 2)]) == Spread(architectures=0.0, trainings=2.0)
    assert Spread.of([(1, 2)]) is Spread.of([(1,), (2,)]) is Spread.of([]) is None
    source = random.Random(0)
    rows = []
    for _ in range(4_000):
        worth = source.gauss(0, 3)
        rows.append([worth + source.gauss(0, 4) + seed for seed in range(3)])
    found = Spread.of(rows)
    assert found is not None
    assert found.architectures == pytest.approx(3, abs=0.15)
    assert found.trainings == pytest.approx(4, abs=0.1)
    assert found.share == pytest.approx(9 / 25, abs=0.02)
    seeds = (0, 1)
    some = tuple(
        Trained(name=f"random-{at}", params=1, macs=1, values=row) for at, row in enumerate([(0.7, 0.8), (0.8, 0.9)])
    )
    said = list(Comparison(seeds=seeds, architecture=some[0], random=some).verdict())
    assert (
        said[2]
        == "architectures deviate by 7.07 points, trainings of one by 0.00: 100% of the variance is the architecture"
    )


def test_equals_are_not_beaten() -> None:
    found = comparison(0.8, 0.8, 0.8, 0.9, 0.1)
    assert (found.rank, found.p) == (4, 4 / 5)


def test_of_an_error_the_smaller_is_the_better() -> None:
    """All that is said of accuracies holds of their negatives, with the signs of differences."""
    accuracies, error = (0.85, 0.80, 0.84, 0.86, 0.82), Metric(name="mse", larger=False, share=False)
    assert [Metric(name=name).title for name in ("mse", "loss", "accuracy")] == ["MSE", "Loss", "Accuracy"]
    more = comparison(*accuracies)
    less = comparison(*(1 - value for value in accuracies)).model_copy(update={"metric": error})
    assert (less.rank, less.p, less.p_median) == (more.rank, more.p, more.p_median) == (2, 2 / 5, 5 / 16)
    assert less.difference == pytest.approx(-more.difference)
    assert [row.split()[:2] for row in text_of(less.table()).splitlines()[:3]] == [
        ["architecture", "mse"],
        ["random-2", "0.14"],
        ["architecture", "0.15"],
    ]
    assert list(less.verdict())[1].startswith("difference from their mean: -0.02 mse, of which smaller is better, 95%")
    assert Comparison.model_validate_json(less.model_dump_json()) == less


def test_one_random_architecture_has_no_spread() -> None:
    found = comparison(0.8, 0.7)
    assert found.interval is None
    assert list(found.verdict())[:2] == [
        "rank 1 of 2: architecture beside 1 random architecture",
        "difference from their mean: +10.00 points",
    ]


def test_seeds_count_by_their_mean() -> None:
    trained = Trained(name="architecture", params=1, macs=1, values=(0.5, 0.7))
    other = Trained(name="random-0", params=1, macs=1, values=(0.61, 0.58))
    found = Comparison(seeds=(4, 5), architecture=trained, random=(other,))
    assert found.rank == 1
    assert text_of(found.table()).splitlines() == [
        "architecture  accuracy  seed 4  seed 5  parameters  multiply-adds",
        "architecture    60.00%  50.00%  70.00%           1              1",
        "random-0        59.50%  61.00%  58.00%           1              1",
    ]


def test_a_draw_like_the_others_seldom_seems_better() -> None:
    """Of draws from one distribution, p is at most 1/10 for a tenth, and the interval covers zero for 95%."""
    source = random.Random(0)
    rounds, small, above, covered = 4000, 0, 0, 0
    for _ in range(rounds):
        found = comparison(*(source.gauss(0.5, 0.02) for _ in range(10)))
        small += found.p <= 0.1
        above += comparison(0.5, *found.values).p_median <= 0.1
        low, high = found.interval or (0.0, 0.0)
        covered += low <= 0 <= high
    assert abs(small / rounds - 0.1) < 0.02
    assert above / rounds < 0.1, "the median of the distribution seldom seems above it"
    assert abs(covered / rounds - 0.95) < 0.015
