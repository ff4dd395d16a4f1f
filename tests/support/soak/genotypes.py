"""Mutated genotypes to `hdas-import`: a file of the language that compiles, or a sentence."""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import tempfile
from functools import cache
from pathlib import Path

from compiler.commands.import_genotype import import_main
from compiler.program.compile_file import compile_file
from tests.support.mutations import mutate
from tests.support.paths import FIXTURES, SPACES

from .case import Case

WORDS = ("none", "nan", "-1", "1e9", "0.5", "range(2, 6)", "range(10**9)", "None", "[]", "()", "{}", "'sep_conv_3x3'",
         "np.int64(1)", "__import__('os')", "lambda: 0", "True", "''", "(('a', 0),)", "\x1b[31m", "9" * 40)  # fmt: skip


@cache
def bases() -> tuple[str, ...]:
    """Genotypes as published: whole files, and each line of the file that has one in a line."""
    files = sorted((FIXTURES / "genotypes").glob("*.txt"))
    texts = [path.read_text(encoding="utf-8") for path in files]
    return tuple(texts) + tuple(line for text in texts for line in text.splitlines() if "(" in line)


def mutant(case: Case) -> str:
    """A genotype made wrong."""
    source = case.random()
    text = source.choice(bases())
    for _ in range(source.choice((1, 1, 2, 4))):
        text = mutate(text, source) if source.random() < 0.3 and text.strip() else _changed(text, source)
    return text


def _changed(text: str, source: random.Random) -> str:
    parts = re.findall(r"\w+|'[^']*'|\s+|.", text)
    at, other = (source.randrange(len(parts) or 1) for _ in range(2))
    match source.randrange(5):
        case 0:
            parts[at : at + 1] = [source.choice(WORDS)]
        case 1:
            del parts[at : at + source.randrange(1, 6)]
        case 2:
            parts[at:at] = parts[other : other + source.randrange(1, 12)]
        case 3 if parts:
            parts[at], parts[other] = parts[other], parts[at]
        case _:
            parts[at:at] = [source.choice(WORDS)]
    return "".join(parts)


def check_genotype(case: Case) -> str | None:
    """Whether an import ends with 0 and a file that compiles, or with a sentence."""
    descriptor, name = tempfile.mkstemp(suffix=".txt")
    said, error = io.StringIO(), io.StringIO()
    try:
        os.write(descriptor, mutant(case).encode("utf-8", "surrogatepass"))
        os.close(descriptor)
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(error):
            code = import_main([name])
    finally:
        os.unlink(name)
    if code not in (0, 1, 2) or "error of this program" in error.getvalue():
        return f"exit code {code}: {error.getvalue()[:300]}"
    if code:
        return None if error.getvalue().strip() else f"exit code {code} without a word"
    program, diagnostics = compile_file(Path(SPACES / "imported.hsp"), text=said.getvalue())
    return None if program is not None else f"what is imported does not compile: {diagnostics[0].message}"
