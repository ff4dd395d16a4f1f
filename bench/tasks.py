"""Does a training here find what plain torch finds: the spaces of `spaces/tasks/`, searched, then trained by both.

    python bench/tasks.py [--seeds 5] [--epochs N] [--search-epochs N] [NAME ...]

Each space is searched as its file says. What was found is exported as a file of plain torch, which a loop of plain
torch trains with the same optimizer, schedule, batches of the same size, and epochs, and scikit-learn judges. Printed
are the metric of both on the test part, mean and standard deviation over seeds, and t, the difference by its standard
error.
"""

from __future__ import annotations

import argparse
import json
import math
import runpy
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
from sklearn.metrics import accuracy_score, jaccard_score
from torch import Tensor, nn
from torch.nn import functional as F

from compiler import search, train
from compiler.backend.export import ExportKind, export
from compiler.backend.lowering.network import Network
from compiler.program.compile_file import compile_file
from hdas_dsl.units import LIBRARY

FOLDER = LIBRARY / "tasks"
PLUGIN = FOLDER / "data.py"
RATE, DECAY = 0.005, 0.01
"""As the files say."""


def accuracy(outputs: Tensor, targets: Tensor) -> float:
    return float(accuracy_score(targets, outputs.argmax(1)))


def iou(outputs: Tensor, targets: Tensor) -> float:
    return float(jaccard_score(targets.flatten(), outputs.argmax(1).flatten(), average="macro"))


def perplexity(outputs: Tensor, targets: Tensor) -> float:
    return math.exp(F.cross_entropy(outputs, targets))


@dataclass(frozen=True)
class Space:
    """A space of the folder: the function of its data, its training as its file says, and how it is judged."""

    data: str
    batch: int
    epochs: int
    metric: Callable[[Tensor, Tensor], float]
    clip: float = 5


SPACES = {
    "series": Space("series", 32, 20, accuracy),
    "table": Space("wine", 16, 40, accuracy),
    "text": Space("manual", 32, 10, perplexity),
    "recurrent": Space("manual", 32, 10, perplexity, clip=0.25),
    "unet": Space("shapes", 16, 10, iou),
    "deeplab": Space("shapes", 16, 10, iou),
}


def read(space: Space) -> list[Tensor]:
    """Inputs and targets of the training part, then of the test part, as a network takes them."""
    made = runpy.run_path(str(PLUGIN))[space.data]()
    if isinstance(made, dict):
        windows = [torch.as_tensor(made[name]) for name in ("x", "x_test")]
        return [part for text in windows for part in (text[:, :-1], text[:, 1:])]
    tensors = [torch.as_tensor(array) for array in made]
    for index in (0, 2):
        tensors[index] = tensors[index].float() / (255 if tensors[index].dtype is torch.uint8 else 1)
    return tensors


def plain(network: nn.Module, space: Space, data: list[Tensor], epochs: int) -> float:
    """The metric after a training by a loop of plain torch."""
    x, y, x_test, y_test = data
    optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    samples = torch.utils.data.TensorDataset(x, y)
    for _ in range(epochs):
        network.train()
        for inputs, targets in torch.utils.data.DataLoader(samples, space.batch, shuffle=True, drop_last=True):
            optimizer.zero_grad()
            F.cross_entropy(network(inputs), targets).backward()
            nn.utils.clip_grad_norm_(network.parameters(), space.clip)
            optimizer.step()
        schedule.step()
    network.eval()
    with torch.no_grad():
        outputs = torch.cat([network(inputs) for inputs in x_test.split(100)])
    return space.metric(outputs, y_test)


def compare(name: str, folder: Path, seeds: int, searching: dict[str, Any], epochs: int | None) -> dict[str, Any]:
    """The metrics of both over seeds, of one network that a search found."""
    space = SPACES[name]
    steps = space.epochs if epochs is None else epochs
    report = search(FOLDER / f"{name}.hsp", folder / name, plugins=[PLUGIN], seed=0, **searching)
    compiled, diagnostics = compile_file(report.derived)
    assert compiled is not None, diagnostics
    file = folder / f"{name}.py"
    export(compiled.network, ExportKind.PY, file, Network(compiled.network).state_dict())
    make = runpy.run_path(str(file))[compiled.network.name]
    data = read(space)
    ours, theirs = [], []
    for seed in range(seeds):
        out = folder / f"{name}-{seed}"
        ours.append(train(report.derived, out, plugins=[PLUGIN], seed=seed, epochs=steps).value)
        torch.manual_seed(seed)
        theirs.append(plain(make(), space, data, steps))
    return {"space": name, "metric": space.metric.__name__, "ours": ours, "plain": theirs}


def row(found: dict[str, Any]) -> str:
    """A line of the table."""
    ours, theirs = found["ours"], found["plain"]
    both = " | ".join(f"{mean(values):.3f} ± {stdev(values):.3f}" for values in (ours, theirs))
    error = math.sqrt((stdev(ours) ** 2 + stdev(theirs) ** 2) / len(ours))
    apart = (mean(ours) - mean(theirs)) / error if error else 0.0
    return f"| `{found['space']}.hsp` | {found['metric']} | {both} | {apart:+.1f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(SPACES), metavar="NAME", help="of spaces; without, all")
    parser.add_argument("--seeds", type=int, default=5, help="how many trainings by each, at least 2")
    parser.add_argument("--epochs", type=int, help="of each training, instead of the files'")
    parser.add_argument("--search-epochs", type=int, help="of each search, instead of the files'")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    torch.set_num_threads(1)
    searching: dict[str, Any] = {} if given.search_epochs is None else {"epochs": given.search_epochs}
    if not given.json:
        print("| space | metric | here | plain torch | t |\n|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        for name in given.names:
            found = compare(name, Path(temporary), given.seeds, searching, given.epochs)
            print(json.dumps(found) if given.json else row(found), flush=True)


if __name__ == "__main__":
    main()
