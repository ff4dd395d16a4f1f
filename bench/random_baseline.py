"""Is what a search finds better than chance? The digits spaces of H-DAS against random architectures of the same space.

    python bench/random_baseline.py [--random 5] [--seeds 3] [--epochs 20] [--phased FILE] [--joint FILE]

Runs hdas_digits.hsp (two phases) and hdas_digits_joint.hsp (one), or takes what earlier runs derived, retrains both
derived files and random architectures alike, and prints the table of docs/hdas.md as it comes out.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from statistics import mean

import torch

from compiler.derivation import derive_module
from compiler.derivation.strongest import strongest
from compiler.program.overrides import read_override
from compiler.program.request import Request
from compiler.runs.config import RunConfig
from compiler.runs.plan import plan_search, plan_training
from compiler.runs.search import search
from compiler.runs.train import train
from compiler.searcher.settings.derivation import By
from hdas_dsl.tree.printer import print_module
from hdas_dsl.units import LIBRARY


def found(name: str, folder: Path, changes: Sequence[str]) -> Path:
    """The derived file of a shipped space."""
    request = Request(LIBRARY / name, tuple(map(read_override, changes)))
    config = RunConfig(folder / name, device="cpu", quiet=True)
    return search(plan_search(request, config), say=lambda _: None).derived


def drawn(seed: int, folder: Path) -> Path:
    """A random architecture of the joint space, which is that of the two phases too; all are equally likely."""
    program = Request(LIBRARY / "hdas_digits_joint.hsp").compile()
    source = random.Random(seed)
    space = program.network
    alphas = {path: [source.gauss(0, 1) for _ in decision.items] for path, decision in space.decisions.items()}
    module = derive_module(space, strongest(space.decisions, alphas, By.LOGIT), program.carried)
    path = folder / f"random{seed}.hsp"
    path.write_text(print_module(module))
    return path


def accuracies(path: Path, folder: Path, seeds: int, changes: Sequence[str]) -> list[float]:
    """Test accuracies of trainings from scratch."""
    result = []
    for seed in range(seeds):
        request = Request(path, tuple(map(read_override, [f"seed={seed}", *changes])))
        out = folder / f"train-{path.parent.name}-{path.stem}-{seed}"
        result.append(train(plan_training(request, RunConfig(out, device="cpu", quiet=True))).accuracy)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--random", type=int, default=5, help="how many random architectures")
    parser.add_argument("--seeds", type=int, default=3, help="how many trainings of each architecture")
    parser.add_argument("--epochs", type=int, help="of each training, instead of the files'")
    parser.add_argument("--search-epochs", type=int, help="of each search, instead of the files'")
    parser.add_argument("--width", type=int, help="c of each training, instead of the files'")
    parser.add_argument("--phased", type=Path, help="derived by a run of hdas_digits.hsp")
    parser.add_argument("--joint", type=Path, help="derived by a run of hdas_digits_joint.hsp")
    args = parser.parse_args()
    torch.set_num_threads(1)
    training = [] if args.epochs is None else [f"epochs={args.epochs}"]
    training += [] if args.width is None else [f"c={args.width}"]
    searching = [] if args.search_epochs is None else [f"epochs={args.search_epochs}"]
    print("| architecture | test accuracy, mean over seeds | each seed | seconds |\n|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        makers: dict[str, Callable[[], Path]] = {
            **{f"random {seed}": partial(drawn, seed, folder) for seed in range(args.random)},
            "phased, hdas_digits.hsp": lambda: args.phased or found("hdas_digits.hsp", folder, searching),
            "joint, hdas_digits_joint.hsp": lambda: args.joint or found("hdas_digits_joint.hsp", folder, searching),
        }
        chance = []
        for name, make in makers.items():
            started = time.monotonic()
            values = accuracies(make(), folder, args.seeds, training)
            if name.startswith("random"):
                chance += values
            seconds = time.monotonic() - started
            each = ", ".join(f"{value:.2%}" for value in values)
            print(f"| {name} | {mean(values):.2%} | {each} | {seconds:.0f} |", flush=True)
        if chance:
            print(f"| all random ones | {mean(chance):.2%} | {min(chance):.2%} to {max(chance):.2%} | |", flush=True)


if __name__ == "__main__":
    main()
