"""Grammars: what is drawn lies in the space, as often as it should; counts by brute force; networks of einspace."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from random import Random

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from compiler import search
from compiler.analysis.architectures import Architectures, count, sample
from compiler.analysis.architectures.grammar_counts import DerivationCounts
from compiler.analysis.architectures.grammar_space import GrammarSpace
from compiler.analysis.architectures.sampling import sample_living
from compiler.analysis.architectures.space_list import Part
from compiler.analysis.architectures.variation import crossover, member, mutate
from compiler.analysis.costs.block_totals import Costs
from compiler.analysis.counting.errors import UncountableError
from compiler.analysis.membership.query import membership
from compiler.backend.lowering.network import Network
from compiler.commands.compile import compile_main
from compiler.elaborate import Elaborated
from compiler.program.compile_file import compile_file
from compiler.program.request import Request
from compiler.reports.facts import cardinality
from compiler.searcher.explore.grammars import explored_space
from compiler.searcher.explore.space import ExploredSpace
from compiler.searcher.settings.exploring import Draw
from compiler.util.errors import UsageError
from tests.support.programs import SPACES, in_order, space

OPS = """hsp 1
op seq(x; f, g) = x -> f -> g
op both(x; f, g) = (x -> f) + (x -> g)
op down(x) = x -> conv(3, 2 * x.c, stride = 2)
op unit(x; k) = x -> relu -> conv(k)
"""
TREES = f"""{OPS}
choice Tree(d) = unit(2 * d + 1) weight 2
               | down
               | seq(Tree(d - 1), Tree(d - 1)) if d > 0
               | both(Tree(d - 1), (relu weight 3 | identity)) weight 4 if d > 0

