"""The order of the house: which file may import which, and where a reader finds each file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import grimp
import networkx as nx
import pytest

from tests.support.paths import ROOT

PACKAGES = ("compiler", "hdas_dsl")
FEW = 4
"""A folder with more modules than this has a README that names each."""

LONGEST_FILE = 300
"""The most lines of a file; a longer one does several things."""

LONGEST_FUNCTION = 60
"""The most lines of a function, its docstring among them."""


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
    files = [path for ending in ("py", "h", "cpp", "lark") for path in (ROOT / package).rglob(f"*.{ending}")]
    lines = {path.relative_to(ROOT).as_posix(): path.read_text().count("\n") for path in files}
    assert {path: count for path, count in lines.items() if count > LONGEST_FILE} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_function_is_long(package: str) -> None:
    long = [
        f"{path.relative_to(ROOT)}:{node.lineno} {node.name}"
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= LONGEST_FUNCTION
    ]
    assert long == []


@pytest.mark.parametrize("package", PACKAGES)
def test_every_module_says_what_it_is_for(package: str) -> None:
    for path in (ROOT / package).rglob("*.py"):
        assert ast.get_docstring(ast.parse(path.read_text())), path


def test_a_source_distribution_carries_what_tests_read() -> None:
    """Every folder and file at the top that a test names; setuptools takes some files by itself."""
    named = {
        name for path in (ROOT / "tests").rglob("*.py") for name in re.findall(r'\bROOT / "([\w.]+)"', path.read_text())
    }
    lines = [line.split() for line in (ROOT / "MANIFEST.in").read_text().splitlines()]
    carried = {name for word, *names in lines if word in ("graft", "include") for name in names}
    assert named - carried == {"README.md", "pyproject.toml", "MANIFEST.in"}
