"""Every example of the reference compiles, and has as many architectures as it says; commands print what is shown."""

import re
import shlex
import shutil
from pathlib import Path
from pkgutil import resolve_name

import pytest

from compiler.analysis.architectures.grammar_space import GrammarSpace
from compiler.commands.compile import compile_main
from compiler.commands.diff import diff_main
from compiler.elaborate.setting_values import plain
from compiler.program.compile_file import compile_file
from compiler.reports.facts import cardinality
from compiler.searcher.settings.words import Value
from hdas_dsl.format import format_text
from hdas_dsl.parse.parser import parse_expression
from tests.support.paths import DOCS

PAGES = (
    *("language.md", "exploring.md", "spaces.md", "costs.md", "plugins.md", "relaxations.md", "searchers.md"),
    *("tasks.md", "python.md"),
)
EXAMPLES = [
    example for page in PAGES for example in re.findall(r"```hsp\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)
]


def test_there_are_examples() -> None:
    assert len(EXAMPLES) > 12


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_example(text: str) -> None:
    program, diagnostics = compile_file("example.hsp", text=text)
    assert program is not None, "\n".join(d.render() for d in diagnostics)
    claim = re.search(r"# (.+) architectures", text)
    expected: Value = 1
    if claim:
        expr, _ = parse_expression(claim[1])
        assert expr is not None
        expected = plain(expr)
    found = program.network
    assert (GrammarSpace(found).number if found.grammars else cardinality(found)) == expected
    assert program.network.is_space == (claim is not None)
    assert format_text(text, "example.hsp") == text


ROW = re.compile(r"^\| .+? \| `(spaces/\S+\.hsp)` \| `(.+)` \| `([\w.]+)` \|$", re.MULTILINE)
ROWS = ROW.findall((DOCS / "hdas.md").read_text())


def test_the_method_is_mapped() -> None:
    assert len(ROWS) > 30


@pytest.mark.parametrize(("file", "line", "function"), ROWS, ids=range(len(ROWS)))
def test_each_line_and_function_of_the_map_is_there(file: str, line: str, function: str) -> None:
    text = (DOCS.parent / file).read_text()
    assert line.replace("\\|", "|") in {written.strip() for written in text.splitlines()}
    assert resolve_name(function)


SESSIONS = re.findall(r"```\n(\$ .*?)```", (DOCS / "exploring.md").read_text(), re.DOTALL)
MAINS = {"hdas-compile": compile_main, "hdas-diff": diff_main}


@pytest.mark.slow
def test_commands_print_what_is_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All commands of the page on exploring, in order, in a copy of `spaces/`."""
    assert len(SESSIONS) > 6
    shutil.copytree(DOCS.parent / "spaces", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    for session in SESSIONS:
        for command, shown in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", session, re.MULTILINE):
            line, _, target = command.partition(" > ")
            name, *args = shlex.split(line)
            MAINS[name](args)
            said = capsys.readouterr()
            if target:
                Path(target).write_text(said.out)
                assert (shown, said.err) == ("", "")
            else:
                assert said.out + said.err == shown, command


def test_python_of_exploring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", (DOCS / "exploring.md").read_text(), re.DOTALL)
    shutil.copytree(DOCS.parent / "spaces", tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "exploring.md", "exec"), {})
    assert capsys.readouterr().out.splitlines()[0] == "6466"
