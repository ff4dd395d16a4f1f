"""Runs that something happens to in a step."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest.mock import patch

from compiler.searcher.engine import RunInterruptedError
from compiler.searcher.engine.search import Searching
from compiler.searcher.explore.trials import Asked, History


def killed() -> None:
    """The run ends without another word, as if it were killed."""
    raise RunInterruptedError("as if killed")


def terminated() -> None:
    """SIGTERM comes: the run ends behind the step."""
    signal.raise_signal(signal.SIGTERM)


@contextmanager
def at_step(count: int, happens: Callable[[], None]) -> Iterator[None]:
    """A context in which ``happens`` is called before one step of a search, counted from 1 over the whole run."""
    plain, taken = Searching.step, [0]

    def step(searching: Searching, epoch: int, number: int) -> None:
        taken[0] += 1
        if taken[0] == count:
            happens()
        plain(searching, epoch, number)

    with patch.object(Searching, "step", step):
        yield


@contextmanager
def at_trial(count: int, happens: Callable[[], None]) -> Iterator[None]:
    """A context in which ``happens`` is called before one trial of an exploration is judged, counted from 1."""
    plain = History.ask

    def ask(history: History, asked: Asked) -> None:
        if asked.id + 1 == count:
            happens()
        plain(history, asked)

    with patch.object(History, "ask", ask):
        yield
