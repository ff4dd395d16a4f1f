"""The record of a run: every setting in the language, and the command, the versions and the machine as JSON."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from compiler.program.model import Phase
from compiler.reports.space_record import SpaceRecord
from compiler.searcher.engine.device.compute import is_main_process
from compiler.searcher.run_files import RECORD, SETTINGS, SPACE
from compiler.searcher.settings.metric import Metric
from compiler.searcher.settings.tasks import Task
from compiler.util.files import atomic_write
from compiler.util.version import package_version
from hdas_dsl.text.printable import encodable

from .config import RunConfig


class Machine(BaseModel):
    """The machine of a run, without its name or address."""

    model_config = ConfigDict(frozen=True)

    system: str
    processor: str
    cores: int
    threads: int
    gpus: tuple[str, ...]

    @classmethod
    def here(cls) -> Machine:
        """This machine."""
        gpus = tuple(torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count()))
        system = f"{platform.system()} {platform.release()}"
        return cls(
            system=system,
            processor=platform.machine(),
            cores=os.cpu_count() or 1,
            threads=torch.get_num_threads(),
            gpus=gpus,
        )


class Record(BaseModel):
    """The content of the file beside the settings, about the command that began the run."""

    model_config = ConfigDict(frozen=True)

    command: str
    """The command as a shell takes it; empty for a run from Python."""
    device: str
    processes: int
    versions: dict[str, str]
    machine: Machine
    metrics: tuple[Metric, ...] = ()
    """Of the tasks, each once, that of the last phase last."""
    source: tuple[str, ...] = ()
    """The files of the text that was searched, in their folder: what else is there is the user's."""
    judged: Metric | None = None
    """What scores of an explorer's trials are of, where that is not a metric of a task."""


def write_record(
    config: RunConfig, settings: str, tasks: Iterable[Task], judged: Metric | None = None, source: Sequence[str] = ()
) -> None:
    """Write what a run is into its folder; of several processes, the main one does. One that goes on has it there.

    Raises:
        OSError: it cannot be written.
    """
    if not is_main_process() or (config.resume and (config.out / SETTINGS).is_file()):
        return
    versions = {"hdas-dsl": package_version(), "torch": str(torch.__version__), "python": platform.python_version()}
    record = Record(
        command=encodable(shlex.join(config.command)),
        device=config.device,
        processes=config.devices,
        versions=versions,
        machine=Machine.here(),
        source=tuple(source),
        judged=judged,
        metrics=tuple(reversed(dict.fromkeys(reversed([task.facts.metric for task in tasks])))),
    )
    atomic_write(config.out / SETTINGS, settings)
    atomic_write(config.out / RECORD, record.model_dump_json(indent=2) + "\n")


def write_space(phase: Phase, number: int, folder: Path) -> None:
    """Write what a phase, the ``number``-th, searches into its folder; of several processes, the main one does.

    Raises:
        OSError: it cannot be written.
    """
    if is_main_process():
        record = SpaceRecord.of(phase.network, phase.name, number)
        atomic_write(folder / SPACE, record.model_dump_json() + "\n")
