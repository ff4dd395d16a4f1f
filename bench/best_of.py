"""The best of several searches, chosen by a training of what each found: DARTS's protocol, placed in a table of truth.

    python bench/best_of.py spaces/truth/cells.hsp --method snas --each 4 [--seeds 20]

DARTS searches four times, trains what each search found, and keeps the best (Liu et al., ICLR 2019, section 3.2).
Here the searches are those that `finds.py` kept, by their seeds, in groups of `--each`. Of a group that architecture is
chosen whose training has the lowest mean loss, as `hdas-study --train` chooses: a third training, kept in
`NAME.more.csv`, while the first two test what is chosen. A group takes the time of its searches and of a training each;
random search of that time is what it is compared with.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median

import torch
from finds import TESTS, Finds, better_than, chance_in, drawn, shown, tested, training_seconds
from truth import Row, Space, Table

CHOOSES = TESTS
"""The seed of the training that chooses."""


@dataclass(frozen=True)
class Group:
    """Some searches: the shares of the table that what they found is better than, and that of the chosen one."""

    shares: tuple[float, ...]
    chosen: float
    seconds: float


def groups(found: Sequence[tuple[int, float]], each: int, rows: Mapping[int, Row], table: Table) -> list[Group]:
    """Whole groups of searches, in their order.

    Args:
        found: the number of the architecture, and the seconds of the search.
        each: how many searches a group has.
        rows: all rows that are known, with a training that chooses.
        table: what ranks, and what a training takes.
    """
    others = list(map(tested, table.rows.values()))
    made = []
    for start in range(0, len(found) - each + 1, each):
        part = found[start : start + each]
        shares = {number: better_than(tested(rows[number]), others) for number, _ in part}
        chosen = min(shares, key=lambda number: rows[number].results[CHOOSES].loss)
        seconds = sum(seconds for _, seconds in part) + each * training_seconds(table)
        made.append(Group(tuple(shares[number] for number, _ in part), shares[chosen], seconds))
    return made


def trained(numbers: Sequence[int], table: Table, more: Table, space: Space) -> dict[int, Row]:
    """The rows of some architectures, with trainings that test and one that chooses; what is missing is trained.

    It goes to ``more``: the third trainings of the table are those of a random sample, which random search draws from.
    """
    found: dict[int, Row] = {}
    for number in dict.fromkeys(numbers):
        homes = [home.rows[number] for home in (more, table) if number in home.rows]
        results = {seed: result for row in homes for seed, result in row.results.items()}
        for seed in set(range(CHOOSES + 1)) - results.keys():
            architecture, results[seed] = space.train(number, seed)
            more.add(architecture, seed, results[seed])
        found[number] = replace(homes[-1], results=results)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", type=Path)
    parser.add_argument("--method", default="snas", help="whose searches `finds.py` kept")
    parser.add_argument("--each", type=int, default=4, help="searches of a group")
    parser.add_argument("--seeds", type=int, default=20, help="searches of these first seeds")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where data lie")
    args = parser.parse_args()
    torch.set_num_threads(1)
    table, more = Table(args.space.with_suffix(".csv")), Table(args.space.with_suffix(".more.csv"))
    kept = Finds(args.space.with_suffix(".finds.csv")).between(0, args.seeds).of(args.method)
    found = [(item.number, item.seconds) for item in kept if item.number is not None]
    if len(found) < args.each:
        raise SystemExit(f"{len(found)} searches by {args.method} are kept: search with bench/finds.py first")
    made = groups(found, args.each, trained([n for n, _ in found], table, more, Space(args.space, args.data)), table)
    for group in made:
        print(f"{', '.join(f'{share:.1%}' for share in group.shares)}: chosen {group.chosen:.1%}")
    shares, seconds = [group.chosen for group in made], mean(group.seconds for group in made)
    draws = drawn(table, seconds)
    p = shown(chance_in(median(shares), len(shares), draws))
    print(
        f"{len(made)} groups of {args.each}: better than {median(shares):.1%} (median); "
        f"random search in {seconds:.0f} s: {median(draws):.1%}, p = {p}"
    )


if __name__ == "__main__":
    main()
