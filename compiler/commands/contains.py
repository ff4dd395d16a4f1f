"""`hdas contains FILE SPACE`, or `hdas-compile FILE --in SPACE`: whether an architecture lies in a space."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from .command import Command
from .console import DIFFERENT, OK, WRONG_USAGE, show
from .groups import Source, existing, network_option
from .json_output import json_flag, put_json
from .option import action_value, group
from .output import line


@dataclass(frozen=True, kw_only=True)
class Contains(Command):
    """Say whether an architecture lies in a space, and if not, at which choice it leaves it.

    Exits as diff does: 0 it lies there, 1 it does not, 2 trouble.
    """

    name: ClassVar[str] = "contains"
    action: ClassVar[str | None] = "--in"
    summary: ClassVar[str] = "does the architecture lie in a space?"
    answer: ClassVar[str] = "Located"
    wrong_file: ClassVar[int] = WRONG_USAGE

    source: Source = group(Source)
    space: Path = action_value("SPACE", "the file of the space", read=Path)
    json: bool = json_flag()
    network: str | None = network_option()

    def run(self) -> int:
        """Print the answer in a line."""
        from compiler.analysis.membership.query import membership_of

        request = self.source.request(network=self.network)
        space = existing(self.space)
        show(request.compile().warnings)
        answer = membership_of(request, space)
        if self.json:
            from .answers import Located

            decisions = {path: tuple(items) for path, items in answer.decisions.items()}
            put_json(Located(inside=answer.inside, decisions=decisions, path=answer.path, reason=answer.reason))
        else:
            line(answer.render())
        return OK if answer.inside else DIFFERENT
