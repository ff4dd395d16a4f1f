"""The ways a run ends early. Each message is one sentence for a person; the command line prints it as it is."""

from __future__ import annotations


class EngineError(RuntimeError):
    """A run that cannot start or go on."""


class NoDevice(EngineError):
    """A device that is unknown, or that this machine does not have."""


class Interrupted(EngineError):
    """Stopped by SIGINT or SIGTERM, with a checkpoint from which to go on."""


class Diverged(EngineError):
    """A loss or a parameter is no longer finite."""


class OutOfMemory(EngineError):
    """The device, or the machine, has too little memory."""


class CheckpointError(EngineError):
    """A checkpoint that is missing, damaged, in the way, or of another run."""
