"""The costs of derived files that were asked for before, in the user's cache: to compile one takes 0.1 s."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from compiler.analysis.costs.block_totals import Costs
from compiler.backend.plugins import allow
from compiler.program.provenance import units
from compiler.program.request import Request
from hdas_dsl.cache import cache_folder, write_cached
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.text.errors import HdasError
from hdas_dsl.text.reading import read_named
from hdas_dsl.units import LIBRARY

from .derived import said_of
from .words import number_of

FILE, MOST = "costs.json", 10_000
"""The file in the cache, and how many derived files it remembers."""


class Brief(BaseModel):
    """What a derived file says and costs, in a few words; no costs where it does not compile here."""

    model_config = ConfigDict(frozen=True)

    said: dict[str, str] = {}
    params: int | None = None
    macs: int | None = None

    @property
    def score(self) -> float | None:
        """The score that the file says, rounded."""
        return number_of(self.said.get("score", ""))


class _Kept(BaseModel):
    """The briefs by the hash of their text, as this version of the product computed them."""

    version: str
    briefs: dict[str, Brief] = {}


@dataclass
class KnownCosts:
    """Briefs of derived files, each compiled once; what a plugin or a file beside it has a part in is not kept."""

    plugins: Sequence[str] = ()
    kept: dict[str, Brief] = field(default_factory=dict)
    grown: bool = False

    def of(self, path: Path) -> Brief | None:
        """The brief of a derived file; None where there is none."""
        try:
            text = read_named(path)
        except (OSError, UnicodeDecodeError):
            return None
        key = hashlib.sha256(text.encode()).hexdigest()
        if (known := self.kept.get(key)) is not None:
            return known
        try:
            program = Request(path, externals=allow(self.plugins)).compile()
        except (HspError, HdasError, OSError):
            return Brief()
        costs = Costs().block((program.train_network or program.network).block)
        found = Brief(said=said_of(program), params=costs.params, macs=costs.macs)
        if not self.plugins and all(unit is program.unit or unit.shipped for unit in units(program)):
            self.kept[key], self.grown = found, True
        return found


@contextmanager
def known_costs(plugins: Sequence[str]) -> Iterator[KnownCosts]:
    """What the cache knows; what is added meanwhile is kept there at the end."""
    folder, version = cache_folder(), _version()
    known = KnownCosts(plugins)
    if folder is not None:
        try:
            found = _Kept.model_validate_json((folder / FILE).read_bytes())
            known.kept = found.briefs if found.version == version else {}
        except (OSError, ValidationError):
            pass
    yield known
    if folder is not None and known.grown:
        last = dict(list(known.kept.items())[-MOST:])
        write_cached(folder / FILE, _Kept(version=version, briefs=last).model_dump_json())


def _version() -> str:
    """A stamp that changes with each file of the product: when the newest was written, and how many there are."""
    product = LIBRARY.parent
    roots = (product / "compiler", product / "hdas_dsl", LIBRARY / "lib")
    files = [path for root in roots for path in root.rglob("*.*") if path.suffix in (".py", ".lark", ".hsp")]
    return f"{max(path.stat().st_mtime_ns for path in files)} {len(files)}"
