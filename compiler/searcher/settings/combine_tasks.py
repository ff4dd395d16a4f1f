"""Settings that do not go with a task: part of the table in `combine.py`, and what a training refuses."""

from __future__ import annotations

from .axes import NoTeacher
from .datasets import BUILT_IN, DataSpec, Folder
from .judges import TableJudge
from .reader import ConflictError
from .rule import Combined, Rule
from .tasks import CLASSIFICATION, Classification, OwnTask, Segmentation, Task

CLASSES_ONLY = "these images have a class each and nothing else: use data of your own, `task = classification`"


def _other(settings: Combined) -> bool:
    return settings.task != CLASSIFICATION


def _only_classes(task: Task, data: DataSpec) -> bool:
    """Whether data have a class for each image, of which this task makes nothing; one of the user's own may.

    A folder has masks instead for a segmentation.
    """
    masks = isinstance(data, Folder) and isinstance(task, Segmentation)
    return type(data) in BUILT_IN and not masks and not isinstance(task, Classification | OwnTask)


TASKS = (
    Rule(("task", "data"), lambda s: _only_classes(s.task, s.data), CLASSES_ONLY),
    Rule(
        ("task", "judge"),
        lambda s: _other(s) and isinstance(s.judge, TableJudge),
        "`judge = table` looks up accuracies: use `judge = trained` or `shared`, or `task = classification`",
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
    if _only_classes(task, data):
        raise ConflictError(CLASSES_ONLY, "task", "data")
    if smoothing and not (task.known and task.facts.smooths):
        raise ConflictError(
            f"`label_smoothing` spreads a label over classes, and `task = {task.word}` has none: use 0",
            "label_smoothing",
            "task",
        )