network Net(image: [4, 4, 4]; depth = 1) {{
  output image -> grammar(Tree(depth)) -> conv(3, 4, stride = 2)
}}
"""
LEAVES = ("unit({})", "down")


def compiled(text: str) -> Elaborated:
    return Request(Path("grammar.hsp"), text=text).compile().network


def trees(depth: int) -> list[str]:
    """All trees as texts, whether they fit or not."""
    found = [leaf.format(2 * depth + 1) for leaf in LEAVES]
    if depth:
        inner = trees(depth - 1)
        found += [f"seq({one}, {other})" for one in inner for other in inner]
        found += [f"both({one}, {other})" for one in inner for other in ("relu", "identity")]
    return found


def architecture(tree: str) -> str:
    return f"{OPS}\nnetwork Net(image: [4, 4, 4]) {{\n  output image -> {tree} -> conv(3, 4, stride = 2)\n}}\n"


def body(found: str) -> str:
    """The tree in the text of an architecture."""
    line = found[found.index("output image") :].partition("\n}")[0]
    return line.removeprefix("output image -> ").removesuffix(" -> conv(3, 4, stride = 2)")


@pytest.fixture(scope="module")
def fitting() -> list[str]:
    """The trees of depth 1 that compile."""
    return [tree for tree in trees(1) if compile_file("one.hsp", text=architecture(tree))[0] is not None]


def test_the_number_is_that_of_the_texts_that_compile(fitting: list[str]) -> None:
    assert len(fitting) == 8 < len(trees(1))
    assert count(Architectures(Request(Path("grammar.hsp"), text=TREES))).render() == "8"


def all_fit(depth: int) -> str:
    return TREES.replace("| down\n", "| max_pool(3)\n").replace("depth = 1", f"depth = {depth}")


def test_counts_are_those_of_choices() -> None:
    """Where all items fit, the same menus without the word are a space that is counted otherwise."""
    whole = space(all_fit(2).replace("grammar(Tree(depth))", "Tree(depth)"))
    assert GrammarSpace(compiled(all_fit(2))).number == cardinality(whole) == 2 + 10**2 + 10 * 2


def test_a_deep_grammar_is_counted() -> None:
    """The work grows with shapes and depths, the number with trees: it has some two thousand digits."""
    expected = 2
    for _ in range(11):
        expected = 2 + expected**2 + 2 * expected
    assert GrammarSpace(compiled(all_fit(11))).number == expected


def test_uniform_draws(fitting: list[str]) -> None:
    """Each tree that fits, and no other, as often as the others."""
    listing = Architectures(Request(Path("grammar.hsp"), text=TREES))
    drawn = Counter(body(found.text) for found in sample(listing, 160, seed=1))
    assert set(drawn) == set(fitting)
    assert sum((often - 20) ** 2 / 20 for often in drawn.values()) < 24.3  # chi-squared, 7 degrees, 0.1%


def test_weighted_draws(fitting: list[str]) -> None:
    """By the weights; a sum with `down` fits with neither item, and another production is drawn instead of it."""
    grammar, source = GrammarSpace(compiled(TREES)), Random(1)
    found = [grammar.weighted(source) for _ in range(400)]
    drawn = Counter(tree for one in found if one is not None for tree in one.texts.values())
    leaf = {"unit(1)": 2 / 3, "down": 1 / 3}
    simple = {"unit(3)": 2 / 8, "down": 1 / 8}
    simple |= {f"seq({one}, {other})": 1 / 8 * leaf[one] * leaf[other] for one in leaf for other in leaf}
    instead = 1 + (4 / 8 * leaf["down"]) / (4 / 8)
    expected = {tree: share * instead for tree, share in simple.items()}
    expected |= {
        f"both(unit(1), {f})": 4 / 8 * leaf["unit(1)"] * share for f, share in (("relu", 0.75), ("identity", 0.25))
    }
    assert set(drawn) <= set(fitting) == set(expected)
    assert math.isclose(sum(expected.values()), 1)
    assert sum((drawn[tree] - 400 * share) ** 2 / (400 * share) for tree, share in expected.items()) < 24.3


def test_a_tree_that_is_too_large_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    grammar = GrammarSpace(compiled(TREES))
    monkeypatch.setattr("compiler.elaborate.network.MOST_OPERATIONS", 2)
    assert grammar.of({"Net.output.Tree": (1,)}) is not None
    assert grammar.of({"Net.output.Tree": (2, 1, 1)}) is None


def test_mutants_keep_the_rest() -> None:
    """Of a tree whose two halves are trees, a mutant below one half has the other as it was."""
    grammar, source = GrammarSpace(compiled(all_fit(4))), Random(2)
    parent = grammar.of({"Net.output.Tree": (2, 2, 0, 1, 2, 1, 0)})
    assert parent is not None
    (text,) = parent.texts.values()
    assert text == "seq(seq(unit(5), max_pool(3)), seq(max_pool(3), unit(5)))"
    children = [grammar.mutated(parent, source) for _ in range(20)]
    found = {tree for child in children if child is not None for tree in child.texts.values()} - {text}
    halves = "seq(seq(unit(5), max_pool(3)), ", "seq(max_pool(3), unit(5)))"
    assert sum(tree.startswith(halves[0]) != tree.endswith(halves[1]) for tree in found) > 4


def test_draws_lie_in_their_space() -> None:
    """Those of cells, copies and families too; a text that is not a tree of it does not."""
    text = f"""{OPS}
choice Tree(d) = conv(3) | max_pool(3) | Tree(d - 1) -> Tree(d - 1) if d > 0

cell C(x) {{
  y = x -> grammar(Tree(2))
  output y + x
}}

