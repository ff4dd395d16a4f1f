"""Values given in place of a file's: plain ones from options and from Python, expressions from `--set`."""

from __future__ import annotations

import math

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from compiler.elaborate.errors import ElaborationError
from compiler.elaborate.setting_values import expression, plain
from compiler.ir.graph import Call
from compiler.program.compile_file import compile_file
from compiler.program.model import Program
from compiler.program.overrides import Override, override_of, read_override
from compiler.searcher.settings.optimizers import AlphaAdam
from compiler.searcher.settings.words import Applied
from compiler.util.errors import UsageError

WIDTHS = """hsp 1
use "lib/darts.hsp"

op Wide(x; w) = x -> conv(3, w) -> relu
op Narrow(x; w) = x -> conv(1, w) -> relu

network Net(image: [3, 8, 8]; widths = (4, 8), depth = 1, scale = 0.5, Block = Wide) {
  s[j < depth] = Block(prev(image), widths[j])
  output last of s -> classifier(10)
}

search Net {
  data = digits(size = 8)
  weights = sgd(lr = 0.1)
}
"""


def program(*overrides: Override) -> Program:
    found, diagnostics = compile_file("net.hsp", overrides, text=WIDTHS)
    assert found is not None, [item.render() for item in diagnostics]
    return found


def arguments(**values: object) -> dict[str, str]:
    return dict(program(*(override_of(name, value) for name, value in values.items())).network.block.arguments)


def test_parameters_from_python() -> None:
    assert arguments()["scale"] == "0.5"
    assert arguments(scale=3)["scale"] == "3"
    assert arguments(scale=-0.25)["scale"] == "-0.25"
    assert arguments(scale=numpy.float64(0.125), widths=[numpy.int64(2)])["scale"] == "0.125"
    assert arguments(scale="1 / 4") == arguments(scale=0.25)


def test_a_tuple_of_one() -> None:
    """No text says it: parentheses around one expression only group."""
    assert [node.name for _, node in program(override_of("widths", (16,))).network.block.graph.order()].count("s0") == 1
    assert "s1" not in [node.name for _, node in program(override_of("widths", (16,))).network.block.graph.order()]


def test_definitions_by_name() -> None:
    for item in (override_of("Block", "Narrow"), read_override("Block=Narrow")):
        graph = program(item).network.block.graph
        names = [node.payload.block.name for _, node in graph.order() if isinstance(node.payload, Call)]
        assert names[0] == "Narrow"


def test_settings() -> None:
    settings = (
        program(
            override_of("epochs", 3),
            override_of("data__size", None),
            override_of("weights__nesterov", True),
            override_of("alphas__betas", [0.25, 0.5]),
            read_override("batch=2 * 8"),
            Override("weights.lr", 0.25, "--lr 0.25"),
        )
        .phases[0]
        .settings
    )
    assert (settings.epochs, settings.batch, settings.data.size) == (3, 16, None)
    assert settings.weights.describe() == "sgd(lr = 0.25, nesterov = true)"
    assert isinstance(settings.alphas, AlphaAdam)
    assert settings.alphas.betas == (0.25, 0.5)


@pytest.mark.parametrize("path", ["waves.npz", "data/wine.csv", "mydata.py:stripes", "../my-data.py:stripes"])
def test_files_of_data_and_tasks_need_no_quotes(path: str) -> None:
    """A shell takes the quotes of `--set data="waves.npz"` away, and a text of Python has its own."""
    for item in (override_of("data", path), read_override(f"data={path}"), override_of("data", f'"{path}"')):
        assert program(item).phases[0].settings.data.describe() == f'"{path}"'
    for item in (override_of("task", "mine.py:Own"), read_override("task=mine.py:Own")):
        assert plain(item.argument()) == "mine.py:Own"


@pytest.mark.parametrize(
    ("item", "words"),
    [
        (override_of("epochs", None), "epochs=None: 'epochs' of search must be a whole number, 0 or more, not None"),
        (override_of("relax", None), "relax=None: 'relax' of search cannot be None"),
        (override_of("scale", None), "scale=None: nothing in the language says None"),
        (override_of("scale", math.inf), "scale=inf: nothing in the language says inf"),
        (Override("weights.lr", math.nan, "--lr nan"), "--lr nan: "),
        (Override("seed", -1, "--seed -1"), "--seed -1: 'seed' of search must be a whole number, 0 or more, not -1"),
        (override_of("seeds", 3), "seeds=3: there is no parameter or setting of that name; did you mean 'seed'?"),
        (read_override("seeds=3"), "--set seeds=3: there is no parameter or setting of that name"),
    ],
)  # fmt: skip
def test_a_refusal_quotes_what_was_said(item: Override, words: str) -> None:
    with pytest.raises(UsageError) as error:
        compile_file("net.hsp", [item], text=WIDTHS)
    assert str(error.value).startswith(words)


