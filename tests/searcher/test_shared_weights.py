"""`judge = shared`: what is judged is the derived network with the weights of the supernet, which stays as it was."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import torch
from torch import Tensor, nn

from compiler.analysis.architectures import Architectures
from compiler.backend.lowering.network import Network
from compiler.program.request import Request
from compiler.searcher.data.load import load_data
from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.explore import shared
from compiler.searcher.explore.shared import SharedWeights
from compiler.searcher.explore.space import ExploredSpace
from compiler.searcher.relaxations import relaxed
from compiler.searcher.settings.judges import SharedJudge
from tests.laws.test_3_one_hot import Decided, copy, matched
from tests.support.programs import architecture, assert_same, randomize

TEXT = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = zero | unit | unit(k = 3) | identity

network Net(image: [1, 8, 8]; classes = 3) {
  stem = image -> conv(3, 4) -> batch_norm
  n[i < 2] = sum(pick 2 of Op(each (stem, stem -> relu, earlier n)))
  output last of n -> conv(3, 4 | 6) -> batch_norm -> classifier(classes)
}

search Net {
  data = fake(classes = 3, count = 48, channels = 1, size = 8, weights_share = 0.5, crop = 2)
  batch = 8
  alphas = fixed
  derive = random(3)
  RELAX
}
"""
MIXED = TEXT.replace("4 | 6", "4")


def judge_of(relax: str, word: SharedJudge, precision: str = "64-true") -> SharedWeights:
    text = (TEXT if relax == "sample" else MIXED).replace("RELAX", f"relax = {relax}")
    listing = Architectures(Request(Path("net.hsp"), text=text))
    (phase,) = listing.program.phases
    torch.manual_seed(0)
    supernet = randomize(relaxed(phase.network, phase.settings))
    supernet = supernet.float() if precision == "32-true" else supernet
    data = load_data(phase.settings.data, Path(), input_shape=(1, 8, 8))
    compute = Compute("cpu", precision=precision)
    judge = SharedWeights(supernet, ExploredSpace(listing.parts[0]), data, phase.settings, word, compute)
    for kept in (judge.held(judge.budgets.stated), judge.learned):
        if kept is not None and precision == "64-true":
            kept.batches = [(images.double(), labels) for images, labels in kept]
    return judge


def statistics(network: nn.Module, batches: Iterator[tuple[Tensor, Tensor]]) -> None:
    """The statistics of all norms as the mean of those of batches, the k-th last with weight 0.9 ** k."""
    norms = [part for part in network.modules() if isinstance(part, nn.BatchNorm2d)]
    found: list[list[tuple[Tensor, Tensor]]] = [[] for _ in norms]
    for norm in norms:
        norm.momentum = 1.0
    network.train()
    for images, _ in batches:
        network(images)
        for norm, seen in zip(norms, found, strict=True):
            assert norm.running_mean is not None
            assert norm.running_var is not None
            seen.append((norm.running_mean.clone(), norm.running_var.clone()))
    for norm, seen in zip(norms, found, strict=True):
        weights = [0.9 ** (len(seen) - 1 - index) for index in range(len(seen))]
        for at, target in enumerate((norm.running_mean, norm.running_var)):
            assert target is not None
            rows = torch.stack([w * pair[at] for w, pair in zip(weights, seen, strict=True)])
            target.copy_(rows.sum(0) / sum(weights))


@pytest.mark.parametrize("calibrate", [0, 3])
@pytest.mark.parametrize("relax", ["sample", "gumbel(hard = true)", "softmax"])
@torch.no_grad()
def test_a_judged_architecture_is_the_derived_network(relax: str, calibrate: int) -> None:
    judge = judge_of(relax, SharedJudge(images=20, calibrate=calibrate))
    space = judge.space.part.space
    before = {name: tensor.clone() for name, tensor in judge.supernet.state_dict().items()}
    for seed in range(5):
        found = judge.space.drawn(Random(seed))
        chosen = judge.space.completed(found)
        _, derived = architecture(space, chosen)
        network = randomize(Network(derived), seed=1)
        pairs = {b: a for a, b in matched(Decided(space.block.graph, chosen), Decided(derived.block.graph, {}))}
        copy(judge.supernet.network, network.network, pairs)
        if judge.learned is not None:
            statistics(network, iter(judge.learned))
        network.eval()
        right = 0
        for (logits, labels), (images, _) in zip(judge.logits(found, 20), judge.held(20), strict=True):
            expected = network(images)
            assert_same({"logits": logits}, {"logits": expected}, 1e-9)
            right += int((expected.argmax(1) == labels).sum())
        assert judge.score(found, 20) == right / 20
    after = judge.supernet.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name].nan_to_num(), after[name].nan_to_num()) for name in before)


@pytest.mark.parametrize(("kept", "calibrate"), [(shared.KEPT, 2), (0, 2), (0, 0)])
def test_a_score_follows_from_the_architecture_alone(
    monkeypatch: pytest.MonkeyPatch, kept: int, calibrate: int
) -> None:
    """Whatever was judged before, and where images, with random changes, are read again each time."""
    monkeypatch.setattr(shared, "KEPT", kept)
    judge = judge_of("sample", SharedJudge(batches=2, calibrate=calibrate), precision="32-true")
    assert judge.budgets.stated == 16
    assert judge.budgets.whole == 24
    some = [judge.space.drawn(Random(seed)) for seed in range(7)]
    there = [torch.cat([logits for logits, _ in judge.logits(found, 16)]) for found in some]
    assert sum(not torch.equal(logits[0], logits[1]) for logits in there) > 3  # most do not answer every image alike
    back = [torch.cat([logits for logits, _ in judge.logits(found, 16)]) for found in reversed(some)]
    assert all(torch.equal(a, b) for a, b in zip(there, reversed(back), strict=True))
    assert judge.supernet.training
