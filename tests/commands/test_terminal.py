"""Shell completion and manual pages: made of the declarations of all commands, read by a shell and by man."""

from __future__ import annotations

import os
import pty
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from compiler.commands.completion import quoted
from compiler.commands.hdas import hdas_main
from compiler.commands.manual import escaped
from compiler.commands.option import options
from compiler.commands.table import PROGRAMS
from compiler.commands.terminal import NAMED
from tests.support.paths import ROOT


def printed(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert hdas_main(["completion", shell]) == 0
    return capsys.readouterr().out


def test_every_program_is_known() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert {"hdas", "hdas-lsp", *PROGRAMS} == set(scripts)


@pytest.mark.skipif(shutil.which("bash") is None, reason="asks bash")
def test_bash_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Actions, flags of the action alone, files of the language and folders; of several words, the last."""
    (tmp_path / "a b.hsp").touch()
    (tmp_path / "notes.txt").touch()
    (tmp_path / "runs").mkdir()
    asked = {
        "hdas se": {"search"},
        "hdas search --meth": {"--method"},
        "hdas count --meth": set(),
        "hdas-compile x.hsp --dry": {"--dry-run"},
        "hdas-study --see": {"--seeds"},
        "hdas-fmt --debug --h": {"--help"},
        "hdas search ": {"a b.hsp", "runs"},
    }
    script = [printed("bash", capsys)]
    for line in asked:
        words = line.split(" ")
        function = "_" + words[0].replace("-", "_")
        given = " ".join(f"'{word}'" for word in words)
        script.append(f"COMPREPLY=(); COMP_WORDS=({given}); COMP_CWORD={len(words) - 1}; {function}")
        script.append('printf "%s|" "${COMPREPLY[@]}"; echo')
    done = subprocess.run(["bash", "-c", "\n".join(script)], cwd=tmp_path, capture_output=True, text=True)
    assert done.stderr == ""
    found = [{word for word in line.split("|") if word} for line in done.stdout.splitlines()]
    assert dict(zip(asked, found, strict=True)) == asked


@pytest.mark.skipif(shutil.which("fish") is None, reason="asks fish")
def test_fish_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the file where the page has it, which is read before any program is typed."""
    (place,) = re.findall(r"hdas completion fish > ~/\.config/(\S+)", (ROOT / "docs" / "editors.md").read_text())
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_text(printed("fish", capsys))
    asked = {
        "hdas-study --see": ["--seeds"],
        "hdas se": ["search"],
        "hdas search --meth": ["--method"],
        "hdas count --meth": [],
        "hdas-compile x.hsp --dry": ["--dry-run"],
    }
    script = "".join(f"complete -C '{line}'; echo END;" for line in asked)
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(["fish", "-c", script], env=environment, capture_output=True, text=True)
    parts = done.stdout.split("END\n")[:-1]
    found = [[line.partition("\t")[0] for line in part.splitlines()] for part in parts]
    assert dict(zip(asked, found, strict=True)) == asked


@pytest.mark.skipif(shutil.which("zsh") is None, reason="asks zsh")
def test_zsh_completes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In a terminal: zsh completes nowhere else. What stands in its line is printed by a key of its own."""
    (tmp_path / "a b.hsp").touch()
    (tmp_path / "completion.zsh").write_text(printed("zsh", capsys))
    asked = {
        "hdas sea": "hdas search",
        "hdas search --meth": "hdas search --method",
        "hdas count --meth": "hdas count --meth",
        "hdas-compile x.hsp --dry": "hdas-compile x.hsp --dry-run",
        "hdas search a": "hdas search a\\ b.hsp",
    }
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        os.execvp("zsh", ["zsh", "-f", "-i"])
    lines = [
        "PROMPT=; autoload -U compinit; compinit -u -D; source completion.zsh; zle -N show; bindkey '^X' show;"
        " show() { print -r -- \"<$BUFFER>\"; BUFFER= }; print '<''>'\n",
        *(f"{line}\t\x18" for line in asked),
    ]
    found = []
    for line in lines:  # one after the other: what is typed ahead is not a key of the editor
        os.write(terminal, line.encode())
        shown = b""
        while (answer := re.search(rb"<([^<>$]*)>\r", shown)) is None:
            shown += os.read(terminal, 4096)
        found.append(answer[1].decode().strip())
    os.close(terminal)
    os.waitpid(child, 0)
    assert dict(zip(asked, found[1:], strict=True)) == asked


def test_fish_and_zsh_know_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    fish, zsh = printed("fish", capsys), printed("zsh", capsys)
    assert zsh.startswith("autoload -U +X bashcompinit && bashcompinit\n")
    for command in NAMED:
        assert f"-a {command.name} -d '" in fish
        for item in options(command):
            for flag in item.flags:
                if flag.startswith("--"):
                    assert f"'__fish_seen_subcommand_from {command.name}' -l {flag[2:]} " in fish
                    assert f"{flag} " in zsh or f'{flag}"' in zsh
    assert all(line.count("'") % 2 == line.count("\\'") % 2 for line in fish.splitlines())


def test_manual_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every option with its default; groff has nothing to complain of."""
    assert hdas_main(["manual", str(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(PROGRAMS) + 1
    for program, commands in {"hdas": NAMED, **PROGRAMS}.items():
        path = tmp_path / f"{program}.1"
        plain = path.read_text().replace("\\-", "-").replace("\\(dq", '"').replace("\\e", "\\").replace("\\&", "")
        for command in commands:
            for item in options(command):
                assert (item.help if not item.flags else f"{item.help} (default: {item.otherwise})") in plain
    if shutil.which("groff") is not None:
        done = subprocess.run(
            ["groff", "-man", "-Tutf8", "-ww", str(tmp_path / "hdas.1"), str(tmp_path / "hdas-study.1")],
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert "--seeds A..B" in re.sub(".\x08", "", done.stdout)


@pytest.mark.skipif(shutil.which("sh") is None, reason="the hook that checks is a line of a shell")
def test_hooks_refuse_wrong_files(tmp_path: Path) -> None:
    """Each hook gets several files, and fails where one of them is wrong."""
    (tmp_path / "bin").mkdir()
    for program, call in (("hdas-compile", "compile import compile_main"), ("hdas-fmt", "fmt import format_main")):
        script = tmp_path / "bin" / program
        run = f"raise SystemExit({call.split()[-1]}())"
        script.write_text(f"#!{sys.executable}\nfrom compiler.commands.{call}\n{run}\n")
        script.chmod(0o755)
    right, wrong = tmp_path / "a b.hsp", tmp_path / "wrong.hsp"
    right.write_text("hsp 1\n\nnetwork Net(x: [1, 4, 4]) {\n  output x -> relu\n}\n")
    wrong.write_text("hsp 1\nnetwork Net(x: [1, 4, 4]) {\n  output y\n}\n")
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    text = (ROOT / ".pre-commit-hooks.yaml").read_text()
    patterns = re.findall(r"  files: (.*)\n", text)
    assert [bool(re.search(pattern, name)) for pattern in patterns for name in ("a b.hsp", "hsp.txt")] == [
        True,
        False,
    ] * 2
    hooks = dict(re.findall(r"- id: (\S+)\n.*\n  entry: (.*)\n", text))

    def code(name: str, path: Path) -> int:
        words = [*shlex.split(hooks[name]), str(right), str(path)]
        return subprocess.run(words, env=environment, capture_output=True).returncode

    assert code("hdas-check", right) == code("hdas-fmt", wrong) == 0
    assert code("hdas-check", wrong) == 1


def test_what_shells_and_roff_read_otherwise_is_escaped() -> None:
    assert quoted("it's a \\") == "'it\\'s a \\\\'"
    assert escaped('.hsp -o "a\\b"') == "\\&.hsp \\-o \\(dqa\\eb\\(dq"
