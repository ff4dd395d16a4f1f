"""What a search or train section may say: values read, errors placed, text written back."""

from __future__ import annotations

import ast
import math
import re
import subprocess
import sys
from collections.abc import Mapping

import pytest
from pydantic import ValidationError

from compiler.searcher.settings.axes import Order, Precision, Preferences
from compiler.searcher.settings.datasets import BUILT_IN, Cifar10, Digits, Folder
from compiler.searcher.settings.derivation import BestPath, By, Epoch, Strongest
from compiler.searcher.settings.optimizers import AlphaAdam, Sgd
from compiler.searcher.settings.reader import OverrideError, override
from compiler.searcher.settings.relaxation import Gumbel, Sample
from compiler.searcher.settings.schedules import Constant, Cosine, Decay, Ramp
from compiler.searcher.settings.sections import SearchSettings, TrainSettings, read_search, read_train
from compiler.searcher.settings.words import Applied, Named, Setting, Value, Word, menu_of, names_of
from hdas_dsl.text.diagnostics import Code, Diagnostic
from hdas_dsl.text.source import NOWHERE, Source, Span


def parse(text: str) -> dict[str, tuple[Value, Span]]:
    """Settings from text; it is also an expression of Python, which stands in for the front end here."""
    source = Source("x.hsp", text)
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def span(node: ast.expr) -> Span:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return Span(
            source, starts[node.lineno - 1] + node.col_offset, starts[node.end_lineno - 1] + node.end_col_offset
        )

    def value(node: ast.expr) -> Value:
        match node:
            case ast.Name(id="true" | "false" as word):
                return word == "true"
            case ast.Name(id=name):
                return Applied(name, span=span(node))
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
                spans: dict[int | str, Span] = {index: span(arg) for index, arg in enumerate(args)}
                spans |= {str(keyword.arg): span(keyword.value) for keyword in keywords}
                kwargs = {str(keyword.arg): value(keyword.value) for keyword in keywords}
                return Applied(name, tuple(value(arg) for arg in args), kwargs, span(node), spans)
            case ast.Tuple(elts=items):
                return tuple(value(item) for item in items)
            case _:
                literal: Value = ast.literal_eval(node)
                return literal

    settings = {}
    for statement in ast.parse(text).body:
        assert isinstance(statement, ast.Assign)
        assert isinstance(statement.targets[0], ast.Name)
        settings[statement.targets[0].id] = (value(statement.value), span(statement.value))
    return settings


def search(text: str) -> SearchSettings:
    settings, wrong = read_search(parse(text))
    assert [diagnostic.render() for diagnostic in wrong] == []
    return settings


def train(text: str) -> TrainSettings:
    settings, wrong = read_train(parse(text))
    assert [diagnostic.render() for diagnostic in wrong] == []
    return settings


DARTS = """\
data = cifar10(weights_share = 0.5)
epochs = 50
batch = 64
weights = sgd(lr = cosine(0.025, 0.001), momentum = 0.9, decay = 3e-4, clip = 5)
alphas = adam(lr = 3e-4, betas = (0.5, 0.999), decay = 1e-3, init = 1e-3)
relax = softmax
derive = strongest
"""
DARTS_TRAIN = """\
data = cifar10(cutout = 16)
epochs = 600
batch = 96
weights = sgd(lr = cosine(0.025, 0), momentum = 0.9, decay = 3e-4, clip = 5)
drop_path = ramp(0, 0.2)
aux_weight = 0.4
"""


def test_the_defaults_are_those_of_darts() -> None:
    assert search(DARTS) == SearchSettings() == search("")
    assert train(DARTS_TRAIN) == TrainSettings() == train("")
    assert search(
        "derive = strongest(by = probability, epoch = last)\norder = first\npreferences = together"
    ) == search("")
    assert SearchSettings().describe() == TrainSettings().describe() == ""


