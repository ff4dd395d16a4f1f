"""Genotypes into the language and back, and the zoo: ``genotypes/NAME.txt`` is what `hdas-import` reads."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.analysis.membership.query import membership
from compiler.api import describe
from compiler.commands.compile import compile_main
from compiler.commands.import_genotype import import_main
from compiler.program.compile_file import compile_file
from compiler.program.model import Program
from compiler.reports.genotype import genotype_of
from hdas_dsl.genotype import Cells, Dag, Edge, Genotype, Lattice, Part, Stages, read_genotype, spell
from hdas_dsl.genotype.build import Surroundings, build
from hdas_dsl.genotype.menu import LATTICE_NAMES
from hdas_dsl.parse.parser import parse_text
from hdas_dsl.tree import ast
from hdas_dsl.tree.printer import print_module
from hdas_dsl.units import LIBRARY
from tests.reference import genotypes as g
from tests.reference.measure import macs, params
from tests.reference.networks import ChainNetwork, StageNetwork
from tests.support.golden import check
from tests.support.paths import DOCS, FIXTURES

HERE = FIXTURES / "genotypes"
ZOO = LIBRARY / "zoo"
WRONG = sorted((HERE / "wrong").glob("*.txt"))

IMAGENET = ("--space", str(LIBRARY / "hdas_imagenet.hsp"))
ZOO_FILES = {
    "darts_v1": ("darts_v1",),
    "darts_v2": ("darts_v2",),
    "pdarts": ("pdarts",),
    "hdas_c": ("hdas_c",),
    "hdas_s_cifar_darts_v2": ("hdas_s_cifar", "--cell-file", str(ZOO / "darts_v2.hsp")),
    "hdas_s_cifar_pdarts": ("hdas_s_cifar", "--cell-file", str(ZOO / "pdarts.hsp")),
    "hdas_s_imagenet_darts_v2": ("hdas_s_imagenet", "--cell-file", str(ZOO / "darts_v2.hsp"), *IMAGENET),
    "hdas_s_imagenet_pdarts": ("hdas_s_imagenet", "--cell-file", str(ZOO / "pdarts.hsp"), *IMAGENET),
}
OWN_RECIPES = {"pdarts"}
"""Files whose retraining is not that of the space that their genotype comes from."""


def run(capsys: pytest.CaptureFixture[str], *args: str) -> str:
    assert import_main(args) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def compiled(text: str, name: str = "test.hsp") -> Program:
    program, diagnostics = compile_file(name, text=text)
    assert program is not None, "\n".join(d.render() for d in diagnostics)
    return program


def read(text: str) -> Genotype:
    genotype, diagnostics = read_genotype(text, "<test>")
    assert genotype is not None, "\n".join(d.render() for d in diagnostics)
    return genotype


# ---------------------------------------------------------------- the zoo


def without_comments(text: str, recipe: bool = True) -> str:
    module = parse_text(text, "zoo.hsp")
    kept = (line for line in module.lines if recipe or not isinstance(line, ast.Train))
    return print_module(ast.Module(tuple(line for line in kept if not isinstance(line, ast.Comment))))


@pytest.mark.parametrize("name", ZOO_FILES)
def test_a_zoo_file_is_its_import(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    genotype, *options = ZOO_FILES[name]
    made = run(capsys, str(HERE / f"{genotype}.txt"), *options)
    path, recipe = ZOO / f"{name}.hsp", name not in OWN_RECIPES
    if os.environ.get("UPDATE_GOLDEN") == "1" and recipe:
        header = "".join(f"{line}\n" for line in path.read_text().splitlines() if line.startswith("#"))
        path.write_text(made.replace("\n", f"\n{header}", 1))
    assert without_comments(path.read_text(), recipe) == without_comments(made, recipe)


def test_every_zoo_file_is_tested() -> None:
    assert {path.stem for path in ZOO.glob("*.hsp")} == {*ZOO_FILES, *PUBLISHED_CELLS, *RECURRENT}


RECURRENT = {"darts_rnn_v1", "darts_rnn_v2"}
"""The files of recurrent cells, which no genotype string says (`tests/spaces/test_recurrent.py`)."""


PUBLISHED_CELLS = {line.split(" = ")[0].lower() for line in (HERE / "published.txt").read_text().splitlines()[1:]}
"""The files of the table in docs/genotypes.md (`test_genotype_spaces.py`)."""


CHAINS = {"darts_v1": g.DARTS_V1, "darts_v2": g.DARTS_V2, "pdarts": g.P_DARTS, "hdas_c": g.HC_DAS}
CELLS = {"darts_v2": g.DARTS_V2, "pdarts": g.P_DARTS}


def reference(name: str) -> torch.nn.Module:
    """The plain PyTorch construction of a zoo file."""
    if name in CHAINS:
        return ChainNetwork(CHAINS[name], 36, 20, 10, pool_norm=name == "hdas_c")
    cells = next(genotype for key, genotype in CELLS.items() if name.endswith(key))
    if "imagenet" in name:
        return StageNetwork(g.HS_IMAGENET, cells, 39, 1000, imagenet=True)
    return StageNetwork(g.HS_CIFAR, cells, 36, 10)


PUBLISHED = {
    "darts_v2": (3_349_342, 528_359_040),
    "pdarts": (3_433_798, 532_174_464),
    "hdas_s_cifar_darts_v2": (4_401_298, 708_519_168),
    "hdas_s_imagenet_darts_v2": (5_150_682, 555_390_960),
}


@pytest.mark.parametrize("name", ZOO_FILES)
def test_figures_of_the_zoo(name: str) -> None:
    facts = describe(ZOO / f"{name}.hsp")
    assert (facts["kind"], facts["cardinality"]) == ("architecture", "1")
    with torch.device("meta"):
        model = reference(name)
    measured = params(model), macs(model, tuple(facts["input"]))
    assert (facts["params"], facts["macs"]) == measured == PUBLISHED.get(name, measured)
    header = " ".join(line[2:] for line in (ZOO / f"{name}.hsp").read_text().splitlines() if line.startswith("#"))
    for figure, what in zip(measured, ("parameters", "multiply-adds"), strict=True):
        assert f"{figure:,} {what}" in header


@pytest.mark.parametrize("name", ZOO_FILES)
def test_the_zoo_lies_in_its_spaces(name: str) -> None:
    """Those of stages with the file's own cells."""
    genotype = ZOO_FILES[name][0]
    spaces = {"hdas_c": "hdas_cells", "hdas_s_cifar": "hdas_stages", "hdas_s_imagenet": "hdas_imagenet"}
    text = (LIBRARY / f"{spaces.get(genotype, 'darts')}.hsp").read_text()
    if name.endswith("_pdarts"):
        # The spaces of stages have the cells of DARTS_V2.
        text = text.replace("search Hdas(", "search Hdas(Normal = p.Normal, Reduction = p.Reduction, ")
        text = text.replace("search Hdas {", "search Hdas(Normal = p.Normal, Reduction = p.Reduction) {")
        text = text.replace("hsp 1\n", 'hsp 1\nuse "zoo/pdarts.hsp" as p with pool_norm = norm\n', 1)
    answer = membership(compiled(text, "space.hsp"), compiled((ZOO / f"{name}.hsp").read_text()))
    assert answer.inside, answer.render()


