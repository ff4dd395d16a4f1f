"""Running a search or a training: steps, epochs, checkpoints, reports. Knows networks only by `protocol`."""

from compiler.searcher.engine.device.compute import is_main_process
from compiler.searcher.engine.reporting.records import EpochRecord

from .errors import CheckpointError, DivergedError, EngineError, OutOfMemoryError, RunInterruptedError
from .outcome import SearchOutcome
from .protocol import RunOptions, Searchable, Trainable
from .retrain import TrainOutcome, evaluate, run_train
from .search import run_search

__all__ = [
    "CheckpointError",
    "DivergedError",
    "EngineError",
    "EpochRecord",
    "OutOfMemoryError",
    "RunInterruptedError",
    "RunOptions",
    "SearchOutcome",
    "Searchable",
    "TrainOutcome",
    "Trainable",
    "evaluate",
    "is_main_process",
    "run_search",
    "run_train",
]
