"""Ctrl-C and SIGTERM: asked once, a run finishes its step and writes a checkpoint; asked twice, it stops at once."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Whether the user has asked this process to stop."""

    def __init__(self) -> None:
        self.requested = False

    @contextmanager
    def listening(self) -> Iterator[Stop]:
        """Take SIGINT and SIGTERM as requests while inside.

        Outside the main thread there is nothing to take, and what is ignored, as in a shell's background, stays so.
        """
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        before = {number: handler for number, handler in handlers.items() if handler != signal.SIG_IGN}

        def request(number: int, frame: FrameType | None) -> None:
            self.requested = True
            signal.signal(number, before[signal.Signals(number)] or signal.SIG_DFL)

        for number in before:
            signal.signal(number, request)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler or signal.SIG_DFL)
