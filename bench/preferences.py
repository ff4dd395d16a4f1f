"""Do the preferences act? Searches of small stages on digits over the weights of depth and of the number of cells.

    python bench/preferences.py [--epochs 5] [--seeds 3]

Prints the two tables of docs/hdas.md. The depth of a derived stage is the mean over its cells of d_j, where d_j is the
mean over the inputs of cell j of d_i + 1, and the inputs of the stage have depth 0.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import mean

import torch

from compiler.derivation.strongest import strongest
from compiler.elaborate import Elaborated
from compiler.ir.decision import Selection
from compiler.ir.quantities import Depth, Length
from compiler.program.request import Request
from compiler.runs.config import RunConfig
from compiler.runs.plan import plan_search
from compiler.runs.search import search

DEPTH_WEIGHTS = (0, 1, 10)
CELLS_WEIGHTS = (0, 0.1, 0.4, 4)

SPACE = """hsp 1
use "lib/darts.hsp" with pool_norm = norm
use "hdas_stages.hsp"

cell Block(a, b; c) {{
  output a + (b -> relu -> dwconv(3) -> conv(1) -> batch_norm)
}}

stage Small(x; c) {{
  a = relu_conv(x, 1)
  b = relu_conv(x, 1)
  s[j < {sizes}] = Block(mix, mix, c) where mix = sum(pick 2 of Macro(each last 3 of (a, b, earlier s)))
  output concat(last 2 of s)
  maximize depth(s, ends = true) weight {depth}
  minimize length(s) weight {cells}
}}

network Net(image: [1, 8, 8]; c = 8, stages = 2) {{
  stem = image -> conv(3, c, 2) -> batch_norm
  s[j < stages] = prev(stem) -> (if j == 0 then identity else max_pool(3, 2)) -> Small@j(c)
  output last of s -> classifier(10)
}}

search Net {{
  data = digits(weights_share = 0.5)
  epochs = {epochs}
  batch = 128
  seed = {seed}
  weights = sgd(lr = cosine(0.05, 0.001))
  alphas = adam(lr = 2e-2, betas = (0.5, 0.999), decay = 1e-3, init = 1e-3)
  derive = strongest(by = logit, epoch = last)
  preferences = apart
}}
"""


def searched(text: str) -> tuple[Elaborated, Selection]:
    """Search a program: its space and what was found."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.hsp"
        path.write_text(text)
        request = Request(path)
        report = search(plan_search(request, RunConfig(Path(folder) / "run", device="cpu", quiet=True)))
        program = request.compile()
    alphas = {path: alpha.tolist() for path, alpha in report.outcomes[""].alphas.items()}
    return program.network, strongest(program.network.decisions, alphas, program.settings.derive.rule.by)


def depths(space: Elaborated, chosen: Selection) -> Iterator[float]:
    """The depth of each derived stage."""
    picks = {tuple(d.candidates): d.path for d in space.decisions.values() if d.candidates}
    for preference in space.preferences:
        if isinstance(quantity := preference.quantity, Depth):
            found: list[float] = []
            for edges in quantity.nodes[: cells(quantity.length, chosen)]:
                kept = [edges[i] for i in chosen[picks[tuple(edge.decision for edge in edges)]]]
                found.append(mean(1 + (0.0 if edge.source is None else found[edge.source]) for edge in kept))
            yield mean(found)


def cells(length: Length | None, chosen: Selection) -> int:
    """The number of cells of a derived stage."""
    assert length is not None
    return length.sizes[chosen[length.decision][0] if length.decision else 0]


def lengths(space: Elaborated, chosen: Selection) -> Iterator[int]:
    for preference in space.preferences:
        if isinstance(preference.quantity, Length):
            yield cells(preference.quantity, chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    print("| weight of depth | depth of the derived stages, mean over seeds | each seed |\n|---|---|---|", flush=True)
    for weight in DEPTH_WEIGHTS:
        texts = [SPACE.format(sizes=6, depth=weight, cells=0, epochs=args.epochs, seed=s) for s in range(args.seeds)]
        values = [mean(depths(*searched(text))) for text in texts]
        print(f"| {weight} | {mean(values):.3f} | {', '.join(f'{v:.3f}' for v in values)} |", flush=True)
    print("\n| weight of cells | cells of the derived stages, mean over seeds | each seed |\n|---|---|---|", flush=True)
    for cost in CELLS_WEIGHTS:
        sizes = "2 | .. | 6"
        texts = [SPACE.format(sizes=sizes, depth=1, cells=cost, epochs=args.epochs, seed=s) for s in range(args.seeds)]
        values = [mean(lengths(*searched(text))) for text in texts]
        print(f"| {cost} | {mean(values):.2f} | {', '.join(f'{v:.1f}' for v in values)} |", flush=True)


if __name__ == "__main__":
    main()
