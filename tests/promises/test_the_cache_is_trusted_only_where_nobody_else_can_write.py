"""The cache: whom it trusts, and the tables of the grammar in it."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

from hdas_dsl.cache import NAME, cache_folder, write_cached
from hdas_dsl.parse import tables
from hdas_dsl.parse.parser import parse, parse_text
from hdas_dsl.text.source import Source
from hdas_dsl.tree.dump import dump
from tests.support.paths import FIXTURES, SPACES

posix = pytest.mark.skipif(os.name != "posix", reason="modes and owners of POSIX")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of caches that is the user's alone."""
    folder = tmp_path.resolve() / "cache"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture
def grammar() -> Iterator[None]:
    """Forgets the parser of this process, before and after."""
    tables.grammar_parser.cache_clear()
    yield
    tables.grammar_parser.cache_clear()


# ---------------------------------------------------------------- the folder


def test_the_folder_is_made_for_the_user_alone(home: Path) -> None:
    assert cache_folder() == home / NAME
    assert (home / NAME).is_dir()
    if os.name == "posix":
        assert (home / NAME).stat().st_mode & 0o077 == 0
    assert cache_folder() == home / NAME


def test_a_relative_path_means_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path.resolve() / ".cache" / NAME
    monkeypatch.setenv("HOME", "there")
    assert cache_folder() is None
    monkeypatch.setenv("HOME", "")
    assert cache_folder() is None
    assert [path.name for path in tmp_path.iterdir()] == [".cache"]


@posix
@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777])
def test_a_folder_that_others_may_write_is_refused(home: Path, mode: int) -> None:
    (home / NAME).mkdir()
    (home / NAME).chmod(mode)
    assert cache_folder() is None


@posix
def test_a_folder_of_somebody_else_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() is not None
    monkeypatch.setattr(os, "geteuid", lambda: (home / NAME).stat().st_uid + 1)
    assert cache_folder() is None


@posix
def test_a_link_is_refused(home: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (home / NAME).symlink_to(tmp_path / "elsewhere")
    assert cache_folder() is None
    (home / NAME).unlink()
    (home / NAME).symlink_to(tmp_path / "nowhere")
    assert cache_folder() is None


@posix
def test_a_folder_that_everybody_may_replace_is_refused(home: Path) -> None:
    home.chmod(0o777)
    assert cache_folder() is None
    home.chmod(0o1777)
    assert cache_folder() is not None


def test_a_file_in_the_way_is_no_error(home: Path) -> None:
    (home / NAME).write_text("")
    assert cache_folder() is None
    write_cached(home / NAME / "file", "text")


def test_a_cached_file_is_whole_and_alone(home: Path) -> None:
    write_cached(home / "file", "some text")
    write_cached(home / "file", "text")
    assert [(path.name, path.read_text()) for path in home.iterdir()] == [("file", "text")]


# ---------------------------------------------------------------- the tables of the grammar


def test_tables_from_json_are_those_that_were_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trees, places and errors are the same."""
    texts = [path.read_text() for path in (SPACES / "hdas_cifar.hsp", *sorted((FIXTURES / "wrong").glob("s*.hsp")))]
    computed = tables.build(tables.GRAMMAR.read_text())
    read = tables.loads(tables.dumps(computed))
    results = []
    for parser in (computed, read):
        monkeypatch.setattr("hdas_dsl.parse.parser.grammar_parser", lambda parser=parser: parser)
        results.append(
            [
                (module and dump(module), [diagnostic.message for diagnostic in report])
                for module, report in (parse(Source("t", text)) for text in texts)
            ]
        )
    assert results[0] == results[1]


@pytest.mark.usefixtures("grammar")
def test_tables_are_computed_once_and_read_as_plain_data(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parse_text("hsp 1\n")
    (file,) = (home / NAME).iterdir()
    assert file.suffix == ".json"

    def refuse(*_: object) -> None:
        raise AssertionError

    tables.grammar_parser.cache_clear()
    for module, name in ((tables, "build"), (pickle, "load"), (pickle, "loads"), (pickle, "dump")):
        monkeypatch.setattr(module, name, refuse)
    assert parse_text("hsp 1\nop f(x) = x\n").definitions


@pytest.mark.usefixtures("grammar")
@pytest.mark.parametrize("text", ["", "[]", "{}", "{", '{"data": {"options": {}}, "memo": {}}', "\x00\xff"])
def test_a_file_without_tables_is_replaced(home: Path, text: str) -> None:
    parse_text("hsp 1\n")
    (file,) = (home / NAME).iterdir()
    file.write_text(text)
    tables.grammar_parser.cache_clear()
    assert parse_text("hsp 1\nop f(x) = x\n").definitions
    assert tables.loads(file.read_text())


@pytest.mark.usefixtures("grammar")
def test_parsing_needs_no_cache(home: Path) -> None:
    (home / NAME).write_text("a file in the way")
    assert parse_text("hsp 1\nop f(x) = x\n").definitions
