"""What searches find, placed in a table of truth: each method with several seeds, beside random search and chance.

    python bench/finds.py spaces/truth/cells.hsp [--methods darts pc_darts halving] [--seeds 5] [--epochs 50] [--report]
                          [--plot docs/images/finds_cells.svg]

A search runs as its method's lines say, on the images that the table's trainings learn from, half of which train
alphas; epochs and batch are the same for all, and what a method counts in epochs is scaled to them (`SCALED`). A method
may be followed by lines of its own, `"darts, levels = 1; relax = gumbel"`, to tell which axis it is that finds.
`halving` is random search that spends the time of a search of `darts` on short trainings: the better third of the
architectures goes on to about three times the epochs. What is found is looked up in the table; an architecture that the
table lacks is trained twice, as those of the table were, and kept in `NAME.more.csv`, so that the table stays a random
sample. Found architectures are kept in `NAME.finds.csv` after every search: a run that ends early goes on where
it was. Seconds are those of the processor that made the table: a few of its architectures are trained again first, to
tell how fast this one is. `--report` prints the table of docs/finds_methods.md from these files, and `--plot` draws
it.
"""

from __future__ import annotations

import argparse
import csv
import io
import random
import re
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from statistics import mean, median
from textwrap import shorten

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import beta, mannwhitneyu
from truth import Row, Space, Table

from compiler.analysis.architectures.variation import found_in
from compiler.program.methods import library_methods
from compiler.program.overrides import read_override
from compiler.program.request import Request
from compiler.runs.config import RunConfig
from compiler.runs.plan import plan_search
from compiler.runs.search import search
from compiler.util.errors import UsageError
from compiler.util.files import atomic_write
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.tree import ast

HALVING = "halving"
RIVAL = "darts"
"""Whose time `halving` spends."""
GENETIC = "derive = genetic(rounds = 5, population = 50, parents = 10, mutants = 25, children = 25, rate = 0.1)"
BY_DAMAGE = """weights = sgd(lr = pieces(cosine(0.025, 0.001), cosine(0.0025, 0.001), at = <0.38>))
narrow = one_by_one(by = damage, next = random, begin = <0.38>, every = <0.05>)"""
SCALED = {
    "bignas": "derive = random(200)",
    "darts_es": "until = sharpness(1.3, window = 3, lag = <0.08>, every = 1, begin = <0.2>)",
    "darts_minus": "beside = SKIP(ramp(1, 0))",
    "darts_plus": 'until = taken("SKIP", 2)',
    "darts_pt": BY_DAMAGE,
    "darts_pt_blank": BY_DAMAGE,
    "darts_steady": "until = unchanged(<0.2>)",
    "drnas": """alphas = adam(lr = 6e-4, rest = ((0, <0.2>), (<0.5>, <0.7>)))
narrow = together(keep = 2, at = <0.5>)""",
    "fairnas": GENETIC,
    "p_darts": """weights = sgd(lr = pieces(cosine(0.025, 0), \
pieces(cosine(0.025, 0), cosine(0.025, 0), at = <0.33>), at = <0.33>))
alphas = adam(lr = 6e-4, clip = 5, rest = ((0, <0.13>), (<0.33>, <0.46>), (<0.67>, <0.8>)))
narrow = together(keep = (3, 2), at = (<0.33>, <0.67>))
dropout = SKIP(pieces(0, pieces(ramp(0.4, 0.05), ramp(0.7, 0.05), at = <0.33>), at = <0.33>))""",
    "pc_darts": "alphas_from = <0.3>",
    "proxyless": """alphas_from = <0.25>
weights = sgd(lr = pieces(cosine(0.05, 0), cosine(0.025, 0), at = <0.25>), decay = 4e-5, clip = 0, nesterov = true)""",
    "rsws": "derive = random(200, again = 10, rounds = 5)",
    "sgas": "narrow = one_by_one(by = certainty, begin = <0.2>, every = <0.1>)",
    "sgas_2": "narrow = one_by_one(by = certainty(history = 4), begin = <0.2>, every = <0.1>)",
    "spos": f"judge = shared(images = 1000, calibrate = 200)\n{GENETIC}",
}
"""Lines of a method that count epochs, in shares of them, and explorers for spaces of a few hundred architectures.

``SKIP`` stands for what the space calls the operation that passes its input on.
"""
SHARE = 3
"""One in so many architectures goes on, to so many times the epochs."""


