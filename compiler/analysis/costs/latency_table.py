"""Tables of latency: comma separated rows of an operation's signature and its milliseconds, with a header of facts.

# threads = 1
# batch = 1
signature,milliseconds
"conv(k=3, c=16, stride=1, dilation=1, groups=1, bias=false, pad=1) 3x32x32",0.1234
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from compiler.util.errors import UsageError
from compiler.util.files import atomic_write
from hdas_dsl.text.reading import read_named

COLUMNS = ("signature", "milliseconds")


class BadTableError(UsageError):
    """A table cannot be read; the text says where and why."""


@dataclass(frozen=True)
class Table:
    """Milliseconds by signature. ``facts`` say how they were measured; ``name`` is what messages call the table."""

    name: str
    milliseconds: Mapping[str, float]
    facts: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def operations(self) -> frozenset[str]:
        """The names of the operations that it has rows of."""
        return frozenset(re.split(r"[( ]", signature, maxsplit=1)[0] for signature in self.milliseconds)

    def scaled(self, factor: float) -> Table:
        """With every row times a factor, which is kept among the facts."""
        rows = {signature: value * factor for signature, value in self.milliseconds.items()}
        return Table(self.name, rows, {**self.facts, "scale": f"{factor:.4g}"})

    def write(self, path: Path) -> None:
        """Write it down, rows in order of their signatures."""
        text = io.StringIO()
        for name, value in self.facts.items():
            text.write(f"# {name} = {value}\n")
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(COLUMNS)
        rows.writerows((signature, f"{value:.6g}") for signature, value in sorted(self.milliseconds.items()))
        atomic_write(path, text.getvalue())


def read_table(path: Path, name: str) -> Table:
    """A table from its file.

    Raises:
        BadTableError: it is not there, or it is none.
    """
    try:
        lines = read_named(path).splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadTableError(f"'{name}' cannot be read: {getattr(error, 'strerror', None) or error}") from None
    facts: dict[str, str] = {}
    rows: dict[str, float] = {}
    titled = False
    for number, line in enumerate(lines, 1):
        if line.startswith("#"):
            key, sign, fact = line[1:].partition("=")
            if sign:
                facts[key.strip()] = fact.strip()
            continue
        cells = [cell.strip() for cell in next(csv.reader([line]), [])]
        if not cells:
            continue
        if not titled:
            if tuple(cells) != COLUMNS:
                raise BadTableError(f"{name}:{number}: the first row must be `{','.join(COLUMNS)}`")
            titled = True
            continue
        value = _milliseconds(cells[1]) if len(cells) == 2 else None
        if value is None:
            raise BadTableError(f"{name}:{number}: a row is a signature and its milliseconds, at least 0")
        if cells[0] in rows:
            raise BadTableError(f"{name}:{number}: there are two rows of `{cells[0]}`")
        rows[cells[0]] = value
    if not titled:
        raise BadTableError(f"{name}: there are no rows; the first is `{','.join(COLUMNS)}`")
    return Table(name, rows, facts)


def _milliseconds(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
