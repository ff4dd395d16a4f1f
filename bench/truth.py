"""The tables of truth: every architecture of a small space, trained in the same way on Fashion-MNIST.

    python bench/truth.py spaces/truth/cells.hsp [--processes 2] [--seeds 2] [--architectures 610] [--minutes 60]

Writes the table beside the space (`spaces/truth/cells.csv`), a row for each architecture, after every training: a run
that ends early goes on where it was. Architectures are trained in a random order, all with one seed before the next, so
that a table that is not complete is a random sample of the space; ``--architectures`` stops at so many. See
docs/truth.md.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import math
import multiprocessing
import random
import tempfile
import time
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import permutations
from pathlib import Path
from statistics import mean, median, pstdev

import torch
from scipy.stats import rankdata, spearmanr

from compiler.analysis.architectures import Architectures
from compiler.analysis.architectures.equivalence.classes import EquivalenceKeys
from compiler.analysis.architectures.space_list import Choices
from compiler.analysis.requirements.evaluate import amounts_of
from compiler.backend.lowering.network import Network
from compiler.derivation import derive_module
from compiler.program.equivalence import equivalence
from compiler.program.request import Request
from compiler.searcher.data.load import Data, Images, load_data
from compiler.searcher.data.subsets import limited
from compiler.searcher.engine.protocol import RunOptions
from compiler.searcher.engine.retrain import evaluate, run_train
from compiler.searcher.explore.tables import EQUIVALENCE, Training, trainings_of
from compiler.util.files import atomic_write
from compiler.util.seeds import mix
from hdas_dsl.tree.printer import print_module

BEST = 20
"""One in so many is among the best by a training; how another one ranks these is what can be hoped for."""

VALIDATION = 5_000
"""How many training images, beside those that train, the validation accuracy is taken on, or all others."""


@dataclass(frozen=True)
class Architecture:
    """What a table says of an architecture, apart from its trainings.

    ``text`` are the first 16 digits of the SHA-256 of its text in the language, without provenance.
    """

    number: int
    text: str
    params: int
    macs: int
    decisions: str


@dataclass
class Row:
    """An architecture and its trainings by seed, with seconds of one processor (other programs do not count)."""

    architecture: Architecture
    results: dict[int, Training] = field(default_factory=dict)


class Table:
    """The rows of a space by the number of the architecture, in a CSV file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: dict[int, Row] = {}
        if path.is_file():
            with path.open(newline="") as file:
                for line in csv.DictReader(file):
                    self._read(line)

    def _read(self, line: dict[str, str]) -> None:
        number = int(line["number"])
        found = Architecture(number, line["text"], int(line["params"]), int(line["macs"]), line["decisions"])
        self.rows[number] = Row(found, trainings_of(line))

    def add(self, found: Architecture, seed: int, result: Training) -> None:
        """Note a training and write the table.

        Raises:
            SystemExit: the table has another architecture by that number.
        """
        row = self.rows.setdefault(found.number, Row(found))
        if row.architecture != found:
            raise SystemExit(f"{self.path} is of another space: architecture {found.number} differs")
        row.results[seed] = result
        atomic_write(self.path, self.render())

    @property
    def seeds(self) -> list[int]:
        """The seeds of the trainings."""
        return sorted({seed for row in self.rows.values() for seed in row.results})

    def render(self) -> str:
        """The table as CSV, in the order of the numbers."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        seeds = self.seeds
        losses = {seed for row in self.rows.values() for seed, got in row.results.items() if not math.isnan(got.loss)}
        names = {seed: ["validation", "test", "seconds", *["loss"] * (seed in losses)] for seed in seeds}
        each = [f"{name}{seed}" for seed in seeds for name in names[seed]]
        writer.writerow(["number", "text", "params", "macs", *each, "decisions"])
        for number, row in sorted(self.rows.items()):
            cells: list[str] = []
            for seed in seeds:
                got = row.results.get(seed)
                found = [f"{got.validation:.4f}", f"{got.test:.4f}", f"{got.seconds:.1f}"] if got else [""] * 3
                loss = f"{got.loss:.4f}" if got and not math.isnan(got.loss) else ""
                cells += [*found, *[loss] * (seed in losses)]
            of = row.architecture
            writer.writerow([number, of.text, of.params, of.macs, *cells, of.decisions])
        return out.getvalue()

    def report(self) -> Iterator[str]:
        """How far the table is, what it holds, and how well two seeds agree."""
        for seed in self.seeds:
            done = [row.results[seed] for row in self.rows.values() if seed in row.results]
            tests = [result.test for result in done]
            yield (
                f"seed {seed}: {len(done):,} architectures, test accuracy {min(tests):.2%} to {max(tests):.2%}, "
                f"mean {mean(tests):.2%}, deviation {pstdev(tests):.2%}, {mean(r.seconds for r in done):.1f} s each"
            )
        for left, right in zip(self.seeds, self.seeds[1:], strict=False):
            both = [row.results for row in self.rows.values() if {left, right} <= row.results.keys()]
            if len(both) > 2:
                for name in ("validation", "test"):
                    first, second = ([getattr(found[seed], name) for found in both] for seed in (left, right))
                    value = correlation(first, second)
                    yield f"seeds {left}, {right}: rank correlation of the {name} accuracy {value} ({len(both):,})"
        for by, of in permutations(self.seeds, 2):
            both = [row.results for row in self.rows.values() if {of, by} <= row.results.keys()]
            if len(both) >= BEST:
                share = found_again([found[by].test for found in both], [found[of].test for found in both])
                best = f"the best {1 / BEST:.0%} by the test of seed {by}"
                yield f"{best} are better than {share:.1%} by that of seed {of} (median of {len(both) // BEST})"
        for of in self.seeds:
            for by in self.seeds:
                both = [row.results for row in self.rows.values() if {of, by} <= row.results.keys()]
                both = [found for found in both if not math.isnan(found[of].loss)]
                if len(both) > 2:
                    value = correlation([-found[of].loss for found in both], [found[by].test for found in both])
                    yield f"less training loss of seed {of}, test accuracy of seed {by}: {value} ({len(both):,})"


def correlation(first: Sequence[float], second: Sequence[float]) -> str:
    """Spearman's rank correlation; of equal values, which have no order, there is none."""
    if len({*first}) == 1 or len({*second}) == 1:
        return "undefined, as all values are equal"
    return f"{spearmanr(first, second).statistic:.3f}"