def test_every_kind_of_setting_is_read() -> None:
    settings = search(
        """\
data = digits(0.25, crop = 1)
weights = sgd(lr = cosine(0.1, 0, warmup = 10, per = step), decay = 2.7e-3, clip = 0)
alphas = adam(lr = 1e-3)
alphas_from = 15
relax = gumbel(temperature = decay(5, 0.956))
derive = best_path(by = logit, epoch = best)
order = second
preferences = apart
optional = true
seed = 7
precision = bfloat16
workers = 2
"""
    )
    assert settings == SearchSettings(
        data=Digits(weights_share=0.25, crop=1),
        weights=Sgd(lr=Cosine(start=0.1, end=0.0, warmup=10, per=settings.weights.lr.per), decay=2.7e-3, clip=0.0),
        alphas=AlphaAdam(lr=Constant(value=1e-3)),
        alphas_from=15,
        relax=Gumbel(temperature=Decay(start=5.0, factor=0.956)),
        derive=BestPath(by=By.LOGIT, epoch=Epoch.BEST),
        order=Order.SECOND,
        preferences=Preferences.APART,
        optional=True,
        seed=7,
        precision=Precision.BFLOAT16,
        workers=2,
    )
    assert settings.weights.lr.per == "step"


@pytest.mark.parametrize(
    ("text", "word"),
    [("order = 1", "first"), ("order = 2", "second"), ("precision = 32", "float32"), ("precision = bf16", "bfloat16")],
)
def test_other_spellings_of_words(text: str, word: str) -> None:
    assert word in (search(text).order, search(text).precision)


def test_a_bare_word_and_a_word_with_empty_brackets_are_one() -> None:
    assert search("relax = sample") == search("relax = sample()")
    assert search("relax = sample(share = true)").relax == Sample(share=True)
    assert search("derive = strongest(logit)").derive == Strongest(by=By.LOGIT)


@pytest.mark.parametrize(
    ("text", "code", "place", "message", "hint"),
    [
        ("epoch = 5", Code.SETTING, "5", "search has no 'epoch'", "did you mean 'epochs'?"),
        (
            "data = cifar(0.5)",
            Code.SETTING,
            "cifar(0.5)",
            "'data' of search cannot be 'cifar'",
            "did you mean 'cifar10'?",
        ),
        ("weights = sgd(lr = cosin(1))", Code.SETTING, "cosin(1)", "'lr' of sgd cannot be 'cosin'", "'cosine'?"),
        ("weights = sgd(lr = 1, dekay = 2)", Code.SETTING, "2", "sgd has no 'dekay'", "did you mean 'decay'?"),
        ("order = third", Code.SETTING, "third", "'order' of search cannot be third", "known: first, second"),
        ("relax = softmax(3)", Code.VALUE, "softmax(3)", "too many arguments for softmax", "it takes: none"),
        (
            "relax = 3",
            Code.VALUE,
            "3",
            "'relax' of search cannot be 3",
            "known: dirichlet, gates, gumbel, none, sample",
        ),
        ("relax = 'softmax'", Code.VALUE, "'softmax'", "'relax' of search cannot be \"softmax\"", "known: dirichlet"),
        ("order = 'first'", Code.SETTING, "'first'", "'order' of search cannot be \"first\"", "first"),
        ("order = true", Code.SETTING, "true", "'order' of search cannot be true", "known: first, second"),
        ("batch = 0", Code.VALUE, "0", "'batch' of search must be a whole number, at least 1, not 0", None),
        ("epochs = 0", Code.VALUE, "0", "`epochs = 0` is for `relax = none`, where no supernet learns", None),
        ("epochs = 2.5", Code.VALUE, "2.5", "'epochs' of search must be a whole number, 0 or more, not 2.5", None),
        ("epochs = true", Code.VALUE, "true", "'epochs' of search must be a whole number, 0 or more, not true", None),
        ("epochs = many", Code.VALUE, "many", "'epochs' of search must be a whole number, 0 or more, not many", None),
        ("optional = 1", Code.VALUE, "1", "'optional' of search must be true or false, not 1", None),
        (
            "data = cifar10(weights_share = 1)",
            Code.VALUE,
            "1",
            "'weights_share' of cifar10 must be a number between 0 and 1",
            None,
        ),
        (
            "data = cifar10(split = 0.5, weights_share = 0.5)",
            Code.VALUE,
            "0.5",
            "cifar10 gets 'weights_share' twice: 'split' is its former name",
            None,
        ),
        ("data = folder(path = here)", Code.VALUE, "here", "'path' of folder must be a text in quotes, not here", None),
        ("data = digits(size = 0)", Code.VALUE, "0", "'size' of digits must be a whole number, at least 1", None),
        ("alphas = adam(betas = 1)", Code.VALUE, "1", "'betas' of adam must be two numbers from 0 to below 1", None),
        ("alphas = adam(betas = (1, 0))", Code.VALUE, "(1, 0)", "'betas' of adam must be two numbers", None),
        ("weights = sgd(momentum = 0)", Code.VALUE, "sgd(momentum = 0)", "sgd needs 'lr'", None),
        ("weights = sgd(1, lr = 2)", Code.VALUE, "2", "sgd gets 'lr' twice", None),
        (
            "relax = sample(true, uniform, 1, 1)",
            Code.VALUE,
            "sample(true, uniform, 1, 1)",
            "too many arguments for sample",
            "it takes: share, weights, draws",
        ),
        ("weights = sgd(lr = true)", Code.VALUE, "true", "'lr' of sgd cannot be true", "known: constant, cosine"),
        ("weights = sgd(lr = cosine(-1, 0))", Code.VALUE, "-1", "'start' of cosine must be a number, 0 or more", None),
        ("weights = sgd(lr = -1)", Code.VALUE, "-1", "'value' of constant must be a number, 0 or more, not -1", None),
    ],
)
def test_an_error_has_a_code_a_place_and_plain_words(
    text: str, code: Code, place: str, message: str, hint: str | None
) -> None:
    settings, (wrong,) = read_search(parse(text))
    assert settings == SearchSettings()
    assert (wrong.code, wrong.span.text) == (code, place)
    assert message in wrong.message
    assert (hint is None and wrong.hint is None) or (hint or "?!") in (wrong.hint or "")
    assert "pydantic" not in wrong.render()


