"""Each sentence of `docs/promises.md` has a file of tests here with its name, and each file its sentence."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.paths import DOCS, ROOT

HERE = Path(__file__).parent
PAGE = (DOCS / "promises.md").read_text()


def file_of(sentence: str) -> str:
    """The name of the file that tests a sentence."""
    return f"test_{re.sub(r'[^a-z]+', '_', sentence.lower()).strip('_')}.py"


def test_each_sentence_has_its_tests_and_the_reverse() -> None:
    sentences = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    assert len(sentences) > 12
    files = {path.name for path in HERE.glob("test_*.py")} - {Path(__file__).name}
    assert {file_of(sentence) for sentence in sentences} == files


def test_each_sentence_says_how_it_is_tested() -> None:
    for section in PAGE.split("\n## ")[1:]:
        assert "\n*Tested* " in section, section.partition("\n")[0]


def test_each_file_that_the_page_names_is_there() -> None:
    for name in re.findall(r"`((?:tests|bench|docs)/[\w./]+)`", PAGE):
        assert (ROOT / name).exists(), name
