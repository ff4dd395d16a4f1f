"""What can only be seen on a GPU: equality with the CPU, replays by CUDA graphs, waits, half precision and memory.

They are skipped where there is none.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, cross_entropy

from compiler.backend.lowering.cuda_graphs import Replays
from compiler.backend.lowering.network import Network
from compiler.backend.passes import FLATTEN, PASSES, Pass, Target
from compiler.backend.torch_modules.pooling import AvgPool2d
from compiler.backend.torch_modules.regularisation import Dropout
from compiler.backend.torch_modules.tokens import Gru, Lstm
from compiler.program.overrides import read_override
from compiler.program.request import Request
from compiler.searcher.data.load import load_data
from compiler.searcher.engine import RunOptions, run_train
from compiler.searcher.engine.device.compute import PRECISIONS, Compute, deterministic
from compiler.searcher.engine.search import Searching
from compiler.searcher.engine.state.seeds import seed_all
from compiler.searcher.relaxations import relaxed
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.settings.axes import Precision
from hdas_dsl.units import LIBRARY
from tests.support.programs import assert_same, space

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

SMALL = ("c=4", "cells=3", "batch=8", "epochs=2", "data=fake(count=128)")


def values(device: str, passes: Iterable[Pass] | None, budget: int | None = None) -> dict[str, Tensor]:
    """The output, the gradients and the statistics of a step in float64, from the same weights, on the CPU."""
    torch.manual_seed(0)
    target = Target.on(device, memory_budget=budget, batch=4)
    net = Supernet(space("darts.hsp", c=4, cells=3), passes, init=1.0, target=target).double().to(device).train()
    images, labels = torch.randn(4, 3, 32, 32, dtype=torch.float64), torch.randint(10, (4,))
    output = net(images.to(device))
    cross_entropy(output, labels.to(device)).backward()
    gradients = {name: p.grad for name, p in net.named_parameters() if p.grad is not None}
    floats = {name: buffer for name, buffer in net.named_buffers() if buffer.is_floating_point()}
    found = {"output": output} | gradients | floats
    return {name: found[name].detach().cpu() for name in sorted(found)}


@pytest.mark.parametrize("passes", [None, PASSES], ids=["those that pay", "all"])
def test_a_step_equals_that_of_the_cpu(passes: Iterable[Pass] | None) -> None:
    assert_same(values("cuda", passes), values("cpu", (FLATTEN,)), 1e-9)


def test_a_step_within_a_budget_equals_that_of_the_cpu() -> None:
    assert_same(values("cuda", None, budget=1), values("cpu", (FLATTEN,)), 1e-9)


@pytest.mark.parametrize("counts", [False, True])
def test_the_gradient_of_an_average_pool(counts: bool) -> None:
    """torch's own was wrong for channels-last images with padding."""
    x = torch.randn(2, 6, 8, 8, dtype=torch.float64, device="cuda").to(memory_format=torch.channels_last)
    x.requires_grad_()
    slope = torch.randn(2, 6, 8, 8, dtype=torch.float64, device="cuda")
    found = torch.autograd.grad(AvgPool2d(3, 1, 1, count_include_pad=counts)(x), x, slope)[0]
    plain = x.detach().cpu().contiguous().requires_grad_()
    pooled = avg_pool2d(plain, 3, 1, 1, count_include_pad=counts)
    assert torch.allclose(found.cpu(), torch.autograd.grad(pooled, plain, slope.cpu())[0])


def searching(*overrides: str) -> Searching:
    """A search of DARTS's space in small, on the GPU."""
    program = Request(LIBRARY / "darts.hsp", tuple(map(read_override, (*SMALL, *overrides)))).compile()
    (phase,) = program.phases
    torch.manual_seed(0)
    is_half = phase.settings.precision is not Precision.FLOAT32
    supernet = relaxed(phase.network, phase.settings, Target.on("cuda", half=is_half), phase.built)
    data = load_data(phase.settings.data, Path("data"), input_shape=(3, 32, 32))
    return Searching(supernet, data, phase.settings, Compute("cuda", 1, PRECISIONS[phase.settings.precision]))


def run(search: Searching, epochs: int = 2) -> Searching:
    """The steps of some epochs."""
    search.module.train()
    with deterministic():
        for epoch in range(epochs):
            search.begin(epoch, 0)
            for step in range(search.steps):
                seed_all(1000 * epoch + step, search.compute.device)
                search.fetch()
                search.step(epoch, step)
    return search


UNWAITED = (
    "darts",
    "darts_second",
    "sdarts_rs",
    "sdarts_adv",
    "p_darts",
    "pc_darts",
    "snas",
    "lambda_darts",
    "oles",
    "ista",
)
"""Methods whose steps wait for nothing; others draw on the CPU what alphas of the GPU say."""

METHODS = (
    "darts",
    "darts_second",
    "drnas",
    "sdarts_rs",
    "pc_darts",
    "p_darts",
    "snas",
    "lambda_darts",
    "darts_minus",
    "oles",
    "sdarts_adv",
    "ista",
)