def test_all_errors_are_reported_at_once_and_the_rest_is_kept() -> None:
    settings, wrong = read_search(
        parse("batch = 0\nepochs = 3\nweights = sgd(lr = cosine(-1, -2), foo = 1)\nseed = -1\nbar = 1")
    )
    assert settings == SearchSettings(epochs=3)
    assert sorted(diagnostic.span.line for diagnostic in wrong) == [1, 3, 3, 3, 4, 5]


def test_a_drop_path_that_drops_everything_is_refused() -> None:
    settings, (wrong,) = read_train(parse("drop_path = ramp(0, 1, warmup = 5)"))
    assert settings == TrainSettings()
    assert wrong.message == "a rate of ramp(0, 1, warmup = 5) reaches 1, where nothing is left"
    assert train("drop_path = 0\naux_weight = 0\nlabel_smoothing = 0").drop_path == Constant(value=0.0)


def test_an_override_is_checked_by_what_holds_it() -> None:
    with pytest.raises(ValueError, match=r"^a rate of ramp\(0, 1\) reaches 1, where nothing is left$"):
        override(TrainSettings(), ("drop_path.end", 1))


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_numbers_that_are_none_are_refused(value: float) -> None:
    _, (wrong,) = read_search({"weights": (Applied("sgd", (value,)), NOWHERE)})
    assert wrong.message.startswith("'value' of constant must be a number, 0 or more, not ")


def test_without_places_of_arguments_the_word_is_shown() -> None:
    source = Source("x.hsp", "sgd(momentum = 2)")
    span = Span(source, 0, 17)
    _, wrong = read_search({"weights": (Applied("sgd", (), {"lr": 1, "momentum": 2}, span), span)})
    assert [diagnostic.span.text for diagnostic in wrong] == ["sgd(momentum = 2)"]
    inner = Span(source, 4, 12)
    _, wrong = read_search({"weights": (Applied("sgd", (), {"lr": Applied("x", span=inner)}, span), span)})
    assert [diagnostic.span.text for diagnostic in wrong] == ["momentum"]


