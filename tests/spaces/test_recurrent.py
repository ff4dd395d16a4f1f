"""Recurrences: the cells of DARTS equal plain torch however they run, and what no recurrence can be is told."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from torch import Tensor, nn

from compiler.analysis.costs.block_totals import Costs
from compiler.analysis.membership.query import membership
from compiler.backend.export import ExportKind, export
from compiler.backend.lowering.network import Network
from compiler.backend.passes import FLATTEN, PASSES, Pass, Target
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.program.compile_file import compile_file
from compiler.program.overrides import read_override
from compiler.searcher.relaxations.path_executor import Operations
from compiler.searcher.relaxations.supernet import Supernet
from tests.reference.recurrent import ACTIVATIONS, V1, V2, RecurrentNetwork
from tests.support.paths import SPACES
from tests.support.programs import space

FILE, ZOO = SPACES / "tasks" / "recurrent.hsp", SPACES / "zoo"
CELLS = {"darts_rnn_v1": V1, "darts_rnn_v2": V2}
TOKENS, WIDTH, LENGTH, NODES = 9, 4, 5, 8
SMALL = [f"tokens={TOKENS}", f"c={WIDTH}", f"words={LENGTH}"]


@cache
def small(path: Path, nodes: int = NODES) -> Elaborated:
    program, diagnostics = compile_file(path, [read_override(text) for text in (*SMALL, f"nodes={nodes}")])
    assert program is not None, diagnostics
    return program.network


@cache
def paper() -> Elaborated:
    """Three nodes of the space, with the paper's norms over the batch in the place of those of the file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / FILE.name
        used = 'use "lib/recurrent.hsp"'
        normed = "op normed(x) = if relaxed then batch_norm(x, affine = false) else x"
        path.write_text(FILE.read_text().replace(used, f"{used} with settle = normed\n{normed}"))
        return small(path, 3)


def words() -> Tensor:
    torch.manual_seed(3)
    return torch.randint(TOKENS, (6, LENGTH))


def shared(theirs: RecurrentNetwork, ours: nn.Module) -> dict[str, Tensor]:
    """Our parameters with the values of theirs, by the names that those have."""
    mine = dict(ours.named_parameters())
    begin = next(name for name in mine if "begin" in name)
    names = {"vectors": "vectors.weight_matrix.weight", "begin": begin, "bias": "output.add_bias.bias"}
    names |= {f"matrices.{i}": f"y.step.n{i}.w.weight_matrix.weight" for i in range(len(theirs.matrices))}
    found: dict[str, Tensor] = {name: mine[path] for name, path in names.items()}
    for name, tensor in found.items():
        tensor.data.copy_(theirs.get_parameter(name))
    return found


def compare(theirs: RecurrentNetwork, output: Tensor, named: dict[str, Tensor]) -> None:
    """Scores, and the gradients of all that has a name in both."""
    expected = theirs(words())
    assert torch.allclose(output, expected, atol=1e-12)
    torch.manual_seed(5)
    way = torch.randn_like(expected)
    ours = torch.autograd.grad((output * way).sum(), list(named.values()))
    right = torch.autograd.grad((expected * way).sum(), [theirs.get_parameter(name) for name in named])
    for name, a, b in zip(named, ours, right, strict=True):
        assert torch.allclose(a, b, atol=1e-11), name


WAYS = {"naive": (FLATTEN,), "optimised": PASSES}
each_way = pytest.mark.parametrize("passes", WAYS.values(), ids=WAYS)


@each_way
@pytest.mark.parametrize("name", CELLS)
def test_published_cells(name: str, passes: Iterable[Pass]) -> None:
    torch.manual_seed(1)
    theirs = RecurrentNetwork(TOKENS, WIDTH, NODES, CELLS[name]).double()
    ours = Network(small(ZOO / f"{name}.hsp"), passes).double()
    named = shared(theirs, ours.network)
    compare(theirs, ours(words()), named)


@pytest.mark.parametrize("budget", [None, 1], ids=["held", "recomputed"])
@each_way
def test_the_supernet(passes: Iterable[Pass], budget: int | None) -> None:
    """Every state is normed over the batch, position by position; within a memory budget, cells are computed again."""
    torch.manual_seed(1)
    searched, theirs = paper(), RecurrentNetwork(TOKENS, WIDTH, 3).double()
    ours = Supernet(searched, passes, target=Target.on(memory_budget=budget, batch=6)).double().train()
    named = shared(theirs, ours.network)
    paths = [f"Recurrent.n{i}.from_{'s' if not j else f'n{j - 1}'}" for i in range(3) for j in range(i + 1)]
    for index, path in enumerate(paths):
        named[f"alphas.{index}"] = ours.alphas[path]
        ours.alphas[path].data.copy_(theirs.alphas[index])
    compare(theirs, ours(words()), named)


