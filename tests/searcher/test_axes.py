"""The laws of each axis of a search: mixtures, edges, partial channels, displacements, how alphas and weights learn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, fx, nn
from torch.nn.functional import cross_entropy

from compiler.backend.lowering.pieces import pieces_of
from compiler.backend.passes import FLATTEN, OPTIMISATIONS, Target, run_passes, weighed
from compiler.backend.torch_modules.channels import Cut, pieces
from compiler.backend.torch_modules.memory_order import lies_channels_last
from compiler.elaborate import Building, Elaborated, elaborate
from compiler.elaborate.values import Function
from compiler.ir.decision import Decision, DecisionKind, Selection
from compiler.ir.graph import Node, SpaceGraph
from compiler.ir.payloads import Input, Prim
from compiler.ir.primitives import structure
from compiler.ir.quantities import AlphaForm, AlphaMean
from compiler.ir.shape import Shape
from compiler.ir.sums import Sum
from compiler.program.compile_file import compile_file
from compiler.program.model import Phase
from compiler.searcher.data.load import load_data
from compiler.searcher.engine.device.compute import Compute
from compiler.searcher.engine.search import Searching
from compiler.searcher.relaxations import relaxed
from compiler.searcher.relaxations.axes import Axes
from compiler.searcher.relaxations.displaced import AdversarialDisplaced, RandomDisplaced
from compiler.searcher.relaxations.mixtures import DirichletMixture, SigmoidMixture, SoftmaxMixture
from compiler.searcher.relaxations.objective import RelaxedQuantities
from compiler.searcher.relaxations.supernet import Supernet
from compiler.searcher.relaxations.weights import one_hot
from compiler.searcher.settings.axes import Edges
from compiler.searcher.settings.datasets import Fake
from compiler.searcher.settings.derivation import By, Strongest
from compiler.searcher.settings.optimizers import AlphaAdam
from compiler.searcher.settings.schedules import Constant, Cosine, Ends, Part, Pieces, Ramp, Steps
from hdas_dsl.text.diagnostics import Diagnostic
from tests.support.programs import randomize, space

TEXT = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = zero if relaxed | unit | unit(k = 3) | identity
network Net(image: [1, 8, 8]; classes = 3) {
  stem = image -> conv(3, 4) -> batch_norm
  n[i < 2] = sum(pick 2 of Op(each (stem, stem -> relu, earlier n)))
  output last of n -> classifier(classes)
}
"""


def net() -> Elaborated:
    return space(TEXT)


def phase(settings: str, text: str = TEXT) -> Phase:
    program, wrong = compile_file("n.hsp", text=text + f"search Net {{\n data = fake(classes = 3)\n {settings}\n}}\n")
    assert program is not None, [Diagnostic.render(d) for d in wrong]
    return program.phases[0]


def decision(kind: DecisionKind = DecisionKind.OPERATION, items: int = 4, take: int = 1) -> Decision:
    return Decision("d", kind, tuple("abcdefgh"[:items]), (True,) * items, "Net", least=take, most=take)


