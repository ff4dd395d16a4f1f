"""The forms in which the field writes genotypes: every text here is one that some program prints or takes."""

from __future__ import annotations

import random
import re

import pytest

from hdas_dsl.genotype import Genotype, Matrix, Widths, read_genotype, spell
from hdas_dsl.text.diagnostics import Code, Diagnostic, Severity
from tests.support.paths import FIXTURES

HERE = FIXTURES / "genotypes"
NORMAL = "('skip_connect', 0), ('sep_conv_3x3', 1), ('max_pool_3x3', 0), ('dil_conv_5x5', 2)"
REDUCE = "('max_pool_3x3', 0), ('sep_conv_5x5', 1)"
PLAIN = f"Genotype(normal=[{NORMAL}], normal_concat=[2, 3], reduce=[{REDUCE}], reduce_concat=[2])"
PAIRS = "normal=[(('skip_connect', 0), ('sep_conv_3x3', 1)), (('max_pool_3x3', 0), ('dil_conv_5x5', 2))]"


def outcome(text: str, wanted: str | None = None) -> tuple[Genotype | None, list[Diagnostic]]:
    return read_genotype(text, "<test>", wanted)


def read(text: str, wanted: str | None = None, *warnings: str) -> Genotype:
    """The genotype of a text, which has these warnings."""
    genotype, diagnostics = outcome(text, wanted)
    assert genotype is not None, "\n".join(d.render() for d in diagnostics)
    assert len(diagnostics) == len(warnings), diagnostics
    assert all(message in d.message for message, d in zip(warnings, diagnostics, strict=True))
    assert all((d.code, d.severity) == (Code.GENOTYPE, Severity.WARNING) for d in diagnostics)
    return genotype


def refused(text: str, wanted: str | None = None) -> str:
    genotype, diagnostics = outcome(text, wanted)
    assert genotype is None
    return "\n".join(d.render() for d in diagnostics)


# ---------------------------------------------------------------- cells


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.replace("[2, 3]", "range(2, 4)"),
        PLAIN.replace("[2, 3]", "list(range(2, 4))"),
        PLAIN.replace("[2, 3]", "array([2, 3])"),
        PLAIN.replace("[2, 3]", "[np.int64(2), tensor(3).item()]"),
        PLAIN.replace("Genotype(", "genotypes.Genotype("),
        PLAIN.replace("Genotype(", "MyCells(") + "\n",
        PLAIN[:-1] + ", connectN=None, connects=None, layout=None)",
        f"Genotype([{NORMAL}], [2, 3], [{REDUCE}], [2])",
        f"Genotype([{NORMAL}], [2, 3], [{REDUCE}], [2], None, None)",
        f"Genotype({PAIRS}, normal_concat=[2, 3], reduce=[({REDUCE})], reduce_concat=[2], connectN=None)",
        '{"normal": [["skip_connect", 0], ["sep_conv_3x3", 1], ["max_pool_3x3", 0], ["dil_conv_5x5", 2]], '
        '"normal_concat": [2, 3], "reduce": [["max_pool_3x3", 0], ["sep_conv_5x5", 1]], "reduce_concat": [2], '
        '"connects": null}',
        f"dict(normal=[{NORMAL}], normal_concat=(2, 3), reduce=[{REDUCE}], reduce_concat=(2,))",
        f"OrderedDict([('normal', [{NORMAL}]), ('normal_concat', [2, 3]), ('reduce', [{REDUCE}]), "
        "('reduce_concat', [2])])",
        f"2021-03-04 10:11:12,130 genotype = {PLAIN}",
        f"03/04 10:11:12 AM INFO root - {PLAIN}",
        f"# a comment\n\n{PLAIN}  # another",
        "from collections import namedtuple\n'''Cells.'''\nGenotype = namedtuple('Genotype', 'normal')\n"
        f"PRIMITIVES = ['none', 'skip_connect']\n{PLAIN}\n",
    ],
)
def test_one_genotype_of_cells(text: str) -> None:
    assert read(text).parts == read(PLAIN).parts


def test_weights_are_dropped() -> None:
    weighted = re.sub(r"('\w+', \d)\)", r"\1, 0.125)", PLAIN)
    assert read(weighted, None, "weights of edges are dropped").parts == read(PLAIN).parts


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ("connects=[1, 2]", "'connects' says how the network around the cells is built"),
        ("layout='wide'", "'layout' says how the network"),
        ("colour=3", "no part 'colour'"),
        ("**{'normal': []}", "every part of a genotype has its name"),
    ],
)
def test_parts_that_are_not_none(part: str, message: str) -> None:
    assert message in refused(f"{PLAIN[:-1]}, {part})")