# ---------------------------------------------------------------- what is wrong with a text


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_wrong(path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    assert import_main([path.name]) == 1
    found = capsys.readouterr()
    assert found.out == ""
    check(path.with_suffix(".err"), found.err)


@pytest.mark.parametrize(
    "text",
    ["(" * 300, "-" * 100_000 + "1", "\0(", "Genotype(normal=" + "[" * 150, "(0x" + "f" * 9000 + ")", "|", "||+||"],
)
def test_no_text_is_too_odd(text: str) -> None:
    genotype, diagnostics = read_genotype(text, "<test>")
    assert genotype is None
    assert all(diagnostic.render() for diagnostic in diagnostics)


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.text("()[],='0123|~+\n\té\"ab", max_size=4))
@settings(max_examples=100, deadline=None)
def test_damaged_texts_are_reported(at: int, length: int, instead: str) -> None:
    text = (HERE / "hdas_c.txt").read_text()
    at %= len(text)
    damaged = text[:at] + instead + text[at + length % 40 :]
    genotype, diagnostics = read_genotype(damaged, "<test>")
    assert (genotype is None) == bool(diagnostics)
    assert all(diagnostic.render() for diagnostic in diagnostics)


# ---------------------------------------------------------------- forms


def test_forms_of_one_genotype() -> None:
    flat = read(
        "Genotype(normal=[('a', 1), ('b', 0), ('c', 2), ('c', 2)], normal_concat=range(2, 4),"
        " reduce=[('a', 0), ('a', 1)], reduce_concat=[2])"
    )
    nested = read(
        "genotypes.Genotype(normal=[[('b', 0), ['a', 1]], (('c', 2), ('c', 2))], normal_concat=[2, 3],"
        " reduce=[[('a', 1), ('a', 0)]], reduce_concat=(2,))"
    )
    triples = read(
        "X = Genotype(normal=[('c', 2, 3), ('b', 0, 2), ('c', 2, 3), ('a', 1, 2)], normal_concat=range(2, 4),"
        " reduce=[('a', 0, 2), ('a', 1, 2)], reduce_concat=range(2, 3))"
    )
    assert flat == nested == triples
    assert triples.name == "X"


