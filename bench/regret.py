"""What explorers find in a table of truth, where a trial is looked up instead of trained: regret against trials.

    python bench/regret.py spaces/truth/cells.hsp [--seeds 50] [--trials 100]
                           [--explorers random predictor "predictor(50, features = (naswot, macs), initial = best)"]
                           [--at-most macs=160000] [--steered-by 2] [--tested-by 0 1] [--by loss]
                           [--plot docs/images/regret_cells.svg] [--time 25 50] [--proxy-seconds 0.1]

Only architectures of the table are proposed, so that a table that is not whole yet serves as a smaller space. Explorers
are steered by the validation accuracy of one training, as `judge = trained` would steer them. A trial is a row of the
table: one that was proposed before, or is alike to one that was, costs nothing. The regret after n trials is the test
accuracy of the table's best architecture less that of the one that looked best so far. Printed are its median over the
seeds, with quartiles, and p: how probable it is that random draws do as well after as many trials (Mann-Whitney, one-
sided). `largest` is the rival that trains nothing: the architecture with the most multiply-adds, or the mean of those
that have them. `--steered-by` and `--tested-by` name the seeds of the trainings that steer and that are tested, so that
a lucky training does not count. `--by loss` steers by the training loss of all steps, as `judge = trained(by = loss)`
does. Rows without a training that is asked for are left out. All runs share the table, so p says nothing of other
trainings. `--at-most` keeps the rows within a budget, as a `require` line does. `--plot` draws medians and quartiles
against trials.

An explorer is named, or written as `derive = ...` has it; its number of trials is that of `--trials`. Proxies that a
`predictor` asks for are those that `bench/proxies.py` computed; `--proxy-seconds` says how long those of one
architecture take.

`--time 25 50` compares at equal time as well: what looks best after so many times the mean seconds of a training of the
table, as far as so many trials go. A trial takes the seconds that its training took, and the processor's time that
asking for it takes here.
"""

from __future__ import annotations

import argparse
import csv
import time
from bisect import bisect_right
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import mean, median, quantiles

from finds import better_than
from proxies import Values
from proxies import read as read_proxies
from scipy.stats import mannwhitneyu

from compiler.analysis.architectures import Architectures
from compiler.elaborate.setting_values import plain
from compiler.program.request import Request
from compiler.searcher.explore.proposers import proposer_of
from compiler.searcher.explore.space import Candidate
from compiler.searcher.explore.study import Study, stream_of
from compiler.searcher.explore.tables import Lookup, Row, Table, Training
from compiler.searcher.explore.trials import History, Trial
from compiler.searcher.settings.exploring import Acquisition, Evolution, Genetic, Local, Predictor, RandomDraws, Shipped
from compiler.searcher.settings.judges import Measured, ProxyName
from compiler.searcher.settings.reader import Reader
from compiler.searcher.settings.sections import SearchSettings
from hdas_dsl.parse.parser import parse_expression
from hdas_dsl.text.source import NOWHERE

SHOWN = (10, 25, 50, 100)
"""After so many trials the regret is printed."""
COMPARED = (25, 50, 100)
"""After so many trials explorers are compared with random draws."""

REPEATED = 4
"""At most so many proposals are made for one trial."""


def written(text: str, trials: int) -> Shipped:
    """An explorer as `derive = ...` has it, for so many proposals.

    Raises:
        SystemExit: it is none.
    """
    expr, wrong = parse_expression(text, text)
    reader = Reader()
    if expr is not None:
        word = reader.fields(SearchSettings, {"derive": (plain(expr), NOWHERE)}).get("derive")
        if isinstance(word, Shipped) and "trials" in type(word).model_fields:
            return word.model_copy(update={"trials": trials})
    reasons = [found.message for found in (*wrong, *reader.errors)]
    raise SystemExit(f"`derive = {text}`: {reasons[0] if reasons else 'no explorer with a number of trials'}")