def test_a_model_made_in_python_takes_no_unknown_field() -> None:
    with pytest.raises(ValueError, match="flop"):
        Cifar10(flop=True)  # type: ignore[call-arg]


# Schedules


def test_a_cosine_per_epoch() -> None:
    cosine = Cosine(start=0.025, end=0.001)
    assert cosine(0, 50) == 0.025
    assert cosine(25, 50) == pytest.approx(0.013)
    assert cosine(50, 50) == pytest.approx(0.001)
    assert cosine(10, 50) == cosine(10.7, 50) == pytest.approx(0.001 + 0.012 * (1 + math.cos(math.pi / 5)))


def test_a_cosine_per_step_after_a_warmup() -> None:
    cosine = search("weights = sgd(lr = cosine(0.1, 0, warmup = 10, per = step))").weights.lr
    assert 0 < cosine(0, 250) < 0.01
    assert cosine(0, 250) < cosine(0.5, 250) < cosine(1, 250)
    assert cosine(10, 250) == pytest.approx(0.1)
    assert cosine(10 - 1e-9, 250) == pytest.approx(0.1)
    assert cosine(130, 250) == pytest.approx(0.05)
    assert cosine(5, 3) < cosine(6, 3)


def test_the_other_schedules() -> None:
    assert Ramp(start=0.0, end=0.2)(300, 600) == pytest.approx(0.1)
    assert Decay(start=5.0, factor=0.956)(2, 90) == pytest.approx(5 * 0.956**2)
    assert Constant(value=0.3)(17, 20) == 0.3
    assert [round(Constant(value=0.3, warmup=2)(epoch, 20), 3) for epoch in range(4)] == [0.1, 0.2, 0.3, 0.3]


# Text


@pytest.mark.parametrize(
    "text",
    [
        "data = digits(weights_share = 0.3, crop = 1)",
        "data = fake(classes = 3)",
        'data = folder(path = "a \\"b\\" \\\\c", jitter = 0)',
        "weights = sgd(lr = cosine(0.1, 0, warmup = 3, per = step), clip = 0)",
        "weights = adamw(lr = constant(1e-5, warmup = 2), betas = (0.5, 0.99))",
        "weights = sgd(lr = 2.7e-4)",
        "relax = gumbel(temperature = decay(5, 0.956))",
        "derive = best_path(by = logit)",
        "derive = menus(keep = 5)",
        "order = second\noptional = true",
    ],
)
def test_described_settings_are_read_back(text: str) -> None:
    settings = search(text)
    assert settings.describe() == text + "\n"
    assert search(settings.describe(full=True)) == settings


def test_full_text_gives_every_argument() -> None:
    assert SearchSettings().weights.describe(full=True) == (
        "sgd(lr = cosine(0.025, 0.001, warmup = 0, per = epoch, ends = after), "
        "momentum = 0.9, decay = 3e-4, clip = 5, nesterov = false)"
    )
    assert Cifar10().describe() == "cifar10"
    assert train(TrainSettings().describe(full=True)) == TrainSettings()


# Overriding


