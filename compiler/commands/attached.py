"""`hdas` as a process that ends with the one that started it: when its input ends, it is asked to stop.

    python -m compiler.commands.attached ACTION FILE [options]

A run writes its checkpoint then; whatever kills the process that started it, no run goes on by itself.
"""

from __future__ import annotations

import os
import signal
import sys
import threading

from .hdas import hdas_main


def _watch() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    threading.Thread(target=_watch, daemon=True).start()
    code = hdas_main()
    sys.stdout.flush()
    os._exit(code)  # The thread that watches holds the input.
