"""Architectures as plain data, and the published ones."""

import re
from dataclasses import dataclass

Edge = tuple[str, int]  # operation, source; sources: 0 = a, 1 = b, 2.. = the nodes
Dag = tuple[tuple[Edge, ...], ...]  # one tuple of edges for each node

SHORT = {"skip": "skip_connect", "max": "max_pool_3x3", "avg": "avg_pool_3x3"}


def dag(text: str) -> Dag:
    """Read `n0 = op(a) + op(b); n1 = ...` or `c0: ...`; the edges of a node come back sorted by source."""

    def source(name: str) -> int:
        return "ab".index(name) if name in "ab" else int(name[1:]) + 2

    nodes = (re.findall(r"(\w+)\((\w+)\)", line) for line in text.split(";"))
    return tuple(
        tuple(sorted(((SHORT.get(op, op), source(s)) for op, s in node), key=lambda e: e[1])) for node in nodes
    )


@dataclass(frozen=True)
class Genotype:
    """Normal cells, one for all stages or one for each, and reduction cells, one for all borders or one for each."""

    normals: tuple[Dag, ...]
    reductions: tuple[Dag, ...]

    def normal(self, stage: int) -> Dag:
        return self.normals[stage if len(self.normals) > 1 else 0]

    def reduction(self, border: int) -> Dag:
        return self.reductions[border if len(self.reductions) > 1 else 0]


def cells(normal: str, reduction: str) -> Genotype:
    return Genotype((dag(normal),), (dag(reduction),))


DARTS_V1 = cells(
    "n0 = sep_conv_3x3(b) + sep_conv_3x3(a); n1 = skip_connect(a) + sep_conv_3x3(b);"
    "n2 = skip_connect(a) + sep_conv_3x3(b); n3 = sep_conv_3x3(a) + skip_connect(n0)",
    "n0 = max_pool_3x3(a) + max_pool_3x3(b); n1 = skip_connect(n0) + max_pool_3x3(a);"
    "n2 = max_pool_3x3(a) + skip_connect(n0); n3 = skip_connect(n0) + avg_pool_3x3(a)",
)
DARTS_V2 = cells(
    "n0 = sep_conv_3x3(a) + sep_conv_3x3(b); n1 = sep_conv_3x3(a) + sep_conv_3x3(b);"
    "n2 = sep_conv_3x3(b) + skip_connect(a); n3 = skip_connect(a) + dil_conv_3x3(n0)",
    "n0 = max_pool_3x3(a) + max_pool_3x3(b); n1 = skip_connect(n0) + max_pool_3x3(b);"
    "n2 = max_pool_3x3(a) + skip_connect(n0); n3 = skip_connect(n0) + max_pool_3x3(b)",
)
P_DARTS = cells(
    "n0 = skip_connect(a) + dil_conv_3x3(b); n1 = skip_connect(a) + sep_conv_3x3(b);"
    "n2 = sep_conv_3x3(b) + sep_conv_3x3(n1); n3 = sep_conv_3x3(a) + dil_conv_5x5(n2)",
    "n0 = avg_pool_3x3(a) + sep_conv_5x5(b); n1 = sep_conv_3x3(a) + dil_conv_5x5(n0);"
    "n2 = max_pool_3x3(a) + dil_conv_3x3(b); n3 = dil_conv_3x3(b) + dil_conv_5x5(n1)",
)
HC_DAS = Genotype(
    normals=(
        dag(
            "n0 = sep_conv_3x3(a) + sep_conv_3x3(b); n1 = sep_conv_3x3(a) + sep_conv_3x3(b);"
            "n2 = sep_conv_3x3(a) + sep_conv_3x3(b); n3 = sep_conv_3x3(n0) + sep_conv_3x3(n1)"
        ),
        dag(
            "n0 = skip_connect(a) + dil_conv_3x3(b); n1 = skip_connect(a) + sep_conv_3x3(b);"
            "n2 = skip_connect(a) + sep_conv_3x3(b); n3 = skip_connect(a) + sep_conv_3x3(b)"
        ),
        dag(
            "n0 = dil_conv_5x5(a) + sep_conv_3x3(b); n1 = sep_conv_3x3(b) + dil_conv_3x3(n0);"
            "n2 = dil_conv_3x3(a) + sep_conv_5x5(n0); n3 = sep_conv_5x5(n1) + sep_conv_3x3(n2)"
        ),
    ),
    reductions=(
        dag(
            "n0 = max_pool_3x3(a) + skip_connect(b); n1 = max_pool_3x3(a) + max_pool_3x3(n0);"
            "n2 = sep_conv_3x3(a) + skip_connect(b); n3 = sep_conv_3x3(a) + dil_conv_3x3(n2)"
        ),
        dag(
            "n0 = max_pool_3x3(a) + dil_conv_3x3(b); n1 = max_pool_3x3(a) + dil_conv_5x5(n0);"
            "n2 = max_pool_3x3(a) + dil_conv_5x5(n1); n3 = max_pool_3x3(a) + skip_connect(n2)"
        ),
    ),
)

HS_CIFAR = (
    dag(
        "c0: skip(a) + skip(b); c1: skip(a) + skip(b); c2: skip(b) + max(c0);"
        "c3: max(c0) + skip(c2); c4: max(c1) + skip(c3); c5: max(c2) + skip(c4)"
    ),
    dag(
        "c0: max(a) + max(b); c1: skip(a) + skip(b); c2: skip(b) + skip(c0);"
        "c3: max(c0) + skip(c1); c4: skip(c3) + max(c1); c5: avg(c2) + skip(c4)"
    ),
    dag(
        "c0: skip(a) + skip(b); c1: skip(b) + skip(c0); c2: skip(c0) + skip(c1);"
        "c3: max(c0) + skip(c1); c4: max(c1) + skip(c3); c5: max(c2) + max(c3)"
    ),
)
HS_IMAGENET = (
    dag("c0: max(a) + max(b); c1: skip(a) + skip(c0); c2: skip(c0) + skip(c1); c3: skip(c0) + avg(c2)"),
    dag("c0: skip(a) + skip(b); c1: skip(b) + skip(c0); c2: skip(c0) + skip(c1); c3: skip(c1) + skip(c2)"),
    dag("c0: skip(a) + skip(b); c1: skip(b) + skip(c0); c2: skip(c0) + skip(c1); c3: max(c0) + skip(c1)"),
)
