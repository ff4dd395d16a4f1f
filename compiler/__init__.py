"""The compiler of the `.hsp` language: from a search space to a supernet, a search, and an architecture as text.

    from compiler import load, search, study, derive, train, diff, contains, describe
    from compiler import count, sample, enumerate, mutate, crossover, draw, report
    from compiler import Callback, Logger, inherit

They are imported when asked for, so that the commands that only read text start fast. Importing this package says how
the threads of torch wait, and how many there are (`util.threads`).
"""

from typing import TYPE_CHECKING, Any

from .util.threads import prepare as _prepare

if TYPE_CHECKING:
    from .api import (
        Callback,
        EndEvent,
        EpochEvent,
        HspError,
        Inherited,
        Logger,
        StepEvent,
        TrialEvent,
        UsageError,
        contains,
        count,
        crossover,
        derive,
        describe,
        diff,
        draw,
        enumerate,
        inherit,
        load,
        mutate,
        report,
        sample,
        search,
        study,
        train,
    )

_prepare()

__all__ = [
    "Callback",
    "EndEvent",
    "EpochEvent",
    "HspError",
    "Inherited",
    "Logger",
    "StepEvent",
    "TrialEvent",
    "UsageError",
    "contains",
    "count",
    "crossover",
    "derive",
    "describe",
    "diff",
    "draw",
    "enumerate",
    "inherit",
    "load",
    "mutate",
    "report",
    "sample",
    "search",
    "study",
    "train",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'compiler' has no attribute '{name}'")
    from . import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
