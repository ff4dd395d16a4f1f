"""`--json` of the commands: one object on standard output, and everything else that is said on standard error."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Any

from .option import flag
from .output import line

if TYPE_CHECKING:
    from pydantic import BaseModel


def json_flag() -> Any:
    """A field: whether the answer is one JSON object."""
    return flag("--json", "print one JSON object; what else is said goes to standard error")


def aside(wanted: bool) -> AbstractContextManager[object]:
    """A context in which messages go to standard error, where standard output is for a JSON object."""
    return redirect_stdout(sys.stderr) if wanted else nullcontext()


def put_json(answer: BaseModel) -> None:
    """Print an answer."""
    line(answer.model_dump_json(indent=2))