@pytest.mark.parametrize("value", [object(), "a b", (object(),)])
def test_a_python_value_that_no_setting_may_have(value: object) -> None:
    with pytest.raises(UsageError):
        override_of("epochs", value)


VALUES = st.recursive(
    st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3).map(tuple)
        | st.builds(
            Applied,
            st.sampled_from(["sgd", "cosine"]),
            st.lists(inner, max_size=2).map(tuple),
            st.dictionaries(st.sampled_from(["lr", "end"]), inner, max_size=2),
        )
    ),
    max_leaves=8,
)


@given(VALUES)
def test_plain_values_are_expressions_and_back(value: object) -> None:
    assert plain(expression(value)) == value  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["x=a.b.c", "x=1 / 0", "x=-y"])
def test_an_expression_that_is_no_setting(text: str) -> None:
    with pytest.raises(ElaborationError):
        read_override(text).setting()


def test_what_does_not_go_together_may_be_mended_by_what_is_replaced() -> None:
    """Settings of a file that exclude each other, or a method of the command line; not what is wrong besides."""

    def errors(text: str, *given: str) -> list[str]:
        _, found = compile_file("net.hsp", tuple(map(read_override, given)), text=text)
        return [item.message for item in found]

    space = WIDTHS.replace("Block = Wide", "Block = Wide | Narrow")
    apart = space.replace("lr = 0.1)\n", "lr = 0.1)\n  preferences = apart\n")
    assert errors(apart) == []
    for text, change in ((apart.replace("  data", "  levels = 1\n  data"), "depth=1"), (apart, "method=snas")):
        assert any("use `together`" in message for message in errors(text, change)), change
        assert errors(text, change, "preferences=together") == [], change
    both = apart.replace("  data", "  batch = -1\n  data")
    assert any("batch" in message for message in errors(both, "preferences=together"))


INCOMPLETE = """hsp 1
use "lib/darts.hsp"
network Net(image: [3, 8, 8]) {
  output image -> (conv(3, 4) | conv(5, 4)) -> classifier(10)
}
search Net {
  relax = none
  epochs = 0
"""


@pytest.mark.parametrize("section", ["", "  derive = strongest\n"])
@pytest.mark.parametrize("value", ["evolution(20)", "random(4)"])
def test_a_setting_that_the_section_needs_may_come_from_the_command_line(section: str, value: str) -> None:
    """`relax = none` goes with an explorer alone, which this section does not name."""
    text = INCOMPLETE + section + "  judge = proxy(params)\n}\n"
    found, diagnostics = compile_file("net.hsp", (read_override(f"derive={value}"),), text=text)
    assert [item.message for item in diagnostics] == []
    assert found is not None
    assert found.settings.derive.describe().startswith(value.partition("(")[0])
    alone, wrong = compile_file("net.hsp", (read_override("seed=2"),), text=text)
    assert alone is None
    assert len(wrong) == 1


def test_a_search_that_trains_a_supernet_may_be_made_one_without() -> None:
    """`epochs = 0` is what `relax = none` asks for; no training has so many."""
    text = INCOMPLETE.replace("  relax = none\n  epochs = 0\n", "}\ntrain Net {\n  epochs = 3\n}\n")
    given = ("relax=none", "epochs=0", "derive=random(4)", "judge=proxy(params)")
    found, diagnostics = compile_file("net.hsp", [*map(read_override, given)], text=text)
    assert found is not None, diagnostics
    assert (found.settings.epochs, found.train_settings.epochs) == (0, 3)
    with pytest.raises(UsageError, match="'epochs' of search must be"):
        compile_file("net.hsp", [*map(read_override, [*given, "epochs=-1"])], text=text)
    with pytest.raises(UsageError, match="`epochs = 0` is for `relax = none`"):
        compile_file("net.hsp", [read_override("epochs=0")], text=text)
