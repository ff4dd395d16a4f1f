"""Every file of `spaces/tasks/`: searched by one command on the data beside it, derived, trained, exported."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from compiler import api
from compiler.analysis.costs.block_totals import Costs
from compiler.analysis.membership.query import membership
from compiler.backend.export import ExportKind, export
from compiler.backend.lowering.network import Network
from compiler.commands.compile import compile_main
from compiler.ir.graph import Block, Call
from compiler.ir.payloads import Prim
from compiler.program.compile_file import compile_file
from compiler.program.overrides import read_override
from compiler.reports.facts import cardinality
from tests.support.paths import SPACES
from tests.support.programs import space

FOLDER = SPACES / "tasks"
CASES: dict[str, tuple[int, dict[str, int], str]] = {
    "series": (3_528, {"c": 8}, "accuracy"),
    "unet": (9_216, {"c": 2}, "iou"),
    "text": (72, {"c": 16}, "perplexity"),
    "recurrent": (2_642_411_520, {"c": 16, "nodes": 2}, "perplexity"),
    "table": (100, {"c": 8}, "accuracy"),
    "deeplab": (3_050_732_689_200, {"c": 1, "layers": 2}, "iou"),
}
"""The number of architectures, arguments that make the network small, and the metric."""


def test_every_file_has_a_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.hsp")} == {*CASES, "darts_imagenet"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Less of the data, made by the same file."""
    text = (FOLDER / "data.py").read_text()
    for whole, less in (("SERIES, LENGTH, FORMS = 1200", "SERIES, LENGTH, FORMS = 150"), ("SIDE = 600", "SIDE = 40")):
        assert whole in text
        text = text.replace(whole, less)
    path = tmp_path_factory.mktemp("small") / "data.py"
    path.write_text(text.replace("[::step][:TEXTS]", "[:64]").replace("[:: 2 * step]", "[:32]"))
    return path


@pytest.mark.parametrize("name", CASES)
def test_a_search_by_one_command(name: str, data: Path, tmp_path: Path) -> None:
    """Searched, derived, trained until it has learned something, and exported."""
    count, arguments, metric = CASES[name]
    path, out = FOLDER / f"{name}.hsp", tmp_path / "run"
    program, diagnostics = compile_file(path)
    assert program is not None, diagnostics
    assert cardinality(program.network) == count
    short = [word for key, value in {"epochs": 1, **arguments}.items() for word in ("--set", f"{key}={value}")]
    command = [str(path), "--search", "--allow-plugin", str(data), "--out", str(out), "--quiet"]
    assert compile_main([*command, *short]) == 0
    found = out / "derived.hsp"
    assert (f'metric = "{metric}"' in found.read_text()) == (metric != "accuracy")
    changed: dict[str, Any] = {"epochs": 3, "batch": 8, **arguments}
    outcome = api.train(found, tmp_path / "train", plugins=[data], **changed)
    assert outcome.task.metric == metric
    first, *_, last = (record.scalars["loss/train"] for record in outcome.history)
    assert last < 0.97 * first
    derived, diagnostics = compile_file(found)
    assert derived is not None, diagnostics
    assert not derived.is_space
    small, _ = compile_file(path, [read_override(f"{key}={value}") for key, value in arguments.items()])
    assert small is not None
    assert membership(small, derived).inside
    report = export(derived.network, ExportKind.PY, tmp_path / "net.py", Network(derived.network).state_dict())
    assert report.parameters == Costs().block(derived.network.block).params


def values(block: Block) -> Counter[str]:
    """How many values the operations of each name give, without what only a training has."""
    found: Counter[str] = Counter()
    graph = block.graph.without_aux()
    for _, node in graph.order():
        if isinstance(node.payload, Call):
            found += values(node.payload.block)
        elif isinstance(node.payload, Prim):
            found[node.payload.name] += math.prod(node.shape.largest)
    return found


@pytest.mark.parametrize(
    ("cells", "parameters", "published"), [("darts_v2", "4.7", None), ("pdarts", "4.9", 557), ("", "5.3", 597)]
)
def test_the_network_of_darts_for_imagenet(cells: str, parameters: str, published: int | None) -> None:
    """The parameters that papers give for cells in it: of DARTS, P-DARTS, and PC-DARTS found on ImageNet.

    Their millions of operations count a value of a batch norm twice and one of a ReLU once.
    """
    text = (FOLDER / "darts_imagenet.hsp").read_text(encoding="utf-8")
    if cells:
        other = (SPACES / "zoo" / f"{cells}.hsp").read_text(encoding="utf-8")
        text = other[: other.index("\nnetwork ")] + text[text.index("\nnetwork ") :]
    block = space(text).block
    costs, given = Costs().block(block), values(block)
    assert costs.params is not None
    assert costs.macs is not None
    assert f"{costs.params / 1e6:.1f}" == parameters
    if not cells:
        assert (costs.params, costs.macs) == (5_342_464, 581_627_328)
    if published:
        assert round((costs.macs + 2 * given["batch_norm"] + given["relu"]) / 1e6) == published
