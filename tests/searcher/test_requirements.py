"""Requirements and costs in a search: honoured by what it derives, refused before it when they cannot be."""

from __future__ import annotations

import random
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from compiler import api
from compiler.analysis.architectures import Architectures, sample
from compiler.analysis.requirements.constrained import derive_within
from compiler.analysis.requirements.evaluate import QuantityRef, Requirements, quantities
from compiler.elaborate import Origin
from compiler.program.compile_file import compile_file
from compiler.program.request import Request
from compiler.reports.facts import facts
from compiler.searcher.relaxations import Relaxed
from compiler.searcher.settings.derivation import By
from compiler.util.errors import UsageError

DIGITS = """\
hsp 1

op unit(x; k) = x -> conv(k) -> batch_norm -> relu

cell Cell(x) {
  a = (unit(k = 1) | unit(k = 3) | unit(k = 5))(x)
  output a + (identity | unit(k = 3))(a)
}

network Net(image: [1, 8, 8]; c = 4, classes = 10) {
  stem = image -> conv(3, c) -> batch_norm
  k[i < 2] = prev(stem) -> Cell
  output last of k -> classifier(classes)
  REQUIRED
}

search Net {
  data = digits
  epochs = 1
  STATED
}

train Net(c = 8) {
  data = digits
  epochs = 1
  TRAINED
}
"""


def written(folder: Path, required: str = "", stated: str = "", trained: str = "") -> Path:
    path = folder / "digits.hsp"
    text = DIGITS.replace("REQUIRED", required).replace("STATED", stated).replace("TRAINED", trained)
    path.write_text(text)
    return path


def costs(text: str) -> dict[str, Any]:
    program, diagnostics = compile_file("derived.hsp", text=text)
    assert program is not None, diagnostics
    return facts(program.network)


def test_a_search_meets_a_budget(tmp_path: Path) -> None:
    path = written(tmp_path, required="require params <= 200 and macs <= 40K")
    report = api.search(path, tmp_path / "run", seed=1)
    found = costs(report.text)
    assert found["params"] <= 200
    assert found["macs"] <= 40_000


@pytest.mark.parametrize("place", ["stated", "trained"])
def test_sections_require(tmp_path: Path, place: str) -> None:
    """What a search section requires is of the searched network, what a train section requires of the trained one."""
    condition = "require params <= 200" if place == "stated" else "require params <= 400"
    report = api.search(written(tmp_path, **{place: condition}), tmp_path / "run", seed=1)
    assert 'requirements = "' in report.text
    program, diagnostics = compile_file("derived.hsp", text=report.text)
    assert program is not None
    assert diagnostics == []
    assert place == "trained" or costs(report.text)["params"] <= 200


def test_one_list_of_requirements(tmp_path: Path) -> None:
    """Each is with the network that it is about, wherever it is written, before a search and after."""
    path = written(tmp_path, "require params <= 900", "require macs <= 1M", "require memory <= 1M")
    searched, _ = compile_file(path)
    assert searched is not None
    listed = [(item.origin, str(item), dict(about.block.arguments)["c"]) for item, about in searched.requirements]
    body, stated, trained = (
        (Origin.BODY, "params <= 900", "4"),
        (Origin.SEARCH, "macs <= 1M", "4"),
        (Origin.TRAIN, "memory <= 1M", "8"),
    )
    assert listed == [body, stated, trained]
    assert [item.origin for item in searched.network.requirements] == [Origin.BODY, Origin.SEARCH, Origin.TRAIN]
    derived, _ = compile_file("derived.hsp", text=next(sample(Architectures(Request(path)), 1)).text)
    assert derived is not None
    found = [(item.origin, str(item), dict(about.block.arguments)["c"]) for item, about in derived.requirements]
    assert found == [body, trained]
    assert not derived.is_space


def test_a_train_section_is_about_the_trained_network(tmp_path: Path) -> None:
    """The same decisions, another budget: 8 channels cost more than 4."""
    path = written(tmp_path, trained="require params <= 1000")
    program, _ = compile_file(path)
    assert program is not None
    wanted = Requirements(program.phases[0].network)
    [trained] = quantities(wanted.requirements[0])
    searched = QuantityRef(trained.total)
    source = random.Random(3)
    alphas = {path: [source.gauss(0, 1) for _ in d.items] for path, d in wanted.space.decisions.items()}
    answer = derive_within(wanted, alphas, By.PROBABILITY)
    assert answer.score < answer.free
    assert wanted.amount(searched, answer.chosen) < wanted.amount(trained, answer.chosen) <= 1000


def test_what_cannot_be_met_is_refused_before_the_search(tmp_path: Path) -> None:
    path = written(tmp_path, required="require params <= 10")
    program, _ = compile_file(path)
    assert program is not None
    assert str(facts(program.network)["impossible"]).startswith("no architecture of 'Net' has `params` at most 10: at")
    with pytest.raises(UsageError, match=r"no architecture of 'Net' has `params` at most 10: at least it is"):
        api.search(path, tmp_path / "run", epochs=1000)
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_known_is_refused_before_the_search(tmp_path: Path) -> None:
    path = written(tmp_path, required='require latency("none.csv") <= 1')
    with pytest.raises(UsageError, match=r"'none.csv' cannot be read.*hdas-measure FILE --out none.csv"):
        api.search(path, tmp_path / "run", epochs=1000)
    path = written(tmp_path, required='require latency("../none.csv") <= 1')
    with pytest.raises(UsageError, match="lies outside"):
        api.search(path, tmp_path / "run", epochs=1000)


def test_the_python_derivation_meets_it_too(tmp_path: Path) -> None:
    path = tmp_path / "space.hsp"
    path.write_text(
        dedent(
            """\
            hsp 1

            network Net(image: [3, 8, 8]) {
              output image -> conv(3, 8) -> (conv(k = 1) | conv(k = 3) | conv(k = 5)) -> classifier(10)
              require params <= 500
            }
            """
        )
    )
    supernet = api.load(path)
    assert isinstance(supernet, Relaxed)
    name = next(iter(supernet.alphas))
    supernet.alphas[name].data.copy_(supernet.alphas[name].new_tensor([0.0, 1.0, 2.0]))
    assert "conv(k = 1)" in api.derive(supernet)


def test_draws_of_a_supernet_that_miss_a_budget_say_what_searches_within_it(tmp_path: Path) -> None:
    """One of 16,384 architectures meets it: a mixture is derived so, and an explorer draws it."""
    lines = (f"n{i} = n{i - 1} -> (conv(1) | conv(3) | conv(5) | conv(7))" for i in range(1, 8))
    text = "\n  ".join(
        [
            "hsp 1\nnetwork Net(image: [1, 8, 8]) {",
            "n0 = image -> conv(1, 1)",
            *lines,
            "output n7 -> classifier(10)\n}\nsearch Net {\n  data = digits(images = 20)\n  epochs = 1",
            "require params <= 28\n}\n",
        ]
    )
    path = tmp_path / "net.hsp"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"none meets `require params <= 28`: use a `relax` that mixes, or"):
        api.search(path, tmp_path / "one", relax="sample")
    assert costs(api.search(path, tmp_path / "two", relax="softmax").text)["params"] == 28
    explorer = "relax = none\n  derive = random(2)\n  judge = proxy(params)\n  epochs = 0"
    path.write_text(text.replace("epochs = 1", explorer))
    assert costs(api.search(path, tmp_path / "three").text)["params"] == 28
