"""When a search ends early, what its records say of every item, and when it warns that it has collapsed."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from compiler import search
from compiler.analysis.costs.parameter_free import parameter_free
from compiler.ir.decision import taken
from compiler.program.compile_file import compile_file
from compiler.program.request import Request
from compiler.runs.config import RunConfig
from compiler.runs.plan import plan_search
from compiler.runs.remarks import collapsed
from compiler.runs.search import search as run_search
from compiler.searcher.engine import RunInterruptedError
from compiler.searcher.engine.protocol import Leading
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.settings.stopping import Evidence, Never, Taken, Unchanged
from tests.support.interruption import at_step, killed
from tests.support.programs import space

TEXT = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = zero if relaxed | unit | unit(k = 3) | identity
cell Cell(x) {
  n[i < 3] = sum(pick 2 of Op(each (x, x -> relu, earlier n)))
  output last of n
}
network Net(image: [1, 8, 8]; classes = 3) {
  stem = image -> conv(3, 4) -> batch_norm
  output stem -> Cell -> classifier(classes)
}
"""
SECTION = "search Net {\n data = fake(classes = 3, count = 48, channels = 1, size = 8)\n batch = 8\n epochs = 6\n "


def records(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]


def test_conditions() -> None:
    cells = {"Normal": ["skip", "conv", "skip"], "Reduction": ["skip", "conv"]}
    assert Taken(item="skip", least=2).holds(Evidence(taken=cells))
    prefixed = {cell: [f"nb.{item}" for item in items] for cell, items in cells.items()}
    assert Taken(item="skip", least=2).holds(Evidence(taken=prefixed))
    assert Taken(item="nb.skip", least=2).holds(Evidence(taken=prefixed))
    assert not Taken(item="kip", least=1).holds(Evidence(taken=prefixed))
    inside = Evidence(taken={"Cell": ["relu -> nb.skip", "nb.conv(0.5)"]})
    assert not Taken(item="skip", least=1).holds(inside)
    assert Taken(item="conv(0.5)", least=1).holds(inside)
    assert not Taken(item="skip", least=3).holds(Evidence(taken=cells))
    assert not Taken(item="skip", least=2, within="Reduction").holds(Evidence(taken=cells))
    assert not Taken(item="skip", least=1, within="Other").holds(Evidence(taken=cells))
    assert [n for n in range(6) if Unchanged(epochs=4).holds(Evidence(unchanged=n))] == [4, 5]
    assert not Never().holds(Evidence(unchanged=1000))


def fixed(tmp_path: Path, settings: str) -> Path:
    file = tmp_path / "net.hsp"
    file.write_text(f"{TEXT}{SECTION}{settings}\n}}\n")
    return file