# ---------------------------------------------------------------- triples

FROM_TO = "[('skip_connect', 0, 2), ('sep_conv_3x3', 1, 2), ('max_pool_3x3', 0, 3), ('dil_conv_5x5', 2, 3)]"
TO_FROM = "[('skip_connect', 2, 0), ('sep_conv_3x3', 2, 1), ('max_pool_3x3', 3, 0), ('dil_conv_5x5', 3, 2)]"


@pytest.mark.parametrize(
    ("normal", "reduce"),
    [
        (FROM_TO, "[('max_pool_3x3', 0, 2), ('sep_conv_5x5', 1, 2)]"),
        (TO_FROM, "[('max_pool_3x3', 2, 0), ('sep_conv_5x5', 2, 1)]"),
    ],
)
def test_orders_of_triples(normal: str, reduce: str) -> None:
    text = f"Genotype(normal={normal}, normal_concat=range(2, 4), reduce={reduce}, reduce_concat=range(2, 3))"
    assert read(text).parts == read(PLAIN).parts


def test_mixed_orders() -> None:
    text = f"Genotype(normal={FROM_TO}, normal_concat=[2], reduce=[('max_pool_3x3', 2, 0)], reduce_concat=[2])"
    assert "this triple is (operation, to, from), and one before it (operation, from, to)" in refused(text)


FAIR = "Genotype(normal={}, normal_concat=range(2, {}), reduce=[('max_pool_3x3', 2, 0)], reduce_concat=range(2, 3))"


def test_nodes_without_edges() -> None:
    """As in FairDARTS's program: there is no such node, and the output joins the others."""
    text = FAIR.format("[('skip_connect', 2, 0), ('max_pool_3x3', 4, 0), ('sep_conv_3x3', 4, 3)]", 5)
    genotype = read(text, None, "3 is left out: no edge leads there", "this edge comes from 3, which has no edge")
    assert genotype.cells is not None
    dag = genotype.cells.normals[0]
    assert [len(node) for node in dag.nodes] == [1, 0, 1]
    assert dag.concat == (2, 4)
    assert read(spell(genotype), None, "3 is left out: no edge leads there").parts == genotype.parts


def test_what_fairdarts_would_build_otherwise() -> None:
    text = FAIR.format("[('skip_connect', 2, 0), ('max_pool_3x3', 3, 0)]", 3)
    assert "FairDARTS joins every node that has an edge, each once: this list leaves out 3" in refused(text)
    text = FAIR.format("[('skip_connect', 3, 0), ('max_pool_3x3', 2, 0)]", 4)
    assert "list the edges in the order of their nodes" in refused(text)


# ---------------------------------------------------------------- benchmarks


@pytest.mark.parametrize(
    "text",
    [
        "Structure([(('nor_conv_3x3', 0),), (('nor_conv_3x3', 1),), (('skip_connect', 0), ('skip_connect', 2))])",
        "arch = [(('nor_conv_3x3', 0),), (('none', 0), ('nor_conv_3x3', 1)), "
        "(('skip_connect', 0), ('skip_connect', 2))]",
        "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|",
        "[epoch 9] arch: |nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2| acc 93",
    ],
)
def test_lattices(text: str) -> None:
    expected = "|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|skip_connect~2|\n"
    assert spell(read(text)) == expected


MATRIX = "[[0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0]]"
OPS = "['input', 'conv3x3-bn-relu', 'maxpool3x3', 'output']"


@pytest.mark.parametrize(
    "text",
    [
        f"ModelSpec(matrix={MATRIX}, ops={OPS})",
        f"api.ModelSpec({MATRIX}, [INPUT, CONV3X3, MAXPOOL3X3, OUTPUT])",
        f"{{'module_adjacency': array({MATRIX}, dtype=int8), 'module_operations': {OPS}, 'trainable_parameters': 3}}",
        f'{{"matrix": {MATRIX}, "ops": {OPS}}}'.replace("'", '"'),
        "ModelSpec(matrix=[[0, 1, 1, 1, 0], [0, 0, 0, 0, 1], [0, 0, 0, 0, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]], "
        "ops=['input', 'conv3x3-bn-relu', 'maxpool3x3', 'conv1x1-bn-relu', 'output'])",
    ],
)
def test_matrices(text: str) -> None:
    warnings = ("vertex 3 is on no path",) if "conv1x1" in text else ()
    (part,) = read(text, None, *warnings).parts
    assert isinstance(part, Matrix)
    assert [(vertex.op, vertex.sources) for vertex in part.vertices] == [
        ("conv3x3-bn-relu", (0,)),
        ("maxpool3x3", (0,)),
    ]
    assert part.output == (1, 2)
    assert read(spell(Genotype((part,)))).parts == (part,)