@dataclass(frozen=True)
class Found:
    """What a search with a seed found: the number of an architecture, or none where the space refuses the method."""

    method: str
    seed: int
    number: int | None
    seconds: float
    epochs: int
    refusal: str = ""


class Finds:
    """What searches of a space found, in a CSV file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.all: list[Found] = []
        if path.is_file():
            with path.open(newline="") as file:
                for line in csv.DictReader(file):
                    number = int(line["number"]) if line["number"] else None
                    seconds, epochs = float(line["seconds"]), int(line["epochs"])
                    self.all.append(Found(line["method"], int(line["seed"]), number, seconds, epochs, line["refusal"]))

    def has(self, method: str, seed: int) -> bool:
        """Whether it was searched, or is refused."""
        return any(item.method == method and (item.seed == seed or item.refusal) for item in self.all)

    def of(self, method: str) -> list[Found]:
        """What a method found, by seed."""
        return sorted((item for item in self.all if item.method == method), key=lambda item: item.seed)

    def between(self, first: int, end: int) -> Finds:
        """What the searches of some seeds found, with what is refused."""
        found = Finds(self.path)
        found.all = [item for item in self.all if first <= item.seed < end or item.refusal]
        return found

    def add(self, found: Found) -> None:
        """Note what was found and write the file."""
        self.all.append(found)
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["method", "seed", "number", "seconds", "epochs", "refusal"])
        for item in sorted(self.all, key=lambda item: (item.method, item.seed)):
            number = "" if item.number is None else item.number
            writer.writerow([item.method, item.seed, number, f"{item.seconds:.1f}", item.epochs, item.refusal])
        atomic_write(self.path, out.getvalue())


# ---------------------------------------------------------------- ranks


def better_than(accuracy: float, others: Sequence[float]) -> float:
    """The share of a table that an accuracy is better than; of equals, half."""
    below = sum(other < accuracy for other in others)
    equal = sum(other == accuracy for other in others)
    return (below + equal / 2) / len(others)


def chance_of(value: float, count: int) -> float:
    """How likely the median of ``count`` random architectures is better than the share ``value`` of all.

    The median of n = 2 m + 1 uniform numbers has the distribution Beta(m + 1, m + 1); that of an even number, the mean
    of two, is sampled.
    """
    if count % 2 == 0:
        return _sampled(value, count, np.linspace(0, 1, DRAWS))
    middle = (count + 1) / 2
    return float(beta.sf(value, middle, middle))


def _sampled(value: float, count: int, shares: Sequence[float] | NDArray[np.float64]) -> float:
    """The part of 100,000 medians of ``count`` of these shares that are at least ``value``."""
    drawn = np.random.default_rng(0).choice(np.asarray(shares), (100_000, count))
    return float((np.median(drawn, axis=1) >= value).mean())


DRAWS = 4_001
"""Random searches that are drawn from a table, to say what chance finds in the time of a method."""


def quicker(table: Table) -> int:
    """The seed whose trainings took less time in the mean, of those that were trained most."""
    seconds = {
        seed: [row.results[seed].seconds for row in table.rows.values() if seed in row.results] for seed in table.seeds
    }
    most = max(map(len, seconds.values()))
    return min((seed for seed in seconds if len(seconds[seed]) == most), key=lambda seed: mean(seconds[seed]))


TESTS = 2
"""How many trainings of an architecture test it: the first ones. A third one steers random draws."""


def training_seconds(table: Table) -> float:
    """The mean seconds of a training, of the seed whose trainings were quicker: other work may have slowed one down."""
    seed = quicker(table)
    return mean(row.results[seed].seconds for row in table.rows.values() if seed in row.results)


def tested(row: Row) -> float:
    """The test accuracy of an architecture, the mean over the trainings that test it."""
    return mean(row.results[seed].test for seed in sorted(row.results)[:TESTS])


def drawn(table: Table, seconds: float) -> list[float]:
    """Random searches of so many seconds: the share of the table that is worse than what each finds, in order.

    A search draws as many architectures as trainings fit into its time, at least one, and takes the best by the
    validation accuracy of the last seed: of a third training, which tests nothing, where the table has one. Of two
    trainings the one that steers also tests, which flatters random draws.
    """
    steering, source = table.seeds[-1], random.Random(0)
    count = max(1, int(seconds / training_seconds(table)))
    everything = list(map(tested, table.rows.values()))
    rows = [row for row in table.rows.values() if steering in row.results]
    shares = [better_than(tested(row), everything) for row in rows]
    draws = (source.sample(range(len(rows)), min(count, len(rows))) for _ in range(DRAWS))
    return sorted(shares[max(drawn, key=lambda at: rows[at].results[steering].validation)] for drawn in draws)


def chance_in(value: float, count: int, drawn: Sequence[float]) -> float:
    """How likely the median of ``count`` random searches is at least as good as the share ``value``."""
    if count % 2 == 0:
        return _sampled(value, count, drawn)
    middle = (count + 1) / 2
    as_good = sum(share >= value for share in drawn) / len(drawn)
    return float(beta.sf(1 - as_good, middle, middle))


@dataclass(frozen=True)
class Placed:
    """Where a method's architectures lie in a table: the share that each is better than, and its test accuracy."""

    method: str
    shares: tuple[float, ...]
    accuracies: tuple[float, ...]
    seconds: tuple[float, ...]