def test_a_search_ends_when_nothing_changes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Alphas that start far apart and learn slowly: from the first epoch on nothing changes; rests do not count."""
    file = fixed(tmp_path, "alphas = adam(lr = 1e-9, init = 1, rest = (0, 2))\n until = unchanged(2)")
    report = search(file, tmp_path / "out")
    found = records(tmp_path / "out")
    assert [line["unchanged"] for line in found] == [0, 0, 1, 2]
    assert [line["changed"] for line in found] == [0] * 4
    assert [line.get("until") for line in found] == [None, None, None, 1]
    assert "ended after epoch 4 of 6, as `until = unchanged(2)` says" in (tmp_path / "out" / "log.txt").read_text()
    assert "until = unchanged(2)" in report.text


def test_it_ends_where_it_would_after_a_kill(tmp_path: Path) -> None:
    file = fixed(tmp_path, "alphas = adam(lr = 1e-9, init = 1)\n until = unchanged(3)")
    search(file, tmp_path / "whole")
    with at_step(8, killed), pytest.raises(RunInterruptedError):
        search(file, tmp_path / "broken")
    search(file, tmp_path / "broken", resume=True)
    search(file, tmp_path / "broken", resume=True)  # It is over: nothing more is done.
    for name in ("derived.hsp", "checkpoint.safetensors"):
        assert (tmp_path / "broken" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    whole, broken = records(tmp_path / "whole"), records(tmp_path / "broken")
    assert len(whole) == 4
    for mine, other in zip(whole, broken, strict=True):
        assert mine.pop("seconds") >= 0
        assert other.pop("seconds") >= 0
        assert mine == other


def test_records_hold_the_weight_of_every_item(tmp_path: Path) -> None:
    search(fixed(tmp_path, "edges = weighed"), tmp_path / "out", epochs=1)
    (line,) = records(tmp_path / "out")
    weights = line["weights"]
    assert list(weights["Cell.n0.from_x"]) == ["zero", "unit", "unit(k = 3)", "identity"]
    shares = weights["Cell.n0.in"]
    assert sum(shares.values()) == pytest.approx(1, abs=1e-5)
    assert sum(weights["Cell.n0.from_x"].values()) == pytest.approx(shares["x #1"], abs=1e-5)


def test_records_hold_the_alphas_and_the_entropy_of_every_choice(tmp_path: Path) -> None:
    search(fixed(tmp_path, "edges = weighed"), tmp_path / "out", epochs=1)
    (line,) = records(tmp_path / "out")
    alphas, entropies = line["alphas"], line["entropies"]
    assert alphas.keys() == line["weights"].keys()
    probabilities = torch.tensor(list(alphas["Cell.n0.from_x"].values()), dtype=torch.float64).softmax(0)
    share = -(probabilities * probabilities.log()).sum() / math.log(len(probabilities))
    assert entropies["Cell.n0.from_x"] == pytest.approx(float(share), abs=1e-5)
    (edges,) = {len(alphas["Cell.n0.in"]), len(line["weights"]["Cell.n0.in"])}
    shares = torch.tensor(list(alphas["Cell.n0.in"].values())).softmax(0)
    assert edges == len(shares)
    assert shares.tolist() == pytest.approx(list(line["weights"]["Cell.n0.in"].values()), abs=1e-5)
    assert sum(entropies.values()) / len(entropies) == pytest.approx(line["entropy/Cell"], abs=1e-5)


def test_tensorboard_has_the_leading_architecture_and_what_every_choice_is_at(tmp_path: Path) -> None:
    search(fixed(tmp_path, "edges = weighed"), tmp_path / "out", epochs=2)
    lines = records(tmp_path / "out")
    reader = EventAccumulator(str(tmp_path / "out" / "events"), {"tensors": 0, "scalars": 0})
    reader.Reload()
    texts = [event.tensor_proto.string_val[0].decode() for event in reader.Tensors("decisions")]
    assert [reader.summary_metadata["decisions"].plugin_data.plugin_name, len(texts)] == ["text", 2]
    for text, line in zip(texts, lines, strict=True):
        assert all(f"| `{path}` | {items} |" in text for path, items in line["decisions"].items())
    for kind in ("alphas", "weights"):
        found = [event.value for event in reader.Scalars(f"{kind}/Cell.n0.from_x/unit")]
        assert found == pytest.approx([line[kind]["Cell.n0.from_x"]["unit"] for line in lines], abs=1e-6)
    found = [event.value for event in reader.Scalars("entropies/Cell.n0.from_x")]
    assert found == pytest.approx([line["entropies"]["Cell.n0.from_x"] for line in lines], abs=1e-6)


# ---------------------------------------------------------------- collapse


def test_items_without_parameters() -> None:
    assert parameter_free(space(TEXT))["Cell.n0.from_x"] == {0, 3}
    darts = space("darts.hsp", c=4, cells=4)
    free = parameter_free(darts)["Normal.n0.from_x"]
    names = [darts.decisions["Normal.n0.from_x"].items[item] for item in sorted(free)]
    assert names == ["none", "max_pool_3x3", "avg_pool_3x3", "skip_connect"]
    chained = "hsp 1\nnetwork Net(image: [1, 8, 8]) {\n  s = image -> conv(3, 2)\n"
    chained += "  output (s -> conv(1) -> relu | s -> relu -> relu | s) -> classifier(2)\n}\n"
    (found,) = parameter_free(space(chained)).values()
    assert found == {1, 2}


def test_what_leads_depends_on_the_menus_that_picks_take() -> None:
    supernet = Supernet(space(TEXT))
    for path, alpha in supernet.alphas.items():
        alpha.data.copy_(torch.tensor([0.0, 1, 0, 3] if path.endswith("x") else [0.0, 2, 0, 0]))
    leading = supernet.leading()
    assert leading.live == frozenset(taken(supernet.space.decisions, supernet.chosen()))
    assert len(leading.live) == 3 + 6
    assert leading.taken == {"Cell": ["identity", "unit"] * 3}
    assert leading.free == {"Cell": ["identity"] * 3}


@pytest.mark.parametrize(("free", "count", "warned"), [(6, 8, True), (5, 8, False), (3, 3, False), (4, 4, True)])
def test_a_collapsed_cell_is_warned_of(free: int, count: int, warned: bool) -> None:
    kinds = (["skip", "pool"] * 4)[:free]
    leading = Leading({}, frozenset(), {"Normal": kinds + ["conv"] * (count - free)}, {"Normal": kinds})
    found = list(collapsed(leading))
    assert bool(found) == warned
    if (free, count) == (6, 8):
        assert found == ["6 of 8 choices of Normal are skip or pool, without parameters: see docs/searchers.md"]


def test_a_search_that_collapses_says_so(tmp_path: Path) -> None:
    file = tmp_path / "net.hsp"
    file.write_text(
        TEXT + SECTION.replace("epochs = 6", "") + "minimize params weight 1\n alphas = adam(lr = 1)\n epochs = 2\n}\n"
    )
    said: list[str] = []
    run_search(plan_search(Request(file), RunConfig(out=tmp_path / "out", quiet=True)), said.append)
    assert "warning: 6 of 6 choices of Cell are identity, without parameters: see docs/searchers.md" in said


def test_words_of_until() -> None:
    def said(text: str) -> object:
        program, wrong = compile_file("n.hsp", text=f"{TEXT}{SECTION} until = {text}\n}}\n")
        assert program is not None, [found.message for found in wrong]
        return program.phases[0].settings.until

    assert said('taken("identity", 2, within = "Cell")') == Taken(item="identity", least=2, within="Cell")
    assert said("unchanged(10)") == Unchanged(epochs=10)
    with pytest.raises(AssertionError, match="least"):
        said('taken("identity")')