def test_one_path_of_a_search() -> None:
    """What is drawn runs as the cell that it is, in a loop of its own."""
    torch.manual_seed(1)
    searched = paper()
    genotype = (("relu", 0), ("sigmoid", 0), ("tanh", 2))
    theirs = RecurrentNetwork(TOKENS, WIDTH, 3, genotype).double()
    ours = Operations(searched.block.graph, searched.decisions)
    ours.module.double().eval()  # Running statistics are 0 and 1: what is normed only loses a little of its size.
    for norm in ours.module.modules():
        if isinstance(norm, nn.BatchNorm1d):
            norm.eps = 0.0
    chosen: Selection = {}
    for path, decision in searched.decisions.items():
        node, *_ = path.removeprefix("Recurrent.n").split(".")
        name, source = genotype[int(node)]
        taken = [*ACTIVATIONS].index(name) + 1 if decision.items[0].startswith("none") else source
        chosen[path] = (taken,)
    named = shared(theirs, ours.module)
    compare(theirs, ours(words(), chosen), named)


def test_facts_of_the_published_cells(tmp_path: Path) -> None:
    """23 million parameters on Penn Treebank; both lie in the space; one is exported as a file to read."""
    searched, diagnostics = compile_file(FILE)
    assert searched is not None, diagnostics
    for name in CELLS:
        published, diagnostics = compile_file(ZOO / f"{name}.hsp")
        assert published is not None, diagnostics
        costs = Costs().block(published.network.block)
        theirs = 10_000 * 850 + 10_000 + 1_700 * 1_700 + 8 * 850 * 1_700
        assert (costs.params, costs.macs) == (theirs, 35 * (theirs - 10_000)) == (22_960_000, 803_250_000)
        assert membership(searched, published).inside
    made = small(ZOO / "darts_rnn_v2.hsp")
    report = export(made, ExportKind.PY, tmp_path / "net.py", Network(made).state_dict())
    assert report.parameters == TOKENS * (WIDTH + 1) + 2 * WIDTH * (2 * WIDTH + NODES * WIDTH)


def test_an_export_for_any_batch(tmp_path: Path) -> None:
    text = """hsp 1
cell Plain(x, h) {
  output project(x + h, weight_matrix(x, 2)) -> tanh
}
network Net(words: [3]; c = 2) {
  vectors = weight_matrix(words, 4, c)
  y = look_up(words, vectors, c) -> scan(Plain)
  output project(y, vectors) -> add_bias
}
"""
    made = space(text)
    export(made, ExportKind.TORCH, tmp_path / "net.pt2", Network(made).state_dict())


REFUSED = {
    "a = x -> scan(Wide)": "a recurrence gives 'Wide' one position at a time, but 'conv' reads several",
    "a = x -> scan(Narrow)": "'next_state' gets 2x6 of a cell whose state is 4x6",
    "a = x -> scan(add)": "a recurrence is one of a cell or stage; write a `cell`",
    "a = x -> scan(Plain | Wide)": "a recurrence is one of a cell or stage; each choice of cells",
    "a = x -> scan(Sized, c = 4 | 8)": "is not a state that a loop starts from; each width has a `scan` of its own",
    "a = next_state(Plain(x, x), x)": "'x' is not a state that a loop starts from; `x -> scan(Cell)`",
    "a = project(x, x)": "'project' reads a `weight_matrix`, not a tensor of shape 4x6",
    "a = project(x, weight_matrix(x, 5, 3))": "'project' multiplies 4 channels by a matrix for 3",
    "a = relu(weight_matrix(x, 4, 6))": "'relu' does not take a tensor of shape 4x6x1x1x1",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_no_recurrence_can_be(line: str) -> None:
    text = f"""hsp 1
op add(x, h) = x + h
cell Plain(x, h) {{
  output x + h
}}
cell Wide(x, h) {{
  output conv(x, 3) + h
}}
cell Narrow(x, h) {{
  output (x + h) -> cut(2)
}}
cell Sized(x, h) {{
  output concat(x, h) -> linear(h.c)
}}
network Net(x: [4, 6]) {{
  {line}
  output a -> last_token
}}
"""
    program, diagnostics = compile_file("net.hsp", text=text)
    assert program is None
    assert [found.span.line for found in diagnostics] == [16]
    assert REFUSED[line] in f"{diagnostics[0].message}; {diagnostics[0].hint}"
