"""What an iteration of each method of search costs: its time, its memory, and the ratios to those of `darts`.

    python bench/methods.py [spaces/darts.hsp] [--methods darts pc_darts ...] [--set c=16 --set cells=8] [--json]

An iteration is what the engine does for a batch of the weights: the steps of weights and alphas that the method asks
for, in an epoch in which the alphas move, and as often as they do there (`every`). All methods of the shipped library
have the same batch, whatever they say. Each has a process of its own; memory is its peak above its own baseline (see
worker.py). Then each in turn takes its iterations, once to warm up and once timed, again and again; the medians count.
Further lines are `darts` with every menu narrowed to 4 and to 2 items (`--keep`). A method that the space refuses is
listed with the reason.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from contender import Case, Contender, Ours, Turn
from iteration import every, moves, searched, typical_epoch
from pydantic import BaseModel
from race import Lane, Machine, Times, peak, say
from worker import RefusedError, Worker

from compiler.program.methods import SETTING, library_methods
from compiler.searcher.settings.relaxation import NoRelaxation
from compiler.util.errors import UsageError
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.units import LIBRARY

BASE = "darts"
"""The method that the others are compared with."""


class Cost(BaseModel):
    """What an iteration of a method takes. ``alpha_share``: of the iterations, those with a step of the alphas."""

    name: str
    alpha_share: float
    lane: Lane
    time_ratio: float | None = None
    memory_ratio: float | None = None


class Refusal(BaseModel):
    """A method that the space cannot be searched by, and why."""

    name: str
    reason: str


class Report(BaseModel):
    """The figures of one space; the names are those of ``--json``."""

    space: str
    overrides: tuple[str, ...]
    batch: int
    machine: Machine
    costs: list[Cost]
    refused: list[Refusal]


class Entrant(BaseModel):
    """A contender that the space does not refuse."""

    contender: Contender
    alpha_share: float


def entrant(args: argparse.Namespace, method: str, keep: int | None = None) -> Entrant | Refusal:
    """A method, or one with narrowed menus, or why the space refuses it."""
    name = method if keep is None else f"{method}, narrowed to {keep} items"
    lines = (f"{SETTING}={method}", f"batch={args.batch}")
    narrow = () if keep is None else (f"narrow=together(keep = {keep}, at = 1)",)
    case = Case(
        space=args.space,
        overrides=(*args.set, *lines, *narrow),
        phase=args.phase,
        network=args.network,
        batch=args.batch,
        device=args.device,
        threads=args.threads,
    )
    try:
        settings = searched(case).settings
    except HspError as error:
        return Refusal(name=name, reason="; ".join(item.message for item in error.diagnostics))
    except UsageError as error:
        return Refusal(name=name, reason=str(error))
    if isinstance(settings.relax, NoRelaxation):
        return Refusal(name=name, reason="it has no supernet that takes a step")
    turn = Turn(name=name, steps=args.steps, keep=keep)
    share = 1 / every(settings) if moves(settings, typical_epoch(settings)) else 0.0
    return Entrant(contender=Contender(case=case, kind=Ours.OPTIMISED, turn=turn), alpha_share=share)


def entered(args: argparse.Namespace) -> tuple[list[Entrant], list[Refusal]]:
    """The methods that are asked for and the narrowed ones: those that can run, and those that cannot."""
    found = [entrant(args, method) for method in args.methods]
    if BASE in args.methods:
        found += [entrant(args, BASE, keep) for keep in args.keep]
    return [i for i in found if isinstance(i, Entrant)], [i for i in found if isinstance(i, Refusal)]


def run(entrants: Sequence[Entrant], repeats: int, processor: bool = False) -> tuple[list[Cost], list[Refusal]]:
    """The memory of each in a fresh process, then rounds in which each takes its turn.

    All processes wait at once; they hand their free memory back in between, so that their peaks do not add up.
    """
    with ExitStack() as stack:
        workers: list[tuple[Entrant, Worker, Lane]] = []
        refused: list[Refusal] = []
        for item in entrants:
            try:
                worker = stack.enter_context(Worker(item.contender))
                lane = Lane(time=Times(median=0, fastest=0, each=[]), memory=peak(worker))
                worker.rest()
            except RefusedError as error:
                refused.append(Refusal(name=item.contender.name, reason=str(error)))
                continue
            workers.append((item, worker, lane))
        for number in range(repeats):
            for _, worker, lane in workers:
                worker.step()
                lane.time.each.append(worker.step(processor))
                worker.rest()
            say(f"round {number + 1} of {repeats}")
    costs = []
    for item, _, lane in workers:
        each = lane.time.each
        timed = Lane(time=Times(median=median(each), fastest=min(each), each=each), memory=lane.memory)
        costs.append(Cost(name=item.contender.name, alpha_share=item.alpha_share, lane=timed))
    return compared(costs), refused


def compared(costs: Sequence[Cost]) -> list[Cost]:
    """The costs with their ratios to that of the base, where it is among them."""
    base = next((cost.lane for cost in costs if cost.name == BASE), None)
    if base is None:
        return list(costs)
    return [
        cost.model_copy(
            update={
                "time_ratio": cost.lane.time.median / base.time.median,
                "memory_ratio": cost.lane.memory.above / base.memory.above,
            }
        )
        for cost in costs
    ]


def report(args: argparse.Namespace) -> Report:
    entrants, refused = entered(args)
    costs, failed = run(entrants, args.repeats, args.processor)
    return Report(
        space=str(args.space),
        overrides=tuple(args.set),
        batch=args.batch,
        machine=Machine.here(args.device, args.threads),
        costs=costs,
        refused=[*refused, *failed],
    )


def table(found: Report) -> str:
    """The figures as text."""
    lines = [
        f"{found.space} {' '.join(found.overrides)}, batch {found.batch}, {found.machine.processor}, "
        f"{found.machine.threads} threads, torch {found.machine.torch}",
        "",
        f"| method | alpha steps | iteration, median (fastest) | of {BASE} | memory | of {BASE} |",
        "|---|---|---|---|---|---|",
    ]
    for cost in found.costs:
        time, memory = cost.lane.time, cost.lane.memory.above / 2**20
        lines.append(
            f"| {cost.name} | {cost.alpha_share:.0%} | {time.median:.3f} s ({time.fastest:.3f} s) | "
            f"{ratio(cost.time_ratio)} | {memory:.0f} MiB | {ratio(cost.memory_ratio)} |"
        )
    if found.refused:
        lines += ["", "Refused:", "", *(f"- {item.name}: {item.reason}" for item in found.refused)]
    return "\n".join(lines)


def ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", nargs="?", type=Path, default=LIBRARY / "darts.hsp", help="a .hsp file with a search")
    known = [method.name for method in library_methods()]
    parser.add_argument("--methods", nargs="+", default=known, metavar="NAME", help="those to measure (all shipped)")
    parser.add_argument(
        "--keep", nargs="*", type=int, default=[4, 2], metavar="N", help=f"items to narrow {BASE} to (4 2)"
    )
    parser.add_argument("--phase", help="which phase of a file that has several; the first")
    parser.add_argument("--network", help="which network, where a file has several")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter or setting")
    parser.add_argument("--batch", type=int, default=32, help="images of each half in an iteration (32)")
    parser.add_argument("--steps", type=int, default=1, help="iterations timed at once, rounded up to `every` (1)")
    parser.add_argument("--repeats", type=int, default=7, help="turns of each method, alternating (7)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    parser.add_argument("--threads", type=int, help="of torch on the CPU, instead of its own choice")
    parser.add_argument("--processor", action="store_true", help="seconds of the processor: others use the machine too")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    args = parser.parse_args()
    found = report(args)
    print(json.dumps(found.model_dump(mode="json")) if args.json else table(found), flush=True)


if __name__ == "__main__":
    main()
