"""Threads on the CPU: as many as the operations of a network are worth.

An operation that is over sooner than threads can be woken for it is done sooner by one. Measured on two cores (forward
and backward, seconds by one and by two threads; work is that of one operation of the network as it is written):
0.03 M multiply-adds 0.110 and 0.224, 0.4 M 0.464 and 0.457, 0.5 M 0.046 and 0.053, 2.0 M 1.72 and 1.15, 2.2 M 0.117
and 0.105. With more cores it was not measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from compiler.backend.passes import CPU, FLATTEN, Target
from compiler.backend.passes.estimate import estimate
from compiler.elaborate import Elaborated
from compiler.util.threads import may_take_fewer_threads, processors

WORK_OF_A_THREAD = 3e5
"""Multiply-adds of an operation, forward and backward for a batch."""


def useful_threads(space: Elaborated, batch: int) -> int:
    """How many threads a network is worth, by the mean of its operations; a number of the space and the batch alone."""
    found = estimate(FLATTEN.run(space.block.graph), CPU)
    return max(1, int(batch * found.work / max(found.launches, 1) / WORK_OF_A_THREAD))


@contextmanager
def fitting_threads(space: Elaborated, batch: int, device: str) -> Iterator[None]:
    """A context in which torch takes as many threads as pay for a network, and no more than before.

    A number that the user has set stays (`compiler.util.threads`); all stay on a GPU, and for a grammar, whose trees
    have no one size.
    """
    before = torch.get_num_threads()
    if before == 1 or not may_take_fewer_threads() or space.grammars or Target.on(device).machine.gpu:
        yield
        return
    torch.set_num_threads(min(before, useful_threads(space, batch)))
    try:
        yield
    finally:
        torch.set_num_threads(before)


def room_for_workers() -> int:
    """How many processes of as many threads as this one there are processors for; 1 where a user set the threads."""
    return processors() // torch.get_num_threads() if may_take_fewer_threads() else 1
