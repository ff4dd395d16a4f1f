"""What a GPU would not like, seen without one: waits in steps, mixed devices, early reads, what cannot be recorded."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from compiler.analysis.architectures import Architectures
from compiler.backend.lowering.network import Network
from compiler.backend.passes import Target
from compiler.program.methods import library_methods
from compiler.program.overrides import read_override
from compiler.program.request import Request
from compiler.searcher.data.load import load_data
from compiler.searcher.engine import RunOptions, retrain, run_train
from compiler.searcher.engine.accuracy import Evaluation
from compiler.searcher.engine.device.batches import Batches
from compiler.searcher.engine.device.compute import deterministic
from compiler.searcher.engine.search import Searching
from compiler.searcher.engine.state.seeds import seed_all
from compiler.searcher.engine.tasks import behaviour_of
from compiler.searcher.explore.shared import SharedWeights
from compiler.searcher.explore.space import ExploredSpace
from compiler.searcher.relaxations import relaxed
from compiler.searcher.relaxations.single_path import OnePath
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.settings.judges import SharedJudge
from compiler.searcher.settings.narrowing import Measure
from compiler.searcher.settings.relaxation import NoRelaxation
from compiler.searcher.settings.tasks import Segmentation, Task, Tokens
from tests.ir.test_traits import IDS, SAMPLES, Sample
from tests.support.pretended_gpu import GPU, PretendedGpu, compute, pretended_gpu

SMALL = """
hsp 1
use "lib/prim.hsp"

op none(x) = zero(x)
op skip_connect(x) = x -> drop_path
op conv3(x) = x -> relu -> conv(3, x.c) -> batch_norm
op pool(x) = x -> avg_pool(3)

choice Micro = MENU

cell Cell(a, b) {
  n[i < 1] = NODE
  output concat(n) -> conv(1, a.c)
}

network Small(image: [3, 8, 8]; classes = 10) {
  stem = image -> conv(3, 4) -> batch_norm
  k = Cell(stem, stem)
  output Cell(stem, k) -> classifier(classes)
}

