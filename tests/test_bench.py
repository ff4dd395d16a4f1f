"""The benchmarks run, say what they promise, and refuse in a sentence; what they measure is measured elsewhere."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from compiler.backend.passes import PASSES
from tests.support.paths import ROOT

BENCH = ROOT / "bench"

DARTS = BENCH.parent / "spaces" / "darts.hsp"
TINY = ["--set", "c=4", "--set", "cells=3", "--batch", "2", "--rounds", "1", "--threads", "1"]


def bench(name: str, *args: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(BENCH / f"{name}.py"), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})


def figures(name: str, *args: object) -> Any:
    done = bench(name, *args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.bench
def test_supernet() -> None:
    found = figures("supernet", DARTS, *TINY, "--equality-batch", 2)
    assert found["time_ratio"] == pytest.approx(found["naive"]["time"]["median"] / found["optimised"]["time"]["median"])
    assert found["memory_ratio"] == found["optimised"]["memory"]["above"] / found["naive"]["memory"]["above"]
    assert found["naive"]["memory"]["above"] > 1 << 20
    assert found["equality"]["largest"] < 1e-10
    assert 0 < found["equality"]["reverse"]["output"]["largest"] < 1e-10
    assert {"output", "gradients of weights", "gradients of alphas"} < set(found["equality"]["float64"])
    assert 0 < found["equality"]["float32"]["gradients of weights"]["naive"]["largest"] < 1e-2


# ---------------------------------------------------------------- a peer of one's own

OPERATIONS = """\
import torch
import torch.nn as nn


def bn(c):
    return nn.BatchNorm2d(c, affine=False)


