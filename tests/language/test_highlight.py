"""Every word of the grammar is highlighted by every grammar of an editor; right texts have no wrong token."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from lark.lexer import PatternStr
from pygments.token import Comment, Error, Keyword, Name, Number, Operator, String, _TokenType

from hdas_dsl.highlight import HspLexer
from hdas_dsl.parse.keywords import KEYWORDS
from hdas_dsl.parse.tables import grammar_parser
from hdas_dsl.tree.words import BUILTINS, WORDS
from tests.support.paths import ROOT

VSCODE = ROOT / "editors" / "vscode"


def words_of_the_grammar() -> set[str]:
    terminals = (item.pattern for item in grammar_parser().terminals)
    return {item.value for item in terminals if isinstance(item, PatternStr) and item.value.isalpha()}


def test_keywords_are_the_words_of_the_grammar() -> None:
    assert words_of_the_grammar() | {"by"} == KEYWORDS


def tokens(text: str) -> list[tuple[_TokenType, str]]:
    return [(kind, value) for kind, value in HspLexer().get_tokens(text) if value.strip()]


@pytest.mark.parametrize("word", sorted(KEYWORDS | {*WORDS, *BUILTINS}))
def test_each_word_is_highlighted(word: str) -> None:
    """By Pygments and in VS Code, whole words alone."""
    ((kind, _),) = tokens(word)
    assert kind in Keyword or kind in Operator.Word or kind in Name.Builtin
    assert tokens(f"{word}_x")[0][0] is Name
    grammar = json.loads((VSCODE / "syntaxes" / "hsp.tmLanguage.json").read_text())
    matching = [item for item in grammar["patterns"] if re.fullmatch(item["match"], word)]
    assert matching
    assert not any(re.fullmatch(item["match"], f"{word}_x") for item in matching)
    assert matching[0]["name"].split(".")[0] in ("keyword", "constant", "support")


def test_signs_and_values() -> None:
    text = 'a -> conv(3, c = 4.5e-3K) # it is a "cell"\nuse "x \\" y.hsp"'
    assert [(kind, value) for kind, value in tokens(text) if kind not in Operator and value not in "(),="] == [
        (Name, "a"),
        (Name.Function, "conv"),
        (Number, "3"),
        (Name, "c"),
        (Number, "4.5e-3K"),
        (Comment.Single, '# it is a "cell"'),
        (Keyword.Declaration, "use"),
        (String.Double, '"x \\" y.hsp"'),
    ]


@pytest.mark.parametrize("path", sorted(ROOT.glob("spaces/*.hsp"))[::3], ids=lambda path: path.stem)
def test_a_right_text_has_no_wrong_token(path: Path) -> None:
    text = path.read_text()
    found = list(HspLexer(stripnl=False).get_tokens(text))
    assert not [value for kind, value in found if kind in Error]
    assert "".join(value for _, value in found) == text


def test_versions_and_entry_points() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pygments.lexers"]["hsp"] == "hdas_dsl.highlight:HspLexer"
    assert json.loads((VSCODE / "package.json").read_text())["version"] == project["version"]


@pytest.mark.skipif(shutil.which("node") is None, reason="the tests of the extension need Node")
def test_the_extension_does_what_its_manifest_says() -> None:
    done = subprocess.run(["node", "--test", "test"], cwd=VSCODE, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
