"""A difference as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """The sort of thing that differs."""

    OPERATION = "operation"
    INPUT = "input"
    EDGE = "edge"
    DEFINITION = "definition"
    SIGNATURE = "signature"
    PARAMETER = "parameter"
    DEFAULT = "default"
    SHAPE = "shape"
    LINE = "line"
    FAMILY = "family"
    SIZE = "size"
    ARGUMENT = "argument"
    ALTERNATIVE = "alternative"
    VALUE = "value"
    RULE = "rule"
    SETTING = "setting"
    ORDER = "order"
    USE = "import"
    VERSION = "version"

    def count(self, number: int) -> str:
        """``1 family``, ``2 families``."""
        plural = self.value[:-1] + "ies" if self.value.endswith("y") else self.value + "s"
        return f"{number} {self.value if number == 1 else plural}"


@dataclass(frozen=True)
class Change:
    """One difference.

    Attributes:
        path: The choice path, or that of a line, parameter or setting.
        kind: The sort of thing that differs.
        left: Its text in the left file; None where that has nothing at this path.
        right: The same of the right file.
        note: More about the kind, such as ``of concat``.
        copy: The head of ``path``: the definition or section.
    """

    path: str
    kind: Kind
    left: str | None
    right: str | None
    note: str = ""
    copy: str = ""
