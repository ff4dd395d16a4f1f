"""The grammar for tree-sitter: its parser, compiled and run, reads every file of the repository as ours does."""

from __future__ import annotations

import ctypes
import json
import random
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from tree_sitter import Language, Node, Parser, Query, QueryCursor

from hdas_dsl.parse.keywords import INFIX, KEYWORDS
from hdas_dsl.parse.parser import parse
from hdas_dsl.text.source import Source
from hdas_dsl.tree import ast
from hdas_dsl.tree.words import BUILTINS, WORDS
from tests.support.paths import ROOT

FOLDER = ROOT / "editors" / "tree-sitter-hsp"
KINDS = {
    ast.OpDef: "op",
    ast.MenuDef: "menu",
    ast.GraphDef: "graph",
    ast.CopyName: "copy_name",
    ast.CopyPart: "copy_part",
}
"""The nodes that are not named after their class."""
WITHOUT = {"comment", "version", "path"}
"""Nodes of tree-sitter for what is plain text in our tree."""
LATER = {"depth.hsp", "syntax_reserved_words.hsp"}
"""Files that ours alone refuses: a tree that is too deep, and a word of the language as a name."""
TOKEN = re.compile(r'#[^\n]*|"[^"\n]*"|[A-Za-z_]\w*|[0-9.]+|->|\.\.|\*\*|[=!<>]=|\S')
FILES = sorted(path for path in ROOT.rglob("*.hsp") if ".git" not in path.parts)


@pytest.fixture(scope="module")
def language(tmp_path_factory: pytest.TempPathFactory) -> Language:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("there is no C compiler")
    built, source = tmp_path_factory.mktemp("parser") / "hsp.so", FOLDER / "src"
    files = [str(source / "parser.c"), str(source / "scanner.c")]
    subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-I", source, "-o", built, *files], check=True)
    made = ctypes.CDLL(str(built)).tree_sitter_hsp
    made.restype = ctypes.c_void_p
    capsule = ctypes.pythonapi.PyCapsule_New
    capsule.restype, capsule.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
    return Language(capsule(made(), b"tree_sitter.Language", None))


def read(language: Language, text: str) -> Node:
    return Parser(language).parse(text.encode()).root_node


def ours(node: ast.Node, depth: int = 0) -> Iterator[tuple[int, str, int, int]]:
    """Each node of a tree: how deep it stands, its kind, and its place in bytes."""
    if isinstance(node, ast.Comment):
        return
    kind = KINDS.get(type(node)) or type(node).__name__.lower()
    text = node.span.source.text
    start, end = (len(text[:at].encode()) for at in (node.span.start, node.span.end))
    yield (depth, kind, 0, 0) if isinstance(node, ast.Module) else (depth, kind, start, end)
    for child in sorted(node.children(), key=lambda item: item.span.start):
        yield from ours(child, depth + 1)


def theirs(node: Node, depth: int = 0) -> Iterator[tuple[int, str, int, int]]:
    yield (depth, node.type, 0, 0) if node.type == "module" else (depth, node.type, node.start_byte, node.end_byte)
    for child in node.named_children:
        if child.type not in WITHOUT:
            yield from theirs(child, depth + 1)


def test_it_reads_every_file_as_our_parser_does(language: Language) -> None:
    """Kind, place and nesting of every node; files with a mistake of syntax are refused by both."""
    wrong = set()
    for path in FILES:
        text = path.read_text()
        module, _ = parse(Source(path.name, text))
        root = read(language, text)
        if module is None or root.has_error:
            assert module is None, path
            wrong |= set() if root.has_error else {path.name}
            continue
        assert list(theirs(root)) == list(ours(module)), path
        comments = [text.encode()[node.start_byte : node.end_byte].decode().rstrip() for node in found(root, "comment")]
        assert sorted(comments) == sorted(comments_of(module)), path
    assert wrong <= LATER


