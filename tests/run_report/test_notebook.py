"""A notebook shows spaces, architectures, differences and reports: the example of the page, executed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from compiler import UsageError, draw, sample
from tests.support.paths import DOCS, ROOT


def test_the_example_of_the_documentation_shows_what_it_says(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", (DOCS / "reports.md").read_text(), re.DOTALL)
    imports, *cells = [line for line in code.splitlines() if line]
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    v4: Any = nbformat.v4
    book = v4.new_notebook(cells=[v4.new_code_cell(text) for text in (imports, *cells)])
    for name in ("JUPYTER_RUNTIME_DIR", "JUPYTER_CONFIG_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(runs / name))  # Of nobody else, and also where there is no home.
    client = NotebookClient(book, timeout=600, startup_timeout=600, kernel_name="python3")
    client.resources = {"metadata": {"path": str(runs)}}
    client.execute()
    shown = [cell.outputs[0]["data"] for cell in book.cells[1:]]
    assert ["image/svg+xml" in data for data in shown] == [True, True, False, False]
    assert ["text/html" in data for data in shown] == [False, False, True, True]
    assert ">stem</text>" in shown[0]["image/svg+xml"]
    assert "Op (4)" not in shown[1]["image/svg+xml"]
    assert "<td>Cell.n1" in shown[2]["text/html"]
    assert 'sandbox="allow-scripts"' in shown[3]["text/html"]


def test_pictures_are_saved_by_the_end_of_their_name(runs: Path) -> None:
    found = draw("a/derived.hsp", "b/derived.hsp")
    found.save("x.svg")
    found.save("x.png")
    assert Path("x.svg").read_text() == found.svg
    assert "hd-added-line" in found.svg
    assert Path("x.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match=r"neither \.svg nor \.png"):
        found.save("x.gif")


def test_an_architecture_is_drawn_as_its_text_would_be(runs: Path) -> None:
    (found,) = sample("net.hsp", seed=1)
    Path("found.hsp").write_text(found.text)
    drawn = set(re.findall(r">([^<]+)</text>", found._repr_svg_()))
    assert drawn == set(re.findall(r">([^<]+)</text>", draw("found.hsp").svg))