def names(space: str = "darts") -> st.SearchStrategy[str]:
    if space == "nasbench201":
        return st.sampled_from(sorted(LATTICE_NAMES))
    return st.sampled_from(["skip_connect", "max_pool_3x3", "sep_conv_7x7", "conv_7x1_1x7", "dil_conv_3x3", "none"])


@st.composite
def dags(draw: st.DrawFn, first: int = 0, joined: int | None = None) -> Dag:
    """A random cell; ``first``: the first source that the output may join; ``joined``: how many it joins."""
    nodes = []
    for j in range(draw(st.integers(1, 4))):
        edge = st.builds(Edge, st.integers(0, j + 1), names())
        nodes.append(tuple(draw(st.lists(edge, min_size=1, max_size=3) | st.lists(edge, min_size=2, max_size=2))))
    some = st.lists(st.integers(first, len(nodes) + 1), min_size=joined or 1, max_size=joined or 4)
    usual = st.just(list(range(2, len(nodes) + 2)))
    return Dag(tuple(nodes), tuple(draw(some if joined else some | usual)))


@st.composite
def lattices(draw: st.DrawFn) -> Lattice:
    count = draw(st.integers(1, 4))
    nodes = tuple(tuple(Edge(i, draw(names("nasbench201"))) for i in range(j + 1)) for j in range(count))
    return Lattice(Dag(nodes, (count,)))


@st.composite
def parts(draw: st.DrawFn) -> tuple[Part, ...]:
    normal, reduction = dags(), dags(first=2)
    kind = draw(st.sampled_from(["flat", "per stage", "stages", "lattice"]))
    if kind == "lattice":
        return (draw(lattices()),)
    if kind == "flat":
        return (Cells((draw(normal),), (draw(reduction),)),)
    count = draw(st.integers(2, 4))
    if kind == "per stage":
        cells = tuple(draw(normal) for _ in range(count)), tuple(draw(reduction) for _ in range(count - 1))
        return (Cells(*cells, per_stage=True),)
    # Cells and stages fit each other: the output of a cell is as wide as that of the other, and a stage joins two.
    four = Cells((draw(dags(joined=4)),), (draw(dags(first=2, joined=4)),))
    return Stages(tuple(draw(dags(first=2, joined=2)) for _ in range(count))), four