network Net(image: [1, 4, 4]) {{
  a = image -> conv(3, 2) -> C
  b[i < 2] = prev(a) -> C@fresh -> C
  k[i < 2] = prev(last of b) -> grammar(Tree(1))
  output last of k -> classifier(2)
}}
"""
    request = Request(Path("grammar.hsp"), text=text)
    whole = request.compile()
    for found in sample(Architectures(request), 6, seed=3, weighted=True):
        given, wrong = compile_file("one.hsp", text=found.text)
        assert given is not None, wrong
        assert not given.is_space
        assert membership(whole, given).inside, found.text
        drawn = getattr(found, "drawn")  # noqa: B009 (of a draw along a grammar only)
        assert Costs().block(drawn.block).params == Costs().block(given.network.block).params
        for before, after in (("  k0 = b1 -> ", "  k0 = b1 -> relu -> "), ("conv(3, 2)", "conv(5, 2)")):
            outside, _ = compile_file("one.hsp", text=found.text.replace(before, after))
            assert outside is not None
            assert not membership(whole, outside).inside


def test_what_is_refused() -> None:
    def errors(text: str) -> str:
        _, found = compile_file("wrong.hsp", text=text)
        return " ".join(item.message for item in found)

    assert "'Tree' derives nothing for 4: 'conv'" in errors(TREES.replace("image ->", "image -> global_pool ->"))
    assert "between operations, not between numbers" in errors(TREES.replace("unit(2 * d + 1)", "unit(1 | 3)"))
    assert "takes a menu, not an operation" in errors(TREES.replace("grammar(Tree(depth))", "grammar(relu)"))
    said = errors(f"{TREES}\nsearch Net {{\n  relax = sample\n}}\n")
    assert "one by one, which `relax = sample` and `derive = strongest` do not" in said
    assert "without an end" in errors(TREES.replace("unit(2 * d + 1)", "seq(Tree(d), Tree(d))"))
    others = Architectures(Request(Path("x.hsp"), text=TREES.replace("conv(3, 4,", "(relu | identity) -> conv(3, 4,")))
    with pytest.raises(UsageError, match=r"at Net\.output\.choice.*make it a menu"):
        count(others)
    grammar = GrammarSpace(compiled(TREES))
    grammar.counts = DerivationCounts(grammar.productions, most=3)
    with pytest.raises(UncountableError, match="too many shapes"):
        _ = grammar.outcomes
    with pytest.raises(ValueError, match="still has choices"):
        Network(grammar.network)


def test_the_trees_of_a_text_are_those_that_were_drawn() -> None:
    listing = Architectures(Request(Path("grammar.hsp"), text=TREES.replace("depth = 1", "depth = 2")))
    assert listing.grammar is not None
    explored = explored_space(listing.parts[0])
    for drawn in sample(listing, 12, seed=1):
        assert listing.grammar.written(compiled(drawn.text)).selection == drawn.choices[0]
    number = explored.drawn(Random(0)).number
    assert all(map(explored.holds, (0, number)))
    assert not any(map(explored.holds, (number // 10, -number, 77)))
    (parent,) = sample(listing, 1, seed=3)
    for seed in range(8):
        child = mutate(listing, Request(Path("parent.hsp"), text=parent.text), seed)
        assert child.choices != parent.choices
        assert listing.grammar.written(compiled(child.text)).selection == child.choices[0]
    one = TREES.partition(" weight 2")[0] + "\nnetwork" + TREES.partition("network")[2]
    listing = Architectures(Request(Path("one.hsp"), text=one))
    (only,) = sample(listing, 1)
    with pytest.raises(UsageError, match=r"no menu of 'one.hsp' can be drawn anew"):
        mutate(listing, Request(Path("one.hsp"), text=only.text))
    alone = Request(Path("one.hsp"), text=only.text)
    assert crossover(listing, alone, alone).choices == only.choices


@pytest.mark.parametrize(("required", "number"), [("", 5), ("require params <= 640", 4)])
def test_children_of_trees_are_made_of_both(required: str, number: int) -> None:
    """What stands at depth 1 of one takes the place of what stands there in the other."""
    text = TREES.replace("depth = 1", "depth = 2").replace("  output", f"  {required}\n  output")
    listing = Architectures(Request(Path("grammar.hsp"), text=text))
    ours, others = ["both(unit(1), relu)", "unit(3)"], ["down", "both(unit(1), identity)"]
    left, right = (
        Request(Path(f"{at}.hsp"), text=architecture(f"seq({', '.join(parts)})"))
        for at, parts in enumerate((ours, others))
    )
    children = [crossover(listing, left, right, seed) for seed in range(25)]
    found = {body(child.text) for child in children}
    swaps = [(ours[:at], other, ours[at + 1 :]) for at in (0, 1) for other in others]
    swaps += [(others[:at], our, others[at + 1 :]) for at in (0, 1) for our in ours]
    expected = {f"seq({', '.join([*before, new, *after])})" for before, new, after in swaps}
    assert found <= expected, found - expected
    assert len(found) >= number
    for child in children:
        assert not member(listing, Request(Path("child.hsp"), text=child.text))
        assert not child.verdict.distance


def test_a_tree_is_mended_for_a_budget_that_next_to_none_meets() -> None:
    """Of 300 trees the largest has 10,720 parameters; and a budget that none meets is an error that says so."""

    def explored(required: str) -> ExploredSpace:
        text = TREES.replace("depth = 1", "depth = 3").replace("  output", f"  require {required}\n  output")
        return explored_space(Architectures(Request(Path("grammar.hsp"), text=text)).parts[0])

    space = explored("params >= 10721")
    found = [space.drawn(Random(seed), Draw.WEIGHTS) for seed in range(3)]
    assert space.scarce(Draw.WEIGHTS)
    assert all(space.meets(each.number) for each in found)
    with pytest.raises(UsageError, match=r"none meets `require params <= 159`; changes .* end 0\.6% away"):
        explored("params <= 159").drawn(Random(0), Draw.WEIGHTS)


def test_commands_on_a_grammar(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    training = "  data = fake(images = 20)\n  epochs = 1\n  batch = 10\n"
    searching = "  relax = none\n  epochs = 0\n  derive = random(1, draw = weights)\n  judge = trained\n"
    text = TREES.replace("stride = 2)\n}", "stride = 2) -> classifier(3)\n}").replace("4, 4, 4", "3, 4, 4")
    Path("net.hsp").write_text(f"{text}\nsearch Net {{\n{searching}}}\ntrain Net {{\n{training}}}\n")

    def said(*arguments: str) -> tuple[int, str]:
        code = compile_main(list(arguments))
        out = capsys.readouterr()
        return code, out.out + out.err

    code, found = said("net.hsp", "--sample", "1", "--json")
    (drawn,) = json.loads(found)["architectures"]
    (tree,) = drawn["decisions"].values()
    assert not code
    assert f"-> {tree} ->" in drawn["text"]
    Path("one.hsp").write_text(drawn["text"])
    assert "trees of a grammar; a trial is judged by " in said("net.hsp", "--search", "--dry-run")[1]
    assert "'Net' still has choices, such as Net.output.Tree" in said("net.hsp", "--emit", "genotype")[1]
    mutants = {said("net.hsp", "--mutate", "one.hsp", "--seed", str(seed))[1] for seed in range(3)}
    for mutant in mutants:
        Path("mutant.hsp").write_text(mutant)
        assert said("mutant.hsp", "--in", "net.hsp") == (0, "yes: its grammar derives it\n")
        assert f"-> {tree} ->" not in mutant
    assert len(mutants) > 1
    code, child = said("net.hsp", "--crossover", "one.hsp", "mutant.hsp")
    assert not code
    Path("child.hsp").write_text(child)
    assert said("child.hsp", "--in", "net.hsp") == (0, "yes: its grammar derives it\n")
    listing, parent = Architectures(Request(Path("net.hsp"))), Request(Path("one.hsp"))
    assert not member(listing, parent)  # `--versus` asks both: that it lies there, and for others of its space.
    (other,) = sample_living(listing, 1)
    assert not member(listing, Request(Path("other.hsp"), text=other.text))


# ---------------------------------------------------------------- einspace

GRAMMARS = SPACES / "grammars"


def network(name: str, size: int) -> tuple[Elaborated, Network, list[Tensor]]:
    """A network of einspace at a small image, in float64, with its parameters in order."""
    text = (GRAMMARS / name).read_text().replace("3, 32, 32", f"3, {size}, {size}")
    found = compiled(text)
    torch.manual_seed(0)
    made = Network(found).double().train()
    named = ((n.removeprefix("network."), p) for n, p in made.named_parameters())
    parameters = list(in_order(named, found).values())
    for parameter in parameters:
        parameter.data.normal_().mul_(0.1)
    return found, made, parameters


def test_resnet18_is_derived() -> None:
    """It is the network that torch computes with convolutions, batch norms and leaky ReLUs of the same parameters."""
    request = Request(GRAMMARS / "einspace_resnet18.hsp")
    within = Request(GRAMMARS / "einspace.hsp").compile()
    assert membership(within, request.compile()).inside
    _, made, parameters = network("einspace_resnet18.hsp", 16)
    given = iter(parameters)

    def conv(x: Tensor, k: int = 3, stride: int = 1) -> Tensor:
        weight, bias = next(given), next(given)
        return F.conv2d(x, weight.view(len(weight), x.shape[1], k, k), bias, stride, k // 2)

    def norm(x: Tensor) -> Tensor:
        return F.batch_norm(x, None, None, next(given), next(given), training=True)

    x = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    y = conv(F.leaky_relu(norm(conv(x))), stride=2)
    for stride in (1, 1, 2, 1, 2, 1, 2, 1):
        inner = norm(conv(F.leaky_relu(norm(conv(y, stride=stride)))))
        y = F.leaky_relu(inner + (y if stride == 1 else norm(conv(y, 1, 2))))
    expected = F.linear(y.mean((2, 3)), next(given), next(given))
    torch.testing.assert_close(made(x), expected, atol=1e-9, rtol=1e-9)
    assert next(given, None) is None


def test_a_vision_transformer_is_derived() -> None:
    """Heads are the attention that torch computes; depth 11 holds it, 10 does not."""
    found = Request(GRAMMARS / "einspace_vit.hsp").compile()
    text = (GRAMMARS / "einspace.hsp").read_text()
    for depth, inside in ((11, True), (10, False)):
        within = Request(Path("e.hsp"), text=text.replace("depth = 12", f"depth = {depth}")).compile()
        assert membership(within, found).inside is inside
    _, made, parameters = network("einspace_vit.hsp", 8)
    given = iter(parameters)

    def linear(x: Tensor) -> Tensor:
        return F.linear(x, next(given), next(given))

    def norm(x: Tensor) -> Tensor:
        return F.layer_norm(x, (64,), next(given), next(given))

    def head(x: Tensor) -> Tensor:
        v, k, q = linear(x), linear(x), linear(x)
        return F.scaled_dot_product_attention(q, k, v)

    x = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    tokens = linear(F.unfold(x, 4, stride=4).mT)
    tokens = tokens + next(given).mT
    for _ in range(2):
        y = norm(tokens)
        tokens = tokens + linear(torch.cat([head(y) for _ in range(4)], 2))
        tokens = tokens + linear(F.leaky_relu(linear(norm(tokens))))
    torch.testing.assert_close(made(x), linear(tokens.mean(1)), atol=1e-9, rtol=1e-9)
    assert next(given, None) is None


def test_groups() -> None:
    """The groups of each dimension, put together again, are the whole; not every dimension has as many."""
    texts = (
        'hsp 1\nuse "lib/einspace.hsp"\n\n'
        "network Net(x: [2, 3, 4]) {{\n  output x -> splits(4, {0}, identity, cat4({0}))\n}}\n"
    )
    x = torch.randn(3, 2, 3, 4)
    assert torch.equal(Network(compiled(texts.format("permute(3, 2, 1)")))(x), x)
    half = texts.replace("splits(4, {0}, identity, cat4({0}))", "split2(identity, leaky_relu, identity, dot)")
    assert compile_file("half.hsp", text=half.format(""))[0] is None
    joined = half.replace("dot", "add2").format("")
    torch.testing.assert_close(Network(compiled(joined))(x), F.leaky_relu(x[:, :1]) + x[:, 1:])
    assert compile_file("odd.hsp", text=texts.format("permute(2, 1, 3)"))[0] is None


def test_draws_of_einspace() -> None:
    """Trees of branches and routes, which compile by themselves and lie in it; some twenty productions to a tree."""
    request = Request(
        GRAMMARS / "einspace.hsp", text=(GRAMMARS / "einspace.hsp").read_text().replace("3, 32, 32", "1, 8, 8")
    )
    within = request.compile()
    seen = ""
    for found in sample(Architectures(request), 5, seed=0, weighted=True):
        seen += found.text
        assert membership(within, Request(Path("one.hsp"), text=found.text).compile()).inside
    assert all(word in seen for word in ("seq(", "route(", "clone", "unfold(", "permute("))


def test_a_search_of_einspace(tmp_path: Path) -> None:
    """Trees that are drawn, trained and mutated; what is found lies in the space, and its number is its tree."""
    text = (GRAMMARS / "einspace_digits.hsp").read_text()
    for before, after in (("40, population = 10, tournament = 5", "3, population = 2, tournament = 2"), ("= 6", "= 3")):
        assert before in text
        text = text.replace(before, after)
    text = text.replace("epochs = 2)", "epochs = 1)").replace("  data = digits\n", "  data = digits(images = 0.05)\n")
    file = tmp_path / "small.hsp"
    file.write_text(text)
    report = search(file, tmp_path / "run", quiet=True)
    program = Request(file).compile()
    found = Request(report.derived).compile()
    assert membership(program, found).inside
    trials = [json.loads(line) for line in (tmp_path / "run/trials.jsonl").read_text().splitlines()[1:]]
    assert [trial["id"] for trial in trials] == [0, 1, 2]
    explored = explored_space(Part("", program))
    for trial in trials:
        candidate = explored.candidate(trial["number"])
        assert candidate.number == trial["number"]
        assert explored.readable(candidate) == trial["decisions"]
    child = explored.mutated(candidate, Random(0))
    assert child is not None
    assert child.number != candidate.number
