"""The options of the commands: each is declared where it does something, and refused by name elsewhere."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from itertools import product

import pytest

from compiler.commands.command import Command
from compiler.commands.compile import ACTIONS, action_of, compile_main
from compiler.commands.hdas import hdas_main
from compiler.commands.option import Option, members, options
from compiler.commands.parser import CommandParser, Form
from compiler.commands.table import COMMANDS, PROGRAMS
from compiler.commands.values import read_bytes
from compiler.util.errors import UsageError
from tests.support.paths import DOCS, ROOT, SPACES

DARTS = str(SPACES / "darts.hsp")


def refused(main: Callable[[Sequence[str]], int], words: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The last line of what is said of a command line that is refused while it is parsed."""
    assert main(words) == 2, words
    said = capsys.readouterr()
    assert said.out == ""
    return said.err.splitlines()[-1]


def words_of(command: type[Command]) -> list[str]:
    """A command line of `hdas-compile` that names an action, with a value where it has one."""
    values = [item.count for item in options(command) if item.is_action]
    return [DARTS, *filter(None, [command.action]), *["1"] * (int(values[0]) if values else 0)]


def value_of(item: Option) -> list[str]:
    return ["1"] if item.metavar else []


def fields(command: type) -> list[str]:
    found = []
    for name, item in members(command):
        found += [name] if isinstance(item, Option) else fields(item)
    return found


def test_the_table() -> None:
    assert len({command.name for command in COMMANDS}) == len(COMMANDS) > 15
    assert len({command.action for command in ACTIONS}) == len(ACTIONS) > 11
    for command in COMMANDS:
        assert len(set(fields(command))) == len(fields(command)), command
        spellings = [spelling for item in options(command) for spelling in item.flags]
        assert len(set(spellings)) == len(spellings), command
        for item in options(command):
            assert item.help
            assert item.otherwise or not item.flags, item


@pytest.mark.parametrize("command", ACTIONS, ids=lambda command: command.name)
def test_an_option_that_does_nothing_is_refused_and_its_action_named(
    command: type[Command], capsys: pytest.CaptureFixture[str]
) -> None:
    own = {spelling for item in options(command) for spelling in item.flags}
    seen = 0
    for other, form in product(ACTIONS, ("before", "after")):
        for item in options(other):
            if item.flags and item.name not in own and item.name not in ("--search", "--train"):
                words, given = words_of(command), [item.name, *value_of(item)]
                said = refused(compile_main, words + given if form == "after" else given + words, capsys)
                assert said.startswith(f"hdas-compile: {item.name} does nothing ")
                assert (f"with {command.action}:" if command.action else "without an action:") in said
                assert ("--" if other.action else "a check") in said.partition(":")[2]
                seen += 1
    assert seen > 6


