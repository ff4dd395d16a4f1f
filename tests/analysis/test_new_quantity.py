"""A new quantity is a word of the language and a price: nothing else has to know of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.analysis.architectures import Architectures, count, enumerate_all
from compiler.analysis.costs import prices
from compiler.analysis.costs.latency_table import Table
from compiler.analysis.costs.prices import PRICES, Application, Price, price_of
from compiler.analysis.requirements.constrained import best
from compiler.analysis.requirements.evaluate import Requirements
from compiler.ir.primitives.base import Operator
from compiler.ir.quantities import Total
from compiler.program.compile_file import compile_file
from compiler.program.request import Request
from compiler.reports.facts import facts
from compiler.searcher.settings.derivation import By
from hdas_dsl.tree.words import QUANTITIES, TOTALS, QuantityArgument, QuantityWord

PROGRAM = """\
hsp 1

network Net(image: [1, 8, 8]; classes = 10) {
  n[i < 3] = prev(image) -> conv(k = 1 | 3, c = 2)
  output last of n -> classifier(classes)
  require taps <= 30
}

search Net {
  data = digits
  epochs = 1
  minimize taps / 10 weight 0.1
}
"""


class Taps(Price):
    """The sum of the kernel sizes of all primitives, in pixels."""

    def primitive(self, op: Operator, application: Application) -> int:
        size = application.attrs.get("k", 0)
        assert isinstance(size, int)
        return size**2


@pytest.fixture
def taps(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quantity `taps`."""
    for words in (TOTALS, QUANTITIES):
        monkeypatch.setitem(words, "taps", QuantityWord())
    monkeypatch.setitem(PRICES, "taps", Taps())


def test_every_word_has_a_price() -> None:
    tables = {"t.csv": Table("t.csv", {})}
    for name, word in TOTALS.items():
        argument = {QuantityArgument.OPERATION: "Op", QuantityArgument.TABLE: "t.csv"}.get(word.argument)
        assert price_of(Total(name, argument), tables).of_structure is word.structural
    assert prices.PRICES.keys() == {n for n, word in TOTALS.items() if word.argument is QuantityArgument.NONE}


@pytest.mark.usefixtures("taps")
def test_a_new_quantity(tmp_path: Path) -> None:
    path = tmp_path / "space.hsp"
    path.write_text(PROGRAM)
    program, diagnostics = compile_file(path)
    assert program is not None, diagnostics
    assert facts(program.network)["ranges"]["taps"] == {"min": 3, "max": 27}
    listing = Architectures(Request(path))
    assert count(listing).exact == len(list(enumerate_all(listing))) == 8
    path.write_text(PROGRAM.replace("taps <= 30", "taps <= 15"))
    assert count(Architectures(Request(path))).exact == 1 + 3
    program, _ = compile_file(path)
    assert program is not None
    kernels = {name: [0.0, 1.0] for name in program.network.decisions}
    answer = best(Requirements(program.network), kernels, By.LOGIT)
    assert sum(items == (1,) for items in answer.chosen.values()) == 1
    assert answer.gap == 0


def test_without_it_the_word_is_unknown() -> None:
    program, diagnostics = compile_file("space.hsp", text=PROGRAM)
    assert program is None
    assert {item.message for item in diagnostics} == {"unknown name 'taps'", "'taps' is not a quantity"}
