"""A network small enough to search in a second, and a program that does so, to be killed by tests.

``python engine_toy.py search|train|processes OUT [--die-at N]``; N counts forward passes of the network.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from compiler.searcher.data.load import Data, load_data
from compiler.searcher.engine import (
    RunInterruptedError,
    RunOptions,
    SearchOutcome,
    is_main_process,
    run_search,
    run_train,
)
from compiler.searcher.engine.protocol import Leading, Passes, Run
from compiler.searcher.engine.reporting.records import Observed
from compiler.searcher.settings.datasets import Fake
from compiler.searcher.settings.narrowing import Measure
from compiler.searcher.settings.optimizers import AlphaAdam, Sgd
from compiler.searcher.settings.schedules import Constant, Cosine, Ramp
from compiler.searcher.settings.sections import SearchSettings, TrainSettings

FAKE = Fake(classes=3, count=48, channels=1, size=8, crop=1, flip=True)
SEARCH = SearchSettings(
    data=FAKE, epochs=3, batch=8, weights=Sgd(lr=Cosine(start=0.05)), alphas=AlphaAdam(lr=Constant(value=0.05)), seed=3
)
TRAIN = TrainSettings(
    data=FAKE, epochs=3, batch=16, weights=Sgd(lr=Cosine(start=0.05)), drop_path=Ramp(start=0.0, end=0.3)
)


def toy_data() -> Data:
    return load_data(FAKE, Path("nowhere"))


class Mixed(nn.Module):
    """A softmax over a linear operation, the identity and nothing."""

    def __init__(self, alpha: nn.Parameter) -> None:
        super().__init__()
        self.alpha = [alpha]  # in a list, so that it is not a parameter of the module
        self.op = nn.Sequential(nn.Linear(4, 4, bias=False), nn.BatchNorm1d(4, affine=False))

    def forward(self, x: Tensor) -> Tensor:
        linear, skip, _ = torch.softmax(self.alpha[0], 0)
        mixed: Tensor = linear * self.op(x) + skip * x
        return mixed


class Toy(nn.Module):
    def __init__(self, *middle: nn.Module) -> None:
        super().__init__()
        stem = nn.Sequential(
            nn.Conv2d(1, 4, 3, stride=2, bias=False), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        self.body = nn.Sequential(stem, *middle, nn.ReLU(), nn.Dropout(0.2))
        self.head = nn.Linear(4, 3)
        self.calls = 0
        self.before: Callable[[int], None] = lambda call: None

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1
        self.before(self.calls)
        logits: Tensor = self.head(self.body(images))
        return logits


class ToySpace:
    """What the engine sees of a supernet."""

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.alphas = {f"Cell.n{i}.from_x": nn.Parameter(1e-3 * torch.randn(3)) for i in range(2)}
        self.module = Toy(*map(Mixed, self.alphas.values()))
        self.liking: float | None = 0.1
        self.moments: list[float] = []

    def weights(self) -> Iterable[nn.Parameter]:
        return self.module.parameters()

    def begin(self, epoch: int) -> None:
        """There is nothing to make ready."""

    def narrow(self, done: int, judge: Callable[[Measure], float]) -> None:
        """Nothing is given up."""

    def anneal(self, epoch: float) -> None:
        self.moments.append(epoch)

    def perturbed(self, loss: Callable[[], Tensor]) -> AbstractContextManager[None]:
        return nullcontext()

    def apart(self) -> AbstractContextManager[Mapping[str, Sequence[Tensor]]]:
        return nullcontext({})

    def restricted(self) -> AbstractContextManager[None]:
        return nullcontext()

    def twice_differentiable(self) -> AbstractContextManager[None]:
        return nullcontext()

    def alpha_passes(self) -> Sequence[Run | None]:
        return (None,)

    def weight_passes(self) -> Passes:
        return Passes()

    def weights_of_items(self) -> Mapping[str, Sequence[nn.Parameter]]:
        return {}

    def teacher(self) -> Run | None:
        return None

    def running(self, run: Run | None) -> AbstractContextManager[None]:
        return nullcontext()

    def preferences(self) -> dict[str, Tensor]:
        if self.liking is None:
            return {}
        skips = sum(torch.softmax(a, 0)[1] for a in self.alphas.values())
        assert isinstance(skips, Tensor)
        return {"skips": self.liking * skips}

    def objective(self, *losses: Tensor) -> Tensor:
        return losses[0]

    def scores(self) -> dict[str, float]:
        return {"depth Cell": float(sum(a.argmax() for a in self.alphas.values()))}

    def entropy(self) -> dict[str, float]:
        return {"Cell": 1.0}

    def leading(self) -> Leading:
        found = {path: ["linear", "skip"][int(a[:2].argmax())] for path, a in self.alphas.items()}
        return Leading(found, frozenset(found), {"Cell": list(found.values())}, {})

    def observed(self) -> Observed:
        names = ("linear", "skip", "none")
        weights = {path: dict(zip(names, a.softmax(0).tolist(), strict=True)) for path, a in self.alphas.items()}
        return Observed(weights, {}, dict.fromkeys(self.alphas, 1.0))


class ToyNet:
    """What the engine sees of a network to train."""

    def __init__(self, seed: int = 0, auxiliary: bool = True) -> None:
        torch.manual_seed(seed)
        self.module = Toy(nn.Linear(4, 4), nn.BatchNorm1d(4))
        self.rates: list[float] = []
        self.has_aux = auxiliary
        if auxiliary:
            self.module.register_forward_hook(lambda net, _, logits: (logits, -logits) if net.training else logits)

    def set_drop_path(self, rate: float) -> None:
        self.rates.append(rate)
        dropout = self.module.body[-1]
        assert isinstance(dropout, nn.Dropout)
        dropout.p = rate


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("kind", choices=["search", "train", "processes"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--die-at", type=int)
    given = parser.parse_args(arguments)

    def before(call: int) -> None:
        if call == given.die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    run = RunOptions(given.out, device="cpu", fingerprint="toy")
    if given.kind == "search":
        space = ToySpace()
        space.module.before = before
        run_search(space, toy_data(), SEARCH, run)
    elif given.kind == "train":
        net = ToyNet()
        net.module.before = before
        run_train(net, toy_data(), TRAIN, run)
    else:
        processes(given.out)


def processes(out: Path) -> None:
    """A search by two processes, unbroken and stopped and resumed; each process writes what it found."""

    def before(call: int) -> None:
        if call == 10 and not is_main_process():
            signal.raise_signal(signal.SIGTERM)

    def found(name: str, outcome: SearchOutcome) -> None:
        alphas = {path: alpha.tolist() for path, alpha in outcome.alphas.items()}
        (out / f"{name}-{os.environ['LOCAL_RANK']}").write_text(repr(alphas))

    whole = RunOptions(out / "whole", device="cpu", devices=2)
    apart = ToySpace(seed=int(os.environ.get("LOCAL_RANK", 0)))
    found("whole", run_search(apart, toy_data(), SEARCH, whole))
    stopped = replace(whole, out=out / "stopped")
    space = ToySpace()
    space.module.before = before
    with suppress(RunInterruptedError):
        found("never", run_search(space, toy_data(), SEARCH, stopped))
    found("resumed", run_search(ToySpace(), toy_data(), SEARCH, replace(stopped, resume=True)))


if __name__ == "__main__":
    main(sys.argv[1:])