class Half(nn.Module):
    def __init__(self, inputs, c):
        super().__init__()
        self.a = nn.Conv2d(inputs, c // 2, 1, stride=2, bias=False)
        self.b = nn.Conv2d(inputs, c // 2, 1, stride=2, bias=False)
        self.bn = bn(c)

    def forward(self, x):
        x = torch.relu(x)
        return self.bn(torch.cat([self.a(x), self.b(x[:, :, 1:, 1:])], 1))


class Nothing(nn.Module):
    def __init__(self, stride):
        super().__init__()
        self.stride = stride

    def forward(self, x):
        return x[:, :, :: self.stride, :: self.stride] * 0


def depthwise(c, k, stride, dilation=1):
    conv = nn.Conv2d(c, c, k, stride, dilation * (k // 2), dilation, groups=c, bias=False)
    return [nn.ReLU(), conv, nn.Conv2d(c, c, 1, bias=False), bn(c)]


def operation(name, c, stride):
    kind, k = name[:3], int(name[-1]) if name[-1].isdigit() else 0
    if kind == "non":
        return Nothing(stride)
    if kind == "max":
        return nn.Sequential(nn.MaxPool2d(3, stride, 1), bn(c))
    if kind == "avg":
        return nn.Sequential(nn.AvgPool2d(3, stride, 1, count_include_pad=False), bn(c))
    if kind == "ski":
        return Half(c, c) if stride == 2 else nn.Identity()
    if kind == "sep":
        return nn.Sequential(*depthwise(c, k, stride), *depthwise(c, k, 1))
    return nn.Sequential(*depthwise(c, k, stride, 2))
"""

MODEL = """\
import torch
import torch.nn as nn
from genotypes import PRIMITIVES
from operations import Half, bn, operation
from torch.autograd import Variable


class Mixed(nn.Module):
    def __init__(self, c, stride):
        super().__init__()
        self._ops = nn.ModuleList(operation(name, c, stride) for name in PRIMITIVES)

    def forward(self, x, weights):
        return sum(w * op(x) for w, op in zip(weights, self._ops))


class Cell(nn.Module):
    def __init__(self, a, b, c, reduction, after):
        super().__init__()
        narrow = lambda inputs: nn.Sequential(nn.ReLU(), nn.Conv2d(inputs, c, 1, bias=False), bn(c))
        self.reduction = reduction
        self.preprocess0 = Half(a, c) if after else narrow(a)
        self.preprocess1 = narrow(b)
        self._ops = nn.ModuleList(Mixed(c, 2 if reduction and j < 2 else 1) for n in range(4) for j in range(2 + n))

    def forward(self, a, b, weights):
        states, ops = [self.preprocess0(a), self.preprocess1(b)], iter(zip(self._ops, weights))
        for _ in range(4):
            states.append(sum(op(state, w) for state, (op, w) in zip(list(states), ops)))
        return torch.cat(states[2:], 1)


class Network(nn.Module):
    def __init__(self, c, classes, layers, criterion):
        super().__init__()
        self._steps = 4
        self.stem = nn.Sequential(nn.Conv2d(3, 3 * c, 3, padding=1, bias=False), nn.BatchNorm2d(3 * c))
        self.cells, a, b, after = nn.ModuleList(), 3 * c, 3 * c, False
        for i in range(layers):
            reduction = i in (layers // 3, 2 * layers // 3)
            c *= 1 + reduction
            self.cells.append(Cell(a, b, c, reduction, after))
            a, b, after = b, 4 * c, reduction
        self.classifier = nn.Linear(b, classes)
        self.alphas_normal = Variable(torch.randn(14, 8).cuda(async=True), requires_grad=True, volatile=False)
        self.alphas_reduce = Variable(torch.randn(14, 8).cuda(), requires_grad=True)
        self._arch_parameters = [self.alphas_normal, self.alphas_reduce]

    def forward(self, x):
        a = b = self.stem(x)
        for cell in self.cells:
            a, b = b, cell(a, b, (self.alphas_reduce if cell.reduction else self.alphas_normal).softmax(-1))
        return self.classifier(b.mean((2, 3)).view(len(x), -1))
"""

MENU = "none max_pool_3x3 avg_pool_3x3 skip_connect sep_conv_3x3 sep_conv_5x5 dil_conv_3x3 dil_conv_5x5"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A program with the names of the released one's modules, and words that torch has long dropped."""
    (tmp_path / "cnn").mkdir()
    (tmp_path / "cnn/genotypes.py").write_text(f"PRIMITIVES = {MENU.split()}\n")
    (tmp_path / "cnn/operations.py").write_text(OPERATIONS)
    (tmp_path / "cnn/model_search.py").write_text(MODEL)
    return tmp_path


@pytest.mark.bench
def test_peer(checkout: Path) -> None:
    before = sorted(checkout.rglob("*"))
    found = figures("peer", "--darts", checkout, DARTS, *TINY)
    assert [rival["name"] for rival in found["rivals"]] == ["naive", "optimised", "darts", "darts, channels last"]
    assert max(worst["largest"] for worst in found["equal"]["darts"].values()) < 1e-10
    assert found["equal"]["darts"]["gradients of alphas"]["tensors"] == 28
    assert sorted(checkout.rglob("*")) == before


COMPARE = """
import sys
from pathlib import Path
from contender import Case, Contender
from same import *
case = Case(space=Path(sys.argv[1]), overrides=("c=4", "cells=3"))
print(same(Contender(case=case, kind=Peer.DARTS, checkout=Path(sys.argv[2])), 2)[Group.OUTPUT].largest)
"""


@pytest.mark.bench
def test_a_peer_that_computes_something_else_is_seen(checkout: Path) -> None:
    path = checkout / "cnn/operations.py"
    path.write_text(path.read_text().replace("x[:, :, 1:, 1:]", "x"))
    done = subprocess.run([sys.executable, "-c", COMPARE, DARTS, checkout], cwd=BENCH, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 1e-3


@pytest.mark.bench
def test_search() -> None:
    sizes = ["--set", "c=4", "--set", "cells=3", "--set", "batch=4", "--images", 16, "--threads", 1]
    found = figures("search", DARTS, "--data", "fake", *sizes, "--epochs", 1)
    assert (found["steps"], len(found["epochs"])) == (2, 1)
    assert sum(found["parts"].values()) == pytest.approx(found["seconds"])
    assert all(found["parts"][part] > 0 for part in ("data", "alpha step", "weight step", "evaluation and checkpoint"))


METHODS_SPACE = """hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = zero if relaxed | unit | unit(k = 3) | unit(k = 5) | identity

network Net(image: [3, 8, 8]; classes = 10) {
  stem = image -> conv(3, 8) -> batch_norm
  n[i < 2] = sum(pick 2 of Op(each (stem, stem, earlier n)))
  output last of n -> classifier(classes)
}

search Net {
  data = fake
}
"""


@pytest.mark.bench
def test_contention() -> None:
    found = figures("contention", DARTS, *TINY, "--busy", 1)
    assert [(step["lowering"], step["busy"]) for step in found["steps"]] == [
        ("naive", 0),
        ("optimised", 0),
        ("naive", 1),
        ("optimised", 1),
    ]
    alone, beside = found["steps"][::2]
    assert beside["ratio"] == pytest.approx(beside["time"]["median"] / alone["time"]["median"])


@pytest.mark.bench
def test_methods(tmp_path: Path) -> None:
    space = tmp_path / "net.hsp"
    space.write_text(METHODS_SPACE)
    small = ["--batch", 2, "--repeats", 2, "--threads", 1]
    found = figures("methods", space, "--methods", "darts", "fairnas", "--keep", 2, *small)
    base, narrowed = found["costs"]
    assert (base["name"], narrowed["name"]) == ("darts", "darts, narrowed to 2 items")
    assert (base["time_ratio"], base["memory_ratio"], base["alpha_share"]) == (1, 1, 1)
    assert len(narrowed["lane"]["time"]["each"]) == 2
    ratio = narrowed["lane"]["time"]["median"] / base["lane"]["time"]["median"]
    assert narrowed["time_ratio"] == pytest.approx(ratio)
    (refused,) = found["refused"]
    assert refused["name"] == "fairnas"
    assert "weights = fair" in refused["reason"]


ITERATION = """
import sys
from pathlib import Path
from unittest.mock import patch
from contender import Case, Contender, Ours, Turn
from iteration import Iteration
from compiler.searcher.engine.bilevel import Bilevel
found = []
for method, keep in (("darts", None), ("darts", 2), ("proxyless", None), ("darts_pt_blank", None)):
    case = Case(space=Path(sys.argv[1]), overrides=(f"method={method}", "batch=2"), batch=2)
    narrow = () if keep is None else ("narrow=together(keep = 2, at = 1)",)
    case = case.model_copy(update={"overrides": (*case.overrides, *narrow)})
    taken = Iteration(Contender(case=case, kind=Ours.OPTIMISED), Turn(name=method, steps=2, keep=keep))
    moved, learnt = taken.search.bilevel.alpha_step, taken.search.bilevel.weight_step
    with (
        patch.object(Bilevel, "alpha_step", side_effect=moved) as alphas,
        patch.object(Bilevel, "weight_step", side_effect=learnt) as weights,
    ):
        taken()
    left = {len(items) for items in taken.search.searchable.live.narrow.values()}
    found.append((taken.count, alphas.call_count, weights.call_count, left))
print(found)
"""


@pytest.mark.bench
def test_an_iteration_takes_the_steps_that_the_method_asks_for(tmp_path: Path) -> None:
    space = tmp_path / "net.hsp"
    space.write_text(METHODS_SPACE)
    done = subprocess.run([sys.executable, "-c", ITERATION, space], cwd=BENCH, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[(2, 2, 2, set()), (2, 2, 2, {2}), (5, 1, 5, set()), (2, 0, 2, set())]"


def test_compile() -> None:
    (found,) = figures("compile", "--shapes", "fresh", "--most", 100)
    assert [size["edges"] for size in found["sizes"]] == [33, 99]
    assert list(found["exponents"]) == [
        *("parse", "print", "check", "elaborate", "count and cost"),
        *(item.name for item in PASSES),
        "lower",
    ]


def test_the_exponent_is_the_slope() -> None:
    code = "from compile import exponent; print(exponent([(n, 1e-3 * n**1.5) for n in (1, 100, 1000, 10000)]))"
    done = subprocess.run([sys.executable, "-c", code], cwd=BENCH, capture_output=True, text=True)
    assert float(done.stdout) == pytest.approx(1.5), done.stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ((), "name a peer"),
        (("--hdas", "."), "H-DAS"),
        (("--nni", *TINY), "pip install nni"),
        (("--naslib",), "NASLib"),
        (("--darts", "."), "model_search.py"),
    ],
)
def test_peers_that_cannot_be_run_are_refused(
    args: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is measured, or a process is started for that."""
    monkeypatch.syspath_prepend(BENCH)
    monkeypatch.setattr("sys.argv", ["peer.py", *args])
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(BENCH / "peer.py"), run_name="__main__")
    assert end.value.code
    assert message in capsys.readouterr().err


@pytest.mark.bench
def test_scale() -> None:
    found = figures("scale", DARTS, "--told", 100)
    assert {"random", "evolution", "predictor"} < {*found["costs"]}
    assert all(0 < cost < 0.1 for cost in found["costs"].values())
    shares = {int(n): {float(d): share for d, share in row.items()} for n, row in found["shares"].items()}
    assert shares[1][1000.0] > 0.95
    cost = found["costs"]["evolution"] + found["log"]
    assert shares[10_000][1.0] == pytest.approx(1 / (cost * 10_000), rel=0.2)


@pytest.mark.bench
def test_throughput() -> None:
    found = figures("throughput", "--trials", 4, "--epochs", 1)
    assert found["ratio"] == pytest.approx(found["several"] / found["one"])


@pytest.mark.bench
def test_tasks() -> None:
    found = figures("tasks", "table", "--seeds", 2, "--epochs", 12, "--search-epochs", 1)
    assert (found["space"], found["metric"]) == ("table", "accuracy")
    assert min(*found["ours"], *found["plain"]) > 0.6
