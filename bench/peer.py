"""Released programs beside ours: whether they compute the same, and time and memory of the same step.

    python bench/peer.py --darts PATH --pcdarts PATH --drnas PATH ... [spaces/darts.hsp] [--batch 32] [--json]

PATH is a checkout of the released program, as `--help` names them; nothing of any is part of this repository. Each is
patched in memory for today's torch (see peers/checkout.py), in a process of its own, one after the other, and given our
weights and alphas. Its output and every gradient are compared with those of our optimised lowering under the same
method in float64; of what a method draws both get the same numbers (see peers/noise.py). SmoothDARTS is compared under
random and under adversarial displacements, SGAS and DARTS-PT after three decisions in each cell, GDAS on NAS-Bench-201.

The steps of DARTS, PC-DARTS and, with `--nni`, of NNI's own version of DARTS (see peers/nni.py) are also timed, in
torch's layout and in channels last, alternating with ours; `--rounds 0` leaves that out. PC-DARTS and NNI compute
something else than `darts.hsp` as it stands, so that their times stand beside ours for orientation.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from contender import Contender, Ours
from equality import Group, Worst
from peers import PROGRAMS, Peer
from peers.checkout import CheckoutError
from peers.nni import MISSING
from pydantic import BaseModel
from race import Lane, Machine, race, say
from same import apart
from supernet import add_arguments, case_of
from worker import RefusedError

from hdas_dsl.units import LIBRARY

UNAVAILABLE = {
    "hdas": "H-DAS: its authors' program could not be had when this was written, so nothing here builds its supernet; "
    "that would be a module beside bench/peers/darts.py",
    "naslib": "NASLib: it is on no package index and nothing here builds its supernet; with a checkout of "
    "github.com/automl/NASLib installed, that would be a module beside bench/peers/nni.py",
}
"""What is not measured, and what it would take."""


class Rival(Lane):
    """A contender's figures; the ratios are this one / optimised: above 1 the optimised lowering is better."""

    name: str
    time_ratio: float
    memory_ratio: float


class Report(BaseModel):
    """The figures side by side; the names are those of ``--json``."""

    space: str
    overrides: tuple[str, ...]
    batch: int
    machine: Machine
    rivals: list[Rival]
    equal: dict[str, dict[Group, Worst]]
    """How far each program is from our optimised lowering, by its name."""


OPTIONS = {peer.option: program.repository for peer, program in PROGRAMS.items()}
"""The repository of each program, by the option that names its checkout."""

TIMED = (Peer.DARTS, Peer.PC_DARTS, Peer.NNI)
"""The peers whose steps are timed."""


def contenders(args: argparse.Namespace) -> Iterator[Contender]:
    """Both lowerings, and in both layouts each peer that is timed."""
    case = case_of(args, args.space)
    named = [peer for peer in TIMED if getattr(args, peer.option)]
    if not named:
        return
    yield from (Contender(case=case, kind=kind) for kind in Ours)
    for peer in named:
        for channels_last in (False, True):
            yield Contender(case=case, kind=peer, checkout=checkout(args, peer), channels_last=channels_last)


def checkout(args: argparse.Namespace, peer: Peer) -> Path | None:
    """The checkout of a peer; NNI is installed instead."""
    found: Path | None = None if peer is Peer.NNI else getattr(args, peer.option)
    return found


def compared(args: argparse.Namespace) -> Iterator[tuple[str, dict[Group, Worst]]]:
    """How far each released program is from ours."""
    for peer in PROGRAMS if args.equality_batch else ():
        if path := checkout(args, peer):
            say(f"{peer.value}:")
            contender = Contender(case=case_of(args, args.space), kind=peer, checkout=path)
            yield peer.value, apart(contender, args.equality_batch)


def report(args: argparse.Namespace) -> Report:
    equal = dict(compared(args))
    racing = list(contenders(args)) if args.rounds else []
    lanes = race(racing, args.rounds, args.seconds) if racing else []
    return Report(
        space=str(args.space),
        overrides=tuple(args.set),
        batch=args.batch,
        machine=Machine.here(args.device, args.threads),
        rivals=rivals(racing, lanes),
        equal=equal,
    )


def rivals(racing: list[Contender], lanes: list[Lane]) -> list[Rival]:
    """The lanes with their ratios to the optimised lowering's."""
    if not racing:
        return []
    base = next(lane for contender, lane in zip(racing, lanes, strict=True) if contender.kind is Ours.OPTIMISED)
    return [
        Rival(
            name=contender.name,
            time=lane.time,
            memory=lane.memory,
            time_ratio=lane.time.median / base.time.median,
            memory_ratio=lane.memory.above / base.memory.above,
        )
        for contender, lane in zip(racing, lanes, strict=True)
    ]


def table(found: Report) -> str:
    """The figures as text."""
    lines = [
        f"{found.space} {' '.join(found.overrides)}, batch {found.batch}, {found.machine.processor}, "
        f"{found.machine.threads} threads, torch {found.machine.torch}"
    ]
    if found.rivals:
        lines += ["", "| program | step, median (fastest) | to optimised | memory of a step | to optimised |"]
        lines += ["|---|---|---|---|---|"]
    for rival in found.rivals:
        time = f"{rival.time.median:.3f} s ({rival.time.fastest:.3f} s) | {rival.time_ratio:.2f}"
        memory = f"{rival.memory.above / 2**20:.0f} MiB | {rival.memory_ratio:.2f}"
        lines.append(f"| {rival.name} | {time} | {memory} |")
    if found.equal:
        groups = (Group.OUTPUT, Group.WEIGHT, Group.ALPHA)
        lines += ["", "Largest relative difference to the optimised lowering in float64:", ""]
        lines += [f"| program | {' | '.join(group.value for group in groups)} |", "|---|---|---|---|"]
        for name, worst in found.equal.items():
            cells = (f"{worst[group].largest:.0e}" if group in worst else "" for group in groups)
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", nargs="?", type=Path, default=LIBRARY / "darts.hsp", help="spaces/darts.hsp")
    for option, repository in OPTIONS.items():
        parser.add_argument(f"--{option}", type=Path, metavar="PATH", help=f"a checkout of github.com/{repository}")
    parser.add_argument("--hdas", type=Path, metavar="PATH", help="refused: says what is missing")
    parser.add_argument("--nni", action="store_true", help="NNI's DARTS, which has to be installed")
    parser.add_argument("--naslib", action="store_true", help="refused: says what is missing")
    add_arguments(parser)
    args = parser.parse_args()
    for name, missing in UNAVAILABLE.items():
        if getattr(args, name):
            parser.exit(1, f"{missing}\n")
    if not any(getattr(args, peer.option) for peer in Peer):
        parser.error(f"name a peer: {', '.join(f'--{option} PATH' for option in OPTIONS)} or --nni")
    if args.nni and find_spec("nni") is None:
        parser.exit(1, f"{MISSING}\n")
    try:
        found = report(args)
    except (CheckoutError, RefusedError) as error:
        parser.exit(1, f"{error}\n")
    print(json.dumps(found.model_dump(mode="json")) if args.json else table(found))


if __name__ == "__main__":
    main()