def test_the_action_of_an_idle_option_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    words = [DARTS, "--count", "--phases", "zz", "--weights", "nope"]
    assert refused(compile_main, words, capsys).endswith(
        "--phases does nothing with --count: it belongs to --search and --dry-run"
    )
    assert refused(compile_main, [DARTS, "--eval", "w", "--precision", "16"], capsys).endswith(
        "--precision does nothing with --eval: weights are tested in float32; "
        "it belongs to --search, --train, --versus and --dry-run"
    )
    assert "--json does nothing with --emit: it belongs to a check, --search, " in refused(
        compile_main, [DARTS, "--emit", "ast", "--json"], capsys
    )
    assert refused(hdas_main, ["sample", DARTS, "1", "--limit", "3"], capsys).endswith(
        "--limit does nothing in `hdas sample`: it belongs to hdas enumerate"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["search", DARTS, "--dry-run"], "--dry-run is an action of its own: `hdas dry-run FILE --search`"),
        (["train", DARTS, "--dry-run"], "--dry-run is an action of its own: `hdas dry-run FILE --train`"),
        (["search", DARTS, "--train"], "--train is an action of its own: `hdas train FILE`"),
        (["check", DARTS, "--versus", "9"], "--versus is an action of its own: `hdas versus FILE N`"),
    ],
)
def test_an_action_given_as_a_flag_is_told_its_form(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(hdas_main, words, capsys).endswith(said)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--cuont"], "there is no option '--cuont': did you mean '--count'?"),
        (["--count", "--uniqe=pruned"], "there is no option '--uniqe': did you mean '--unique'?"),
        (["--search", "--checkpoint-evry", "3"], "did you mean '--checkpoint-every'?"),
        (["--serch", "--seed", "3"], "there is no option '--serch': did you mean '--search'?"),
        (["--count", "-x"], "there is no option '-x'"),
        (["--count", "-o", "x"], "-o does nothing with --count: it belongs to --emit and --export"),
        (["--search", "-o", "x"], "there is no option '-o': did you mean '--out'?"),
        (["--count", "twice"], "'twice' is one word too many"),
        (["--search", "--precision", "bfloat61"], "did you mean 'bfloat16'?"),
        (["--search", "--device", "cudaa"], "did you mean 'cuda'?"),
        (["--search", "--memory-budget", "lots"], "'lots' is not a size of memory: write it like 800M or 1.5G"),
        (["--search", "--memory-budget", ""], "'' is not a size of memory: write it like 800M or 1.5G"),
        (["--search", "--devices", "0"], "argument --devices: 0 is not at least 1"),
        (["--search", "--epochs", "many"], "argument --epochs: 'many' is not a whole number"),
        (["--search", "--lr", "fast"], "argument --lr: 'fast' is not a number"),
        (["--search", "--count"], "--search and --count are 2 actions: name one"),
        (["--search", "--dry-run", "--count"], "--search, --dry-run and --count are 3 actions: name one"),
        (["--eval=w", "--dry-run"], "--eval and --dry-run are 2 actions: name one"),
    ],
)  # fmt: skip
def test_typing_errors(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(compile_main, [DARTS, *words], capsys).endswith(said)


def test_typing_errors_in_an_action(capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(hdas_main, ["sampel", DARTS], capsys).endswith("no action 'sampel': did you mean 'sample'?")
    assert "no action 'zzz': known: check, emit" in refused(hdas_main, ["zzz"], capsys)


def test_the_action_is_found_wherever_it_stands() -> None:
    for words, name in (
        ([DARTS], "check"),
        (["--count", DARTS], "count"),
        ([DARTS, "--emit=graph"], "emit"),
        ([DARTS, "--set", "x=1", "--search", "--dry-run"], "dry-run"),
        ([DARTS, "--dry-run", "--train"], "dry-run"),
        (["--", "--count"], "check"),
    ):
        assert action_of(words).name == name
    with pytest.raises(UsageError):
        action_of([DARTS, "--mutate", "x", "--sample", "1"])


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_is_short_and_has_every_default(command: type[Command], capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    mains = [(hdas_main, [command.name, "-h"])]
    if command.action is not None:
        mains += [(compile_main, [*words_of(command)[1:], "-h"]), (compile_main, [command.action, "-h"])]
    for main, words in mains:
        assert main(words) == 0
        said.append(capsys.readouterr().out)
    for text in said:
        shown = " ".join(text.split())
        for item in options(command):
            if item.flags:
                assert item.name in shown
                assert f"(default: {item.otherwise})" in shown
                assert item.otherwise != "None", f"{item.name} does not say what happens without it"
        foreign = {item.name for other in COMMANDS for item in options(other) if item.flags}
        foreign -= {item.name for item in options(command)} | {other.action for other in ACTIONS if other.action}
        assert [name for name in foreign if re.search(rf"\n  {name}\b(?!-)", text)] == []


@pytest.mark.parametrize("main", [compile_main, hdas_main])
def test_version(main: Callable[[Sequence[str]], int], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"hdas(-compile)? (\d+\.\d+\.\d+|unknown)\n", capsys.readouterr().out)


PAGES = [ROOT / "README.md", *sorted(DOCS.glob("*.md")), *sorted((ROOT / "bench").glob("*.md"))]
LINES = sorted(
    {
        line.partition("  #")[0].partition(" # ")[0].partition(" > ")[0].strip()
        for page in PAGES
        for line in re.findall(
            r"(?<![/\w.-])(hdas-(?:compile|diff|fmt|import|measure|report|runs|study) [^`\n]*)", page.read_text()
        )
    }
)


@pytest.mark.parametrize("line", LINES)
def test_every_command_line_of_the_documentation_is_parsed(line: str) -> None:
    """With all alternatives of one, ``dot|graph``."""
    if "ACTION" in line or not re.search(r"\.hsp|FILE|GENOTYPE|\.txt|runs", line):
        pytest.skip("no command line")
    program, *words = shlex.split(line.replace("(3,32,32)", "'(3,32,32)'"), comments=True)
    for alternatives in product(*(word.split("|") for word in words)):
        if program == "hdas-compile":
            CommandParser(action_of(alternatives), Form.FLAG, program, ACTIONS).read(alternatives)
        else:
            CommandParser(PROGRAMS[program][0], Form.PROGRAM, program).read(alternatives)


def test_sizes_of_memory() -> None:
    assert [read_bytes(text) for text in ("800", "1.5G", "2 MiB", "3k")] == [800, 3 * 2**29, 2**21, 3 * 2**10]


def test_the_order_of_a_file_and_a_word_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    for words, metavar in ((["export", "py", DARTS], "KIND"), (["emit", "graph", DARTS], "KIND")):
        said = refused(hdas_main, words, capsys)
        assert said == f"hdas {words[0]}: there is no file '{words[1]}': the order is FILE {metavar}"
    assert refused(hdas_main, ["export", "py", "none.hsp"], capsys) == "hdas: there is no file 'py'"
