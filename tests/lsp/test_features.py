"""Features of the language server as functions of a document, without a server."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from lsprotocol import types

from compiler.lsp import annotate, complete, diagnose, navigate, workspace
from compiler.lsp.document import Document, read_document
from compiler.lsp.hover import hover
from compiler.lsp.mentions import mention_at
from compiler.lsp.positions import offset, position
from compiler.lsp.settings import MEANINGS
from compiler.reports.facts import describe
from compiler.searcher.settings.sections import SearchSettings, TrainSettings
from compiler.util.errors import UsageError
from hdas_dsl.parse.keywords import BODY_WORDS, TOP_WORDS
from hdas_dsl.text.source import Source
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import BUILTINS, DIMENSIONS, QUANTITIES, WORDS
from hdas_dsl.units import LIBRARY

INSIDE = {("darts", "level"), ("tree", "fresh")}
"""Names of an element that are known inside of it alone, and the label that is a word of the language."""
HERE = Path("/nowhere/net.hsp")
TEXT = """\
hsp 1
use "lib/mobile.hsp" as m
# 𝔸 comment of two units.
op f(x; k, c = x.c) = x -> conv(k, c)
cell Cell(a; c = 4) {
  n[i < 3] = f(a, 3, c = c) where b = c + i
  output n0 + n[1]
}
network Net(image: [3, 8, 8]; classes = 3) {
  output image -> Cell(c = 8) -> classifier(classes)
}
search Net by darts {
  weights = sgd(lr = cosine(0.025, 0.001), momentum = 0.9)
  derive = evolution(100, )
}
"""
WHOLE = types.Range(types.Position(0, 0), types.Position(999, 0))


def read(text: str, before: Document | None = None) -> Document:
    return read_document(text, HERE, before)


def at(text: str, word: str, inside: int = 1) -> types.Position:
    return position(Source("", text), text.index(word) + inside)


def labels(text: str, marked: str) -> list[str]:
    """What may be written where a text ends that begins as another, up to and with some words."""
    start = text[: text.index(marked) + len(marked)]
    return [item.label for item in complete.completions(read(text), position(Source("", start), len(start)))]


# ---------------------------------------------------------------- names


def test_every_setting_has_a_meaning() -> None:
    fields = {*SearchSettings.model_fields, *TrainSettings.model_fields}
    assert fields == set(MEANINGS)


def targets(text: str) -> dict[str, str]:
    """What each mention is of: the text and line of its definition."""
    found = read(text).mentions
    return {f"{item.span.line}:{item.span.text}": f"{item.target.span.line}:{item.target.name}" for item in found}


def test_names_refer_to_what_they_stand_for() -> None:
    """Parameters by name, inputs, lines, elements of families, where-names, aliases; each by its own scope."""
    assert targets(TEXT) == {
        "2:m": "2:m",
        **{f"4:{name}": f"4:{name}" for name in ("f", "x", "k", "c")},
        **{f"5:{name}": f"5:{name}" for name in ("Cell", "a", "c")},
        **{f"9:{name}": f"9:{name}" for name in ("Net", "image", "classes")},
        "4:conv": targets(TEXT)["4:conv"],
        **dict(pair.split() for pair in ("6:n 6:n", "6:i 6:i", "6:f 4:f", "6:a 5:a", "6:c 5:c", "6:b 6:b", "7:n 6:n")),
        **dict(pair.split() for pair in ("10:image 9:image", "10:Cell 5:Cell", "10:c 5:c", "10:classes 9:classes")),
        "10:classifier": targets(TEXT)["10:classifier"],
        "12:Net": "9:Net",
        "12:darts": targets(TEXT)["12:darts"],
    }
    arguments = [item for item in read(TEXT).mentions if item.span.line == 6 and item.span.text == "c"]
    assert [item.target.span.line for item in arguments] == [4, 5, 5]


SHIPPED = (*sorted(LIBRARY.glob("*.hsp"))[::4], LIBRARY / "grammars" / "einspace.hsp")


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_name_of_a_shipped_space_is_known(path: Path) -> None:
    """What is a name and no mention is a word of the language, a setting, or a name inside an element."""
    document = read_document(path.read_text(), path)
    assert not document.diagnostics
    known = {(item.span.start, item.span.end) for item in document.mentions}
    assert document.unit is not None
    for line in document.unit.module.definitions:
        for node in line.walk():
            if isinstance(node, ast.Name) and (
                found := navigate.definition(document, "file:///x", at_of(document, node))
            ):
                assert found.range is not None
                assert any(start == node.span.start for start, _ in known)
            elif isinstance(node, ast.Name):
                assert node.id in {*WORDS, *BUILTINS, *QUANTITIES} or (path.stem, node.id) in INSIDE


def at_of(document: Document, node: ast.Node) -> types.Position:
    return position(document.source, node.span.start)


def test_another_name_stands_wherever_the_old_one_stood() -> None:
    document = read(TEXT)
    changes: Any = navigate.rename(document, "file:///nowhere/net.hsp", at(TEXT, "n[i"), "node")
    changes = changes.changes
    lines = TEXT.split("\n")
    for edit in sorted(changes["file:///nowhere/net.hsp"], key=lambda item: -item.range.start.character):
        line = lines[edit.range.start.line]
        lines[edit.range.start.line] = (
            line[: edit.range.start.character] + edit.new_text + line[edit.range.end.character :]
        )
    assert "\n".join(lines) == TEXT.replace("n[i", "node[i").replace("output n0 + n[1]", "output node0 + node[1]")
    for name, word, message in (("1x", "n[i", "is not a name"), ("x", "conv(k", "of the shipped library")):
        with pytest.raises(UsageError, match=message):
            navigate.rename(document, "file:///nowhere/net.hsp", at(TEXT, word), name)


SECTION = """\
hsp 1
use "nasbench201.hsp" as nb
op relu_conv(x; k = 3) = x -> relu -> conv(k)
choice Op = relu_conv | relu_conv(5) | nb.skip
cell Cell(x) {
  output Op(x)
  require count(nb.skip) <= 1
}
network Net(image: [3, 8, 8]) {
  output Cell(image) -> classifier(10)
}
search {
  require count(relu_conv) <= 1
  phase one = Net {
    minimize entropy(Cell)
    beside = relu_conv(0.5)
    until = taken("relu_conv", 2, within = "Cell")
  }
  phase two = Net {
    until = taken("skip", 1)
    dropout = nb.skip(0.1)
  }
  phase three = Net {
    until = taken("nb.skip", 1)
  }
  phase four = Net {
    until = taken("relu_conv(5)", 1)
  }
}
"""


def test_names_of_sections_are_mentions_too() -> None:
    """What is renamed is renamed in statements, in settings and in quotes; a name of another file leads there."""
    document = read(SECTION)
    uri = "file:///nowhere/net.hsp"
    for name, other in (("relu_conv", "block"), ("Cell", "Unit"), ("nb", "bench")):
        edits: Any = navigate.rename(document, uri, at(SECTION, name), other)
        changed = SECTION.split("\n")
        for edit in sorted(edits.changes[uri], key=lambda item: -item.range.start.character):
            line, start, end = edit.range.start.line, edit.range.start.character, edit.range.end.character
            changed[line] = changed[line][:start] + other + changed[line][end:]
        assert "\n".join(changed) == re.sub(rf"\b{name}\b", other, SECTION)
    for begun in ("count(nb.s", "dropout = nb.s"):
        assert {"skip", "Cell"} <= set(labels(SECTION, begun))
    assert {"relu_conv", "Cell", "nb", "entropy"} <= set(labels(SECTION, "minimize "))
    skips = [item for item in document.mentions if item.span.text == "skip"]
    assert [item.span.line for item in skips] == [4, 7, 20, 21, 24]
    assert {item.target.unit.source.name for item in skips} == {"nasbench201.hsp"}


def test_files_that_are_not_open_and_a_state_that_is_not_saved(tmp_path: Path) -> None:
    """A file refers to what is saved, which stands elsewhere; one that cannot be read, or is hidden, has no names."""
    for name, text in (
        ("net.hsp", "hsp 1\nop f(x) = x\n"),
        ("user.hsp", 'hsp 1\nuse "net.hsp"\nop g(x) = f(x)\nop broken(x) = f(\n'),
        ("other.hsp", "hsp 1\nop f(x) = x\n"),
        ("wrong.hsp", "hsp 2\nop f(x) = x\n"),
        (".hidden/user.hsp", "hsp 1\nop f(x) = x\n"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    path = tmp_path / "net.hsp"
    document = read_document("hsp 1\n# not saved\nop f(x) = x\n", path)
    others = list(workspace.documents([tmp_path], "f", document, {path}))
    assert [Path(uri).name for uri, _ in others] == ["other.hsp", "user.hsp"]
    found = navigate.references(document, path.as_uri(), types.Position(2, 3), others)
    assert [(Path(item.uri).name, item.range.start.line) for item in found] == [("net.hsp", 2), ("user.hsp", 2)]
    user = read_document((tmp_path / "user.hsp").read_text().replace("op broken(x) = f(\n", ""), tmp_path / "user.hsp")
    with pytest.raises(UsageError, match="open that file"):
        navigate.rename(user, (tmp_path / "user.hsp").as_uri(), types.Position(2, 10), "g", [])


def test_positions_count_in_units_of_utf_16() -> None:
    source = Source("", TEXT)
    for number in range(len(TEXT) + 1):
        assert offset(source, position(source, number)) == number
    assert position(source, TEXT.index("comment")).character == len("# 𝔸 ") + 1


# ---------------------------------------------------------------- completion


@pytest.mark.parametrize(
    ("marked", "wanted", "unwanted"),
    [
        ('use "', {"lib/darts.hsp", "lib/mobile.hsp"}, {"conv"}),
        ("f(a, ", {"k = ", "c = ", "a", "n", "i", "b"}, {"epochs", "classes"}),
        ("  output n0 + ", {"n", "a", "c", "f", "conv", "sum", "pick", "m"}, {"output", "classes"}),
        ("search Net by ", {"darts", "gdas"}, {"f"}),
        ("  weights = ", {"sgd", "adam"}, {"lr = ", "cosine"}),
        ("sgd(", {"lr = ", "momentum = ", "cosine"}, {"sgd"}),
        ("lr = ", {"cosine", "constant"}, {"lr = ", "sgd"}),
        ("evolution(100, ", {"population = ", "tournament = "}, {"random"}),
        ("  derive", {"derive", "relax", "phase", "require"}, {"cell", "output"}),
        ("\nnetwork", set(TOP_WORDS), {"output"}),
        ("{\n  output image", set(), {"cell"}),
        ("# 𝔸 com", set(), {"cell", "f"}),
    ],
)
def test_what_may_be_written(marked: str, wanted: set[str], unwanted: set[str]) -> None:
    found = labels(TEXT, marked)
    assert wanted <= set(found)
    assert not unwanted & set(found)
    assert len(found) == len(set(found))


def test_what_follows_a_dot_or_begins_a_line() -> None:
    assert set(labels(TEXT.replace("image -> Cell", "m. -> Cell"), "output m.")) >= {"mbconv"}
    assert labels(TEXT, "c = x.") == list(DIMENSIONS)
    assert set(labels(TEXT.replace("output n0", "outp"), "\n  outp")) >= {*BODY_WORDS, "n", "a"}


# ---------------------------------------------------------------- texts that are wrong


def test_a_text_that_is_half_typed_keeps_its_names() -> None:
    """Lines that cannot be read are left out; where that does not help, the names are those of the text before."""
    whole = read(TEXT)
    half = read(TEXT.replace("c = c) where", "c = where"), whole)
    assert half.diagnostics
    assert not half.is_right
    assert annotate.lenses(half) == []
    found = mention_at(half.mentions, half.source.text.index("classes)"))
    assert found is not None
    assert found.target.span.line == 9
    broken = read("hsp 2\n", whole)
    assert broken.mentions == whole.mentions
    assert read("hsp 2\n").mentions == ()
    for cut in range(0, len(TEXT), 7):
        document = read(TEXT[:cut], whole)
        complete.completions(document, position(document.source, cut))
        hover(document, position(document.source, cut))
        navigate.symbols(document)


def test_what_a_used_file_says_now_counts(tmp_path: Path) -> None:
    """Files that did not change are not read again; one that changed is, also where another file uses it."""
    (tmp_path / "a.hsp").write_text('hsp 1\nuse "b.hsp"\nop f(x) = g(x)\n')
    (tmp_path / "b.hsp").write_text("hsp 1\nop g(x) = x -> relu\n")
    text, path = 'hsp 1\nuse "a.hsp"\nop h(x) = f(x)\n', tmp_path / "net.hsp"
    first = read_document(text, path)
    second = read_document(text + "\n", path, first)
    used = [unit for unit in second.loader.units.values() if unit.path in (tmp_path / "a.hsp", tmp_path / "b.hsp")]
    assert len(used) == 2
    assert all(unit in first.loader.units.values() for unit in used)
    (tmp_path / "b.hsp").write_text("hsp 1\nop gg(x) = x -> relu\n")
    third = read_document(text, path, second)
    assert ["unknown operation 'g'" in item.message for item in third.diagnostics] == [True]


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("conv(k, c)", "cnov(k, c)"),
        ("lib/mobile", "lib/mobil"),
        ("momentum =", "momentun ="),
        ("by darts", "by dartz"),
        ("evolution", "evolutoin"),
        ("weights =", "wieghts ="),
    ],
)
def test_a_fix_makes_it_right(right: str, wrong: str) -> None:
    text = TEXT.replace("100, )", "100)")
    document = read(text.replace(right, wrong))
    (fix,) = diagnose.fixes(document, "file:///net.hsp", document.every_diagnostic, WHOLE)
    edits: Any = fix.edit
    (edit,) = edits.changes["file:///net.hsp"]
    start, end = offset(document.source, edit.range.start), offset(document.source, edit.range.end)
    assert document.source.text[:start] + edit.new_text + document.source.text[end:] == text


def test_a_fix_is_of_the_word_that_is_wrong_and_of_the_place_that_is_asked() -> None:
    """Not of the same letters in another word, nor of another line; what is written instead may be a phrase."""
    document = read("hsp 1\nop f(x) = x -> relo_relo -> relo\nop g(x) = x -> sigmoidd\n")

    def titles(document: Document, line: int | None = None) -> list[str]:
        within = WHOLE if line is None else types.Range(types.Position(line, 0), types.Position(line, 99))
        found = list(diagnose.fixes(document, "file:///x", document.every_diagnostic, within))
        assert all(fix.is_preferred for fix in found)
        return [fix.title for fix in found]

    assert titles(document) == ["Replace 'relo' by 'relu'", "Replace 'sigmoidd' by 'sigmoid'"]
    assert titles(document, 2) == ["Replace 'sigmoidd' by 'sigmoid'"]
    assert titles(read("hsp 1\nop f(x; a) = if a & a > 1 then x else x\n")) == ["Replace '&' by 'and'"]


# ---------------------------------------------------------------- what is computed


def test_shapes_stand_behind_the_names_of_lines_that_are_asked_for() -> None:
    document = read(TEXT.replace("100, )", "100)"))
    lines = TEXT.splitlines()

    def shown(first: int, last: int) -> list[tuple[str, Any]]:
        within = types.Range(types.Position(first, 0), types.Position(last, 0))
        hints = annotate.inlay_hints(document, within)
        return [(lines[hint.position.line][: hint.position.character], hint.label) for hint in hints]

    assert shown(0, 99) == [("  n[i < 3]", ": 8x8x8"), ("  output", ": 8x8x8"), ("  output", ": 3")]
    assert shown(8, 10) == [("  output", ": 3")]
    assert annotate.inlay_hints(read("hsp 1\nop f(x) = (\n", document), WHOLE) == []


def test_lenses_name_phases_requirements_and_what_is_trained() -> None:
    text = """\