@pytest.mark.parametrize(
    ("path", "value", "text"),
    [
        ("batch", 32, "batch = 32\n"),
        ("weights.lr", 0.1, "weights = sgd(lr = 0.1)\n"),
        ("weights.lr.start", 0.1, "weights = sgd(lr = cosine(0.1, 0.001))\n"),
        ("alphas.lr", 1e-3, "alphas = adam(lr = 0.001)\n"),
        ("data.weights_share", 0.4, "data = cifar10(weights_share = 0.4)\n"),
        ("data.split", 0.4, "data = cifar10(weights_share = 0.4)\n"),  # Its former name.
        ("data", Applied("digits"), "data = digits\n"),
        ("derive.by", Applied("logit"), "derive = strongest(by = logit)\n"),
    ],
)
def test_override(path: str, value: Value, text: str) -> None:
    assert override(SearchSettings(), (path, value)).describe() == text


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("batsh", 3, "search has no 'batsh'; did you mean 'batch'?"),
        ("batsh.x", 3, "search has no 'batsh'; did you mean 'batch'?"),
        ("batch", 0, "'batch' of search must be a whole number, at least 1, not 0"),
        ("batch.size", 1, "'batch' of search is a plain value and has no 'size'"),
        ("data.size.x", 1, "'size' of cifar10 is a plain value and has no 'x'"),
        ("weights.lr.end", -1, "'end' of cosine must be a number, 0 or more, not -1"),
        ("weights.rate", 1, "sgd has no 'rate'; known: clip, decay, lr, momentum, nesterov"),
        ("weights.momentum", 1, "'momentum' of sgd must be a number from 0 to below 1, not 1"),
        ("data", Applied("cifr10"), "'data' of search cannot be 'cifr10'; did you mean 'cifar10'?"),
    ],
)
def test_a_wrong_override_is_one_sentence(path: str, value: Value, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        override(SearchSettings(), (path, value))


# The vocabulary


def models() -> Mapping[str, type[Setting]]:
    """Every model that a section can hold."""
    found: dict[str, type[Setting]] = {}
    todo: list[type[Setting]] = [SearchSettings, TrainSettings, *BUILT_IN]
    while todo:
        model = todo.pop()
        if model.__name__ not in found:
            found[model.__name__] = model
            todo += [word for info in model.model_fields.values() for word in menu_of(info).values()]
    return found


@pytest.mark.parametrize("model", models().values(), ids=models().keys())
def test_every_field_says_what_it_takes(model: type[Setting]) -> None:
    for info in model.model_fields.values():
        assert info.description or menu_of(info) or names_of(info), info
    assert model.word.isidentifier()
    assert not issubclass(model, Word) or {*model.positional} <= {*model.model_fields}


def test_aliases_stand_for_words() -> None:
    for names in Named.__subclasses__():
        assert {*names.aliases().values()} <= set(names)


def test_the_shipped_programs_settings_are_read() -> None:
    assert search("data = folder(weights_share = 0.2)").data == Folder(weights_share=0.2)
    assert train("data = cifar10(cutout = 16)\nepochs = 600").epochs == 600


def test_settings_are_read_without_torch() -> None:
    code = "import sys, compiler.searcher.settings.sections as s; s.read_search({}); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_diagnostics_render() -> None:
    _, wrong = read_search(parse("batch = 64\nepohcs = 3"))
    assert [Diagnostic.render(diagnostic).splitlines()[:2] for diagnostic in wrong] == [
        ["x.hsp:2:10: error[E701]: search has no 'epohcs'", "    epohcs = 3"]
    ]


@pytest.mark.parametrize(
    ("order", "name", "other"),
    [
        ("second", "relax", "sample"),
        ("2", "relax", "sample(share = true)"),
        ("second", "weights", "adam(lr = 0.1)"),
        ("second", "weights", "sgd(lr = 0.1, nesterov = true)"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_settings_that_do_not_go_together(order: str, name: str, other: str, turned: bool) -> None:
    """Both places are named, and every other setting is read."""
    lines = ["epochs = 3", f"order = {order}", f"{name} = {other}"]
    settings, (wrong,) = read_search(parse("\n".join(lines[::-1] if turned else lines)))
    assert (wrong.code, wrong.span.text) == (Code.VALUE, order)
    assert wrong.other is not None
    assert (wrong.other[0].text, wrong.other[1]) == (other, f"'{name}' is set here")
    assert settings.epochs == 3


def test_a_model_refuses_what_does_not_go_together() -> None:
    with pytest.raises(ValidationError):
        SearchSettings(order=Order.SECOND, relax=Sample())


def test_overrides_that_only_go_together() -> None:
    second = SearchSettings(order=Order.SECOND)
    assert override(second, ("relax", Applied("sample")), ("order", Applied("first"))).order is Order.FIRST
    assert override(second, ("order", Applied("first")), ("relax", Applied("sample"))).order is Order.FIRST
    with pytest.raises(OverrideError, match="no gradient") as error:
        override(second, ("epochs", 3), ("relax", Applied("sample")), ("batch", 8))
    assert error.value.path == "relax"
