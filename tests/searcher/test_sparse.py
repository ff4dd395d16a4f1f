"""Sparse coding: solutions that meet the conditions of the least, weights by the published formula, what runs."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from compiler.program.compile_file import compile_file
from compiler.searcher.data.load import load_data
from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.engine.search import Searching
from compiler.searcher.relaxations import relaxed
from compiler.searcher.relaxations.sparse import PENALTY, Coded, Sparse, recovered
from compiler.searcher.settings.datasets import Fake
from tests.reference import methods as m
from tests.reference.networks import ChainSupernet
from tests.searcher.test_methods_equal_reference import COPIES, batch, phase
from tests.spaces.test_reference_equality import copy_tensors
from tests.support.programs import randomize, space

TEXT = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = zero if relaxed | unit | unit(k = 3) | identity
network Net(image: [1, 6, 6]) {
  stem = image -> conv(3, 4) -> batch_norm
  n[i < 2] = sum(pick 2 of Op(each (stem, stem -> relu, earlier n)))
  alone = last of n -> (unit | unit(k = 3))
  output alone -> conv(k = 1 | 3, 6) -> classifier(3)
}
"""


def made() -> Sparse:
    torch.manual_seed(0)
    found = Sparse(space(TEXT), dims=5, init=0.3).double()
    found.recover()
    found.begin(0)
    return found.train()


def test_a_solution_is_the_least() -> None:
    """The gradient of the squared error is the penalty where a part is not 0, and no more than it elsewhere."""
    torch.manual_seed(0)
    for _ in range(20):
        dictionary, code = torch.rand(7, 24).double(), torch.randn(7).double()
        z = recovered(dictionary, code)
        slope = dictionary.T @ (code - dictionary @ z)
        assert (z != 0).sum() <= 7
        torch.testing.assert_close(slope[z != 0], PENALTY * z[z != 0].sign(), rtol=0, atol=1e-9)
        assert (slope.abs() <= PENALTY + 1e-9).all()


def part(found: Sparse, number: int, group: Coded, code: Tensor) -> Tensor:
    """The solution; the released program's menu has no `none`, so that what is never derived has no part."""
    usable = torch.tensor([i for i, derivable in enumerate(group.derivable) if derivable])
    z = torch.zeros(group.items).double()
    z[usable] = recovered(found.get_buffer(f"dictionary{number}")[:, usable], code)
    return z


def reference(found: Sparse, number: int, group: Coded, code: Tensor) -> Tensor:
    """The weights as the released program makes them: columns outside of the support are 0, and so is their bias."""
    dictionary = found.get_buffer(f"dictionary{number}").clone()
    z = part(found, number, group, code)
    off = z.abs().argsort()[: -group.support]
    z[off] = 0
    error = dictionary.T @ dictionary - torch.eye(len(z)).double()
    dictionary[:, off] = 0
    error[:, off] = 0
    return code @ dictionary - error.T @ z


def gradients(output: Tensor, alphas: list[nn.Parameter]) -> list[Tensor]:
    """Those of codes; of one that nothing reads, where its node is in no support, zeros."""
    return list(torch.autograd.grad(output.square().sum(), alphas, allow_unused=True, materialize_grads=True))


def test_weights_and_their_gradients_are_those_of_the_formula() -> None:
    found, images = made(), torch.randn(4, 1, 6, 6).double()
    seen = set()
    for _ in range(3):
        found.recover()
        found.begin(1)
        weights = {path: alpha.softmax(0) for path, alpha in found.alphas.items() if path not in found.coded}
        for number, group in enumerate(found.coded.values()):
            whole = reference(found, number, group, found.alphas[group.path])
            lengths = [len(found.space.decisions[menu].items) for menu in group.members]
            weights |= dict(zip(group.members, whole.split(lengths), strict=True))
            seen.add((group.path, tuple(whole.nonzero().flatten().tolist())))
        alphas = list(found.alphas.values())
        every = found.whole(images, weights)
        expected = gradients(every, alphas)
        few = found(images)
        torch.testing.assert_close(few, every, rtol=1e-10, atol=1e-12)
        for got, wanted in zip(gradients(few, alphas), expected, strict=True):
            torch.testing.assert_close(got, wanted, rtol=1e-8, atol=1e-10)
        with torch.no_grad():
            for alpha in alphas:
                alpha.add_(torch.randn_like(alpha), alpha=0.5)
    assert len(seen) > len(found.coded), "supports changed"


def test_what_runs_is_the_support() -> None:
    found = made()
    assert {path: (group.items, group.support) for path, group in found.coded.items()} == {
        "Net.n0.in": (8, 2),
        "Net.n1.in": (12, 2),
        "Net.alone.choice": (2, 1),
    }
    assert {path: len(alpha) for path, alpha in found.alphas.items()} == {
        "Net.n0.in": 5,
        "Net.n1.in": 5,
        "Net.alone.choice": 5,
        "Net.output.k": 2,
    }
    weights = found.mixing()
    for group in found.coded.values():
        assert sum(int((weights[menu] != 0).sum()) for menu in group.members) == group.support
        assert sum(len(found.live.items(menu)) for menu in group.members) == group.support
        for menu in group.members:
            assert all(found.space.decisions[menu].derivable[item] for item in found.live.items(menu))
    assert found.scores()["items Net"] == 2 + 2 + 1 + 2


