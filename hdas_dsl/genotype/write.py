"""Genotypes as the strings that the field's programs read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .model import Cells, Dag, Edge, Genotype, Lattice, Part, Stages


def spell(genotype: Genotype) -> str:
    """A genotype as text, a line for each part. Nodes of two edges are written flat, others as a list per node."""
    return "".join(f"{_part(part)}\n" for part in genotype.parts)


def _part(part: Part) -> str:
    match part:
        case Cells(normals=(normal,), reductions=(reduction,), per_stage=False):
            return _call("Genotype", [("normal", normal), ("reduce", reduction)])
        case Cells():
            return _call("Genotype3", _by_stage(part))
        case Stages(dags=dags):
            return _call("Genotype2", ((f"DAG{k}", dag) for k, dag in enumerate(dags, 1)))
        case Lattice(dag=dag):
            return "+".join(f"|{'|'.join(f'{e.op}~{e.source}' for e in node)}|" for node in dag.nodes)


def _by_stage(cells: Cells) -> Iterator[tuple[str, Dag]]:
    for k, normal in enumerate(cells.normals, 1):
        yield f"normal{k}", normal
        if k <= len(cells.reductions):
            yield f"reduce{k}", cells.reductions[k - 1]


def _call(name: str, dags: Iterable[tuple[str, Dag]]) -> str:
    return f"{name}({', '.join(f'{key}={_nodes(dag)}, {key}_concat={_concat(dag.concat)}' for key, dag in dags)})"


def _nodes(dag: Dag) -> str:
    if all(len(node) == 2 for node in dag.nodes):
        return f"[{', '.join(_edges(node) for node in dag.nodes)}]"
    return f"[{', '.join(f'[{_edges(node)}]' for node in dag.nodes)}]"


def _edges(edges: Iterable[Edge]) -> str:
    return ", ".join(f"({edge.op!r}, {edge.source})" for edge in edges)


def _concat(sources: tuple[int, ...]) -> str:
    run = range(sources[0], sources[0] + len(sources))
    return f"range({run.start}, {run.stop})" if len(run) > 1 and tuple(run) == sources else str(list(sources))
