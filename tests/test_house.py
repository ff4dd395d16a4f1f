"""The order of the house: which file may import which, and where a reader finds each file."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import grimp
import networkx as nx
import pytest

from tests.support.paths import ROOT

PACKAGES = ("compiler", "hdas_dsl")
FEW = 4
"""A folder with more modules than this has a README that names each."""

LONGEST = 300
"""The most lines of a file; a longer one does several things."""


def folders() -> Iterator[Path]:
    """Every folder of the packages that holds a module."""
    for package in PACKAGES:
        for path in [ROOT / package, *sorted((ROOT / package).rglob("*"))]:
            if path.is_dir() and (path / "__init__.py").is_file():
                yield path


def test_no_file_imports_itself_by_way_of_others() -> None:
    """Imports for types alone, and those inside functions, count too."""
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=False, cache_dir=None)
    imports = nx.DiGraph(
        (module, other) for module in graph.modules for other in graph.find_modules_directly_imported_by(module)
    )
    assert len(imports) > 200
    assert [sorted(part) for part in nx.strongly_connected_components(imports) if len(part) > 1] == []


def test_three_files_lie_at_the_top_of_the_compiler() -> None:
    assert {path.name for path in (ROOT / "compiler").glob("*.py")} == {"__init__.py", "__main__.py", "api.py"}


@pytest.mark.parametrize("folder", list(folders()), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_readme_names_each_file(folder: Path) -> None:
    """Its own README, or that of a folder above it, names the file by its name or by its path from there."""
    modules = [path for path in sorted(folder.glob("*.py")) if path.name != "__init__.py"]
    if len(modules) <= FEW:
        return
    texts = {place: (place / "README.md") for place in (folder, folder.parent)}
    readmes = {place: path.read_text() for place, path in texts.items() if path.is_file()}
    assert readmes
    unnamed = [
        path.name
        for path in modules
        if not any(
            f"{path.name}`" in text if place == folder else path.relative_to(place).as_posix() in text
            for place, text in readmes.items()
        )
    ]
    assert unnamed == []


@pytest.mark.parametrize("package", PACKAGES)
def test_no_file_is_long(package: str) -> None:
    lines = {path: path.read_text().count("\n") for path in (ROOT / package).rglob("*.py")}
    assert {path.relative_to(ROOT).as_posix(): n for path, n in lines.items() if n > LONGEST} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_what_it_is_for(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path
