"""The site of the documentation: every page of docs/ has a place in it, and every public name."""

from __future__ import annotations

import ast
import re

import compiler
from tests.support.paths import ROOT


def test_every_page_has_a_place() -> None:
    source = ast.parse((ROOT / "docs" / "conf.py").read_text())
    (contents,) = (
        ast.literal_eval(node.value)
        for node in source.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CONTENTS"
    )
    shown = {page for pages in contents.values() for page in pages}
    assert {f"docs/{path.stem}" for path in (ROOT / "docs").glob("*.md")} <= shown


def test_every_public_name_is_in_the_reference() -> None:
    named = re.findall(r"^\.\. auto\w+:: compiler\.api\.(\w+)$", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    assert sorted(named) == sorted(compiler.__all__)
