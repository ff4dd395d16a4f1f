"""`--json`: every command has it, or says why not; what it prints is what its model and the documentation say."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from compiler.commands import answers
from compiler.commands.command import Command
from compiler.commands.hdas import hdas_main
from compiler.commands.option import options
from compiler.commands.study import _answer
from compiler.commands.terminal import NAMED
from compiler.studies.report import rows_of
from compiler.studies.results import ResultLog
from tests.support.paths import DOCS, FIXTURES

RUNS = FIXTURES / "runs"
PAGE = (DOCS / "json.md").read_text(encoding="utf-8")
PLAIN = {"facts", "differences", "report", "runs"}
"""What is documented where its command is."""


def model_of(command: type[Command]) -> type[BaseModel] | None:
    found = getattr(answers, command.answer, None)
    assert found is None or issubclass(found, BaseModel)
    return found


@pytest.mark.parametrize("command", NAMED, ids=lambda command: command.name)
def test_every_command_prints_json_or_says_why_not(command: type[Command]) -> None:
    offers = "--json" in {option.name for option in options(command)}
    assert offers != bool(command.no_json), f"hdas {command.name} neither has --json nor says why (no_json)"
    (row,) = re.findall(rf"^\| `{re.escape(command.name)}` \| (.*) \|$", PAGE, re.MULTILINE)
    if command.no_json:
        assert row == f"none: {command.no_json}"
        return
    model = model_of(command)
    assert (model is None) == (command.answer in PLAIN)
    if model is not None:
        fields = [*model.model_fields, *model.model_computed_fields]
        assert re.findall(r"`(\w+)`", row.partition(":")[0]) == fields


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a small space and two of its architectures."""
    made = tmp_path_factory.mktemp("json")
    shutil.copy(RUNS / "net.hsp", made)
    for name in ("a", "b"):
        text = (RUNS / name / "derived.hsp").read_text()
        (made / f"{name}.hsp").write_text(text.replace("  epochs = 2", "  epochs = 1"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        yield made


def printed(capsys: pytest.CaptureFixture[str], command: str, *words: str, code: int = 0) -> Any:
    """What a command prints, which is an object of its model and nothing else."""
    assert hdas_main([command, *words, "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    model = model_of(next(each for each in NAMED if each.name == command))
    assert model is not None
    assert model.model_validate(found).model_dump(mode="json") == found
    return found


def test_questions_about_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed(capsys, "count", "net.hsp")["exact"] == "18"
    assert printed(capsys, "contains", "a.hsp", "net.hsp")["inside"]
    (folder / "other.hsp").write_text((folder / "a.hsp").read_text().replace("k = 1", "k = 5"))
    assert printed(capsys, "contains", "other.hsp", "net.hsp", code=1)["path"].startswith("Cell.n1")
    drawn = printed(capsys, "sample", "net.hsp", "2")["architectures"]
    assert [found["text"].startswith("hsp 1") for found in drawn] == [True, True]
    (written,) = printed(capsys, "sample", "net.hsp", "1", "--out", "drawn")["architectures"]
    assert Path(written["file"]).read_text().startswith("hsp 1")
    assert written["text"] is None
    listed = printed(capsys, "enumerate", "net.hsp")["architectures"]
    assert [found["number"] for found in listed] == [str(number) for number in range(18)]
    assert len({json.dumps(found["decisions"]) for found in listed}) == 18
    for command, parents in (("mutate", ["a.hsp"]), ("crossover", ["a.hsp", "b.hsp"])):
        (child,) = printed(capsys, command, "net.hsp", *parents)["architectures"]
        assert set(child["decisions"]) <= {
            "Cell.n0.in",
            "Cell.n0.from_x",
            "Cell.n1.in",
            "Cell.n1.from_x",
            "Cell.n1.from_n0",
        }


def test_runs_print_one_object_and_say_the_rest_elsewhere(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = printed(capsys, "search", "net.hsp", "--out", "run", "--epochs", "1")
    assert found["derived"] == "run/derived.hsp"
    assert Path(found["runner_up"]).is_file()
    tested = printed(capsys, "train", "a.hsp", "--out", "trained")
    again = printed(capsys, "evaluate", "a.hsp", tested["weights"])
    assert (again["metric"], again["value"]) == ("accuracy", pytest.approx(tested["value"]))
    beside = printed(capsys, "versus", "a.hsp", "1", "--space", "net.hsp", "--out", "beside")
    assert beside["rank"] in (1, 2)
    assert printed(capsys, "proxies", "a.hsp", "--words", "params,synflow")["proxies"]["params"] == 318
    (size,) = printed(capsys, "dry-run", "net.hsp")["parts"]
    assert size["steps"] > 0 < size["seconds"]
    exported = printed(capsys, "export", "a.hsp", "py", "--out", "a.py")
    assert (exported["file"], exported["parameters"]) == ("a.py", 318)
    measured = printed(capsys, "measure", "a.hsp", "--rounds", "1")
    assert measured["networks"][0]["low"] == pytest.approx(measured["networks"][0]["high"])


def test_the_means_of_a_study() -> None:
    plan, results = ResultLog(RUNS / "study").read()
    rows = rows_of(plan, results)
    found = _answer(RUNS / "study", rows, ["x"])
    assert [each.combination for each in found.combinations] == list(plan.combinations)
    assert found.combinations[0].means["score"].value == rows[0].means["score"].value