def found(node: Node, kind: str) -> Iterator[Node]:
    if node.type == kind:
        yield node
    for child in node.children:
        yield from found(child, kind)


def comments_of(module: ast.Module) -> Iterator[str]:
    for node in module.walk():
        if isinstance(node, ast.Comment):
            yield node.text
        if isinstance(node, ast.Line) and node.note is not None:
            yield node.note


def changed(texts: list[str], count: int) -> Iterator[tuple[str, bool]]:
    """Texts of which a token is lost, doubled or another one; and whether neither is a word of the language."""
    chance = random.Random(7)
    for _ in range(count):
        text = chance.choice(texts)
        tokens = list(TOKEN.finditer(text))
        old, new = chance.choice(tokens), chance.choice(tokens)
        instead = chance.choice(["", f"{old[0]} {old[0]}", f" {new[0]} "])
        yield text[: old.start()] + instead + text[old.end() :], not {old[0], new[0]} & KEYWORDS and new[0][0] != "#"


def test_it_reads_changed_texts_as_our_parser_does(language: Language) -> None:
    """What ours accepts it reads alike; what ours refuses it refuses, unless that is about a word of the language."""
    texts = [path.read_text() for path in FILES if path.is_relative_to(ROOT / "spaces")]
    words = tuple(f"found '{word}'" for word in KEYWORDS)  # one stands where a token was lost
    accepted = refused = 0
    for text, is_plain in changed([text for text in texts if len(text) < 1500], 1_000):
        module, wrong = parse(Source("", text))
        root = read(language, text)
        if module is not None:
            accepted += 1
            assert not root.has_error, text
            assert list(theirs(root)) == list(ours(module)), text
        elif is_plain and not any("hsp" in item.message or item.message.endswith(words) for item in wrong):
            refused += 1
            assert root.has_error, "\n".join([text, *(item.render() for item in wrong)])
        if min(accepted, refused) > 10:
            return
    raise AssertionError(f"of 1,000 texts {accepted} were accepted, and {refused} refused")


def test_a_line_goes_on_where_ours_does() -> None:
    text = (FOLDER / "src" / "scanner.c").read_text()
    words, signs = re.search(r"WORDS\[\] = \{(.*?)\}", text), re.search(r'SIGNS = "(.*?)"', text)
    assert words is not None
    assert signs is not None
    assert set(re.findall(r"\w+", words[1])) == {word for word in INFIX if word.isalpha()}
    assert set(signs[1]) | {"!"} == {word[0] for word in INFIX if not word.isalpha()}


def test_every_keyword_is_highlighted(language: Language) -> None:
    """In the files of the repository, by the query; the lists in it are those of the language."""
    text = (FOLDER / "queries" / "highlights.scm").read_text()
    cursor = QueryCursor(Query(language, text))
    captured: dict[str, set[str]] = {}
    every = f"hsp 1\nop f(x) = ({', '.join([*WORDS, *(f'{name}(x)' for name in sorted(BUILTINS))])})\n"
    for shown in (every, *(path.read_text() for path in FILES)):
        for name, nodes in cursor.captures(read(language, shown)).items():
            captured.setdefault(name, set()).update((node.text or b"").decode() for node in nodes)
    found = captured["keyword"] | captured["keyword.operator"]
    assert found == KEYWORDS
    assert captured["constant.builtin"] == {*WORDS, "first", "last"}
    assert captured["function.builtin"] == set(BUILTINS)
    assert [node.text for node in cursor.captures(read(language, every))["function"]] == [b"f"]


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node")
def test_the_parser_is_of_this_grammar() -> None:
    """`src/grammar.json`, which is written together with the parser, is what `grammar.js` says."""
    script = ROOT / "tests" / "support" / "tree_sitter_grammar.mjs"
    said = subprocess.run(["node", script, FOLDER / "grammar.js"], check=True, capture_output=True, text=True).stdout
    assert json.loads(said) == json.loads((FOLDER / "src" / "grammar.json").read_text())
