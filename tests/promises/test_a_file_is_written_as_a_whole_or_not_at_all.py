"""Whatever fails, a file holds its old content or its new one, and nothing lies beside it."""

from __future__ import annotations

import ast
import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from compiler.commands.fmt import format_main
from compiler.util.files import atomic_write, replacing
from tests.support.paths import ROOT

OLD, NEW = "old\n", "new" * 5000 + "\n"
CALLS = ("open", "write", "fsync", "close", "replace", "chmod")
"""The calls of the operating system that a write is made of."""


class FailingDisk:
    """The operating system with one call that fails: number ``at`` of those in `CALLS`; a write is never complete."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self.at = at
        self.made: list[str] = []
        for name in CALLS:
            monkeypatch.setattr(os, name, self.failing(name, getattr(os, name)))

    def failing(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(*args: object, **kwargs: object) -> object:
            self.made.append(name)
            if len(self.made) - 1 == self.at:
                if name == "close":
                    real(*args, **kwargs)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if name == "write":
                descriptor, data = args
                return real(descriptor, data[:7000])  # type: ignore[index]
            return real(*args, **kwargs)

        return call


def failures(path: Path) -> Iterator[tuple[list[str], OSError | None]]:
    """Writes on a disk that fails one call later each time: the calls up to that one, and what was raised."""
    for at in range(50):
        with pytest.MonkeyPatch.context() as monkeypatch:
            disk = FailingDisk(monkeypatch, at)
            error = None
            try:
                atomic_write(path, NEW)
            except OSError as found:
                error = found
        yield disk.made[: at + 1], error
        if error is None:
            return
    raise AssertionError("the write never ends")


@pytest.mark.parametrize("old", [OLD, None])
def test_a_failing_disk(tmp_path: Path, old: str | None) -> None:
    path = tmp_path / "x.hsp"
    if old is not None:
        path.write_text(old)
    seen = set()
    for made, error in failures(path):
        renamed = "replace" in made[:-1] or error is None
        assert (path.read_text() if path.exists() else None) == (NEW if renamed else old)
        assert [item.name for item in tmp_path.iterdir()] == (["x.hsp"] if path.exists() else [])
        if error is not None:
            assert (error.errno, error.filename) == (errno.ENOSPC, str(path))
            seen.add(made[-1])
        if old is None:
            path.unlink(missing_ok=True)
        else:
            path.write_text(old)
    assert seen == set(CALLS) - ({"chmod"} if old is None else set())
    # Without a failure: the content is on the disk before the rename, the rename before the end.
    steps = [name for name in made if name in ("write", "fsync", "replace")]
    assert steps == ["write", "write", "write", "fsync", "replace", "fsync"]


def test_permissions_are_those_of_a_plain_write(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        atomic_write(tmp_path / "new", b"1")
        (tmp_path / "kept").write_bytes(b"0")
        (tmp_path / "kept").chmod(0o604)
        atomic_write(tmp_path / "kept", b"1")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640
    assert stat.S_IMODE((tmp_path / "kept").stat().st_mode) == 0o604


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/file")
    for content in ("1", "2"):
        atomic_write(tmp_path / "link", content)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "folder/file").read_text() == content


def test_a_device_is_written_to(tmp_path: Path) -> None:
    atomic_write(Path("/dev/null"), "lost")
    assert not Path("/dev/null").is_file()
    reader, writer = os.pipe()
    atomic_write(Path(f"/dev/fd/{writer}"), "said")
    os.close(writer)
    with open(reader) as file:
        assert file.read() == "said"


@pytest.mark.parametrize(
    ("name", "error"), [("folder", IsADirectoryError), ("none/x", FileNotFoundError), ("file/x", NotADirectoryError)]
)
def test_a_wrong_path_is_named(tmp_path: Path, name: str, error: type[OSError]) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text(OLD)
    with pytest.raises(error) as found:
        atomic_write(tmp_path / name, NEW)
    assert found.value.filename == str(tmp_path / name)
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file", "folder"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")
def test_a_protected_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_text(OLD)
    path.chmod(0o444)
    with pytest.raises(PermissionError):
        atomic_write(path, NEW)
    assert path.read_text() == OLD


def test_what_a_library_writes(tmp_path: Path) -> None:
    path = tmp_path / "network.onnx"
    path.write_text(OLD)

    def refused() -> None:
        with replacing(path) as part:
            part.write_text(NEW)
            raise ValueError("it computes something else")

    with pytest.raises(ValueError, match="something else"):
        refused()
    assert (path.read_text(), len(list(tmp_path.iterdir()))) == (OLD, 1)
    with replacing(path) as part:
        assert (part.parent, part.suffix) == (tmp_path, ".onnx")
        part.write_text(NEW)
        assert path.read_text() == OLD
    assert (path.read_text(), len(list(tmp_path.iterdir()))) == (NEW, 1)


def test_formatting_on_a_full_disk_leaves_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.hsp"
    path.write_text("hsp 1\nop f( x ) = x->relu\n")

    def full(descriptor: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    assert format_main([str(path)]) == 3
    assert capsys.readouterr().err == f"hdas-fmt: '{path}': No space left on device\n"
    assert path.read_text() == "hsp 1\nop f( x ) = x->relu\n"
    assert list(tmp_path.iterdir()) == [path]


def test_every_file_is_written_through_here() -> None:
    """No other module opens a file to write it, but for logs (appended to) and what an export writes into its part."""
    allowed = {
        "compiler/util/files.py",
        "compiler/backend/export/network.py",
        "compiler/searcher/engine/reporting/log.py",
        "compiler/searcher/engine/reporting/tensorboard.py",
    }
    found = set()
    for path in [*(ROOT / "compiler").rglob("*.py"), *(ROOT / "hdas_dsl").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            modes = [item.value for item in node.args if isinstance(item, ast.Constant) and isinstance(item.value, str)]
            opens = name == "open" and any(set("wx+") & set(mode) and len(mode) <= 3 for mode in modes)
            if opens or name in ("write_text", "write_bytes", "save_file"):
                found.add(str(path.relative_to(ROOT)))
    assert found - allowed == set()