def explorers(trials: int) -> dict[str, Shipped]:
    """Each by the name of its word, for so many proposals."""
    rounds = -(-trials // 25)
    return {
        "random": RandomDraws(trials=trials),
        "local": Local(trials=trials),
        "evolution": Evolution(trials=trials, population=20, tournament=5),
        "genetic": Genetic(rounds=rounds, population=25, parents=5, mutants=12, children=12),
        "predictor": Predictor(trials=trials),
        "thompson": Predictor(trials=trials, batch=10, among=100, acquisition=Acquisition.THOMPSON),
    }


class EnoughError(Exception):
    """So many rows of the table were asked for as are wanted."""


@dataclass(frozen=True)
class Run:
    """A run of an explorer: the regret after each trial, and the seconds that it took until then."""

    regrets: list[float]
    seconds: list[float]

    def after(self, trials: int) -> float:
        """The regret after so many trials, or at the end of a run that had fewer."""
        return self.regrets[min(trials, len(self.regrets)) - 1]

    def within(self, seconds: float) -> int:
        """How many trials ended in so many seconds, at least one."""
        return max(1, bisect_right(self.seconds, seconds))


@dataclass(frozen=True)
class Limit:
    """What an architecture may cost at most: a column of a table and a number."""

    column: str
    most: int

    @classmethod
    def read(cls, text: str) -> Limit:
        """``macs=160000``.

        Raises:
            ValueError: it is nothing of the kind.
        """
        column, _, most = text.partition("=")
        if column not in ("macs", "params"):
            raise ValueError(text)
        return cls(column, int(most))


@dataclass(frozen=True)
class Known:
    """The architectures of a space that a table has, the regret of the largest of them, and proxies that are known."""

    judge: Lookup
    largest: float
    proxies: Mapping[Hashable, Values] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        space: Path,
        limits: Sequence[Limit] = (),
        steered_by: int = 0,
        tested_by: Sequence[int] = (0,),
        by: Measured = Measured.METRIC,
    ) -> Known:
        """The rows within the limits of the table beside a space, each as one training.

        Args:
            space: the file.
            limits: of what rows may cost.
            steered_by: the seed whose validation accuracies steer.
            tested_by: the seeds whose test accuracies count, by their mean.
            by: whether the training loss of the seed that steers does so instead.

        Rows without a training that is asked for, or without its loss, are left out.
        """
        path = space.with_suffix(".csv")
        table = Table(path, Architectures(Request(space)).parts[-1])
        with path.open(newline="", encoding="utf-8") as file:
            lines = list(csv.DictReader(file))
        within = [line for line in lines if all(int(line[limit.column]) <= limit.most for limit in limits)]
        if by is Measured.LOSS:
            within = [line for line in within if line.get(f"loss{steered_by}")]
        within = [line for line in within if all(line.get(f"test{seed}") for seed in {steered_by, *tested_by})]
        if not within:
            raise SystemExit(f"{path} has no row within the limits, with the trainings that are asked for")
        rows: dict[Hashable, Row] = {}
        for line in within:
            key = table.key(int(line["number"]))
            seeds = table.rows[key].trainings[table.epochs[-1]]
            one = replace(seeds[steered_by], test=mean(seeds[seed].test for seed in tested_by))
            if by is Measured.LOSS:
                one = replace(one, validation=-one.loss)
            rows[key] = Row({table.epochs[-1]: {0: one}})
        table.rows = rows
        judge = Lookup(table, partial=True)
        tests = [judge.trainings(int(line["number"]), judge.budgets.whole)[0].test for line in within]
        macs = [int(line["macs"]) for line in within]
        of_largest = mean(test for test, count in zip(tests, macs, strict=True) if count == max(macs))
        values = read_proxies(space.with_suffix(".proxies.csv"))
        return cls(judge, max(tests) - of_largest, {table.key(number): found for number, found in values.items()})

    @cached_property
    def best(self) -> float:
        """The best test accuracy of the table."""
        return max(training.test for training in self.judge.table.all)

    @cached_property
    def training(self) -> float:
        """The mean seconds of a training of the table."""
        return mean(training.seconds for training in self.judge.table.all)

    def better(self, regret: float) -> float:
        """The share of the table that an architecture of this regret is better than."""
        return better_than(self.best - regret, [training.test for training in self.judge.table.all])

    def run(self, word: Shipped, seed: int, trials: int, proxy_seconds: float = 0.0) -> Run:
        """A run until so many trials have ended; the proxies of an architecture take so many seconds."""
        judge = self.judge
        rows: dict[int, Training] = {}
        measured: set[Hashable] = set()
        run, spent, since = Run([], []), 0.0, time.process_time()

        def measure(found: Candidate, names: Sequence[ProxyName]) -> Mapping[str, float]:
            nonlocal spent
            if (key := judge.table.key(found.number)) not in measured:
                measured.add(key)
                spent += proxy_seconds
            return {name: self.proxies[key][name] for name in names}

        proposer = proposer_of(word, judge.space, judge.budgets, stream_of(seed), measure=measure)

        def told(trial: Trial, _: History) -> None:
            nonlocal spent, since
            now = time.process_time()
            spent, since = spent + now - since, now
            row = judge.table.find(trial.number)
            if id(row) not in rows:
                rows[id(row)] = judge.trainings(trial.number, judge.budgets.whole)[0]
                spent += rows[id(row)].seconds
                run.regrets.append(self.best - max(rows.values(), key=lambda row: row.validation).test)
                run.seconds.append(spent)
            if len(rows) == trials:
                raise EnoughError

        with suppress(EnoughError):
            Study(judge.space, proposer, judge, told).run()
        return run


def spread(values: Sequence[float]) -> str:
    """The median in percentage points, and the quartiles in parentheses."""
    low, middle, high = (100 * value for value in quantiles(values, n=4))
    return f"{middle:.2f} ({low:.2f} to {high:.2f})"


