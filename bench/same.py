"""Whether a released program computes what our lowering of the same space computes, under the same method.

    python bench/same.py CONTENDER BATCH          # a process for one program, as `bench/peer.py` starts it

Its argument is a contender as JSON. Both supernets have the same weights and alphas, in float64; of what a method draws
each row has the same numbers in both. Printed are, as JSON, how far apart the logits of a batch and the gradients of
its cross entropy are.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import torch
from contender import Contender, random_batch
from equality import Group, Worst, differences
from iteration import searched
from peers import PROGRAMS, Peer, twin
from peers.checkout import CheckoutError
from peers.noise import fixed, spread
from peers.twins import gradient
from pydantic import TypeAdapter
from torch.nn.functional import cross_entropy
from worker import RefusedError

from compiler.backend.passes import Target
from compiler.searcher.relaxations import Relaxed, relaxed
from hdas_dsl.text.diagnostics import HspError

Found = TypeAdapter(dict[Group, Worst])


def same(contender: Contender, batch: int) -> dict[Group, Worst]:
    """How far a released program is from our optimised lowering, in this process; torch's precision becomes double.

    Raises:
        CheckoutError: where the checkout or the space is another one.
    """
    assert isinstance(contender.kind, Peer)
    assert contender.checkout is not None
    program, case = PROGRAMS[contender.kind], contender.case
    sizes = case.overrides if program.overrides is None else program.overrides
    own = (*sizes, f"method={program.method}", *program.settings)
    phase = searched(case.model_copy(update={"space": program.space or case.space, "overrides": own}))
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(2)
    ours = relaxed(phase.network, phase.settings, Target.on("cpu", batch=batch), phase.built).double().train()
    made_different(ours)
    worth = iter(spread(100_000).tolist())
    for done in program.narrow:
        ours.narrow(done, lambda measure: float(next(worth)))  # What is given up does not matter here.
        ours.begin(done)
    ours.anneal(phase.settings.epochs / 2)
    theirs = twin(program, contender.checkout, ours)
    images, labels = random_batch(phase.network, batch, torch.float64)
    with fixed(), ours.perturbed(lambda: cross_entropy(ours(images), labels)):
        output = ours(images)
        cross_entropy(output, labels).backward()
    with fixed():
        found = program.run(theirs.network.train(), images, labels)
        cross_entropy(found, labels).backward()
    weights, alphas = theirs.gradients()
    here = {name: gradient(weight) for name, weight in ours.network.named_parameters()}
    expected = {Group.OUTPUT: {"output": found.detach()}, Group.WEIGHT: weights}
    groups = {Group.OUTPUT: {"output": output.detach()}, Group.WEIGHT: here}
    if any(alpha.grad is not None for alpha in ours.alphas.values()):
        expected[Group.ALPHA] = alphas
        groups[Group.ALPHA] = {path: gradient(alpha) for path, alpha in ours.alphas.items()}
    return differences(groups, expected)


@torch.no_grad()
def made_different(ours: Relaxed) -> None:
    """Let no norm keep its first weights and no two decisions their alphas."""
    for weight in ours.network.parameters():
        weight.add_(0.05 * torch.randn_like(weight))
    for alpha in ours.alphas.values():
        alpha.copy_(torch.randn_like(alpha))


def apart(contender: Contender, batch: int) -> dict[Group, Worst]:
    """The same from a fresh process, which imports from one checkout and ends with it.

    Raises:
        RefusedError: where it cannot be compared here.
    """
    done = subprocess.run(
        [sys.executable, str(Path(__file__)), contender.model_dump_json(), str(batch)], capture_output=True, text=True
    )
    last = done.stdout.strip().rpartition("\n")[2]
    if done.returncode or not last:
        reason = done.stderr.strip().rpartition("\n")[2]
        raise RefusedError(f"{contender.name}: {reason}")
    return Found.validate_json(last)


def main() -> None:
    contender, batch = Contender.model_validate_json(sys.argv[1]), int(sys.argv[2])
    try:
        print(json.dumps({group.value: worst.model_dump() for group, worst in same(contender, batch).items()}))
    except (CheckoutError, HspError) as error:
        raise SystemExit(str(error)) from error


if __name__ == "__main__":
    main()