def test_supports_are_found_anew_after_an_epoch_and_stay_within_one() -> None:
    found = made()
    before = {path: found.live.items(path) for path in found.owner}
    with torch.no_grad():
        for alpha in found.alphas.values():
            alpha.copy_(torch.randn_like(alpha))
    found.begin(3)  # as a run does that was stopped within its epoch
    assert {path: found.live.items(path) for path in found.owner} == before
    found.narrow(4, lambda measure: 0.0)
    assert {path: found.live.items(path) for path in found.owner} != before


def test_the_alphas_of_another_phase_are_no_codes() -> None:
    head = TEXT.replace("alone -> conv(k = 1 | 3, 6)", "alone")
    phases = "  phase one = Net\n  phase two = Net {\n    start = one(alphas = true)\n  }\n}\n"
    _, (wrong,) = compile_file("n.hsp", text=f"{head}search {{\n  data = fake\n  relax = sparse\n{phases}")
    assert wrong.message == "`alphas = true` takes alphas of items, and those of `relax = sparse` are codes"


def test_the_strongest_part_of_each_edge_is_derived() -> None:
    """Of a pick two menus, though both items of its support may stand on one edge; never what cannot be derived."""
    found = made()
    chosen = found.answer().chosen
    for number, group in enumerate(found.coded.values()):
        parts = part(found, number, group, found.alphas[group.path]).abs()
        lengths = [len(found.space.decisions[menu].items) for menu in group.members]
        split = dict(zip(group.members, parts.split(lengths), strict=True))
        for menu, values in split.items():
            derivable = torch.tensor(found.space.decisions[menu].derivable)
            assert chosen[menu] == (int(values.masked_fill(~derivable, -1).argmax()),)
        if len(group.members) > 1:
            best = [values[chosen[menu][0]] for menu, values in split.items()]
            assert set(chosen[group.path]) == set(torch.stack(best).topk(2).indices.tolist())


def test_an_architecture_runs_alone_whatever_the_support() -> None:
    found, images = made().eval(), torch.randn(2, 1, 6, 6).double()
    chosen = found.answer().chosen
    before = found.alone(images, chosen)
    with torch.no_grad():
        for alpha in found.alphas.values():
            alpha.copy_(torch.randn_like(alpha))
    found.recover()
    found.begin(1)
    torch.testing.assert_close(found.alone(images, chosen), before)


# ---------------------------------------------------------------- steps


def darts() -> tuple[Sparse, Searching]:
    torch.manual_seed(0)
    found = phase("relax = sparse")
    ours = relaxed(found.network, found.settings, built=found.built).double()
    assert isinstance(ours, Sparse)
    with torch.no_grad():
        for alpha in ours.alphas.values():
            alpha.normal_()
    ours.recover()
    return ours, Searching(ours, load_data(Fake(count=64), Path("none")), found.settings, Compute("cpu"))


def test_three_steps_are_those_of_the_formula() -> None:
    """Weights and codes after steps of two epochs, beside plain torch; dictionaries and solutions are handed over."""
    ours, searching = darts()
    net = ChainSupernet(4, 3, 10).double()
    randomize(net)
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d) and not norm.affine:
            norm.reset_running_stats()
    copy_tensors(net, ours.network, ours.space)
    groups = list(ours.coded.values())
    nodes = {key: [f"{copy}.n{j}.in" for j in range(4)] for key, copy in COPIES.items()}
    numbers = {group.path: number for number, group in enumerate(groups)}
    codes = {key: torch.stack([ours.alphas[p].detach() for p in nodes[key]]).requires_grad_() for key in COPIES}
    theirs = m.Searched(net, codes)
    optimizers = (
        torch.optim.Adam(codes.values(), lr=3e-4, betas=(0.5, 0.999), weight_decay=1e-3),
        torch.optim.SGD(net.parameters(), lr=0.025, momentum=0.9, weight_decay=3e-4),
    )
    dictionaries = {k: [ours.get_buffer(f"dictionary{numbers[p]}") for p in paths] for k, paths in nodes.items()}
    ours.train()
    for number, epoch in enumerate((20, 20, 21)):
        if number != 1:
            ours.recover()
            ours.begin(epoch)
            solutions = {
                k: [part(ours, numbers[p], groups[numbers[p]], codes[k][j].detach()) for j, p in enumerate(paths)]
                for k, paths in nodes.items()
            }
        method = m.Method(m.sparse(dictionaries, solutions), kept=lambda edge: [])
        for group in optimizers[1].param_groups:
            group["lr"] = searching.settings.weights.lr(epoch, 50)
        batches = batch(), batch()
        m.step(method, theirs, optimizers, batches)
        searching.alpha_batch, searching.weight_batch = batches
        searching.step(epoch, 0)
    for key in COPIES:
        rows = torch.stack([ours.alphas[path] for path in nodes[key]])
        torch.testing.assert_close(rows, codes[key], rtol=0, atol=1e-10)
    before = [tensor.clone() for tensor in ours.network.parameters()]
    copy_tensors(net, ours.network, ours.space)
    for mine, other in zip(before, ours.network.parameters(), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-10)
