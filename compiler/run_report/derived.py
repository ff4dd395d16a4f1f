"""A derived file in a report: its text, what its provenance says, and what it builds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from compiler.backend.plugins import allow
from compiler.program.model import Program
from compiler.program.request import Request
from compiler.program.source_file import recorded
from compiler.reports.space_record import SpaceRecord
from compiler.searcher.settings.words import Applied
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.text.errors import HdasError
from hdas_dsl.text.reading import read_named

from .model import Derived


def derived_of(path: Path, plugins: Iterable[str]) -> Derived | None:
    """A derived file; None where there is none.

    A file that does not compile here, such as one whose plugins are not allowed, is shown with the reason.
    """
    try:
        text = read_named(path)
    except (OSError, UnicodeDecodeError):
        return None
    try:
        program = Request(path, externals=allow(plugins)).compile()
    except HspError as error:
        return Derived(text=text, said={}, network=None, problem=error.diagnostics[0].message)
    except (HdasError, OSError) as error:
        return Derived(text=text, said={}, network=None, problem=str(error))
    network = program.train_network or program.network
    return Derived(text=text, said=said_of(program), network=SpaceRecord.of(network), problem="")


def said_of(program: Program) -> dict[str, str]:
    """What the provenance of a file says, as text by name."""
    return {name: _said(value) for name, value in recorded(program).items()}


def _said(value: object) -> str:
    if isinstance(value, Applied):
        arguments = [*map(_said, value.args), *(f"{name} = {_said(item)}" for name, item in value.kwargs.items())]
        return f"{value.name}({', '.join(arguments)})" if arguments else value.name
    if isinstance(value, tuple | list):
        return ", ".join(map(_said, value))
    return str(value)
