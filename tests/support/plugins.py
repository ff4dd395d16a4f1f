"""The plugin of docs/plugins.md and the program that uses it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.support.paths import DOCS

TEXT = (DOCS / "plugins.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0]
PROGRAM = re.findall(r"```hsp\n(.*?)```", TEXT, re.DOTALL)[0]


def written(folder: Path) -> Path:
    """The program, in a folder beside its plugin `blocks.py`."""
    (folder / "blocks.py").write_text(BLOCKS)
    (folder / "net.hsp").write_text(PROGRAM)
    return folder / "net.hsp"
