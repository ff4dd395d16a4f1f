"""The page: one file, nothing from the network, and whatever a file says is text."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64encode
from html.parser import HTMLParser
from pathlib import Path

import pytest

from compiler.commands.hdas import hdas_main
from compiler.run_report.reading import report_of
from compiler.run_report.render import page

VOID = {"meta", "link", "br", "img", "input", "hr"}
EVIL = '</script><script>alert("x")</script><img src=x onerror=alert(1)> ]]> "\'&'


class Page(HTMLParser):
    """The elements of a page, with a complaint for each that is not closed as it was opened."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if len(dict(attrs)) != len(attrs):
            self.wrong.append(f"{tag} has an attribute twice")
        if tag not in VOID and not (self.get_starttag_text() or "").endswith("/>"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] not in ("script", "style"):
            self.texts.append(data)


def test_one_file_that_is_well_formed_and_reads_nothing(runs: Path) -> None:
    text = page(report_of([Path("a"), Path("b"), Path("front"), Path("study")]))
    found = Page(text)
    assert found.wrong == []
    assert found.open == []
    ids = [attrs["id"] for _, attrs in found.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    links = {attrs["href"] for _, attrs in found.elements if "href" in attrs}
    assert {f"#{name}" for name in ids} >= links
    assert not [attrs for _, attrs in found.elements if "src" in attrs]
    tags = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert set(re.findall(r"https?://[^\"' <]+", tags)) == {"http://www.w3.org/2000/svg"}
    assert len(text) < 3_000_000
    drawn = [attrs["data-plot"] for tag, attrs in found.elements if tag == "figure"]
    assert {"score", "strengths", "trials", "front", "costs", "training-loss", "versus", "study-score"} <= set(drawn)


def test_nothing_that_a_file_says_is_more_than_text(runs: Path) -> None:
    for name in ("space.json", "history.jsonl", "run.json", "settings.hsp", "derived.hsp"):
        path = Path("a") / name
        text = path.read_text()
        quoted = json.dumps(EVIL)[1:-1] if name.endswith(("json", "jsonl")) else EVIL
        path.write_text(text.replace("identity", quoted).replace("Cell", f"Cell{quoted}"))
    for path in (Path("study/runs.jsonl"), Path("study/study.json")):
        path.write_text(path.read_text().replace("gdas", json.dumps(EVIL)[1:-1]))
    report = report_of([Path("a"), Path("b"), Path("study")], title=EVIL)
    assert report.runs[0].phases[0].space is not None
    assert EVIL in report.runs[0].phases[0].space.choices[0].items
    assert EVIL in report.runs[0].settings + (report.runs[0].derived.text if report.runs[0].derived else "")
    assert any(EVIL in row.combination for row in report.studies[0].rows)
    found = Page(page(report))
    assert found.wrong == []
    assert any(EVIL in text for text in found.texts)
    scripts = [attrs for tag, attrs in found.elements if tag == "script"]
    assert scripts == [{"type": "application/json", "id": "data"}, {}, {}, {}]
    assert not [attrs for _, attrs in found.elements if any(name.startswith("on") for name in attrs)]
    assert not [tag for tag, _ in found.elements if tag in ("img", "iframe", "link", "object")]


def test_the_policy_names_the_scripts_of_the_page_and_no_others(runs: Path) -> None:
    text = page(report_of([Path("a")]))
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', text)
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    hashes = {f"'sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts}
    rules = dict(rule.strip().split(" ", 1) for rule in policy.replace("&#39;", "'").split(";"))
    assert rules["default-src"] == "'none'"
    assert set(rules["script-src"].split()) == hashes
    assert len(hashes) == 3


def test_the_command_writes_the_page_and_its_data(runs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hdas_main(["report", "a", "-o", "x.html", "--json", "x.json", "--title", "My runs"]) == 0
    assert capsys.readouterr().out == "report: x.html\n"
    assert "<h1>My runs</h1>" in Path("x.html").read_text()
    assert json.loads(Path("x.json").read_text())["title"] == "My runs"
    assert hdas_main(["report", "nowhere"]) == 2
    assert "'nowhere' is not a folder" in capsys.readouterr().err
