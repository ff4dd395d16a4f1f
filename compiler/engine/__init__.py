"""Running a search or a training: steps, epochs, checkpoints, reports. Knows networks only by `protocol`."""

from compiler.engine.compute import is_main_process
from compiler.engine.errors import CheckpointError, Diverged, EngineError, Interrupted, OutOfMemory
from compiler.engine.protocol import RunOptions, Searchable, Trainable
from compiler.engine.records import EpochRecord
from compiler.engine.retrain import TrainOutcome, evaluate, run_train
from compiler.engine.search import SearchOutcome, run_search

__all__ = [
    "CheckpointError",
    "Diverged",
    "EngineError",
    "EpochRecord",
    "Interrupted",
    "OutOfMemory",
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
