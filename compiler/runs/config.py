"""Where and how a run happens."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from compiler.backend.passes import Target
from compiler.searcher.settings.axes import Precision
from compiler.searcher.settings.sections import SearchSettings, TrainSettings
from compiler.util.errors import UsageError


@dataclass(frozen=True)
class RunConfig:
    """Where and how a run happens; nothing here changes what it computes, except the device.

    Attributes:
        out: the folder of the run.
        data_root: where data lie.
        download: fetch missing data.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
        devices: how many processes, one device each.
        resume: go on with the run in ``out``.
        force: overwrite the run in ``out``.
        quiet: show no progress.
        phases: the phases to search, by name; empty: all that are not optional.
        checkpoint_every: also write a checkpoint after every so many steps; 0: once an epoch.
        memory_budget: bytes that the activations of a step may take; None: no limit.
        passes: the names of the passes to run; None: those that pay on the device.
        compiled: compile the network with ``torch.compile``.
        command: the words of the command line, which the run's folder records; none for a run from Python.
        workers: how many trials of an exploration are judged at once, each by a process of its own.
        ray: the address of the Ray cluster whose nodes judge them; None: this machine does.
    """

    out: Path
    data_root: Path = Path("data")
    download: bool = False
    device: str = "auto"
    devices: int = 1
    resume: bool = False
    force: bool = False
    quiet: bool = False
    phases: tuple[str, ...] = ()
    checkpoint_every: int = 0
    memory_budget: int | None = None
    passes: tuple[str, ...] | None = None
    compiled: bool = False
    command: tuple[str, ...] = ()
    workers: int = 1
    ray: str | None = None

    def target(self, settings: SearchSettings | TrainSettings) -> Target:
        """The target that networks are lowered for, at the batches and the precision of a section."""
        is_half = settings.precision is not Precision.FLOAT32
        here = Target.on(self.device, self.memory_budget, settings.batch, is_half)
        return replace(here, passes=self.passes, compiled=self.compiled)

    def check_workers(self, explores: bool) -> None:
        """Check that several workers have something to do.

        Raises:
            UsageError: no explorer proposes trials, or each trial is to take several devices.
        """
        given = "--ray" if self.ray is not None else "--workers" if self.workers > 1 else None
        if given is not None and not explores:
            raise UsageError(f"{given} judges trials at once, and no explorer proposes any: `derive` names none")
        if given is not None and self.devices > 1:
            raise UsageError(f"{given} runs trials on one device each: leave --devices out, or {given}")
        if self.ray is not None and find_spec("ray") is None:
            raise UsageError("--ray needs Ray: pip install 'hdas-dsl[ray]'")

    @property
    def judges_elsewhere(self) -> bool:
        """Whether other processes judge the trials."""
        return self.workers > 1 or self.ray is not None

    def lowering_options(self) -> tuple[str, ...]:
        """The options given that only matter to a network that is lowered as a whole."""
        given = {
            "--memory-budget": self.memory_budget is not None,
            "--passes": self.passes is not None,
            "--compile": self.compiled,
        }
        return tuple(name for name, is_given in given.items() if is_given)