def found_again(first: Sequence[float], second: Sequence[float]) -> float:
    """Of the best by one training, the share that they are better than by another; their median, of equals half."""
    shares = (rankdata(second) - 0.5) / len(second)
    best = sorted(range(len(first)), key=lambda at: -first[at])[: len(first) // BEST]
    return float(median(shares[best]))


class Space:
    """A space whose architectures are trained."""

    def __init__(self, path: Path, data_root: Path) -> None:
        self.listing = Architectures(Request(path))
        self.data_root = data_root

    @cached_property
    def readers(self) -> list[EquivalenceKeys]:
        """What tells apart architectures that differ, part by part; none where the file has no such equivalence."""
        program = self.listing.program
        if not any(item.name == EQUIVALENCE for item in program.equivalences):
            return []
        return [
            EquivalenceKeys(part.space, equivalence(program.equivalences, EQUIVALENCE)) for part in self.listing.parts
        ]

    def key(self, choices: Choices) -> Hashable:
        """A key that equivalent architectures share, and no others."""
        if not self.readers:
            return tuple(frozenset(chosen.items()) for chosen in choices)
        return tuple(reader.key(chosen) for reader, chosen in zip(self.readers, choices, strict=True))

    @cached_property
    def classes(self) -> dict[Hashable, int]:
        """The lowest number of each equivalence class, by its key."""
        first: dict[Hashable, int] = {}
        for number in range(self.listing.number):
            first.setdefault(self.key(self.listing.choices(number)), number)
        return first

    @property
    def numbers(self) -> list[int]:
        """The number of each row."""
        return list(self.classes.values())

    @cached_property
    def data(self) -> tuple[Data, Images]:
        """The images of every training, the same for all seeds, and the validation images, which are others."""
        settings = self.listing.program.train_settings
        channels, height, width = self.listing.program.network.input.largest
        shape = (channels, height, width)
        everything = load_data(settings.data.replace("images", None), self.data_root, input_shape=shape)
        labels = everything.train.samples.labels
        count = settings.data.images or 1.0
        used = limited(labels, count, 0, settings.data.word)
        rest = torch.ones(len(labels), dtype=torch.bool)
        rest[used] = False
        others = rest.nonzero().flatten()
        held_out = others[limited(labels[others], min(VALIDATION, len(others)), 0, settings.data.word)]
        validation = replace(everything.test, samples=everything.train.samples, indices=held_out)
        return replace(everything, train=everything.train.subset(used)), validation

    def train(self, number: int, seed: int, epochs: int | None = None) -> tuple[Architecture, Training]:
        """Train an architecture from scratch, as `hdas-compile --train` would, on one thread.

        ``epochs`` are those of its section where they are None.
        """
        found = self.listing.architecture(number)
        part = found.parts[-1]
        plain = print_module(derive_module(part.space, part.completed(found.choices[-1])))
        names = self.listing.decisions
        decisions = {path: [names[path].items[item] for item in items] for path, items in found.decisions.items()}
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "architecture.hsp").write_text(found.text)
            program = Request(folder / "architecture.hsp").compile()
            changes = {"seed": seed} | ({} if epochs is None else {"epochs": epochs})
            space, settings = program.network, program.train_settings.model_copy(update=changes)
            amounts = dict(amounts_of(space))
            data, validation = self.data
            torch.manual_seed(mix(seed, "init"))
            network = Network(space)
            started = time.process_time()
            outcome = run_train(network, data, settings, RunOptions(folder / "run", device="cpu", quiet=True))
            seconds = time.process_time() - started
            accuracy = evaluate(network.module, validation, settings.batch, "cpu")
        text = hashlib.sha256(plain.encode()).hexdigest()[:16]
        facts = json.dumps(decisions, separators=(",", ":"))
        architecture = Architecture(number, text, int(amounts["params"]), int(amounts["macs"]), facts)
        loss = mean(record.scalars["loss/train"] for record in outcome.history)
        return architecture, Training(accuracy, outcome.accuracy, seconds, loss)


