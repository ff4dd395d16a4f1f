"""Neovim with the configuration of docs/editors.md: it highlights a text, and shows what the server says of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.paths import ROOT

PAGE = (ROOT / "docs" / "editors.md").read_text().partition("\n## Neovim\n")[2].partition("\n## ")[0]
TEXT = """\
hsp 1
network Net(image: [3, 8, 8]; c = 4) {
  output image -> conv(3, c) -> classifier(10)
}
search Net {
  epoch = 2
}
"""
CONV = 2, TEXT.splitlines()[2].index("conv")


def editor() -> str:
    """Neovim 0.11, which has `vim.lsp.config`."""
    nvim = shutil.which("nvim")
    if nvim is None:
        pytest.skip("there is no Neovim")
    version = subprocess.run([nvim, "--version"], capture_output=True, text=True, check=True).stdout
    found = re.match(r"NVIM v(\d+)\.(\d+)", version)
    if found is None or (int(found[1]), int(found[2])) < (0, 11):
        pytest.skip("this Neovim is older than 0.11")
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    return nvim


def test_neovim_as_the_page_sets_it_up(tmp_path: Path) -> None:
    nvim = editor()
    commands = "\n".join(line.strip() for line in PAGE.splitlines() if line.startswith("    "))
    subprocess.run(["sh", "-ec", commands.replace("REPO", str(ROOT)).replace("~", str(tmp_path))], check=True)
    (configured,) = re.findall(r"```lua\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / ".config" / "nvim" / "init.lua").write_text(configured)
    server = tmp_path / "bin" / "hdas-lsp"
    server.parent.mkdir()
    python = shutil.which("python")
    server.write_text(f"#!/bin/sh\nexec {python} -c 'from compiler.lsp.server import main; main()'\n")
    server.chmod(0o755)
    (tmp_path / "net.hsp").write_text(TEXT)
    row, column = CONV
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "PATH": f"{server.parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "ROW": str(row),
        "HOVER": str(column + 1),
        "COMPLETE": str(column),
    } | {
        f"XDG_{kind}_HOME": str(tmp_path / name)
        for kind, name in (("CONFIG", ".config"), ("DATA", "d"), ("STATE", "s"))
    }
    command = [nvim, "--headless", "net.hsp", "-c", f"luafile {Path(__file__).with_name('neovim.lua')}"]
    ran = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=True
    )
    said = json.loads(ran.stdout)
    ((line, at, code, message),) = said["codes"]
    assert (line, at, code) == (5, 2, "E701"), message
    assert "hint: did you mean 'epochs'?" in message
    assert "conv(x; k" in said["hover"]
    assert {"conv", "classifier"} <= set(said["labels"])
    assert said["highlighted"]
    assert "keyword" in said["captures"]