search Small { data = fake(count = 32, weights_share = 0.5) }
"""
FULL, DERIVABLE = "none if relaxed | skip_connect | conv3 | pool", "skip_connect | conv3 | pool"
PICKS, NODES = "sum(pick 2 of Micro(each (a, b, earlier n)))", "Micro(a) + Micro(b)"
SOME = "sum(none(a), pick 0..2 of Micro(each (a, b, earlier n)))"
NARROWED = "narrow=together(keep=(3, 2), at=(1, 9))"

PLAIN = SMALL.replace("MENU", FULL).replace("NODE", PICKS)
ALL_DERIVABLE = SMALL.replace("MENU", DERIVABLE).replace("NODE", NODES)
TEXTS = {
    "fair_darts": SMALL.replace("MENU", DERIVABLE).replace("NODE", SOME),
    "asng": ALL_DERIVABLE,
    "fairnas": ALL_DERIVABLE,
    "bignas": ALL_DERIVABLE.replace("concat(n)", "concat(n) -> conv(3, 4 | 8)"),
}
"""Texts for methods that do not take every space."""
OVERRIDES = {
    "pc_darts": ("alphas_from=0",),
    "p_darts": (NARROWED, "alphas=adam"),
    "drnas": (NARROWED, "alphas=adam"),
    "sgas": ("narrow=one_by_one(by=certainty, begin=1, every=1)",),
    "sgas_2": ("narrow=one_by_one(by=certainty(history=4), begin=1, every=1)",),
    "darts_pt": ("narrow=one_by_one(by=damage, begin=1, every=1)",),
    "darts_pt_blank": ("narrow=one_by_one(by=damage, begin=1, every=1)",),
}
"""What lets a method do in two epochs all that it does in many."""
MOVED = "_to_copy in searcher/relaxations/draws.py:lists"
DIRICHLET = {"_to_copy in backend/transfer.py:moved", "_to_copy in searcher/engine/gradients.py:_local"}
"""Alphas of the Dirichlet distribution go to the CPU, and gradients come and go."""


def searching(method: str, folder: Path) -> Searching | None:
    """A search on the pretended GPU; None for a method without a supernet."""
    (folder / "small.hsp").write_text(TEXTS.get(method, PLAIN))
    given = ("batch=8", f"method={method}", *OVERRIDES.get(method, ()))
    (phase,) = Request(folder / "small.hsp", tuple(map(read_override, given))).compile().phases
    if isinstance(phase.settings.relax, NoRelaxation):
        return None
    phase = replace(phase, settings=phase.settings.model_copy(update={"epochs": 2}))
    torch.manual_seed(0)
    net = relaxed(phase.network, phase.settings, Target.on("cuda"), phase.built)
    return Searching(net, load_data(phase.settings.data, folder, input_shape=(3, 8, 8)), phase.settings, compute())


def search(found: Searching, gpu: PretendedGpu) -> None:
    """Two epochs of two steps; the waits are those of steps, but for the first of an epoch, which prepares more."""
    measured = found.compute

    def evaluate(batches: Batches, *, measure: Measure = Measure.ACCURACY, batch_statistics: bool = False) -> float:
        return Evaluation(found.behaviour, measure, batch_statistics)(found.module, batches, measured)

    waits: Counter[str] = Counter()
    for epoch in range(2):
        found.module.train()
        found.begin(epoch, 0)
        for step in range(2):
            seed_all(1000 * epoch + step, GPU)
            found.fetch()
            gpu.waits.clear()
            found.step(epoch, step)
            if step:
                waits.update(gpu.waits)
        found.state.next_epoch(found.end(epoch, evaluate))
    found.outcome()
    gpu.waits = waits


@pytest.mark.parametrize("method", [method.name for method in library_methods()])
def test_a_search_by_each_method(method: str, tmp_path: Path) -> None:
    """Steps wait for the alphas of draws only; all passes of a supernet are recorded, also when items are gone."""
    with pretended_gpu() as gpu, deterministic():
        found = searching(method, tmp_path)
        if found is None:
            return
        search(found, gpu)
        supernet = found.searchable
    assert (gpu.mixed, gpu.early, gpu.unsteady) == ({}, {}, {})
    if isinstance(supernet, Supernet):
        assert supernet.lowering.replays.is_wanted
        assert supernet.lowering.replays.recordings
    assert gpu.waits.keys() <= (DIRICHLET if method == "drnas" else {MOVED} if isinstance(supernet, OnePath) else set())


UNSTEADY = {
    "adaptive_pool": {"_adaptive_avg_pool2d_backward", "avg_pool3d_backward"},
    "avg_pool": {"avg_pool3d_backward"},
    "max_pool": {"max_pool3d_with_indices_backward"},
    "upsample": {"upsample_linear1d_backward"},
}
"""Primitives of which some gradient is not deterministic on a GPU; docs/laws.md says so."""


def step(module: nn.Module, inputs: list[Tensor], slope: Tensor | None) -> list[Tensor]:
    """The output of a module in training, and its gradients, on the CPU."""
    torch.manual_seed(0)
    given = [x.detach().requires_grad_(x.is_floating_point()) for x in inputs]
    output = module.train()(*given)
    leaves = [x for x in (*given, *module.parameters()) if x.requires_grad]
    found = [output]
    if output.requires_grad and slope is not None:
        found += [g for g in torch.autograd.grad(output, leaves, slope, allow_unused=True) if g is not None]
    return [x.detach() for x in found]


@pytest.mark.parametrize("sample", SAMPLES, ids=IDS)
def test_a_step_of_each_primitive(sample: Sample) -> None:
    """It equals that of the CPU and waits for nothing."""
    module, inputs = sample.module(), sample.images()
    slope = torch.randn_like(module(*inputs)) if sample.op.available else None
    expected = step(module, inputs, slope)
    with pretended_gpu() as gpu, deterministic():
        module.to(GPU)
        there = [x.to(GPU) for x in inputs]
        slope = None if slope is None else slope.to(GPU)
        gpu.forget()
        found = step(module, there, slope)
        assert (gpu.waits, gpu.mixed, gpu.early) == ({}, {}, {})
        unsteady = {line.split()[0] for line in gpu.unsteady}
        back = [x.cpu() for x in found]
    assert unsteady <= UNSTEADY.get(sample.op.name, set())
    for one, other in zip(expected, back, strict=True):
        torch.testing.assert_close(one, other)


NET = """
hsp 1
use "lib/prim.hsp"

