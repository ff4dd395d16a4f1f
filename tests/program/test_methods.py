"""Methods: found in the file, in what it uses, in the library; what wins; how they are spelled out."""

from __future__ import annotations

from pathlib import Path

import pytest

from compiler.commands.compile import compile_main
from compiler.program.compile_file import compile_file
from compiler.program.methods import library_methods
from compiler.program.model import Program
from compiler.program.overrides import Override
from compiler.program.provenance import origin
from compiler.reports.settings_text import search_text
from compiler.searcher.settings.axes import Edges
from compiler.searcher.settings.words import Applied
from compiler.util.errors import UsageError
from hdas_dsl.text.diagnostics import Diagnostic

NET = """\
hsp 1
op unit(x; k = 1) = x -> conv(k) -> batch_norm -> drop_path
op skip_connect(x) = x
choice Op = unit | unit(k = 3) | skip_connect
network Net(image: [1, 8, 8]) {
  stem = image -> conv(3, 4)
  n[i < 2] = sum(stem, pick 0..1 of Op(each (stem, earlier n)))
  output last of n -> classifier(3)
}
"""


CHAIN = """\
hsp 1
op unit(x; k = 1) = x -> conv(k) -> batch_norm
network Net(image: [1, 8, 8]) {
  stem = image -> conv(3, 4)
  output stem -> (unit | identity) -> (identity | unit) -> conv(k = 1 | 3, 6) -> classifier(3)
}
"""
CELLS = """\
hsp 1
op unit(x; k = 1) = x -> conv(k) -> batch_norm
cell Two(x) {
  output x -> (unit | identity) -> (identity | unit)
}
network Net(image: [1, 8, 8]) {
  output image -> conv(3, 4) -> Two -> Two -> classifier(3)
}
"""
ONE_INPUT = CHAIN.replace(
    "output stem ->", "n[i < 2] = sum(pick 1 of (unit | identity)(each (prev(stem))))\n  output last of n ->"
)
"""Picks that take the only input there is."""
WITHOUT_PICKS = ("fairnas", "bignas", "asng")
"""Methods that picks, or spaces without numbers, do not suit."""


def compiled(text: str, *overrides: Override, net: str = NET) -> Program:
    program, diagnostics = compile_file("net.hsp", overrides, text=net + text)
    assert program is not None, [Diagnostic.render(d) for d in diagnostics]
    return program


def by(name: str) -> Override:
    return Override("method", Applied(name), f"--method {name}")


def test_own_lines_win_over_those_of_a_method() -> None:
    text = "method mine {\n  epochs = 7\n  batch = 8\n  edges = weighed\n}\nsearch Net by mine {\n  batch = 16\n}\n"
    settings = compiled(text).phases[0].settings
    assert (settings.epochs, settings.batch, settings.edges) == (7, 16, Edges.WEIGHED)


def test_a_method_of_the_command_line_wins_over_the_file_and_set_over_both() -> None:
    text = "search Net {\n  batch = 16\n  seed = 3\n}\n"
    settings = compiled(text, by("fair_darts"), Override("epochs", 2, "--epochs 2")).phases[0].settings
    assert (settings.batch, settings.relax.describe(), settings.seed, settings.epochs) == (128, "sigmoid", 3, 2)


def test_a_file_may_hide_a_method_of_the_library() -> None:
    text = "method darts {\n  epochs = 9\n}\nsearch Net by darts {\n}\n"
    assert compiled(text).phases[0].settings.epochs == 9


def test_the_statements_of_method_and_section_all_hold() -> None:
    text = "search Net by beta_darts {\n  minimize params weight 2\n  require params <= 1K\n}\n"
    (phase,) = compiled(text).phases
    names = [preference.name for preference in phase.network.preferences]
    assert names == ["logsumexp Net", "params Net"]
    weight = phase.network.preferences[0].weight_at
    assert [weight(epoch, 100) for epoch in (0, 50, 99)] == [0, 25, 49.5]
    assert len(phase.network.requirements) == 1


def test_a_method_holds_for_every_phase() -> None:
    text = "search by pc_darts {\n  phase one = Net\n  phase two = Net {\n    batch = 3\n  }\n}\n"
    program = compiled(text.replace("pc_darts", "fair_darts"))
    assert [phase.settings.batch for phase in program.phases] == [128, 3]


