"""A text that is typed is analysed as one that is read for the first time, with what is known of its earlier states."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lsprotocol import types

from compiler import elaborate as elaboration
from compiler.lsp import diagnose
from compiler.lsp.annotate import inlay_hints, lenses
from compiler.lsp.document import Document, read_document
from compiler.program import elaborations
from hdas_dsl.files import Loader

LIBRARY = """\
hsp 1
op look(x; k = 3) = x -> conv(k, x.c)
choice Op = look | skip
op skip(x) = x
cell Cell(x; depth = 1) {
  n[i < depth] = prev(x) -> Op
  output last of n
}
"""
TEXT = """\
hsp 1
use "lib.hsp" with Op = Mine
choice Mine = look | look(k = 5)
cell Inner(x) {
  a = x -> look(k = 1 | 3)
  output a
}
network Net(image: [3, 4, 4]; c = 2) {
  stem = image -> conv(1, c)
  output stem -> Inner -> Cell -> classifier(2)
}
network Other(image: [3, 4, 4]; c = 2, Inner = Inner) {
  body = image -> conv(1, c) -> Inner -> Inner
  output body -> classifier(2)
}
search {
  epochs = 2
  phase one = Net(c = 2) {
    require params <= 900
  }
  phase two = Other(c = 3, Inner = one.Inner) {
    minimize macs
  }
}
train two.Other(c = 4) {
  epochs = 3
}
"""
CHANGES = {
    "hsp 1\n": "hsp 1\n# a comment\n",
    "with Op = Mine": "with Op = skip",
    "epochs = 2": "channels = partial(2)",
    "search {\n": "search {\n  # what is below moves\n",
    "Net(c = 2) {": "Net(c = 3) {",
    "phase one = Net(c": "phase one = Net(d = 2, c",
    "params <= 900": "params <= 9",
    "Other(c = 3": "Other(image = (3, 4), c = 3",
    "one.Inner": "oen.Inner",
    "minimize macs": "minimize mcas",
    "look | look(k = 5)": "look | skip",
    "look(k = 1 | 3)": "look(k = 1 | 2)",
    "conv(1, c)\n": "conv(1, image.d)\n",
    "-> Inner -> Cell": "-> Cell",
    "-> Inner -> Inner": "-> Inner -> conv(9, c, pad = 0)",
    "classifier(2)\n}\nnet": "classifier(0)\n}\nnet",
    "Other(c = 4)": "Other(c = )",
    "epochs = 2\n": "epochs = 2\n  derive = menus(keep = 2)\n",
    "stem = image -> conv(1, c)": "stem = image -> conv(1, c) -> conv(1, c) -> conv(1, open)",
    "epochs = 3": "epochs = 3 # note",
}
WHOLE = types.Range(types.Position(0, 0), types.Position(999, 0))


def said(document: Document) -> list[str]:
    """All that is said of a text: what is wrong, with carets; shapes; costs."""
    found = document.every_diagnostic
    wrong = [item.render() for item in found]
    wrong += [f"{item.range} {item.related_information}" for item in diagnose.diagnostics(document, "file:///x", found)]
    hints = [f"{hint.position} {hint.label}" for hint in inlay_hints(document, WHOLE)]
    return [*wrong, *hints, *(f"{lens.range} {lens.command and lens.command.title}" for lens in lenses(document))]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("typed")
    (folder / "lib.hsp").write_text(LIBRARY)
    return folder / "net.hsp"


@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_what_is_typed_is_as_what_is_read(path: Path, data: st.DataObject) -> None:
    """Whatever is changed and changed back, one thing or several; what was read before are the used files alone."""
    empty = read_document('hsp 1\nuse "lib.hsp"\n', path)
    document = read_document(TEXT, path, empty)
    said(document)
    for _ in range(4):
        made = data.draw(st.lists(st.sampled_from(sorted(CHANGES)), max_size=2, unique=True))
        text = TEXT
        for change in made:
            text = text.replace(change, CHANGES[change], 1)
        cut = data.draw(st.integers(0, len(text)) | st.none())
        text = text if cut is None else text[:cut] + text[cut + 1 :]
        document = read_document(text, path, document)
        assert said(document) == said(read_document(text, path, empty))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["Other(c = 3"], ["Other(c = 3", "search {\n"]),
        (["params <= 900"], ["params <= 900", "search {\n"]),
        (["classifier(2)\n}\nnet"], ["classifier(2)\n}\nnet", "minimize macs"]),
        ([], ["epochs = 2"]),
        ([], ["epochs = 2\n"]),
    ],
    ids=["a call", "a requirement", "a definition", "a setting", "a rule that leaves another text"],
)
def test_what_is_wrong_moves_with_its_line(path: Path, first: list[str], second: list[str]) -> None:
    texts = []
    for changes in (first, second):
        text = TEXT
        for change in changes:
            text = text.replace(change, CHANGES[change], 1)
        texts.append(text)
    before = read_document(texts[0], path)
    said(before)
    assert said(read_document(texts[1], path, before)) == said(read_document(texts[1], path))


def test_only_what_is_changed_is_elaborated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting: nothing. A phase: it alone, also where a later one uses what does not change of its result.

    That is read once, and again where more of it is named.
    """
    names: list[str] = []
    texts: list[str] = []
    real, load_text = elaboration.elaborate, Loader.load_text

    def read(loader: Loader, text: str, name: str, folder: Path | None = None) -> object:
        if name == "<one>":
            texts.append(old)
        return load_text(loader, text, name, folder)

    def counted(function: object, *rest: object) -> object:
        names.append(function.name)  # type: ignore[attr-defined]
        return real(function, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(elaborations, "elaborate", counted)
    monkeypatch.setattr(Loader, "load_text", read)
    document = None
    for old, new, wanted in (
        ("", "", ["Net", "Other"]),
        ("epochs = 2", "epochs = 20", []),
        ("Net(c = 2) {", "Net(c = 4) {", ["Net"]),
        ("Other(c = 3,", "Other(c = 5,", ["Other"]),
        ("", "", []),
        ("body = image", "body = image -> relu", ["Other"]),
        ("c = 2, Inner = Inner", "c = 6, Inner = Inner", ["Other"]),
        ("one.Inner", "one.Cell", ["Other"]),
    ):
        names.clear()
        document = read_document(TEXT.replace(old, new), path, document)
        assert [item.render() for item in document.every_diagnostic] == []
        assert sorted(set(names)) == wanted, old
    assert texts == ["", "one.Inner"]


def test_what_a_used_file_says_now_is_elaborated(tmp_path: Path) -> None:
    """Also where the text itself is as it was, and where the result of a phase uses the file."""
    (tmp_path / "lib.hsp").write_text(LIBRARY)
    document = read_document(TEXT, tmp_path / "net.hsp")
    first = said(document)
    (tmp_path / "lib.hsp").write_text(LIBRARY.replace("conv(k, x.c)", "conv(k, 2 * x.c)"))
    assert (
        first
        != said(read_document(TEXT, tmp_path / "net.hsp", document))
        == said(read_document(TEXT, tmp_path / "net.hsp"))
    )