def placed(found: Sequence[Found], table: Table, more: Table) -> Placed | None:
    """The places of what a method found, those whose accuracy is known; None where there are none."""
    known = {number: tested(row) for number, row in table.rows.items()}
    all_known = {number: tested(row) for number, row in more.rows.items()} | known
    items = [item for item in found if item.number is not None and item.number in all_known]
    if not items:
        return None
    accuracies = tuple(all_known[item.number] for item in items if item.number is not None)
    others = list(known.values())
    shares = tuple(better_than(accuracy, others) for accuracy in accuracies)
    return Placed(items[0].method, shares, accuracies, tuple(item.seconds for item in items))


def shown(p: float) -> str:
    """A probability with three decimals."""
    return f"{p:.3f}" if p >= 0.0005 else "< 0.001"


def ranking(finds: Finds, table: Table, more: Table) -> list[Placed]:
    """The places of what each method found: the better median first."""
    names = dict.fromkeys(item.method for item in finds.all)
    rows = [place for name in names if (place := placed(finds.of(name), table, more))]
    return sorted(rows, key=lambda row: -median(row.shares))


def report(finds: Finds, table: Table, more: Table) -> Iterator[str]:
    """The table of docs/finds_methods.md: the better median first."""
    best = max(map(tested, table.rows.values()))
    heads = "better than (median) | each | regret (mean) | p, one draw | draws of its time | p | p, ranks | p, halving"
    yield f"| method | searches | {heads} | seconds |"
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    rows = ranking(finds, table, more)
    rival = next((row for row in rows if row.method == HALVING), None)
    for row in rows:
        count, middle = len(row.shares), median(row.shares)
        each = ", ".join(f"{share:.0%}" for share in row.shares)
        regret = mean(best - accuracy for accuracy in row.accuracies)
        chance = shown(chance_of(middle, count))
        draws = drawn(table, mean(row.seconds))
        likely = chance_in(middle, count, draws)
        in_time = f"{likely:.2g}" if likely else "< 1e-05"
        ranks = shown(mannwhitneyu(row.shares, draws, alternative="greater").pvalue)
        against = ""
        if rival is not None and rival is not row:
            against = shown(mannwhitneyu(row.accuracies, rival.accuracies, alternative="greater").pvalue)
        yield (
            f"| `{row.method}` | {count} | {middle:.1%} | {each} | {regret:.2%} | {chance} | {median(draws):.1%} "
            f"| {in_time} | {ranks} | {against} | {mean(row.seconds):.0f} |"
        )
    for item in finds.all:
        if item.refusal:
            yield f"| `{item.method}` | refused: {item.refusal} | | | | | | | | | |"


LABEL = 32
"""Signs of a method with lines of its own, beside a plot."""