@pytest.mark.parametrize("method", METHODS)
def test_replays_change_nothing(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, alphas and statistics after a search by replays, and operation by operation."""
    found = []
    for graphs in ("on", "off"):
        monkeypatch.setenv("HDAS_GRAPHS", graphs)
        search = run(searching(f"method={method}", "batch=8", "epochs=2"))
        assert isinstance(search.searchable, Supernet)
        assert (search.searchable.lowering.replays.recordings > 0) is (graphs == "on")
        state = search.module.state_dict() | {name: a.detach() for name, a in search.searchable.alphas.items()}
        found.append({name: tensor.double().cpu() for name, tensor in state.items()})
    assert_same(found[0], found[1], 1e-5)


@pytest.mark.parametrize("method", UNWAITED)
def test_a_step_does_not_wait(method: str) -> None:
    search = run(searching(f"method={method}", "batch=8", "epochs=2"), 1)
    search.begin(1, 0)
    search.fetch()
    torch.cuda.set_sync_debug_mode("error")
    try:
        search.step(1, 0)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision(precision: str) -> None:
    """Losses fall as in float32, by replays."""
    search = run(searching(f"precision={precision}", "epochs=3"), 3)
    exact = run(searching("epochs=3"), 3)
    assert isinstance(search.searchable, Supernet)
    assert search.searchable.lowering.replays.recordings > 0
    halved, single = (each.running_means()["loss/weights"] for each in (search, exact))
    assert abs(halved - single) < 0.1 * single


def test_a_training_with_dropped_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rate follows its schedule in recordings too."""
    overrides = [*SMALL[:3], "epochs=3", "drop_path=ramp(0, 0.5)", "data=fake(count=64)"]
    program = Request(LIBRARY / "zoo" / "darts_v2.hsp", tuple(map(read_override, overrides))).compile()
    settings, losses = program.train_settings, []
    data = load_data(settings.data, Path("data"), input_shape=(3, 32, 32))
    for graphs in ("on", "off"):
        monkeypatch.setenv("HDAS_GRAPHS", graphs)
        torch.manual_seed(0)
        network = Network(program.network, target=Target.on("cuda"))
        options = RunOptions(tmp_path / graphs, device="cuda", quiet=True)
        outcome = run_train(network, data, settings, options)
        assert (network.replays.recordings > 0) is (graphs == "on")
        losses.append([record.scalars["loss/train"] for record in outcome.history])
    assert losses[0][0] == pytest.approx(losses[1][0], rel=0.02)
    assert losses[0][-1] == pytest.approx(losses[1][-1], rel=0.2), "paths are drawn by other numbers"


def peak(net: nn.Module, images: Tensor) -> int:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    net(images).sum().backward()
    return torch.cuda.max_memory_allocated() - before


def test_a_budget_is_kept() -> None:
    images = torch.randn(16, 3, 32, 32, device="cuda")
    free, tight = (
        peak(Supernet(space("darts.hsp", c=16, cells=3), target=Target.on("cuda", budget, 16)).to("cuda"), images)
        for budget in (None, 1)
    )
    assert tight < 0.5 * free


class Waiting(nn.Module):
    """Draws numbers, and then asks the CPU for one, which no recording may."""

    def __init__(self) -> None:
        super().__init__()
        self.drop = Dropout()
        self.drop.rate = 0.5

    def forward(self, x: Tensor) -> Tensor:
        dropped: Tensor = self.drop(x)
        return dropped * float(x.sum())


def test_a_recording_that_fails_leaves_the_device_as_it_was() -> None:
    """Numbers are drawn as before, which torch refused, and work goes on where it was."""
    call, stream = Replays(Waiting().to("cuda"), True), torch.cuda.current_stream()
    found = []
    for _ in range(4):
        torch.cuda.manual_seed(0)
        found.append(call(torch.ones(100, device="cuda")))
    assert not call.is_wanted
    assert torch.cuda.current_stream() == stream
    assert all(torch.equal(found[0], other) for other in found)


def test_a_narrowed_supernet_is_recorded() -> None:
    """After items were given up passes are still replayed, and equal those that are not."""
    search = run(searching("method=p_darts", "narrow=together(keep=(3, 2), at=(1, 9))", "batch=8", "epochs=2"), 1)
    assert isinstance(search.searchable, Supernet)
    search.end(0, lambda *_, **__: 0.5)
    search.begin(1, 0)
    for step in range(3):
        search.fetch()
        search.step(1, step)
    assert search.searchable.live.narrow
    assert search.searchable.lowering.replays.recordings


@pytest.mark.parametrize("kind", [Gru, Lstm])
def test_recurrent_layers_have_gradients_beside_eval_mode(kind: type[Gru] | type[Lstm]) -> None:
    """cuDNN has none in eval mode, where proxies and displaced weights ask for them."""
    module = nn.Sequential(kind(3, 4)).to("cuda").eval()
    with pytest.raises(RuntimeError, match="training mode"):
        module(torch.randn(2, 3, 5, device="cuda")).sum().backward()
    for part in module.modules():
        if isinstance(part, nn.RNNBase):
            part.train()
    module(torch.randn(2, 3, 5, device="cuda")).sum().backward()
