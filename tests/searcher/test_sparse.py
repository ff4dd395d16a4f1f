"""Sparse coding: solutions that meet the conditions of the least, weights by the published formula, what runs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from compiler.searcher.relaxations.sparse import PENALTY, Sparse, recovered
from tests.support.programs import space

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


def reference(found: Sparse, number: int, code: Tensor, support: int) -> Tensor:
    """The weights as the released program makes them: columns outside of the support are 0, and so is their bias."""
    dictionary = found.get_buffer(f"dictionary{number}").clone()
    z = recovered(dictionary, code)
    off = z.abs().argsort()[:-support]
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
            whole = reference(found, number, found.alphas[group.path], group.support)
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
    assert found.scores()["items Net"] == 2 + 2 + 1 + 2


def test_the_strongest_part_of_each_edge_is_derived() -> None:
    """Of a pick two menus, though both items of its support may stand on one edge; never what cannot be derived."""
    found = made()
    chosen = found.answer().chosen
    for number, group in enumerate(found.coded.values()):
        part = recovered(found.get_buffer(f"dictionary{number}"), found.alphas[group.path]).abs()
        lengths = [len(found.space.decisions[menu].items) for menu in group.members]
        split = dict(zip(group.members, part.split(lengths), strict=True))
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