def plot(rows: Sequence[Placed], table: Table, title: str, path: Path) -> None:
    """Draw what each search of a method is better than, their median, and that of random draws of its time."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # Text stays text, and the file is the same bytes for the same figures.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "finds", "font.size": 9}):
        figure = Figure(figsize=(6.4, 1.2 + 0.2 * len(rows)), layout="constrained")
        axes = figure.add_subplot()
        places = range(len(rows))
        x, y = zip(*((100 * share, at) for at, row in enumerate(rows) for share in row.shares), strict=True)
        draws = [100 * median(drawn(table, mean(row.seconds))) for row in rows]
        axes.axvspan(95, 100, color="C2", alpha=0.12, linewidth=0)
        axes.axvline(50, color="0.6", linewidth=0.8, linestyle=":")
        axes.scatter(x, y, s=14, color="C0", alpha=0.5, linewidth=0, label="a search")
        axes.scatter([100 * median(row.shares) for row in rows], places, s=70, marker="|", color="C0", label="median")
        axes.scatter(
            draws, places, s=18, marker="D", facecolor="none", edgecolor="C1", label="random draws of its time"
        )
        axes.set_yticks(places, [shorten(row.method, LABEL, placeholder=" ...") for row in rows])
        axes.set(title=title, xlabel="better than so many percent of the table", xlim=(0, 100.5))
        axes.invert_yaxis()
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(frameon=False, loc="outside lower center", ncols=3)
        figure.savefig(path, metadata={"Date": None})


# ---------------------------------------------------------------- searches


@cache
def with_supernets() -> tuple[str, ...]:
    """The methods of the library that learn weights; the others train what they propose, as `regret.py` has them."""

    def is_without(line: ast.SettingLine) -> bool:
        if not isinstance(line, ast.Setting) or line.name != "relax":
            return False
        return isinstance(line.value, ast.Name) and line.value.id == "none"

    return tuple(sorted(method.name for method in library_methods() if not any(map(is_without, method.settings))))


@dataclass(frozen=True)
class Setting:
    """How every method is searched here."""

    epochs: int
    batch: int
    data: str
    data_root: Path

    def text(self, space: Space, method: str) -> str:
        """The space with its `search` section."""
        source = space.listing.request.path.read_text(encoding="utf-8")
        name, _, own = method.partition(", ")
        epochs = self.epochs if name in with_supernets() else 0
        lines = [f"data = {self.data}", f"epochs = {epochs}", f"batch = {self.batch}", self.scaled(name, source)]
        lines += own.split("; ")
        return f"{source}\nsearch {space.listing.program.network.name} by {name} {{\n" + "\n".join(lines) + "\n}\n"

    def scaled(self, method: str, source: str) -> str:
        """The lines of a method that depend on the number of epochs and on the names of a space."""
        skip = "skip_connect" if "skip_connect" in source else "skip"
        lines = SCALED.get(method, "").replace("SKIP", skip)
        return re.sub("<(.*?)>", lambda share: str(max(1, round(float(share[1]) * self.epochs))), lines)


PACED = 8
"""Architectures that are trained once more to tell how fast this processor is."""


def pace(space: Space, table: Table) -> float:
    """How many seconds of the table one second of this processor and this version of the program is worth.

    The first rows are trained again: a search is compared with random draws that pay what the table's trainings took.
    """
    seed = quicker(table)
    rows = {number: row.results[seed] for number, row in sorted(table.rows.items()) if seed in row.results}
    first = dict(list(rows.items())[:PACED])
    space.train(next(iter(first)), seed, epochs=1)  # What is compiled and read once is no part of a training.
    again = sum(space.train(number, seed)[1].seconds for number in first)
    return sum(result.seconds for result in first.values()) / again


def searched(space: Space, method: str, seed: int, setting: Setting) -> Found:
    """One search, and the number of the class of what it derives; its seconds are those of this processor."""
    # The text lies beside the space, whose `use` lines are relative.
    with tempfile.TemporaryDirectory(prefix="finds-", dir=space.listing.request.path.parent) as temporary:
        folder = Path(temporary)
        text = folder.with_suffix(".hsp")
        started = time.process_time()
        try:
            text.write_text(setting.text(space, method), encoding="utf-8")
            config = RunConfig(folder / "run", setting.data_root, device="cpu", quiet=True)
            request = Request(text, (read_override(f"seed={seed}"),))
            derived = search(plan_search(request, config), say=lambda _: None).derived
        except (HspError, UsageError) as error:
            reason = str(error).strip().splitlines()[0].removeprefix(f"{text}:")
            return Found(method, seed, None, 0.0, setting.epochs, reason)
        finally:
            text.unlink(missing_ok=True)
        seconds = time.process_time() - started
        number = space.classes[space.key(found_in(space.listing, Request(derived)))]
    return Found(method, seed, number, seconds, setting.epochs)


def rungs(epochs: int) -> list[int]:
    """The epochs of the rungs of successive halving, the last those of a table's training: 1, 3, 8 for 8."""
    found = [epochs]
    while found[0] > 1:
        found.insert(0, max(1, round(found[0] / SHARE)))
    return found


