"""Genotypes as the texts that the field's programs read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from .model import Cells, Dag, Edge, Genotype, Lattice, Matrix, Part, Stages, Widths


def spell(genotype: Genotype) -> str:
    """A genotype as text, a line for each part. Nodes of two edges are written flat, others as a list per node."""
    return "".join(f"{_part(part)}\n" for part in genotype.parts)


def _part(part: Part) -> str:
    match part:
        case Cells(normals=(normal,), reductions=(reduction,), per_stage=False):
            return _call("Genotype", [("normal", normal), ("reduce", reduction)])
        case Cells():
            return _call("Genotype3", list(_by_stage(part)))
        case Stages(dags=dags):
            return _call("Genotype2", [(f"DAG{k}", dag) for k, dag in enumerate(dags, 1)])
        case Lattice(dag=dag):
            return _lattice(dag)
        case Matrix():
            return _matrix(part)
        case Widths(widths=widths):
            return ":".join(map(str, widths))


def _by_stage(cells: Cells) -> Iterator[tuple[str, Dag]]:
    for k, normal in enumerate(cells.normals, 1):
        yield f"normal{k}", normal
        if k <= len(cells.reductions):
            yield f"reduce{k}", cells.reductions[k - 1]


def _call(name: str, dags: list[tuple[str, Dag]]) -> str:
    # FairDARTS joins all nodes in their order; other outputs need the other order of triples, in all parts alike.
    gaps = [dag for _, dag in dags if not all(dag.nodes)]
    reverse = all(dag.concat == tuple(j + 2 for j in dag.existing) for dag in gaps)
    parts = (f"{key}={_nodes(dag, reverse)}, {key}_concat={_concat(dag.concat)}" for key, dag in dags)
    return f"{name}({', '.join(parts)})"


def _nodes(dag: Dag, reverse: bool) -> str:
    if not all(dag.nodes):
        triples = ((edge.op, j + 2, edge.source) for j, node in enumerate(dag.nodes) for edge in node)
        return f"[{', '.join(str((op, to, of) if reverse else (op, of, to)) for op, to, of in triples)}]"
    if all(len(node) == 2 for node in dag.nodes):
        return f"[{', '.join(_edges(node) for node in dag.nodes)}]"
    return f"[{', '.join(f'[{_edges(node)}]' for node in dag.nodes)}]"


def _edges(edges: Iterable[Edge]) -> str:
    return ", ".join(f"({edge.op!r}, {edge.source})" for edge in edges)


def _concat(sources: tuple[int, ...]) -> str:
    run = range(sources[0], sources[0] + len(sources))
    return f"range({run.start}, {run.stop})" if len(run) > 1 and tuple(run) == sources else str(list(sources))


def _lattice(dag: Dag) -> str:
    if all([edge.source for edge in node] == list(range(j + 1)) for j, node in enumerate(dag.nodes)):
        return "+".join(f"|{'|'.join(f'{e.op}~{e.source}' for e in node)}|" for node in dag.nodes)
    nodes = (f"({_edges(node)},)" for node in dag.nodes)
    return f"Structure([{', '.join(nodes)}])"


def _matrix(matrix: Matrix) -> str:
    readers = [vertex.sources for vertex in matrix.vertices] + [matrix.output]
    size = len(readers) + 1
    rows = [[int(i in readers[j - 1]) if j else 0 for j in range(size)] for i in range(size)]
    ops = ["input", *(vertex.op for vertex in matrix.vertices), "output"]
    return f"ModelSpec(matrix={rows}, ops={ops})"
