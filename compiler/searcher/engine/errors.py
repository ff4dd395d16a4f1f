"""The ways a run ends early. Each message is one sentence; the command line prints it as it is. No torch."""

from __future__ import annotations

from compiler.util.errors import RunError


class EngineError(RunError):
    """A run that cannot start or go on."""


class NoDeviceError(EngineError):
    """A device that is unknown, or that this machine does not have."""

    exit_code = 2


class RunInterruptedError(EngineError):
    """Stopped by SIGINT or SIGTERM, with a checkpoint from which to go on."""

    exit_code = 130


class DivergedError(EngineError):
    """A loss or a parameter is no longer finite."""


class OutOfMemoryError(EngineError):
    """The device, or the machine, has too little memory."""


class CheckpointError(EngineError):
    """A checkpoint that is missing, damaged, in the way, or of another run."""


class SingleValueError(EngineError):
    """A batch norm has one value of each channel in a batch, which has no variance."""

    exit_code = 2

    def __init__(self) -> None:
        super().__init__("A batch norm has one value per channel in a batch of one image: use a larger --batch-size.")


def is_single_value(error: ValueError) -> bool:
    """Whether torch refused a batch norm of one value per channel; it has no class for that."""
    return "Expected more than 1 value per channel" in str(error)
