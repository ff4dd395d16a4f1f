"""Settings that do not go with a task: part of the table in `combine.py`, and what a training refuses."""

from __future__ import annotations

from .axes import NoTeacher
from .datasets import BUILT_IN, DataSpec
from .exploring import ExplorerWord
from .reader import ConflictError
from .rule import Combined, Rule
from .tasks import CLASSIFICATION, Task

CLASSES_ONLY = "these images have a class each and nothing else: use data of your own, `task = classification`"


def _other(settings: Combined) -> bool:
    return settings.task != CLASSIFICATION


def _has_classes(data: DataSpec) -> bool:
    return type(data) in BUILT_IN


TASKS = (
    Rule(("task", "data"), lambda s: _other(s) and _has_classes(s.data), CLASSES_ONLY),
    Rule(
        ("task", "derive"),
        lambda s: _other(s) and isinstance(s.derive, ExplorerWord),
        "explorers and their judges rank by accuracy, and this task has another metric: use `derive = strongest`",
    ),
    Rule(
        ("task", "teacher"),
        lambda s: _other(s) and not isinstance(s.teacher, NoTeacher),
        "a teacher teaches the probabilities of the classes of an image: use `teacher = none`, or "
        "`task = classification`",
    ),
)
"""The rules that are about tasks."""


def check_training(task: Task, data: DataSpec, smoothing: float) -> None:
    """Refuse settings of a training that do not go with its task.

    Raises:
        ConflictError: they do not.
    """
    if task != CLASSIFICATION and _has_classes(data):
        raise ConflictError(CLASSES_ONLY, "task", "data")
    if smoothing and not task.smooths:
        raise ConflictError(
            f"`label_smoothing` spreads a label over classes, and `task = {task.word}` has none: use 0",
            "label_smoothing",
            "task",
        )
