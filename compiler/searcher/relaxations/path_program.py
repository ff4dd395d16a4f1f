"""One architecture as a program: calls in order, and those between the two ends of a recurrence as a loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from torch import Tensor

from compiler.backend.torch_modules.recurrence import scan
from compiler.derivation.selected_path import SelectedStep
from compiler.ir.payloads import Prim
from compiler.ir.sums import Share


@dataclass(frozen=True)
class DrawnShare(Share):
    """The weight of one of the tensors of a choice that was made in a step."""

    step: SelectedStep


class Weighing(Protocol):
    """The weights of what was chosen."""

    @property
    def is_positive(self) -> bool:
        """Whether nothing that runs has weight zero."""
        ...

    def __call__(self, step: SelectedStep, tensors: Sequence[Tensor]) -> Tensor:
        """The weighed sum of the tensors of a choice that was made; or of an undecided width its one tensor."""
        ...

    def mixing(self, shares: Sequence[DrawnShare]) -> Tensor:
        """The weights of the terms of a sum, (terms)."""
        ...

    def beside(self, total: Tensor, shares: Sequence[DrawnShare]) -> Tensor:
        """A sum of terms with these weights, to which what was not chosen is added where it counts."""
        ...


@dataclass(frozen=True)
class Call:
    """One operation of an architecture: slot ``at`` becomes ``run`` of the slots ``sources``; ``dead`` ones end here.

    Without ``run``, the tensors are passed through the weights of ``step``. ``weights`` are those of the sources of a
    choice that a sum may take in, or those of the terms of a sum, which ``run`` is given too.
    """

    at: int
    step: SelectedStep
    run: Callable[..., Tensor] | None
    sources: tuple[int, ...]
    dead: tuple[int, ...] = ()
    weights: tuple[DrawnShare, ...] = ()


@dataclass(frozen=True)
class Loop:
    """Calls that run at one position after the other: slot ``at`` becomes what slot ``given`` is at each.

    The last of ``sources`` is the state, which is ``given`` at the position before.
    """

    at: int
    given: int
    calls: tuple[Call, ...]
    sources: tuple[int, ...]
    dead: tuple[int, ...] = ()


@dataclass(frozen=True)
class PathProgram:
    """The calls that compute an architecture, in order; the slots ``inputs`` hold the inputs, ``output`` the logits."""

    inputs: Mapping[int, int]
    """The place of an input among those of the network, by slot."""
    calls: tuple[Call | Loop, ...]
    output: int


def run(calls: Sequence[Call | Loop], values: dict[int, Tensor], weighed: Weighing | None) -> None:
    """Make the values of some calls from those that are known, by their slots."""
    for call in calls:
        sources = [values[source] for source in call.sources]
        if isinstance(call, Loop):
            made = scan(partial(_step, call, weighed), len(sources) - 1, *sources)  # type: ignore[arg-type]
        elif call.run is None:
            assert weighed is not None
            made = weighed(call.step, sources)
        elif call.weights:
            assert weighed is not None
            made = weighed.beside(call.run(*sources, mixing=weighed.mixing(call.weights)), call.weights)
        else:
            made = call.run(*sources)
        for slot in call.dead:
            del values[slot]
        values[call.at] = made


def _step(loop: Loop, weighed: Weighing | None, *now: Tensor) -> Tensor:
    """One position of a loop."""
    values = dict(zip(loop.sources, now, strict=True))
    run(loop.calls, values, weighed)
    return values[loop.given]


def in_order(calls: Sequence[Call], output: int) -> tuple[Call | Loop, ...]:
    """Calls in order, with loops, and each with the slots that no later one reads but ``output``."""
    return tuple(_with_ends(_with_loops(calls), output))


def _with_loops(calls: Sequence[Call]) -> list[Call | Loop]:
    """The calls, with those between the two ends of each recurrence as one."""
    result: list[Call | Loop] = list(calls)
    for end in calls:
        if not (isinstance(end.step.payload, Prim) and end.step.payload.op.closes_loop):
            continue
        given, state = end.sources
        reached = {state}
        for call in calls:
            if not reached.isdisjoint(call.sources) and call is not end:
                reached.add(call.at)
        needed = {given}
        for call in reversed(calls):
            if call.at in needed:
                needed.update(call.sources)
        inside = [call for call in calls if call.at in reached & needed - {state}]
        if inside:
            made = {call.at for call in inside}
            read = dict.fromkeys(source for call in inside for source in call.sources if source not in made)
            loop = Loop(end.at, given, tuple(inside), (*(source for source in read if source != state), state))
            result = [loop if call is end else call for call in result if call not in inside]
    return result


def _with_ends(calls: Sequence[Call | Loop], output: int) -> Iterator[Call | Loop]:
    """The calls, each with the slots that no later one reads."""
    kept = {output}
    result: list[Call | Loop] = []
    for call in reversed(calls):
        dead = tuple(source for source in dict.fromkeys(call.sources) if source not in kept)
        kept.update(call.sources)
        if isinstance(call, Call):  # `replace` is slow, and calls are many
            result.append(Call(call.at, call.step, call.run, call.sources, dead, call.weights))
        else:
            result.append(replace(call, dead=dead))
    return reversed(result)