hsp 1
network Net(image: [1, 4, 4]; c = 2) {
  a = image -> (conv(1, c) | conv(3, c))
  output a -> global_pool -> linear(2)
}
network Whole(image: [1, 4, 4]; c = 2) {
  require params <= 1
  require macs <= 1M
  output image -> conv(1, c) -> global_pool -> linear(2)
}
"""
    sections = """\
search {
  phase one = Net {
    require params <= 100
  }
}
"""

    def said(text: str) -> list[tuple[int, str]]:
        return [
            (lens.range.start.line, str(lens.command and lens.command.title)) for lens in annotate.lenses(read(text))
        ]

    space, whole = (
        "2 architectures, 8 to 24 parameters, 36 to 292 multiply-adds",
        "one architecture, 8 parameters, 36 multiply-adds",
    )
    assert said(text + sections) == [
        (1, space),
        (5, whole),
        (10, f"{space} in phase one"),
        (10, "every architecture meets 1 requirement"),
    ]
    trained = "one architecture, 5 parameters, 18 multiply-adds"
    alone = [(1, space), (5, whole), (10, whole), (10, "1 of 2 requirements met"), (11, trained)]
    assert said(text + "search Whole {}\ntrain Whole(c = 1) {}\n") == alone


def test_costs_and_requirements() -> None:
    """Those of the facts that `hdas-compile` prints."""
    space = """\