def test_widths() -> None:
    for text in ("16:24:32:40:48", "arch = '16:24:32:40:48'", "best: 16:24:32:40:48 (82 %)"):
        assert read(text).parts == (Widths((16, 24, 32, 40, 48)),)


PREFIX = "NetworkSelectorDatasetInfo:darts:"
CONFIGURATION = {
    **{f"edge_normal_{i}": op for i, op in ((0, "skip_connect"), (1, "sep_conv_3x3"), (2, "max_pool_3x3"))},
    "edge_normal_4": "dil_conv_5x5",
    "inputs_node_normal_3": "0_2",
    **{f"edge_reduce_{i}": op for i, op in ((0, "max_pool_3x3"), (1, "sep_conv_5x5"))},
}


def test_configurations() -> None:
    pairs = {PREFIX + key: value for key, value in CONFIGURATION.items()}
    lines = "".join(f"  {key}, Value: '{value}'\n" for key, value in pairs.items())
    for text in (str(pairs), f"Configuration:\n{lines}", "".join(f"{key}: {value}\n" for key, value in pairs.items())):
        assert read(text).parts == read(PLAIN).parts
    del pairs[PREFIX + "edge_normal_4"]
    assert "there is no 'edge_normal_4'" in refused(str(pairs))


# ---------------------------------------------------------------- one of several


def test_one_of_a_program() -> None:
    program = (HERE / "published.txt").read_text()
    assert "several genotypes: PC_DARTS, DrNAS" in refused(program)
    assert read(program, "GDAS_V1").name == "GDAS_V1"
    assert read(f"{program}BEST = GDAS_V1\n", "BEST").parts == read(program, "GDAS_V1").parts
    assert "no genotype 'GDAS_V2'" in refused(program, "GDAS_V2")


def test_the_last_of_a_log() -> None:
    other = PLAIN.replace("dil_conv_5x5", "dil_conv_3x3")
    log = f"10:11:12 genotype = {other}\n10:11:13 valid_acc 91.2\n10:11:14 genotype = {PLAIN}\n10:11:15 done (really)\n"
    assert read(log, None, "the last genotype of this text is read").parts == read(PLAIN).parts


# ---------------------------------------------------------------- damage

TEXTS = [
    PLAIN,
    FAIR.format(TO_FROM, 4),
    f"10:11 genotype = {PLAIN}\n",
    f"ModelSpec(matrix={MATRIX}, ops={OPS})",
    str({PREFIX + key: value for key, value in CONFIGURATION.items()}),
    "Structure([(('none', 0),), (('skip_connect', 1),)])",
    "|none~0|+|skip_connect~0|none~1|",
    "16:24:32:40:48",
    f"A = Genotype2(DAG1=[{REDUCE}], DAG1_concat=[2])\nB = {PLAIN}",
    re.sub(r"('\w+', \d)\)", r"\1, 0.125)", PLAIN),
]


def test_mutants_of_all_forms() -> None:
    """Whatever a text has become, it is read, or refused with a place in it."""
    rng = random.Random(0)
    pieces = [*"()[]{},'=|~:\né", "-1", "99", "None", "0.5", "**", ""]
    for k in range(4000):
        text = TEXTS[k % len(TEXTS)]
        for _ in range(rng.randint(1, 3)):
            at = rng.randrange(len(text) + 1)
            text = text[:at] + rng.choice(pieces) + text[at + rng.choice((0, 0, 1, 3, 12)) :]
        genotype, diagnostics = read_genotype(text, "<test>", rng.choice((None, None, "A", "B")))
        errors = [d for d in diagnostics if d.severity is Severity.ERROR]
        assert (genotype is None) == bool(errors), text
        for diagnostic in diagnostics:
            assert 0 <= diagnostic.span.start <= diagnostic.span.end <= len(diagnostic.span.source.text) + 1, text
            assert diagnostic.render()