def test_an_unknown_method_is_an_error_of_the_file_or_of_the_command_line() -> None:
    _, (wrong,) = compile_file("net.hsp", text=NET + "search Net by fair_drats {\n}\n")
    assert (wrong.message, wrong.span.text) == ("there is no method 'fair_drats'", "fair_drats")
    assert wrong.hint == "did you mean 'fair_darts'?"
    with pytest.raises(UsageError, match=r"^--method nix: there is no such method; known: asng, bananas, beta_darts, "):
        compiled("search Net {\n}\n", by("nix"))


def test_the_library_is_named_where_a_derived_file_comes_from() -> None:
    assert "lib/methods.hsp" in origin(compiled("search Net by darts {\n}\n"))["library"]
    assert "lib/methods.hsp" not in origin(compiled("search Net {\n}\n"))["library"]


@pytest.mark.parametrize("method", library_methods(), ids=lambda method: method.name)
def test_a_search_spelled_out_is_the_same_search(method: object) -> None:
    """Every shipped method is read; its settings, spelled out in place of the section, are the same settings."""
    name = getattr(method, "name", "")
    net = CHAIN if name in WITHOUT_PICKS else CELLS if name == "lambda_darts" else NET
    program = compiled("search Net {\n  seed = 4\n}\n", by(name), net=net)
    (phase,) = program.phases
    text = search_text(program)
    assert "by" not in text.partition("{")[0]
    (again,) = compiled(text, net=net).phases
    assert again.settings == phase.settings
    assert again.network.preferences == phase.network.preferences
    assert search_text(compiled(text, net=net)) == text


def test_the_command_prints_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "net.hsp").write_text(NET + "search Net {\n  batch = 16\n}\n")
    assert compile_main([str(tmp_path / "net.hsp"), "--emit", "search", "--method", "fair_darts"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("search Net {\n  data = cifar10")
    assert "  maximize certainty weight 10\n" in printed


def test_by_is_a_name_elsewhere() -> None:
    text = "search Net {\n  derive = strongest(by = logit)\n}\n"
    assert compiled(text).phases[0].settings.derive.describe() == "strongest(by = logit)"
    program, _ = compile_file("by.hsp", text=NET.replace("Net", "by") + "search by {\n}\n")
    assert program is not None


AUTO = by("auto")


@pytest.mark.parametrize(
    ("net", "section", "method", "why"),
    [
        (CHAIN, "search Net {\n}\n", "snas", "choices are of operations"),
        (NET, "search Net {\n}\n", "tse_predictor", "'Net.n0.in' picks inputs"),
        (ONE_INPUT, "search Net {\n}\n", "snas", "choices are of operations"),
        (CHAIN, "search Net {\n  preferences = apart\n}\n", "tse_predictor", "`snas` does not go"),
        (CELLS, "search {\n  phase one = Net\n  phase two = one.Net\n}\n", "snas", "'two' builds on an earlier phase"),
        (CHAIN, "search Net by gdas {\n}\n", "snas", "choices are of operations"),
        (CHAIN, "search Net {\n  require params <= 1K\n}\n", "tse_predictor", "`require` leaves out large"),
    ],
)
def test_auto_is_a_method_that_suits_the_space(net: str, section: str, method: str, why: str) -> None:
    chosen = compiled(section, AUTO, net=net).method
    assert chosen is not None
    assert (chosen.method.name, chosen.why.startswith(why)) == (method, True)


def test_auto_is_what_a_file_says_of_its_own_method() -> None:
    program = compiled("method auto {\n  epochs = 9\n}\nsearch Net {\n}\n", AUTO)
    assert program.method is not None
    assert (program.method.unit, program.settings.epochs, program.method.why) == (program.unit, 9, "")


def test_settings_of_the_command_line_hold_with_auto() -> None:
    assert compiled("search Net {\n}\n", AUTO, Override("epochs", 2, "--epochs 2"), net=CHAIN).settings.epochs == 2
    with pytest.raises(UsageError, match=r"^--set depth=2: there is no parameter or setting of that name"):
        compiled("search Net {\n}\n", AUTO, Override("depth", 2, "--set depth=2"), net=CHAIN)


def test_a_file_names_its_method() -> None:
    _, (wrong,) = compile_file("net.hsp", text=NET + "search Net by auto {\n}\n")
    assert (wrong.message, wrong.hint) == (
        "there is no method 'auto'",
        "`--method auto` chooses one, which a file then names",
    )


def test_what_is_wrong_with_a_file_is_said_with_auto_too() -> None:
    _, (wrong,) = compile_file("net.hsp", [AUTO], text=NET + "search Nothing {\n}\n")
    assert wrong.span.text == "Nothing"