@given(parts())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_round_trip(made: tuple[Part, ...]) -> None:
    genotype = Genotype(made)
    text = spell(genotype)
    assert read(text) == genotype
    module = build(read(text), Surroundings(image=(3, 64, 64), params={"c": ast.Number("4")}))
    printed = print_module(module)
    assert print_module(parse_text(printed, "x.hsp")) == printed
    space = compiled(printed).network
    assert not space.is_space
    assert genotype_of(space) == genotype
    assert spell(genotype_of(space)) == text


# ---------------------------------------------------------------- back


@pytest.mark.parametrize("name", ZOO_FILES)
def test_the_zoo_says_its_genotype(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert compile_main([str(ZOO / f"{name}.hsp"), "--emit", "genotype"]) == 0
    assert read(capsys.readouterr().out).parts[0] == read((HERE / f"{ZOO_FILES[name][0]}.txt").read_text()).parts[0]


@pytest.mark.parametrize(
    ("line", "instead", "message"),
    [
        ("  n3 = skip_connect(x) + dil_conv_3x3(n0)", "  n3 = x + dil_conv_3x3(n0)", "'Normal.n3' adds something"),
        ("  n3 = skip_connect(x) + dil_conv_3x3(n0)", "  n3 = relu(x) + dil_conv_3x3(n0)", "applies 'relu'"),
        ("  n3 = skip_connect(x) + dil_conv_3x3(n0)", "  m = skip_connect(x)\n  n3 = skip_connect(m)", "this line of"),
        ("  x = preprocess(a, b, c)", "  x = preprocess(b, b, c)", "this line of 'Normal'"),
        ("  output concat(n)", "  output concat(n0, n1, relu(n2), n3)", "the output of 'Normal' joins"),
        ("cell Normal(", "cell Other(", "has a cell 'Other'"),
        ("  n0 = max_pool_3x3(x, stride = 2)", "  n0 = max_pool_3x3(x -> crop(1, 1), stride = 2)", "'Reduction.n0'"),
    ],
)
def test_what_no_genotype_says(
    line: str, instead: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (ZOO / "darts_v2.hsp").read_text()
    assert line in text
    text = text.replace(line, instead, 1)
    if "Other" in instead:
        text = text.replace("else Normal", "else Other")
    path = tmp_path / "changed.hsp"
    path.write_text(text)
    assert compile_main([str(path), "--emit", "genotype"]) == 1
    error = capsys.readouterr().err
    assert message in error
    assert "changed.hsp:" in error


@pytest.mark.parametrize("name", ["darts.hsp", "hdas_cifar.hsp", "nasbench201.hsp", "fbnet.hsp"])
def test_a_space_has_no_genotype(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert compile_main([str(LIBRARY / name), "--emit", "genotype"]) == 1
    assert "still has choices" in capsys.readouterr().err


# ---------------------------------------------------------------- the command

NB201 = "|nor_conv_3x3~0|+|none~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_1x1~1|skip_connect~2|"


def test_nasbench201(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "nb.hsp"
    for text in (NB201, f"arch = '{NB201}'"):
        assert import_main([text, "-o", str(path), "--channels", "4", "--set", "n=2"]) == 0
        assert compile_main([str(path), "--in", str(LIBRARY / "nasbench201.hsp")]) == 0
        capsys.readouterr()
        assert compile_main([str(path), "--emit", "genotype"]) == 0
        assert capsys.readouterr().out == f"{NB201}\n"


def test_parameters_of_the_network(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--channels", "8", "--cells", "5", "--classes", "7", "--input", "1x16x16")
    text = run(capsys, str(HERE / "darts_v1.txt"), *options)
    assert "network DartsV1(image: [1, 16, 16]; c = 8, cells = 5, classes = 7) {" in text


def test_standard_input_and_spaces(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A space's own arguments for retraining are what the network gets, the shape of its images included."""
    space = tmp_path / "wide.hsp"
    space.write_text(
        'hsp 1\nuse "darts.hsp"\n\nsearch Darts {\n}\n\n'
        "train Darts(image = (3, 64, 64), c = 48, cells = 14) {\n  epochs = 3\n}\n"
    )
    monkeypatch.setattr("sys.stdin", io.StringIO((HERE / "darts_v2.txt").read_text()))
    text = run(capsys, "-", "--space", str(space), "--cells", "8")
    assert "network DartsV2(image: [3, 64, 64]; c = 48, cells = 8, classes = 10) {" in text
    assert "train DartsV2 {\n  epochs = 3\n}" in text


@pytest.mark.parametrize("shipped", [True, False])
def test_joining(shipped: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cells and stages from shipped files and from others make the same network."""
    cells, stages = ZOO / "hdas_c.hsp", ZOO / "hdas_s_imagenet_pdarts.hsp"
    if not shipped:
        cells, stages = (tmp_path / path.name for path in (cells, stages))
        for path in (cells, stages):
            path.write_text((ZOO / path.name).read_text())
    first = compiled(run(capsys, str(HERE / "hdas_s_imagenet.txt"), "--cell-file", str(cells)))
    second = compiled(run(capsys, str(HERE / "hdas_c.txt"), "--stage-file", str(stages)))
    expected = Genotype(
        (*read((HERE / "hdas_s_imagenet.txt").read_text()).parts, *read((HERE / "hdas_c.txt").read_text()).parts)
    )
    assert genotype_of(first.network) == genotype_of(second.network) == expected


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nowhere.txt"], "'nowhere.txt' cannot be read"),
        (["hdas_s_cifar.txt"], "name a file with --cell-file"),
        (["hdas_s_cifar.txt", "--cell-file", "nowhere.hsp"], "nowhere.hsp"),
        (["hdas_s_cifar.txt", "--cell-file", str(LIBRARY / "fbnet.hsp")], "defines no cell 'Normal'"),
        (["darts_v2.txt", "--cell-file", str(ZOO / "pdarts.hsp")], "cells of its own"),
        (["darts_v2.txt", "--set", "chanels=3"], "no parameter 'chanels'"),
        (["darts_v2.txt", "--set", "chanels"], "--set"),
        (["darts_v2.txt", "--input", "3x32"], "CxHxW"),
        (["darts_v2.txt", "--channels", "0"], "at least 1"),
        (["hdas_s_cifar.txt", "--cell-file", str(ZOO / "pdarts.hsp"), "--set", "stages=2"], "'stages' is 3"),
        ([NB201, "--cells", "3"], "no parameter 'cells'"),
        ([NB201, "--stage-file", "x.hsp"], "nothing to join"),
        ([NB201, "-o", "nowhere/x.hsp"], "nowhere/x.hsp"),
        ([NB201, "--space", str(LIBRARY / "fbnet.hsp")], "no searched 'Cell'"),
    ],
)
def test_wrong_command_lines(
    args: list[str], message: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(HERE)
    code = import_main(args)
    error = capsys.readouterr().err
    assert message in error
    assert code == (1 if "nowhere.hsp" in args else 2)


def test_importing_never_loads_torch() -> None:
    program = (
        "import sys; from compiler.commands.import_genotype import import_main; code = import_main(); "
        "assert not {'torch', 'networkx', 'pydantic'} & set(sys.modules), 'heavy'; sys.exit(code)"
    )
    args = [str(HERE / "hdas_c.txt"), "--channels", "8"]
    done = subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("hsp 1\n")


# ---------------------------------------------------------------- the documentation

PAGE = (DOCS / "genotypes.md").read_text()


@pytest.mark.parametrize(
    ("text", "expected"),
    re.findall(r"```genotype\n(.*?)```.*?```hsp\n(.*?)```", PAGE, re.DOTALL),
    ids=["lattice", "flat"],
)
def test_examples(text: str, expected: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The definitions that an example shows are in what is imported, in that order."""
    made = print_module(parse_text(run(capsys, text), "x.hsp"))
    assert expected in made


@pytest.mark.parametrize("text", re.findall(r"```genotype\n(.*?)```", PAGE, re.DOTALL))
def test_forms_of_the_page(text: str) -> None:
    assert read(spell(read(text))) == read(text)
