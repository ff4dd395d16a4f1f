"""The naive lowering of a space against the optimised one: time and memory of a step, and how equal they are.

    python bench/supernet.py spaces/darts.hsp --batch 32 [--json]

A step is forward and backward of the cross entropy in train mode, float32, with the gradients of weights and alphas.
Each lowering has a fresh process of its own. Memory is its peak above its own baseline (see worker.py); then steps
alternate between the two, and the medians count. ``time_ratio`` is naive / optimised, ``memory_ratio`` is
optimised / naive. Equality is measured on fewer images (``--equality-batch``), in float64 and in float32.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from contender import Case, Contender, Ours
from equality import Equality, equality
from pydantic import BaseModel
from race import Lane, Machine, race, say
from worker import RefusedError


class Report(BaseModel):
    """The figures of one space; the names are those of ``--json``."""

    space: str
    overrides: tuple[str, ...]
    batch: int
    machine: Machine
    naive: Lane
    optimised: Lane
    time_ratio: float
    memory_ratio: float
    equality: Equality | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags that say which step is measured, and how."""
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the network")
    parser.add_argument("--batch", type=int, default=32, help="images of a step (32)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, help="of torch on the CPU, instead of its own choice")
    parser.add_argument("--memory-budget", metavar="SIZE", help="for the optimised lowering")
    parser.add_argument("--no-kernel", action="store_true", help="the optimised lowering without its C++ kernel")
    parser.add_argument("--rounds", type=int, default=7, help="steps of each contender, alternating (7)")
    parser.add_argument("--seconds", type=float, default=100, help="stop timing after these, but not before 3 rounds")
    parser.add_argument("--equality-batch", type=int, default=8, help="images of the comparison; 0: no comparison (8)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def case_of(args: argparse.Namespace, space: Path) -> Case:
    return Case(
        space=space,
        overrides=tuple(args.set),
        phase=getattr(args, "phase", None),
        network=getattr(args, "network", None),
        batch=args.batch,
        device=args.device,
        threads=args.threads,
        memory_budget=args.memory_budget,
        kernel=not args.no_kernel,
    )


def report(args: argparse.Namespace, space: Path) -> Report:
    case = case_of(args, space)
    naive, optimised = race([Contender(case=case, kind=kind) for kind in Ours], args.rounds, args.seconds)
    equal = equality(case, args.equality_batch) if args.equality_batch else None
    return Report(
        space=str(space),
        overrides=case.overrides,
        batch=case.batch,
        machine=Machine.here(args.device, args.threads),
        naive=naive,
        optimised=optimised,
        time_ratio=naive.time.median / optimised.time.median,
        memory_ratio=optimised.memory.above / naive.memory.above,
        equality=equal,
    )


def table(found: Report) -> str:
    """The figures as text."""
    lines = [
        f"{found.space} {' '.join(found.overrides)}, batch {found.batch}, {found.machine.processor}, "
        f"{found.machine.threads} threads, torch {found.machine.torch}",
        "",
        "| lowering | step, median (fastest) | memory of a step |",
        "|---|---|---|",
    ]
    for name, lowering in (("naive", found.naive), ("optimised", found.optimised)):
        time, memory = lowering.time, lowering.memory
        lines.append(f"| {name} | {time.median:.3f} s ({time.fastest:.3f} s) | {memory.above / 2**20:.0f} MiB |")
    lines.append(f"| ratio | {found.time_ratio:.2f} times faster | {found.memory_ratio:.2f} of the memory |")
    if found.equality is not None:
        lines += [
            "",
            f"Relative differences to naive in float64, {found.equality.batch} images, largest (mean) of the tensors:",
            "",
            "| | float64, optimised | naive, images reversed | float32, naive | float32, optimised | ratio |",
            "|---|---|---|---|---|---|",
        ]
        for group, worst in found.equality.float64.items():
            single = found.equality.float32[group]
            cells = [worst, found.equality.reverse[group], single.naive, single.optimised]
            figures = " | ".join(f"{cell.largest:.1e} ({cell.mean:.1e})" for cell in cells)
            lines.append(f"| {group.value} | {figures} | {single.ratio:.2f} ({single.mean_ratio:.2f}) |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("spaces", nargs="+", type=Path, help=".hsp files")
    parser.add_argument("--phase", help="which phase's network, where a file searches in phases")
    parser.add_argument("--network", help="which network, where a file has several")
    add_arguments(parser)
    args = parser.parse_args()
    try:
        for space in args.spaces:
            say(f"{space}:")
            found = report(args, space)
            print(json.dumps(found.model_dump(mode="json")) if args.json else table(found), flush=True)
    except RefusedError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