hsp 1
network Net(image: [3, 8, 8]; classes = 3) {
  a = image -> (conv(1, 4) | conv(3, 4))
  require params <= 127
  output a -> global_pool -> linear(classes)
}
"""
    document = read(space)
    assert [item.command and item.command.title for item in annotate.lenses(document)] == [
        "2 architectures, 27 to 123 parameters, 780 to 6,924 multiply-adds"
    ]
    assert "chooses one of 2 at `Net.a.choice`: conv(1, 4), conv(3, 4)" in str(hover(document, at(space, "|")))
    assert "99 parameters" not in str(hover(document, at(space, "conv(3", 6)))
    fixed = read(space.replace("(conv(1, 4) | conv(3, 4))", "conv(3, 4)").replace("127", "9") + "search Net {}\n")
    assert any(re.search("does not meet", item.message) for item in fixed.every_diagnostic)


GRAMMAR = """\
hsp 1
choice Tree(d) = identity | conv(3, 4, stride = 2) | Tree(d - 1) -> Tree(d - 1) if d > 0
cell Inner(x) {
  y = x -> relu
  output y -> grammar(Tree(1))
}
cell Outer(x) {
  output x -> conv(1)
}
network Net(image: [1, 8, 8]; depth = 1) {
  stem = image -> conv(3, 4)
  beside = stem -> Inner
  tail = beside -> Outer
  body = stem -> grammar(Tree(depth))
  output ((body -> conv(3)) + tail) -> classifier(10)
}
"""


def test_a_grammar_has_a_number_and_shapes_of_its_first_tree() -> None:
    """What a tree has no say in is marked as ever; one too large to be counted at once has no number."""
    document = read(GRAMMAR)
    lines = GRAMMAR.splitlines()
    shown = {lines[hint.position.line].strip(): hint.label for hint in annotate.inlay_hints(document, WHOLE)}
    first = ": 4x8x8 in the first tree"
    assert shown == {
        "y = x -> relu": ": 4x8x8",
        "output y -> grammar(Tree(1))": first,
        "output x -> conv(1)": first,
        "stem = image -> conv(3, 4)": ": 4x8x8",
        "body = stem -> grammar(Tree(depth))": first,
        "beside = stem -> Inner": first,
        "tail = beside -> Outer": first,
        "output ((body -> conv(3)) + tail) -> classifier(10)": ": 10 in the first tree",
    }
    assert "1,024 bytes of activations in the first tree" in str(hover(document, at(GRAMMAR, "tail =")))
    assert "first tree" not in str(hover(document, at(GRAMMAR, "stem =")))
    for before, after, title in (
        ("", "", "14 architectures"),
        ("depth = 1", "depth = 99", "architectures"),
        ("-> Tree(d - 1) if", "-> Tree if", "architectures"),  # Wrong, but not in the first tree.
    ):
        text = GRAMMAR.replace(before, after)
        (lens,) = annotate.lenses(read(text))
        assert str(lens.command and lens.command.title) == f"{title} of a grammar"
    assert document.program is not None
    assert [block["params"] for block in describe(document.program)["blocks"]] == [36, *[None] * 6]


def test_items_of_a_grammar_that_are_not_in_the_first_tree() -> None:
    text = GRAMMAR.replace("choice Tree(d) = ", "choice Tree(d) = conv(3) | max_pool(0) | (conv(3), conv(5)) | ")
    assert text != GRAMMAR
    document = read_document(text, Path("net.hsp"))
    said = [(item.code.value, item.span.text) for item in document.every_diagnostic]
    assert said == [("W805", "max_pool(0)"), ("E303", "(conv(3), conv(5))")]
    later = read_document(f"# typed\n{text}", Path("net.hsp"), document)
    assert [item.span.line for item in later.every_diagnostic] == [
        item.span.line + 1 for item in document.every_diagnostic
    ]


def test_a_grammar_takes_menus() -> None:
    found = set(labels(GRAMMAR, "stem -> grammar("))
    assert {"Tree", "depth"} <= found
    assert not {"conv", "Inner", "sum", "if"} & found
