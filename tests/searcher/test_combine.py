"""What cannot be combined is refused before any training, with both places."""

from __future__ import annotations

import pytest

from compiler.program.compile_file import compile_file
from compiler.searcher.settings.combine import RULES
from hdas_dsl.text.diagnostics import Diagnostic

TEXT = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = unit | unit(k = 3) | identity
network Net(image: [1, 8, 8]; classes = 3) {
  stem = image -> conv(3, 4) -> batch_norm -> drop_path
  n[i < 2] = sum(pick 1 of Op(each (stem, stem -> relu)))
  output last of n -> classifier(classes)
}
network Numbers(image: [1, 8, 8]) {
  output image -> conv(k = 1 | 3, 4) -> classifier(3)
}
network Plain(image: [1, 8, 8]) {
  m = image -> conv(3, 4) -> Op
  output m -> classifier(3)
}
network Sure(image: [1, 8, 8]) {
  output sum(pick 1 of (image, relu(image))) -> classifier(3)
}
network Depths(image: [1, 8, 8]) {
  n[i < 3] = sum(pick 1 of Op(each (image, earlier n)))
  maximize depth(n)
  output last of n -> classifier(3)
}
network Uneven(image: [1, 8, 8]) {
  m = image -> conv(3, 4) -> Op
  output m -> conv(1, 4 | 6) -> classifier(3)
}
network Plainly(image: [1, 8, 8]) {
  stem = image -> conv(3, 4)
  p = sum(pick 1 of (stem, stem -> relu))
  output p -> classifier(3)
}
network Joined(image: [1, 8, 8]) {
  stem = image -> conv(3, 4)
  p = concat(pick 2 of Op(each (stem, stem -> relu, stem -> avg_pool(3))))
  output p -> classifier(3)
}
network Relaxed(image: [1, 8, 8]) {
  output image -> conv(3, 4) -> Op -> Op -> (zero if relaxed | unit | identity) -> classifier(3)
}
network Ending(image: [1, 8, 8]) {
  n[i < 1 | 2] = prev(image) -> Op
  output last of n -> classifier(3)
}
cell Deep(x) {
  output x -> (unit | unit(k = 3))
}
network Nested(image: [1, 8, 8]) {
  output image -> conv(3, 4) -> (Deep | identity) -> classifier(3)
}
cell Two(x) {
  a = Op(x)
  output Op(a)
}
network Cells(image: [1, 8, 8]) {
  m[i < 2] = prev(image -> conv(3, 4)) -> Two
  output last of m -> classifier(3)
}
network Twice(image: [1, 8, 8]) {
  stem = image -> conv(3, 4)
  m[i < 2] = stem -> Op
  p = sum(pick 1 of m) + last of m
  output p -> classifier(3)
}
"""

ALL = "picks = all"
ASNG = "relax = sample(weights = policy)\n alphas = natural"
ALONE = "relax = none\n epochs = 0\n derive = random(9)"
BROKEN = {
    ("order", "relax"): "order = second\n relax = sample",
    ("relax", "order"): "relax = gates\n order = second",
    ("order", "weights"): "order = second\n weights = adam(lr = 0.1)",
    ("order", "levels"): "order = second\n levels = 1",
    ("order", "alphas"): "order = second\n alphas = fixed",
    ("edges", "relax"): "edges = weighed\n relax = sample",
    ("channels", "relax"): "channels = partial(2)\n relax = gumbel(hard = true)",
    ("beside", "relax"): "beside = identity(ramp(1, 0))\n relax = sample",
    ("dropout", "relax"): "dropout = identity(0.1)\n relax = gates",
    ("drop_path", "relax"): "drop_path = ramp(0, 0.2)\n relax = sample",
    ("narrow", "relax"): "narrow = together(keep = 2, at = 5)\n relax = sample",
    ("narrow", "derive"): "narrow = one_by_one\n derive = strongest(epoch = best)",
    ("derive", "relax"): "derive = threshold(over = 0.85)\n relax = softmax",
    ("derive", "edges"): "derive = threshold(over = 0.85)\n relax = sigmoid\n edges = weighed",
    ("derive", "until"): "derive = strongest(epoch = before)\n until = unchanged(3)",
    ("until", "derive"): "derive = menus(keep = 2, epoch = before)\n until = sharpness(1.3)",
    ("until", "relax"): "until = sharpness(1.3)\n relax = gates",
    ("until", "precision"): "until = sharpness(1.3)\n precision = bfloat16",
    ("until", "alphas"): "until = unchanged(3)\n alphas = fixed",
    ("perturb", "relax"): "perturb = random(0.1)\n relax = sample",
    ("perturb", "levels"): "perturb = random(0.1)\n levels = 1",
    ("align", "relax"): "align = instances(0.1)\n relax = sample",
    ("align", "levels"): "align = instances(0.1)\n levels = 1",
    ("align", "precision"): "align = instances(0.1)\n precision = bfloat16",
    ("freeze", "relax"): "freeze = overfitting\n relax = gates",
    ("freeze", "levels"): "freeze = overfitting\n levels = 1",
    ("freeze", "order"): "freeze = overfitting\n order = second",
    ("freeze", "alphas"): "freeze = overfitting\n alphas = fixed",
    ("teacher", "relax"): "teacher = largest(1)\n relax = gates",
    ("teacher", "levels"): "teacher = early(1)\n levels = 1",
    ("teacher", "order"): "teacher = early(1)\n order = second",
    ("levels", "relax"): "levels = 1\n relax = sample",
    ("alphas", "relax"): "alphas = natural\n relax = gates",
    ("levels", "preferences"): "levels = 1\n preferences = apart",
    ("relax", "edges"): "relax = sparse\n edges = weighed",
    ("relax", "perturb"): "relax = sparse\n perturb = random(0.1)",
    ("relax", "narrow"): "relax = sparse\n narrow = together(keep = 2, at = 5)",
    ("relax", "align"): "align = instances(0.1)\n relax = sparse",
    ("task", "data"): "task = multilabel\n data = fake",
    ("task", "judge"): (
        'task = multilabel\n data = "x.npz"\n relax = none\n epochs = 0\n derive = random(9)\n judge = table("t.csv")'
    ),
    ("task", "teacher"): 'task = multilabel\n data = "x.npz"\n teacher = early(1)',
    ("judge", "derive"): "judge = shared\n derive = strongest(by = logit)",
    ("relax", "derive"): "relax = none\n derive = strongest(by = logit)",
    ("relax", "judge"): "relax = none\n judge = shared\n derive = random(9)",
    ("judge", "relax"): "judge = trained\n relax = sample\n derive = random(9)",
    ("unique", "derive"): "unique = functional\n derive = strongest(by = logit)",
    ("confirm", "derive"): "confirm = best(2)\n derive = strongest(by = logit)",
    ("confirm", "judge"): "confirm = best(2)\n derive = random(9)\n judge = shared",
    ("rungs", "judge"): f"rungs = halving(start = 1, to = 9)\n judge = proxy(snip)\n {ALONE}",
    ("relax", "epochs"): "relax = none\n epochs = 3\n derive = random(9)",
    ("epochs", "relax"): "epochs = 0\n relax = softmax",
    ("rungs", "derive"): "rungs = halving(start = 1, to = 9)\n derive = local(9)",
    ("derive", "narrow"): "derive = random(10)\n narrow = together(keep = 2, at = 5)",
    ("derive", "channels"): "derive = local(10)\n channels = partial(2)",
    ("derive", "beside"): "derive = evolution(10)\n beside = identity(1)",
}


NEED = (
    "task = multilabel",
    ' judge = table("t.csv")',
    "alphas = natural",
    "align = instances(0.1)",
    "teacher = largest(1)",
    "teacher = early(1)",
    " teacher = early(1)",
    " alphas = natural",
    "derive = strongest(epoch = before)",
    "derive = menus(keep = 2, epoch = before)",
    "derive = threshold(over = 0.85)",
    "judge = shared",
    " judge = shared",
    "judge = trained",
    "unique = functional",
    "confirm = best(2)",
    " confirm = best(2)",
    " judge = proxy(snip)",
    " relax = none",
    "relax = none",
    " epochs = 0",
    "epochs = 0",
    "rungs = halving(start = 1, to = 9)",
)
"""Settings that the default of another one does not suit."""


def wrong(settings: str, network: str = "Net") -> list[Diagnostic]:
    data = "" if "data =" in settings else "data = fake"
    section = f"search {network} {{\n {data}\n {settings}\n}}\n"
    program, diagnostics = compile_file("n.hsp", text=TEXT + section)
    assert (program is None) == bool(diagnostics)
    return diagnostics


def test_every_rule_has_a_case() -> None:
    assert {rule.fields for rule in RULES} == BROKEN.keys()
    assert len(RULES) == len(BROKEN)


@pytest.mark.parametrize("fields", BROKEN)
def test_settings_that_exclude_each_other(fields: tuple[str, str]) -> None:
    (found,) = wrong(BROKEN[fields])
    rule = next(rule for rule in RULES if rule.fields == fields)
    assert found.message == rule.why
    assert found.other is not None
    assert found.other[1] == f"'{fields[1]}' is set here"
    for line in BROKEN[fields].split("\n"):
        assert line in NEED or wrong(line) == []


def test_several_objectives_have_no_best_to_confirm() -> None:
    found = wrong(f"confirm = best(2)\n {ALONE.replace('random', 'nsga2')}")
    assert any("or by several objectives" in item.message for item in found)


@pytest.mark.parametrize(
    ("settings", "network", "message"),
    [
        ("edges = weighed", "Plain", "this space has none"),
        ("relax = sigmoid\n derive = threshold(over = 0.85)", "Net", "each pick of this space has its number"),
        ("derive = menus(keep = 2)", "Ending", "the choices of 'n' cannot lose items one by one"),
        ("beside = skip(1)", "Net", "`beside = skip(...)` names no item of a menu"),
        ('until = taken("skip_connect", 2)', "Net", '`until = taken("skip_connect", ...)` names no item of a menu'),
        (
            'until = taken("zero", 2)',
            "Relaxed",
            '`until = taken("zero", ...)` waits for an item that is searched over and never',
        ),
        ("dropout = identiti(0.1)", "Net", "`dropout = identiti(...)` names no item of a menu"),
        ("drop_path = 0.1", "Plain", "the rate of the text's operation of that name"),
        ("align = instances(1)", "Net", "no cell with menus stands in several places here"),
        ('align = instances(1, within = "One")', "Cells", "no cell 'One' with menus stands in several places here"),
        ("narrow = one_by_one", "Sure", "this space has none"),
        ("narrow = one_by_one", "Depths", "'depth Depths' is made of raw alphas"),
        ("edges = weighed", "Twice", "this space has none"),
        ("relax = sample(weights = fair)", "Net", "which the pick 'Net.n0.in' does not let it"),
        ("relax = sample(weights = fair)", "Uneven", "'Uneven.m.Op' has 3, 'Uneven.output.c' has 2"),
        ("relax = sample(weights = fair)", "Nested", "is not in all architectures"),
        ("relax = sample(weights = sandwich)", "Plain", "this space leaves none undecided"),
        ("relax = gates", "Plainly", "the candidates of 'Plainly.p.in' are none"),
        (
            f"relax = gumbel(hard = true, draws = 2, {ALL})",
            "Uneven",
            "several draws of 'Uneven.output.c' cannot run at once",
        ),
        (f"relax = gumbel(hard = true, {ALL})", "Joined", "concatenates candidates of a pick"),
        (f"{ASNG}\n minimize macs", "Net", "does not see 'macs"),
        (ASNG, "Net", "'Net.n0.in' takes several"),
        (ASNG, "Uneven", "of 2 choices each item of 'Uneven.output.c' keeps a probability of 1/2"),
        (ASNG, "Relaxed", "has an item that is never drawn"),
        (
            "relax = sparse\n minimize entropy",
            "Net",
            "is measured by probabilities of items, and `relax = sparse`",
        ),
        ("relax = sparse", "Numbers", "`relax = sparse` codes items of menus and inputs, and this space has none"),
        ("minimize divergence", "Net", "'divergence Net' is a divergence of Dirichlet distributions"),
        ("alphas = fixed\n minimize entropy", "Net", "'entropy Net' is a measure of alphas"),
    ],
)
def test_what_does_not_suit_the_space(settings: str, network: str, message: str) -> None:
    assert any(message in found.message for found in wrong(settings, network))
    assert wrong("relax = dirichlet\n minimize divergence") == []
