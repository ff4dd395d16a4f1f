"""The ways a run ends early. Each message is one sentence; the command line prints it as it is. No torch."""

from __future__ import annotations

from compiler.util.errors import RunError


class EngineError(RunError):
    """A run that cannot start or go on."""


class NoDevice(EngineError):
    """A device that is unknown, or that this machine does not have."""

    exit_code = 2


class Interrupted(EngineError):
    """Stopped by SIGINT or SIGTERM, with a checkpoint from which to go on."""

    exit_code = 130


class Diverged(EngineError):
    """A loss or a parameter is no longer finite."""


class OutOfMemory(EngineError):
    """The device, or the machine, has too little memory."""


class CheckpointError(EngineError):
    """A checkpoint that is missing, damaged, in the way, or of another run."""
