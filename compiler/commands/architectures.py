"""The commands on all architectures of a file: `--count`, `--sample`, `--enumerate`, `--mutate`, `--crossover`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from compiler.analysis.architectures import Architecture, Architectures, count, crossover, enumerate_all, mutate, sample
from compiler.derivation.strongest import readable
from compiler.program.request import Request
from compiler.util.errors import UsageError
from compiler.util.files import atomic_write

MANY = 10_000
"""How many architectures are enumerated without being asked for so many."""


@dataclass(frozen=True)
class Output:
    """Where architectures go: each to a file in a folder, or one of them to standard output."""

    folder: Path | None
    force: bool
    write: Callable[[str], object]

    def give(self, found: Iterable[tuple[str, Architecture]]) -> None:
        """Write architectures under their names."""
        for name, architecture in found:
            if self.folder is None:
                self.write(architecture.text)
                continue
            path = self.folder / f"{name}.hsp"
            if path.exists() and not self.force:
                raise UsageError(f"'{path}' exists: choose another --out, or --force to overwrite it")
            self.folder.mkdir(parents=True, exist_ok=True)
            atomic_write(path, architecture.text)


def show_count(request: Request, same: str, seed: int, write: Callable[[str], object]) -> None:
    """`--count`, with or without `--unique KIND`."""
    write(count(Architectures(request), seed, same).render() + "\n")


def draw(request: Request, number: int, seed: int, output: Output) -> None:
    """`--sample N`."""
    if number < 1:
        raise UsageError(f"--sample {number}: at least one architecture is drawn")
    if number > 1 and output.folder is None:
        raise UsageError(f"--sample {number} writes so many files: --out DIR says where")
    width = len(str(number - 1))
    drawn = enumerate(sample(Architectures(request), number, seed))
    output.give((f"sample-{index:0{width}}", found) for index, found in drawn)


def list_all(request: Request, limit: int | None, output: Output) -> None:
    """`--enumerate`: a file for each architecture, or a line."""
    listing = Architectures(request)
    if limit is not None and limit < 1:
        raise UsageError(f"--limit {limit}: at least one architecture is listed")
    if limit is None and listing.number > MANY:
        raise UsageError(f"'{listing.program.name}' has {listing.number:,} architectures: --limit N lists the first N")
    decisions = listing.decisions
    width = len(str(listing.number - 1))
    for found in enumerate_all(listing, limit):
        if output.folder is not None:
            output.give([(f"{found.number:0{width}}", found)])
        else:
            made = readable(decisions, found.decisions)
            output.write(f"{found.number}: {', '.join(f'{path} = {items}' for path, items in made.items())}\n")


def change(request: Request, parent: Path, seed: int, output: Output) -> None:
    """`--mutate ARCH`."""
    output.give([("mutant", mutate(Architectures(request), _file(parent), seed))])


def cross(request: Request, left: Path, right: Path, seed: int, output: Output) -> None:
    """`--crossover A B`."""
    output.give([("child", crossover(Architectures(request), _file(left), _file(right), seed))])


def _file(path: Path) -> Request:
    if not path.is_file():
        raise UsageError(f"there is no file '{path}'")
    return Request(path)
