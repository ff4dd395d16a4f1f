"""Whether the output of an architecture depends on its input, and the decisions by which it does not.

An operation that gives zeros cuts its line. Where no line is left, a network gives every image the same output: its
batch norms and biases still give numbers, so that it compiles and trains, and scores as chance does. Of several outputs
each has to depend on the input.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from compiler.ir.payloads import Input, Mix, Prim, Weigh

from .selected_path import SelectedPath, SelectedStep


class _Of(Enum):
    """What the output of a step depends on."""

    IMAGE = "the input"
    NOTHING = "nothing: it is the same for every input"
    ZERO = "nothing: it is zero"


@dataclass(frozen=True)
class Reach:
    """Whether the input reaches the output, and the decisions that are read where it does not get to, in order."""

    alive: bool
    dead: tuple[str, ...]


def reach(path: SelectedPath) -> Reach:
    """Follow the input through an architecture, whose zeros are among its steps (`Paths(..., keep_zeros=True)`).

    An architecture that differs in none of the dead decisions is dead too: what they leave out is read by nothing else.
    """
    place = {step.index: number for number, step in enumerate(path.steps)}
    found: list[_Of] = []
    dead: dict[str, None] = {}
    for step in path.steps:
        found.append(_follow(step, [found[place[source]] for source in step.sources]))
        if found[-1] is not _Of.IMAGE and isinstance(step.payload, Mix | Weigh):
            dead.update(dict.fromkeys(_decisions(step.payload)))
    return Reach(found[-1] is _Of.IMAGE, tuple(dead))


def _follow(step: SelectedStep, sources: Iterable[_Of]) -> _Of:
    seen = set(sources)
    match step.payload:
        case Input():
            return _Of.IMAGE
        case Prim(op=op) if op.zero or (op.absorbs_zero and _Of.ZERO in seen):
            return _Of.ZERO
        case Prim(op=op) if seen == {_Of.ZERO}:
            return _Of.ZERO if op.preserves_zero else _Of.NOTHING
        case Prim(op=op) if op.packs:  # Each of a network's several outputs is asked.
            return _Of.IMAGE if seen == {_Of.IMAGE} else _Of.NOTHING
        case Mix() | Weigh() if seen == {_Of.ZERO}:
            return _Of.ZERO
    return _Of.IMAGE if _Of.IMAGE in seen else _Of.NOTHING


def _decisions(payload: Mix | Weigh) -> tuple[str, ...]:
    return payload.decisions if isinstance(payload, Mix) else (payload.decision,)