def chance(ours: Sequence[float], drawn: Sequence[float]) -> str:
    """How probable it is that random draws do as well."""
    return f"{mannwhitneyu(ours, drawn, alternative='less').pvalue:.2g}"


def report(found: Mapping[str, Sequence[Run]], trials: int, largest: float | None = None) -> Iterator[str]:
    """A table in Markdown: quartiles of the regret in percentage points by explorer, and that of the largest."""
    shown = [count for count in SHOWN if count <= trials]
    compared = [count for count in COMPARED if count <= trials]
    ends = [*(f"{count} trials" for count in shown), *(f"p, {count}" for count in compared)]
    yield f"| explorer | {' | '.join(ends)} |"
    yield f"|---|{'---|' * len(ends)}"
    for name, runs in found.items():
        cells = [spread([run.after(count) for run in runs]) for count in shown]
        for at in compared:
            draws = [run.after(at) for run in found.get("random", [])]
            cells.append(chance([run.after(at) for run in runs], draws) if draws and name != "random" else "")
        yield f"| `{name}` | {' | '.join(cells)} |"
    if largest is not None:
        yield f"| largest |{f' {100 * largest:.2f} |' * len(shown)}{' |' * len(compared)}"


def timed(found: Mapping[str, Sequence[Run]], known: Known, times: Sequence[int]) -> Iterator[str]:
    """A table in Markdown of what is found in the time of so many mean trainings."""
    yield "| explorer | time of | trainings | regret | better than | p against random |"
    yield "|---|---|---|---|---|---|"
    for count in times:
        reached = {
            name: [(run.after(ended), ended) for run in runs for ended in [run.within(count * known.training)]]
            for name, runs in found.items()
        }
        regrets = {name: [regret for regret, _ in runs] for name, runs in reached.items()}
        for name, each in regrets.items():
            p = chance(each, regrets["random"]) if name != "random" and "random" in regrets else ""
            trainings = median(ended for _, ended in reached[name])
            share = known.better(median(each))
            yield f"| `{name}` | {count} | {trainings:g} | {spread(each)} | {share:.1%} | {p} |"
    yield f"| largest | 0 | 0 | {100 * known.largest:.2f} | {known.better(known.largest):.1%} | |"


def plot(found: Mapping[str, Sequence[Run]], trials: int, title: str, path: Path) -> None:
    """Draw the median of the regret in percentage points against trials, and its quartiles as a band."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # Text stays text, and the file is the same bytes for the same figures.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "regret", "font.size": 9}):
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.add_subplot()
        for at, (name, runs) in enumerate(found.items()):
            counts = range(1, trials + 1)
            each = [quantiles([100 * run.after(count) for run in runs], n=4) for count in counts]
            low, middle, high = zip(*each, strict=True)
            axes.step(counts, middle, where="post", label=name, color=f"C{at}", linewidth=1.4)
            axes.fill_between(counts, low, high, step="post", color=f"C{at}", alpha=0.1, linewidth=0)
        axes.set(title=title, xlabel="architectures trained", ylabel="regret (points of test accuracy)", ylim=(0, None))
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
        figure.savefig(path, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", type=Path)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--explorers", nargs="+", default=[*explorers(1)])
    parser.add_argument("--at-most", type=Limit.read, nargs="+", default=[], metavar="macs=N", help="a budget")
    parser.add_argument("--steered-by", type=int, default=0, metavar="SEED", help="whose validation accuracies steer")
    parser.add_argument(
        "--tested-by", type=int, nargs="+", default=[0], metavar="SEED", help="whose test accuracies count, the mean"
    )
    parser.add_argument("--by", type=Measured, choices=list(Measured), default=Measured.METRIC, help="what steers")
    parser.add_argument("--time", type=int, nargs="+", metavar="N", help="compare in the time of N trainings too")
    parser.add_argument("--plot", type=Path, help="an SVG file of the medians and quartiles")
    parser.add_argument("--proxy-seconds", type=float, default=0.0, metavar="S", help="what the proxies of one take")
    args = parser.parse_args()
    known = Known.of(args.space, args.at_most, args.steered_by, args.tested_by, args.by)
    count = len(known.judge.table.rows)
    print(f"{args.space}: {count} architectures, {args.seeds} seeds; regret in points of test accuracy\n")
    words, most = explorers(REPEATED * args.trials), REPEATED * args.trials
    words |= {text: written(text, most) for text in args.explorers if text not in words}
    found = {
        name: [known.run(words[name], seed, args.trials, args.proxy_seconds) for seed in range(args.seeds)]
        for name in args.explorers
    }
    print(*report(found, args.trials, known.largest), sep="\n")
    if args.time:
        print(f"\na training takes {known.training:.1f} s in the mean\n")
        print(*timed(found, known, args.time), sep="\n")
    if args.plot:
        plot(found, args.trials, f"{args.space.name}: {count} architectures, {args.seeds} seeds", args.plot)


if __name__ == "__main__":
    main()