def first_rung(budget: float, epoch: float, steps: Sequence[int]) -> int:
    """How many architectures successive halving may begin with, so that all its trainings take ``budget`` seconds.

    Every rung trains from scratch, as a user without checkpoints would.
    """
    each = sum(epoch * step / SHARE**place for place, step in enumerate(steps))
    return max(1, int(budget / each))


def halved(space: Space, seed: int, budget: float, epoch: float) -> Found:
    """Random search by successive halving; the best validation accuracy of the last rung is what is found.

    Args:
        space: the space.
        seed: of the draw and of the trainings.
        budget: seconds.
        epoch: the seconds that an epoch of one architecture takes.
    """
    steps = rungs(space.listing.program.train_settings.epochs)
    numbers = space.numbers
    count = min(first_rung(budget, epoch, steps), len(numbers))
    going = random.Random(seed).sample(numbers, count)
    started = time.process_time()
    for place, epochs in enumerate(steps):
        scores = {number: space.train(number, 1000 + seed, epochs)[1].validation for number in going}
        keep = max(1, len(going) // SHARE) if place + 1 < len(steps) else 1
        going = sorted(going, key=lambda number: -scores[number])[:keep]
    return Found(HALVING, seed, going[0], time.process_time() - started, steps[-1])


def known(numbers: Iterable[int | None], table: Table, more: Table, space: Space) -> None:
    """Train what the table does not have, as often as its rows are tested."""
    for number in sorted({number for number in numbers if number is not None} - table.rows.keys()):
        has = more.rows[number].results if number in more.rows else {}
        for seed in [seed for seed in range(TESTS) if seed not in has]:
            architecture, result = space.train(number, seed)
            more.add(architecture, seed, result)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", type=Path)
    wanted = 'a method, or "method, line; line"; by default those with a supernet'
    parser.add_argument("--methods", nargs="+", default=[*with_supernets(), HALVING], help=wanted)
    parser.add_argument("--seeds", type=int, default=5, help="searches of each method, and those that are reported")
    parser.add_argument("--first", type=int, default=0, help="the first seed of these, to search and to report")
    parser.add_argument("--epochs", type=int, default=50, help="of each search")
    parser.add_argument("--batch", type=int, default=64, help="of each search")
    parser.add_argument("--from-data", default="fashion_mnist(images = 6000, weights_share = 0.5)", help="of searches")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no search after so many")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where data lie")
    parser.add_argument("--report", action="store_true", help="search nothing; print what was found")
    parser.add_argument("--plot", type=Path, help="an SVG file of what was found")
    args = parser.parse_args()
    allowed = {HALVING, *(method.name for method in library_methods())}
    if unknown := [name for name in args.methods if name.partition(", ")[0] not in allowed]:
        parser.error(f"no methods of the library: {', '.join(unknown)}")
    torch.set_num_threads(1)
    table, more = Table(args.space.with_suffix(".csv")), Table(args.space.with_suffix(".more.csv"))
    finds = Finds(args.space.with_suffix(".finds.csv"))
    if not table.rows:
        raise SystemExit(f"{table.path} has no rows: make it with bench/truth.py")
    if not args.report:
        began = time.monotonic()
        space = Space(args.space, args.data)
        assert space.data  # Data that are missing end the program here, and are no refusal of a method.
        setting = Setting(args.epochs, args.batch, args.from_data, args.data)
        worth = pace(space, table)
        print(f"a second here is worth {worth:.2f} of the table's", flush=True)
        for seed in range(args.first, args.seeds):
            for method in args.methods:
                if finds.has(method, seed) or (time.monotonic() - began) / 60 > args.minutes:
                    continue
                run = partial(searched, space, method, seed, setting)
                if method == HALVING:
                    times = [item.seconds for item in finds.of(RIVAL) if item.number is not None]
                    if not times:
                        raise SystemExit(f"search by {RIVAL} first: halving spends as much time")
                    per_epoch = training_seconds(table) / space.listing.program.train_settings.epochs
                    run = partial(halved, space, seed, mean(times), per_epoch)
                found = run()
                finds.add(replace(found, seconds=found.seconds * worth))
                print(finds.all[-1], flush=True)
        known([item.number for item in finds.all], table, more, space)
    reported = finds.between(args.first, args.seeds)
    print("\n".join(report(reported, table, more)))
    if args.plot:
        plot(ranking(reported, table, more), table, f"{args.space.name}: what searches find", args.plot)


if __name__ == "__main__":
    main()
