"""The C++ kernel: its parts against plain loops, its build, and that Python and C++ mean the same bytes."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

from compiler.backend.fused import kernel
from compiler.backend.fused.kernel import KernelLayoutError, build
from compiler.backend.fused.kernel.layout import Geometry, check_layouts, layouts
from hdas_dsl.cache import cache_folder
from tests.support.paths import ROOT

COMPILER = build.find_compiler()
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C++ compiler")

STRICT = ("-Werror", "-Wshadow=local")
PARTS = Path(__file__).with_name("kernel_parts.cpp")


def compiled(source: Path, *flags: str, optimise: str = "-O0") -> subprocess.CompletedProcess[str]:
    """A compilation with all warnings as errors; without optimisation, which takes most of the time."""
    kept = [flag for flag in build.FLAGS if flag not in ("-O3", "-shared")]
    command = [str(COMPILER), *kept, optimise, *STRICT, "-I", str(build.FOLDER), str(source), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=build.SECONDS)


def test_the_kernel_is_built_where_a_compiler_and_a_cache_are() -> None:
    assert kernel.is_available() == (COMPILER is not None and cache_folder() is not None)
    with kernel.no_kernel():
        assert not kernel.is_available()


@needs_compiler
def test_parts_are_what_plain_loops_compute(tmp_path: Path) -> None:
    program = tmp_path / "parts"
    made = compiled(PARTS, "-o", str(program))
    assert made.returncode == 0, made.stderr
    run = subprocess.run([program], capture_output=True, text=True, timeout=build.SECONDS)
    assert run.returncode == 0, run.stdout


@needs_compiler
def test_the_kernel_compiles_without_a_warning() -> None:
    assert {"-Wall", "-Wextra"} < set(build.FLAGS)
    made = compiled(build.SOURCE, "-S", "-o", "/dev/null")
    assert (made.returncode, made.stderr) == (0, "")


# ---------------------------------------------------------------- what Python and C++ share


def stated() -> str:
    library = build.library()
    if library is None:
        pytest.skip("no C++ compiler")
    text: bytes = library.layouts()
    return text.decode()


def test_structures_have_one_layout() -> None:
    text = stated()
    check_layouts(text)
    assert len(text.splitlines()) == len(layouts()) > 30


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("Term.relu 112 8\n", "Term.relu 120 8\n", r"Term\.relu is at 112 8 in Python, at 120 8 in C\+\+$"),
        ("Term.relu 112 8\n", "", r"Term\.relu is at 112 8 in Python, at no place in C\+\+$"),
        ("Geometry 104\n", "Geometry 104\nGeometry.depth 104 8\n", r"Geometry\.depth is at no place in Python"),
        ("PlainTerms 72\n", "PlainTerms 80\n", r"PlainTerms is at 72 in Python, at 80 in C\+\+$"),
    ],
)
def test_another_layout_is_an_error_that_names_the_field(before: str, after: str, message: str) -> None:
    text = stated()
    assert before in text
    with pytest.raises(KernelLayoutError, match=message):
        check_layouts(text.replace(before, after))


def test_a_library_of_another_layout_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is it silently left out: who changes one side has to change the other."""
    assert stated()

    class Wider(ctypes.Structure):
        _fields_ = (*Geometry._fields_, ("depth", ctypes.c_int64))

    Wider.__name__ = "Geometry"
    monkeypatch.setattr("compiler.backend.fused.kernel.layout.STRUCTURES", (Wider,))
    with pytest.raises(KernelLayoutError, match=r"Geometry is at 112 in Python, at 104 in C\+\+"):
        build.library.__wrapped__()


# ---------------------------------------------------------------- the sources


def test_every_source_is_in_the_package_and_in_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["compiler"]
    assert {path.name for path in build.sources()} == {path.name for path in build.FOLDER.iterdir()}
    for path in build.sources():
        name = path.relative_to(ROOT / "compiler").as_posix()
        assert any(fnmatch(name, pattern) for pattern in patterns), name
    copy = tmp_path / "cpp"
    shutil.copytree(build.FOLDER, copy)
    monkeypatch.setattr(build, "FOLDER", copy)
    keys = {build._key(["true"])}
    for path in build.sources():
        path.write_text(path.read_text(encoding="utf-8") + "//\n", encoding="utf-8")
        keys.add(build._key(["true"]))
    assert len(keys) == 1 + len(build.sources()) > 10