def gradient(value: Tensor, at: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(value, [at])
    return found


def randoms(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


# ---------------------------------------------------------------- mixtures


def test_items_of_a_sigmoid_do_not_compete() -> None:
    alpha = randoms(4)
    weights = SigmoidMixture().mean(decision(), alpha)
    slopes = torch.stack([torch.autograd.grad(w, alpha, retain_graph=True)[0] for w in weights])
    assert torch.equal(slopes, slopes.diag().diag())
    assert SigmoidMixture().mean(decision(), torch.zeros(4)).tolist() == [0.5] * 4
    number = SigmoidMixture().mean(decision(DecisionKind.NUMBER), alpha)
    torch.testing.assert_close(number, alpha.softmax(0))


def test_a_dirichlet_has_the_mean_of_its_concentration() -> None:
    alpha = torch.tensor([-1.0, 0.0, 0.5, 2.0])
    concentration = torch.tensor([math.exp(-1), 1.0, 1.5, 3.0])
    mixture = DirichletMixture()
    torch.testing.assert_close(mixture.mean(decision(), alpha), concentration / concentration.sum())
    torch.manual_seed(0)
    draws = torch.stack([mixture.draw({"d": decision()}, {"d": alpha})["d"] for _ in range(4000)])
    torch.testing.assert_close(draws.sum(1), torch.ones(4000))
    torch.testing.assert_close(draws.mean(0), concentration / concentration.sum(), atol=0.015, rtol=0)
    picked = mixture.draw({"d": decision(DecisionKind.PICK, take=2)}, {"d": alpha})["d"]
    assert float(picked.sum()) == pytest.approx(2)


def test_a_flat_dirichlet_diverges_from_nothing() -> None:
    alpha = torch.zeros(5, dtype=torch.float64, requires_grad=True)
    quantities = RelaxedQuantities({"d": decision(items=5)}, {"d": alpha}, DirichletMixture())
    value = quantities.value(AlphaMean(AlphaForm.DIVERGENCE))
    assert float(value.detach()) == pytest.approx(0, abs=1e-12)
    torch.testing.assert_close(gradient(value, alpha), torch.zeros(5, dtype=torch.float64))


def test_evaluation_draws_nothing() -> None:
    supernet = relaxed(net(), phase("relax = dirichlet").settings)
    x = torch.randn(2, 1, 8, 8)
    supernet.train()
    torch.manual_seed(1)
    once = supernet(x)
    assert not torch.equal(once, supernet(x))
    supernet.eval()
    before = torch.get_rng_state()
    assert torch.equal(supernet(x), supernet(x))
    assert torch.equal(torch.get_rng_state(), before)


# ---------------------------------------------------------------- measures of alphas


def test_measures_of_alphas_have_the_published_gradients() -> None:
    alphas = {"a": randoms(4), "b": randoms(4)}
    decisions = {"a": decision(), "b": decision()}
    soft = RelaxedQuantities(decisions, alphas)
    found = gradient(soft.value(AlphaMean(AlphaForm.LOGSUMEXP)), alphas["a"])
    torch.testing.assert_close(found, alphas["a"].softmax(0) / 2)
    apart = RelaxedQuantities(decisions, alphas, SigmoidMixture())
    w = alphas["a"].sigmoid()
    found = gradient(apart.value(AlphaMean(AlphaForm.CERTAINTY)), alphas["a"])
    torch.testing.assert_close(found, 2 * (w - 0.5) * w * (1 - w) / 8)
    found = gradient(soft.value(AlphaMean(AlphaForm.SQUARES)), alphas["b"])
    torch.testing.assert_close(found, alphas["b"])
    p = alphas["b"].softmax(0)
    found = soft.value(AlphaMean(AlphaForm.ENTROPY)).detach()
    expected = sum(-(q * q.log()).sum() for q in (alphas["a"].softmax(0), p)) / 2
    torch.testing.assert_close(found, torch.as_tensor(expected).detach())


def test_a_measure_of_one_cell_is_about_its_copies() -> None:
    assert AlphaMean(AlphaForm.ENTROPY, "Cell").covers("Cell@1")
    assert AlphaMean(AlphaForm.ENTROPY, "Cell@1").covers("Cell@1")
    assert not AlphaMean(AlphaForm.ENTROPY, "Cell@1").covers("Cell@2")
    assert not AlphaMean(AlphaForm.ENTROPY, "Cell").covers("Cells")
    quantity = phase("minimize entropy(Net) weight steps((0, 2), at = (0, 3))").network.preferences[0]
    assert quantity.quantity == AlphaMean(AlphaForm.ENTROPY, "Net")
    assert [quantity.weight_at(epoch, 10) for epoch in (0, 2.9, 3, 9)] == [0, 0, 2, 2]


def test_a_preference_without_weight_only_logs() -> None:
    found = phase("epochs = 10\n minimize entropy weight steps((0, 2), at = (0, 3))")
    logged = relaxed(found.network, found.settings)
    logged.anneal(1.0)
    assert logged.preferences() == {}
    assert logged.scores().keys() == {"entropy Net"}
    logged.anneal(3.0)
    assert logged.preferences().keys() == {"entropy Net"}


# ---------------------------------------------------------------- edges


def test_edges_add_an_alpha_for_each_candidate() -> None:
    darts = space("darts.hsp", size=16, c=4, cells=4)
    counts = [sum(a.numel() for a in Supernet(darts, axes=Axes(edges=e)).alphas.values()) for e in Edges]
    assert counts == [224, 252]


def test_equal_edges_share_and_one_edge_is_alone() -> None:
    searched = net()
    weighed, plain = Supernet(searched, axes=Axes(edges=Edges.WEIGHED)), Supernet(searched)
    randomize(plain)
    weighed.double()
    weighed.network.load_state_dict(plain.network.state_dict())
    picks = {path: d for path, d in searched.decisions.items() if d.candidates}
    assert picks
    for path, alpha in weighed.alphas.items():
        alpha.data = torch.zeros_like(alpha) if path in picks else plain.alphas[path].data.clone()
    x = torch.randn(2, 1, 8, 8, dtype=torch.float64)
    mixing = plain.mixing()
    shared = dict(mixing)
    for pick in picks.values():
        shared |= {menu: mixing[menu] / len(pick.items) for menu in pick.candidates if menu}
    torch.testing.assert_close(weighed(x), plain(x, shared))
    for path in picks:
        weighed.alphas[path].data[0] = 1e4
    alone = dict(mixing)
    for pick in picks.values():
        alone |= {menu: mixing[menu] * (i == 0) for i, menu in enumerate(pick.candidates) if menu}
    torch.testing.assert_close(weighed(x), plain(x, alone))


@pytest.mark.parametrize("by", By)
def test_an_edge_that_weighs_more_is_derived(by: By) -> None:
    """Without weights the first two edges of n1 are the strongest; with them the last two."""
    searched = net()
    supernet = Supernet(searched, derive=Strongest(by=by), axes=Axes(edges=Edges.WEIGHED))
    plain = Supernet(searched, derive=Strongest(by=by))
    pick = searched.decisions["Net.n1.in"]
    for made in (supernet, plain):
        for index, menu in enumerate(pick.candidates):
            made.alphas[menu or ""].data = torch.tensor([0.0, 1.0 - 0.1 * index, 0.0, 0.0])
    supernet.alphas["Net.n1.in"].data = torch.tensor([0.0, 1.0, 1.0])
    assert plain.chosen()["Net.n1.in"] == (0, 1)
    assert supernet.chosen()["Net.n1.in"] == (1, 2)


# ---------------------------------------------------------------- partial channels


def graph_of(searched: Elaborated) -> str:
    return searched.block.graph.pretty()


def test_all_channels_are_the_graph_as_it_is() -> None:
    made, _ = elaborate(Function(net().root.definition, net().root.instance), building=Building(partial=1))
    assert made is not None
    assert graph_of(made) == graph_of(net())
    assert phase("channels = partial(1)").built is None


def test_a_skip_of_partial_channels_is_a_shuffle() -> None:
    found = phase("channels = partial(2)")
    assert found.built is not None
    assert found.built.decisions == found.network.decisions
    supernet = Supernet(found.network, built=found.built).eval()
    skip: Selection = {path: (3,) for path, d in found.network.decisions.items() if not d.candidates}
    chosen = skip | {path: (0, 1) for path, d in found.network.decisions.items() if d.candidates}
    x = torch.randn(2, 1, 8, 8)
    modules = dict(supernet.network.named_modules())
    seen: list[Tensor] = []
    head = next(module for module in modules.values() if isinstance(module, nn.Linear))
    head.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    stems: list[Tensor] = []
    norm = next(module for module in modules.values() if isinstance(module, nn.BatchNorm2d))
    norm.register_forward_hook(lambda _, __, out: stems.append(out))
    supernet(x, one_hot(found.network.decisions, chosen))

    def shuffled(t: Tensor) -> Tensor:
        return torch.stack(t.chunk(2, 1), 2).flatten(1, 2)

    (stem,) = stems
    torch.testing.assert_close(seen[0].flatten(1), (shuffled(stem) + shuffled(stem.relu())).mean((2, 3)))


def test_a_node_of_partial_channels_is_shuffled_once() -> None:
    """Not each of its edges: the candidates of all of them are one sum of the channels that they work on."""
    found = phase("channels = partial(2)\n edges = weighed")
    assert found.built is not None
    flat = run_passes(found.built.block.graph, [FLATTEN])

    def shuffles(graph: SpaceGraph) -> int:
        return sum(isinstance(node.payload, Prim) and node.payload.op.permutes_channels for _, node in graph.order())

    graph, _ = weighed(flat, OPTIMISATIONS, Target())
    assert (shuffles(flat), shuffles(graph)) == (5, 2)
    sums = [node.payload for _, node in graph.order() if isinstance(node.payload, Sum)]
    assert max(sum(len(term.weight) == 2 for term in each.terms) for each in sums) == 9  # three edges of three items


def test_what_goes_through_and_what_goes_past_are_cut_apart_once() -> None:
    """For all edges that read a tensor; its gradient is put together once, in the order of its pixels."""
    found = phase("channels = partial(2)\n edges = weighed")
    modules = list(Supernet(found.network, built=found.built).network.modules())
    graphs = [module.graph for module in modules if isinstance(module, fx.GraphModule)]
    assert sum(node.target is pieces for graph in graphs for node in graph.nodes) == 3  # the stem, with ReLU, and n0
    assert not any(isinstance(module, Cut) for module in modules)
    x = torch.randn(2, 6, 3, 3).contiguous(memory_format=torch.channels_last).requires_grad_()
    parts = pieces(x, (2, 4))
    assert [part.equal(x[:, at]) for part, at in zip(parts, (slice(2), slice(2, 6)), strict=True)] == [True, True]
    grad = gradient(sum((part.square().sum() for part in parts), torch.zeros(())), x)
    assert grad.equal(2 * x)
    assert all(lies_channels_last(each) for each in (*parts, grad))


@pytest.mark.parametrize("cuts", [((0, 2), (1, 3)), ((0, 2), (3, 1)), ((0, 2),), ((0, 4),)])
def test_cuts_that_overlap_or_leave_channels_out_are_no_pieces(cuts: tuple[tuple[int, int], ...]) -> None:
    graph = SpaceGraph()
    x = graph.add(Node("x", Input(0), Shape((4, 3, 3))))
    made = [graph.add(Node(f"{at}", Prim(structure.Cut(c=c, start=at)), Shape((c, 3, 3))), (x,)) for at, c in cuts]
    assert pieces_of(graph, x, made) == {}


def test_what_is_derived_and_priced_has_all_channels() -> None:
    found = phase("channels = partial(4)")
    supernet = relaxed(found.network, found.settings, built=found.built)
    assert supernet.space is found.network
    wide = Supernet(found.network)
    assert sum(p.numel() for p in supernet.weights()) < sum(p.numel() for p in wide.weights())


@pytest.mark.parametrize(
    ("old", "new", "k", "why"),
    [
        ("", "", 3, "`channels = partial(3)` does not divide the width 4 of this input"),
        ("zero if relaxed | unit | unit(k = 3) | identity", "conv(1, 6) | conv(3, 6)", 2, "keep the width"),
        ("zero if relaxed | unit | unit(k = 3) | identity", "max_pool(5, 4) | avg_pool(5, 4)", 2, "keep or halve"),
    ],
)
def test_partial_channels_that_do_not_fit(old: str, new: str, k: int, why: str) -> None:
    text = TEXT.replace(old, new).replace(", earlier n", "") if old else TEXT
    section = f"search Net {{\n data = fake\n channels = partial({k})\n}}\n"
    program, wrong = compile_file("n.hsp", text=text + section)
    assert program is None
    assert why in " ".join(d.message for d in wrong)


# ---------------------------------------------------------------- displacements


def displaced(settings: str) -> Supernet:
    torch.manual_seed(0)
    made = relaxed(net(), phase(settings).settings)
    assert isinstance(made, Supernet)
    for alpha in made.alphas.values():
        alpha.data.normal_()
    return made


def test_no_distance_displaces_nothing() -> None:
    for word in ("random(0)", "adversarial(0)"):
        supernet, state = displaced(f"perturb = {word}"), torch.get_rng_state()
        with supernet.perturbed(lambda: torch.zeros(())):
            for path, weights in supernet.weights_of_pass().items():
                assert torch.equal(weights, supernet.mixing()[path])
        assert torch.equal(torch.get_rng_state(), state)
        assert supernet.given is None


def test_random_displacements_stay_on_the_simplex() -> None:
    supernet = displaced("perturb = random(0.5)")
    with supernet.perturbed(lambda: torch.zeros(())):
        moved = supernet.weights_of_pass()
    assert any(not torch.equal(moved[path], weights) for path, weights in supernet.mixing().items())
    for weights in moved.values():
        assert float(weights.sum()) == pytest.approx(1, abs=1e-6)
        assert float(weights.min()) >= 0


def test_an_adversary_never_lowers_the_loss_and_keeps_statistics() -> None:
    supernet = displaced("perturb = adversarial(0.3, steps = 5)")
    x, labels = torch.randn(4, 1, 8, 8), torch.tensor([0, 1, 2, 0])

    def loss() -> Tensor:
        return cross_entropy(supernet(x), labels)

    before = {name: buffer.clone() for name, buffer in supernet.network.named_buffers()}
    with supernet.perturbed(loss):
        supernet.network.eval()
        worse = float(loss().detach())
    clean = float(cross_entropy(supernet.network(x, supernet.mixing()), labels).detach())
    assert worse > clean
    for name, buffer in supernet.network.named_buffers():
        assert torch.equal(buffer, before[name])


class Linear:
    """A loss that is linear in the mixing weights."""

    def __init__(self) -> None:
        self.network = nn.Identity()
        self.given: Any = None
        self.slope = torch.tensor([1.0, -1.0, 0.5, -0.5])

    def projected(self, path: str, weights: Tensor) -> Tensor:
        return SigmoidMixture().project(decision(), weights)

    def loss(self) -> Tensor:
        weights: Tensor = self.slope * self.given["d"]
        return weights.sum()


def test_an_adversary_finds_the_corner_of_a_linear_loss() -> None:
    """In the cube the worst weights within eps are those at +-eps by the sign of the slope."""
    problem = Linear()
    clean = {"d": torch.full((4,), 0.5)}
    torch.manual_seed(0)
    found = AdversarialDisplaced(Constant(value=0.2), 1, 8).find(problem, clean, problem.loss)
    torch.testing.assert_close(found["d"], torch.tensor([0.7, 0.3, 0.7, 0.3]))
    moved = RandomDisplaced(Constant(value=0.2), 1).find(problem, clean, problem.loss)
    assert float((moved["d"] - 0.5).abs().max()) <= 0.2


# ---------------------------------------------------------------- how alphas and weights learn


def searching(settings: str) -> tuple[Supernet, Searching]:
    found = phase(settings)
    torch.manual_seed(0)
    made = relaxed(found.network, found.settings).double()
    assert isinstance(made, Supernet)
    return made, Searching(made, load_data(Fake(classes=3, count=32), Path("none")), found.settings, Compute("cpu"))


def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(4, 1, 8, 8, dtype=torch.float64), torch.tensor([0, 1, 2, 0])


def test_one_level_takes_the_joint_gradient() -> None:
    text = "levels = 1\n weights = sgd(lr = 0.1, momentum = 0, decay = 0, clip = 0)\n alphas = adam(lr = 0.01)"
    supernet, search = searching(text)
    images, labels = batch()
    before = [p.detach().clone() for p in supernet.weights()]
    loss = cross_entropy(supernet(images), labels)
    slopes = torch.autograd.grad(loss, [*supernet.weights(), *supernet.alphas.values()], allow_unused=True)
    search.alpha_batch, search.weight_batch = None, (images, labels)
    search.step(0, 0)
    for was, slope, weight in zip(before, slopes, supernet.weights(), strict=False):
        torch.testing.assert_close(weight.detach(), was if slope is None else was - 0.1 * slope)
    assert all(slope is None or bool(slope.any()) for slope in slopes[len(before) :])


@pytest.mark.parametrize(
    ("settings", "moved"),
    [
        ("alphas = fixed", []),
        ("alphas = adam(every = 3)", [(0, 0), (0, 3), (2, 0), (2, 3), (5, 0), (5, 3)]),
        ("alphas = adam(rest = ((0, 2), (5, 6)))", [(2, 0), (2, 1), (2, 2), (2, 3)]),
        ("alphas = adam(rest = (0, 2))", [(e, s) for e in (2, 5) for s in range(4)]),
        ("alphas = adam\n alphas_from = 5", [(5, s) for s in range(4)]),
    ],
)
def test_alphas_rest(settings: str, moved: list[tuple[int, int]]) -> None:
    supernet, search = searching(settings)
    found = []
    for epoch in (0, 2, 5):
        for step in range(4):
            before = [alpha.detach().clone() for alpha in supernet.alphas.values()]
            search.alpha_batch, search.weight_batch = batch(), batch()
            search.step(epoch, step)
            if any(not torch.equal(a, b) for a, b in zip(before, supernet.alphas.values(), strict=True)):
                found.append((epoch, step))
    assert found == moved


def test_gradients_of_alphas_are_clipped() -> None:
    assert AlphaAdam(clip=5.0).describe() == "adam(clip = 5)"
    supernet, search = searching("alphas = adam(clip = 1e-9)")
    assert search.bilevel.alphas.clip == 1e-9
    search.alpha_batch, search.weight_batch = batch(), batch()
    search.step(0, 0)
    (group,) = search.alpha_optimizer.param_groups
    moments = [search.alpha_optimizer.state[p]["exp_avg"] for p in group["params"]]
    decay = 1e-3 * torch.cat([alpha.detach() for alpha in supernet.alphas.values()]).norm()
    assert float(torch.cat(moments).norm()) < float(decay)


# ---------------------------------------------------------------- schedules


def test_pieces_and_steps() -> None:
    pieces = Pieces(first=Ramp(start=0.384, end=0.224), second=Constant(value=0.4), at=10)
    assert [round(pieces(epoch, 25), 3) for epoch in (0, 5, 9, 10, 24)] == [0.384, 0.304, 0.24, 0.4, 0.4]
    nested = Pieces(first=Ramp(start=1, end=0), second=Ramp(start=1, end=0), at=4)
    assert [nested(epoch, 8) for epoch in range(8)] == [1, 0.75, 0.5, 0.25] * 2
    steps = Steps(values=(6, 4), at=(0, 25))
    assert [steps(epoch, 50) for epoch in (0, 24, 25, 49)] == [6, 6, 4, 4]
    assert (steps.range(), pieces.range()) == ((4, 6), (0.224, 0.4))


def test_a_part_of_a_curve_is_that_of_a_longer_course() -> None:
    whole = Cosine(start=0.1, end=0)
    halves = Part(whole=whole, start=0, end=0.5), Part(whole=whole, start=0.5)
    found = [half(epoch, 25) for half in halves for epoch in range(25)]
    assert found == [whole(epoch, 50) for epoch in range(50)]
    assert (halves[0].describe(), halves[1].range()) == ("part(cosine(0.1, 0), 0, 0.5)", (0, 0.1))
    with pytest.raises(ValueError, match="ends later than it starts"):
        Part(whole=whole, start=0.5, end=0.5)


def test_a_curve_may_end_in_the_last_epoch() -> None:
    ramp = Ramp(start=10, end=0, ends=Ends.LAST)
    assert [ramp(epoch, 11) for epoch in (0, 5, 10)] == [10, 5, 0]
    assert Ramp(start=10, end=0)(10, 11) > 0
    assert ramp(0, 1) == 10


def test_softmax_is_what_it_was() -> None:
    """The mean, a draw and a projection of weights on the simplex are one function where nothing is drawn."""
    alpha = randoms(4)
    mixture, pick = SoftmaxMixture(), decision(DecisionKind.PICK, take=2)
    assert torch.equal(mixture.mean(pick, alpha), 2 * alpha.softmax(0))
    assert torch.equal(mixture.draw({"d": pick}, {"d": alpha})["d"], mixture.mean(pick, alpha))
    torch.testing.assert_close(mixture.project(pick, mixture.mean(pick, alpha)), mixture.mean(pick, alpha))
