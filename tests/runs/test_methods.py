"""Every shipped method searches to an architecture of the space; killed and resumed, to the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from compiler import contains, load, search
from compiler.program.compile_file import compile_file
from compiler.program.methods import library_methods
from compiler.searcher.engine import RunInterruptedError
from compiler.searcher.relaxations.supernet import Supernet
from hdas_dsl.tree import ast
from tests.support.interruption import at_step, at_trial, terminated

TEXT = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm -> drop_path
op skip_connect(x) = x
choice Op = zero if relaxed | unit | unit(k = 3) | skip_connect
network Net(image: [1, 8, 8]; classes = 3) {
  stem = image -> conv(3, 4) -> batch_norm
  n[i < 2] = sum(pick 2 of Op(each (stem, stem -> relu, earlier n)))
  output last of n -> classifier(classes)
}

search Net {
  data = fake(classes = 3, count = 48, channels = 1, size = 8)
}
"""
CHAIN = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = identity | unit(k = 3)
network Net(image: [1, 8, 8]; classes = 3) {
  stem = image -> conv(3, 4) -> batch_norm
  a = stem -> Op
  b = a -> Op
  output b -> conv(k = 1 | 3, 6) -> relu -> classifier(classes)
}

search Net {
  data = fake(classes = 3, count = 48, channels = 1, size = 8)
}
"""
CELLS = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = zero if relaxed | unit | unit(k = 3) | identity
cell Two(x) {
  a = Op(x)
  output Op(a)
}
network Net(image: [1, 8, 8]; classes = 3) {
  m[i < 2] = prev(image -> conv(3, 4) -> batch_norm) -> Two
  output last of m -> classifier(classes)
}

search Net {
  data = fake(classes = 3, count = 48, channels = 1, size = 8)
}
"""
ONE_SKIP = TEXT.replace("i < 2", "i < 1").replace("pick 2", "pick 1")
FEW = "  derive = genetic(rounds = 2, population = 3, mutants = 1, children = 1)\n}"
EXPLORED = {"spos": FEW, "fairnas": FEW, "rsws": "  derive = random(5, again = 2, rounds = 2)\n}"}
"""Lines of the section that have an explorer propose less than the method says."""
TRAINED = """  derive = LESS
  judge = trained(epochs = 1)
}

train Net {
  data = fake(classes = 3, count = 48, channels = 1, size = 8)
  batch = 8
}"""
ALONE = {"random_search": "random(3)", "regularized_evolution": "evolution(4, population = 2, tournament = 2)"}
ALONE |= {
    "local_search": "local(4)",
    "bananas": "predictor(4, start = 2, batch = 2, among = 4, trees = 3, acquisition = thompson)",
    "forest_predictor": "predictor(4, start = 2, batch = 2, among = 4, trees = 3)",
    "successive_halving": "random(3)",
}
ALONE["tse_predictor"] = ALONE["forest_predictor"]
EXPLORED |= {name: TRAINED.replace("LESS", less) for name, less in ALONE.items()}
EXPLORED["tse_predictor"] = EXPLORED["tse_predictor"].replace("epochs = 1", "epochs = 1, by = loss")
"""Methods that have no supernet train each architecture for an epoch."""
SOME = TEXT.replace("sum(pick 2 of", "sum(zero(stem), pick 0..2 of")
TEXTS = dict.fromkeys(("fairnas", "bignas", "asng"), CHAIN)
TEXTS |= {"darts_plus": ONE_SKIP, "lambda_darts": CELLS, "fair_darts": SOME}
"""Of methods that picks, or spaces without numbers or with one cell, do not suit, or that would end too early."""
SHORT: dict[str, Any] = {"epochs": 2, "batch": 8, "alphas_from": 0}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "net.hsp"
    path.write_text(TEXT)
    return path


@pytest.mark.parametrize("name", [method.name for method in library_methods()])
def test_a_method_searches_and_goes_on(file: Path, name: str) -> None:
    text = TEXTS.get(name, TEXT).replace("search Net", f"search Net by {name}")
    file.write_text(text.removesuffix("}\n") + EXPLORED.get(name, "}") + "\n")
    whole, broken = file.parent / "whole", file.parent / "broken"
    is_alone = name in ALONE
    short, interrupted = ({}, at_trial(2, terminated)) if is_alone else (SHORT, at_step(4, terminated))
    report = search(file, whole, **short)
    with interrupted, pytest.raises(RunInterruptedError):
        search(file, broken, **short)
    search(file, broken, resume=True, **short)
    for written in ("derived.hsp",) if is_alone else ("derived.hsp", "checkpoint.safetensors"):
        assert (broken / written).read_bytes() == (whole / written).read_bytes()
    assert contains(file, report.derived)
    lines = {line.name: line.value.span.text for line in provenance(report.derived)}
    assert lines["by"] == name
    assert ("edges" in lines, "channels" in lines) == (name == "pc_darts", name == "pc_darts")
    assert ("perturb" in lines) == name.startswith("sdarts")
    assert ("drop_path" in lines, "beside" in lines) == (name == "r_darts_dp", name == "darts_minus")
    assert ("align" in lines) == (name == "lambda_darts")
    assert ("dropout" in lines) == (name == "p_darts")
    assert ("one level" in lines["searcher"]) == (name == "snas")
    assert ("judge" in lines, "number" in lines) == (name in EXPLORED, name in EXPLORED)


def provenance(path: Path) -> list[ast.Setting]:
    """The lines of a derived file's provenance."""
    program, _ = compile_file(path)
    assert program is not None
    sections = [line for line in program.unit.module.lines if isinstance(line, ast.Provenance)]
    return [line for line in sections[0].settings if isinstance(line, ast.Setting)]


def test_load_builds_what_a_search_builds(file: Path) -> None:
    file.write_text(TEXT.replace("search Net {", "search Net {\n  channels = partial(4)\n  edges = weighed"))
    narrow = load(file)
    file.write_text(TEXT)
    wide = load(file)
    assert isinstance(narrow, Supernet)
    assert isinstance(wide, Supernet)
    assert sum(p.numel() for p in narrow.weights()) < sum(p.numel() for p in wide.weights())
    assert len(narrow.alphas) == len(wide.alphas) + 2
