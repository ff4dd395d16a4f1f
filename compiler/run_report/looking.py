"""Pictures of files and reports on runs, to be shown in a notebook or saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from compiler.runs.request import FilePath, request_of
from compiler.util.files import atomic_write

if TYPE_CHECKING:
    from compiler.reports.svg import Shown

    from .model import Report


FRAME = 'sandbox="allow-scripts" style="width: 100%; height: 760px; border: 1px solid #8888; border-radius: 8px"'
"""A notebook shows a page in a frame of its own: nothing in it can reach the notebook."""


@dataclass(frozen=True, repr=False)
class ShownReport:
    """A report: ``says`` is its content as plain data, ``html`` the page."""

    says: Report

    @property
    def html(self) -> str:
        """The page."""
        from .render import page

        return page(self.says)

    def __repr__(self) -> str:
        return f"Report({self.says.title})"

    def _repr_html_(self) -> str:
        return f'<iframe title="{escape(self.says.title)}" {FRAME} srcdoc="{escape(self.html)}"></iframe>'

    def save(self, path: FilePath) -> None:
        """Write the page to a file.

        Raises:
            OSError: it cannot be written.
        """
        atomic_write(Path(path), self.html)


def draw(
    path: FilePath,
    other: FilePath | None = None,
    *,
    network: str | None = None,
    plugins: Sequence[FilePath] = (),
    **params: object,
) -> Shown:
    """A picture of a space or an architecture, which a notebook shows; of two, with what differs in colour.

    Args:
        path: a .hsp file.
        other: another file, drawn over the first: parts of the first alone are red, parts of the other alone green.
        network: as in `load`.
        plugins: as in `load`.
        **params: as in `load`.

    Raises:
        HspError: a file is wrong.
    """
    from compiler.reports.svg import Shown, svg, svg_difference

    first = request_of(path, params, network, plugins).compile().network
    if other is None:
        return Shown(svg(first))
    return Shown(svg_difference(first, request_of(other, params, network, plugins).compile().network))


def report(*folders: FilePath, plugins: Sequence[FilePath] = (), title: str = "") -> ShownReport:
    """A report on runs and studies; a notebook shows it as ``hdas-report`` writes it.

    Args:
        *folders: folders of runs and studies.
        plugins: as in `load`.
        title: the heading; by default the names of the folders.

    Raises:
        UsageError: a folder holds neither a run nor a study.
    """
    from .reading import report_of

    return ShownReport(report_of([Path(folder) for folder in folders], [str(plugin) for plugin in plugins], title))