network Net(image: [3, 8, 8]; classes = 10) {
  x = image -> conv(3, 4) -> batch_norm -> relu -> conv(3, 4) -> drop_path
  output x -> upsample(2, smooth = true) -> avg_pool(2) -> classifier(classes)
}

train Net {
  data = fake(count = 32, crop = 1, flip = true, cutout = 2)
  epochs = 2
  batch = 8
  drop_path = ramp(0.1, 0.5)
  label_smoothing = 0.1
}
"""


def test_a_training_that_changes_machines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Steps do not wait, the test accuracy is that of the CPU, and either goes on from the checkpoint of the other."""
    (tmp_path / "net.hsp").write_text(NET)
    program = Request(tmp_path / "net.hsp").compile()
    settings = program.train_settings
    data = load_data(settings.data, tmp_path, input_shape=(3, 8, 8))

    def train(folder: str, resume: bool = False) -> float:
        torch.manual_seed(0)
        network = Network(program.network, target=Target.on("cpu"))
        options = RunOptions(tmp_path / folder, device="cpu", quiet=True, resume=resume)
        return run_train(network, data, settings, options).history[-1].scalars["loss/train"]

    here = train("cpu")
    with pretended_gpu() as gpu, monkeypatch.context() as patch:
        patch.setattr(retrain, "Compute", lambda *_: compute())
        assert train("gpu") == pytest.approx(here, rel=1e-5)
        assert train("cpu", resume=True) == here
        assert (gpu.mixed, gpu.early, gpu.unsteady) == ({}, {}, {})
    assert train("gpu", resume=True) == pytest.approx(here, rel=1e-5)


@pytest.mark.parametrize("task", [Segmentation(), Tokens()], ids=["segmentation", "tokens"])
def test_the_loss_of_positions(task: Task) -> None:
    """It equals that of the CPU, and its sum is deterministic."""
    outputs, targets = torch.randn(2, 4, 5, requires_grad=True), torch.randint(4, (2, 5))
    behaviour = behaviour_of(task, 4)
    loss = behaviour.loss(outputs, targets, 0.1)
    expected = [loss, behaviour.sums(outputs, targets), *torch.autograd.grad(loss, outputs)]
    with pretended_gpu() as gpu:
        there, placed = outputs.detach().to(GPU).requires_grad_(), targets.to(GPU)
        gpu.forget()
        loss = behaviour.loss(there, placed, 0.1)
        found = [loss, behaviour.sums(there, placed), *torch.autograd.grad(loss, there)]
        assert (gpu.waits, gpu.mixed, gpu.unsteady) == ({}, {}, {})
        for one, other in zip(expected, found, strict=True):
            torch.testing.assert_close(one, other.cpu())


@pytest.mark.parametrize("relax", ["softmax", "sample"])
def test_shared_weights_go_to_the_gpu(relax: str) -> None:
    """A worker makes the supernet on the CPU."""
    text = PLAIN.replace("weights_share = 0.5) ", f"weights_share = 0.5)\n  relax = {relax}\n  derive = random(2)\n")
    listing = Architectures(Request(Path("net.hsp"), text=text))
    (phase,) = listing.program.phases
    data = load_data(phase.settings.data, Path(), input_shape=(3, 8, 8))
    with pretended_gpu() as gpu:
        supernet = relaxed(phase.network, phase.settings, Target.on("cuda"))
        space = ExploredSpace(listing.parts[0])
        judge = SharedWeights(supernet, space, data, phase.settings, SharedJudge(), compute())
        judge.score(space.candidate(0), 16)
        assert (gpu.mixed, gpu.early) == ({}, {})


def test_what_all_processes_are_given_lies_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """NCCL knows of no tensor of the CPU, where `freeze` counts its steps."""

    def broadcast(tensor: Tensor, src: int) -> None:
        assert tensor.is_cuda
        tensor.fill_(7)

    with pretended_gpu(), monkeypatch.context() as patch:
        patch.setattr(torch.distributed, "broadcast", broadcast)
        two, here, there = compute(), torch.zeros(()), torch.zeros(2, device=GPU)
        two.world = 2
        two.broadcast([here, there])
        assert [*here.view(1).tolist(), *there.tolist()] == [7, 7, 7]
