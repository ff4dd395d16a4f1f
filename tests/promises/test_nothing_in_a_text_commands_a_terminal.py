"""Control characters, marks of direction and letters that a terminal lacks are shown as escapes by every command."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from compiler.commands.compile import compile_main
from compiler.commands.diff import diff_main
from compiler.commands.fmt import format_main
from compiler.commands.import_genotype import import_main
from compiler.commands.measure import main as measure_main
from tests.support.terminal import shown

BELL, TITLE, RIGHT_TO_LEFT = "\x07", "\x1b]0;stolen", "\u202e"
NASTY = f"{TITLE}{BELL}{RIGHT_TO_LEFT}\x9b2J\u00e9\u2603"
STYLES = re.compile(rb"\x1b\[[\d;]*[mAK]|\x1b\[\?25[lh]|\r(?=\n)|\r(?=\x1b\[2K)|\x1b\[2K|\x1b\[1A")
"""What rich says to a terminal: colours, the cursor, and rows that are written anew."""

TEXT = f"""hsp 1
# {NASTY}
op own(x) : [x.c, x.rest] = external "blocks.py:{NASTY}"

network N(image: [1, 8, 8]; c = 4) {{
  output conv(image, 3 | 5, c) -> classifier(10)
}}

search N {{
  data = fake(classes = 10, count = 16, channels = 1)
  epochs = 1
  batch = 8
}}
"""
WRONG = f'hsp 1\nop f(x) = "{NASTY}" + rleu\n'
FILES = {
    "space": f"{TEXT}\n",
    "broken": f"hsp 1\n{NASTY}\n",
    "wrong": WRONG,
    "net": TEXT.replace("3 | 5", "own(3)"),
    "genotype": f"Genotype({NASTY!r}",
}


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "xterm")
    for name, text in FILES.items():
        Path(f"{name}{NASTY}.hsp").write_text(text, encoding="utf-8")
    return {name: Path(f"{name}{NASTY}.hsp") for name in FILES}


COMMANDS: list[tuple[Callable[[Sequence[str]], int], int, list[str]]] = [
    (compile_main, 0, ["space"]),
    (compile_main, 0, ["space", "--json"]),
    (compile_main, 1, ["wrong"]),
    (compile_main, 1, ["wrong", "--json"]),
    *((compile_main, 0, ["space", "--emit", kind]) for kind in ("ast", "graph", "dot")),
    (compile_main, 0, ["space", "--count"]),
    (compile_main, 0, ["space", "--sample", "1"]),
    (compile_main, 0, ["space", "--enumerate"]),
    (compile_main, 2, ["space", "--in", "none"]),
    (compile_main, 0, ["space", "--search", "--dry-run", "--out", "run"]),
    (compile_main, 0, ["space", "--search", "--out", "run"]),
    (compile_main, 2, [NASTY]),
    (compile_main, 2, ["space", f"--{NASTY}"]),
    (diff_main, 1, ["space", "net"]),
    (format_main, 1, ["broken"]),
    (format_main, 1, ["space", "--check"]),
    (import_main, 1, ["genotype"]),
    (measure_main, 1, ["wrong"]),
]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize(("main", "code", "words"), COMMANDS, ids=[" ".join(words)[:30] for _, _, words in COMMANDS])
def test_every_command(
    main: Callable[[Sequence[str]], int], code: int, words: list[str], encoding: str, files: dict[str, Path]
) -> None:
    found, said = shown(encoding, main, *(files.get(word, word) for word in words))
    assert found == code, said
    assert said
    plain = STYLES.sub(b"", said).decode(encoding)
    assert {char for char in plain if not char.isprintable()} <= {"\n", "\t"}