class Worker:
    """One process: a space that it has read, and trainings on one thread."""

    space: Space

    @classmethod
    def start(cls, path: Path, data_root: Path) -> None:
        """Make this process ready."""
        torch.set_num_threads(1)
        cls.space = Space(path, data_root)

    @classmethod
    def train(cls, task: tuple[int, int]) -> tuple[int, Architecture, Training]:
        """A training by number and seed."""
        number, seed = task
        return seed, *cls.space.train(number, seed)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", type=Path)
    parser.add_argument("--processes", type=int, default=multiprocessing.cpu_count(), help="each trains on one thread")
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each architecture")
    parser.add_argument("--architectures", type=int, help="only so many of them, drawn at random; all by default")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="start no training after so many")
    parser.add_argument("--data", type=Path, default=Path("data"), help="where data lie")
    args = parser.parse_args()
    began = time.monotonic()
    table = Table(args.space.with_suffix(".csv"))
    numbers = Space(args.space, args.data).numbers
    random.Random(0).shuffle(numbers)
    numbers = numbers[: args.architectures]
    every = [(number, seed) for seed in range(args.seeds) for number in numbers]
    tasks = [(n, seed) for n, seed in every if n not in table.rows or seed not in table.rows[n].results]
    print(f"{args.space}: {len(numbers):,} architectures, {len(every) - len(tasks):,} of {len(every):,} trained")
    context = multiprocessing.get_context("spawn")
    with context.Pool(args.processes, Worker.start, (args.space, args.data)) as pool:
        for done, (seed, found, result) in enumerate(pool.imap_unordered(Worker.train, tasks), start=1):
            table.add(found, seed, result)
            minutes = (time.monotonic() - began) / 60
            if done % 20 == 0:
                print(f"{done:,} of {len(tasks):,} after {minutes:.0f} minutes", flush=True)
            if minutes > args.minutes:
                pool.terminate()
                break
    print("\n".join(table.report()))


if __name__ == "__main__":
    main()
