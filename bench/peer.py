"""Released programs against both lowerings: time and memory of the same step, and whether they compute the same.

    python bench/peer.py --darts PATH [spaces/darts.hsp] [--batch 32] [--json]

PATH is a checkout of the released DARTS program (github.com/quark0/darts), the folder that holds cnn/; nothing of it is
part of this repository. It is patched in memory for today's torch (see peers/checkout.py) and given our weights, and
its output and every gradient are compared with the naive lowering's in float64. Its step is timed in torch's layout and
in channels last, alternating with ours.

`--pcdarts PATH` measures the released PC-DARTS (github.com/yuhuixu1993/PC-DARTS) in the same size. Its cells mix a
quarter of the channels only: it is another network, so times stand side by side and outputs cannot be compared. So it
is with `--nni`, NNI's own version of DARTS (see peers/nni.py).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import torch
from contender import Contender, Ours, build_supernet, random_batch
from equality import Group, Worst, differences
from peers import Peer, twin
from peers.checkout import CheckoutError
from peers.nni import MISSING
from pydantic import BaseModel
from race import Lane, Machine, race
from supernet import add_arguments, case_of
from torch.nn.functional import cross_entropy
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
    equal: dict[Group, Worst] | None


def same(contender: Contender, batch: int) -> dict[Group, Worst]:
    """How far the released DARTS is from our naive lowering in float64, from the same numbers."""
    assert contender.checkout is not None
    space = contender.case.elaborated()
    torch.manual_seed(2)
    ours = build_supernet(Contender(case=contender.case, kind=Ours.NAIVE), space, init=1.0).double().train()
    theirs = twin(contender.checkout, ours)
    images, labels = random_batch(space, batch, torch.float64)
    outputs = [network(images) for network in (ours, theirs.network.train())]
    for output in outputs:
        cross_entropy(output, labels).backward()
    weights = {name: p.grad for name, p in ours.network.named_parameters() if p.grad is not None}
    alphas = {path: alpha.grad for path, alpha in ours.alphas.items() if alpha.grad is not None}
    found = theirs.gradients(dict(theirs.network.named_parameters()))
    expected = {Group.OUTPUT: {"output": outputs[0].detach()}, Group.WEIGHT: weights, Group.ALPHA: alphas}
    return differences(
        {
            Group.OUTPUT: {"output": outputs[1].detach()},
            Group.WEIGHT: {name: grad for name, grad in found.items() if name not in alphas},
            Group.ALPHA: {name: grad for name, grad in found.items() if name in alphas},
        },
        expected,
    )


def contenders(args: argparse.Namespace) -> Iterator[Contender]:
    """Both lowerings, and each peer in both layouts."""
    case = case_of(args, args.space)
    yield from (Contender(case=case, kind=kind) for kind in Ours)
    checkouts = {Peer.DARTS: args.darts, Peer.PC_DARTS: args.pcdarts}
    named = [peer for peer in Peer if checkouts.get(peer) or (peer is Peer.NNI and args.nni)]
    for peer in named:
        for channels_last in (False, True):
            yield Contender(case=case, kind=peer, checkout=checkouts.get(peer), channels_last=channels_last)


def report(args: argparse.Namespace) -> Report:
    racing = list(contenders(args))
    equal = next((same(c, args.equality_batch) for c in racing if c.kind is Peer.DARTS and args.equality_batch), None)
    lanes = race(racing, args.rounds, args.seconds)
    base = next(lane for contender, lane in zip(racing, lanes, strict=True) if contender.kind is Ours.OPTIMISED)
    return Report(
        space=str(args.space),
        overrides=tuple(args.set),
        batch=args.batch,
        machine=Machine.here(args.device, args.threads),
        rivals=[
            Rival(
                name=contender.name,
                time=lane.time,
                memory=lane.memory,
                time_ratio=lane.time.median / base.time.median,
                memory_ratio=lane.memory.above / base.memory.above,
            )
            for contender, lane in zip(racing, lanes, strict=True)
        ],
        equal=equal,
    )


def table(found: Report) -> str:
    """The figures as text."""
    lines = [
        f"{found.space} {' '.join(found.overrides)}, batch {found.batch}, {found.machine.processor}, "
        f"{found.machine.threads} threads, torch {found.machine.torch}",
        "",
        "| program | step, median (fastest) | to optimised | memory of a step | to optimised |",
        "|---|---|---|---|---|",
    ]
    for rival in found.rivals:
        time = f"{rival.time.median:.3f} s ({rival.time.fastest:.3f} s) | {rival.time_ratio:.2f}"
        memory = f"{rival.memory.above / 2**20:.0f} MiB | {rival.memory_ratio:.2f}"
        lines.append(f"| {rival.name} | {time} | {memory} |")
    if found.equal is not None:
        figures = ", ".join(f"{group.value} {worst.largest:.1e}" for group, worst in found.equal.items())
        lines += ["", f"DARTS to the naive lowering in float64, largest relative difference: {figures}"]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", nargs="?", type=Path, default=LIBRARY / "darts.hsp", help="spaces/darts.hsp")
    parser.add_argument("--darts", type=Path, metavar="PATH", help="a checkout of the released DARTS")
    parser.add_argument("--pcdarts", type=Path, metavar="PATH", help="a checkout of the released PC-DARTS")
    parser.add_argument("--hdas", type=Path, metavar="PATH", help="refused: says what is missing")
    parser.add_argument("--nni", action="store_true", help="NNI's DARTS, which has to be installed")
    parser.add_argument("--naslib", action="store_true", help="refused: says what is missing")
    add_arguments(parser)
    args = parser.parse_args()
    for name, missing in UNAVAILABLE.items():
        if getattr(args, name):
            parser.exit(1, f"{missing}\n")
    if not (args.darts or args.pcdarts or args.nni):
        parser.error("name a peer: --darts PATH, --pcdarts PATH or --nni")
    if args.nni and find_spec("nni") is None:
        parser.exit(1, f"{MISSING}\n")
    try:
        found = report(args)
    except (CheckoutError, RefusedError) as error:
        parser.exit(1, f"{error}\n")
    print(json.dumps(found.model_dump(mode="json")) if args.json else table(found))


if __name__ == "__main__":
    main()
