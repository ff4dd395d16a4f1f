"""`task = "mine.py:Class"`: the class of a user's own, made where it is allowed."""

from __future__ import annotations

from typing import TypeVar

from compiler.ir.primitives.external import Plugins
from compiler.searcher.settings.sections import SearchSettings, TrainSettings
from compiler.searcher.settings.tasks import TASKS, Described, OwnTask, asked
from compiler.util.errors import UsageError

S = TypeVar("S", SearchSettings, TrainSettings)


def with_own_task(settings: S, plugins: Plugins) -> S:
    """The settings with their task made; as they are where it is one of the language, or not allowed.

    Raises:
        UsageError: it cannot be made, or is not a task.
        LoweringError: it cannot be imported.
    """
    task = settings.task
    if not isinstance(task, OwnTask) or (found := plugins.own_class(task.path, TASKS)) is None:
        return settings
    if not issubclass(found, Described):
        raise UsageError(f"'{task.path}' is not a `UserTask` of compiler.searcher.engine.user_task")
    with asked(task.path, "cannot be made"):
        made = found()
    if not (isinstance(made.metric, str) and made.metric.isidentifier()):
        raise UsageError(f"'{task.path}' calls its metric '{made.metric}': use letters, digits and _")
    return settings.replace("task", task.made_as(made))
