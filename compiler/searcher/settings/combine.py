"""Settings of a search that do not go together: one table, asked before any training.

To add a rule, add it to `RULES`, or in `combine_explorers.py` to those of explorers, or in
`combine_tasks.py` to those of tasks. `docs/searchers.md` lists them; a
test takes each of them at its word.
"""

from __future__ import annotations

from .axes import (
    AlignInstances,
    Edges,
    FreezeOverfitting,
    LargestTeacher,
    Levels,
    NoPerturbation,
    Order,
    Precision,
    Preferences,
)
from .combine_explorers import EXPLORING, narrows
from .combine_tasks import TASKS
from .derivation import Epoch, Menus, Threshold
from .optimizers import AlphaFixed, AlphaNatural, Sgd
from .relaxation import Gates, Sample, Sigmoid, Sparse
from .rule import Combined, Rule
from .stopping import Sharpness, Unchanged


def _second(settings: Combined) -> bool:
    return settings.order is Order.SECOND


def _one_level(settings: Combined) -> bool:
    return settings.levels is Levels.ONE


def _freezes(settings: Combined) -> bool:
    return isinstance(settings.freeze, FreezeOverfitting)


def _aligns(settings: Combined) -> bool:
    return isinstance(settings.align, AlignInstances)


def _plain_sgd(settings: Combined) -> bool:
    return isinstance(settings.weights, Sgd) and not settings.weights.nesterov


RULES = (
    Rule(
        ("order", "relax"),
        lambda s: _second(s) and isinstance(s.relax, Sample),
        "`relax = sample` has no gradient that `order = second` could look ahead by: use `first`",
    ),
    Rule(
        ("relax", "order"),
        lambda s: _second(s) and isinstance(s.relax, Gates),
        "`relax = gates` shifts alphas after their step, which `order = second` does not see: use `order = first`",
    ),
    Rule(
        ("order", "weights"),
        lambda s: _second(s) and not _plain_sgd(s),
        "`order = second` looks ahead by a step of plain sgd: use `weights = sgd(...)`, or `order = first`",
    ),
    Rule(
        ("order", "levels"),
        lambda s: _second(s) and _one_level(s),
        "`order = second` looks ahead to the loss of the other level, and `levels = 1` has none: use `order = first`",
    ),
    Rule(
        ("order", "alphas"),
        lambda s: _second(s) and isinstance(s.alphas, AlphaFixed),
        "`order = second` is a gradient of the alphas, and `alphas = fixed` takes none: use `order = first`",
    ),
    Rule(
        ("edges", "relax"),
        lambda s: s.edges is Edges.WEIGHED and not s.relax.runs_all,
        "`edges = weighed` weighs edges that are added up, and this relaxation draws them: use a `relax` that mixes",
    ),
    Rule(
        ("channels", "relax"),
        lambda s: s.channels.partial > 1 and not s.relax.runs_all,
        "`channels = partial` saves memory where all items run, and this relaxation runs one: use `channels = all`",
    ),
    Rule(
        ("beside", "relax"),
        lambda s: s.beside.wanted is not None and not s.relax.runs_all,
        "`beside` adds an item to those that are mixed, and this relaxation runs one: use a `relax` that mixes",
    ),
    Rule(
        ("dropout", "relax"),
        lambda s: s.dropout.wanted is not None and not s.relax.runs_all,
        "`dropout` weakens an item beside others, and this relaxation runs one: use a `relax` that mixes",
    ),
    Rule(
        ("drop_path", "relax"),
        lambda s: not s.drop_path.is_off and not s.relax.runs_all,
        "`drop_path` drops paths beside others, and this relaxation runs one architecture: use a `relax` that mixes",
    ),
    Rule(
        ("narrow", "relax"),
        lambda s: narrows(s) and not s.relax.runs_all,
        "`narrow` gives up items that are mixed, and this relaxation draws them: use a `relax` that mixes",
    ),
    Rule(
        ("narrow", "derive"),
        lambda s: narrows(s) and s.derive.epoch is not Epoch.LAST,
        "`narrow` leaves the items of the last epoch, and `epoch = best` or `before` would take the alphas of another: "
        "use `epoch = last`",
    ),
    Rule(
        ("derive", "relax"),
        lambda s: isinstance(s.derive, Threshold) and not isinstance(s.relax, Sigmoid),
        "`derive = threshold` compares weights with a number, and those of this relaxation share a sum: "
        "use `relax = sigmoid`, or `derive = strongest`",
    ),
    Rule(
        ("derive", "edges"),
        lambda s: isinstance(s.derive, Threshold) and s.edges is Edges.WEIGHED,
        "`derive = threshold` compares weights with a number, and those of edges share a sum: "
        "use `edges = shared`, or `derive = strongest`",
    ),
    Rule(
        ("derive", "until"),
        lambda s: s.derive.epoch is Epoch.BEFORE and not isinstance(s.until, Sharpness),
        "`epoch = before` takes an epoch before `until = sharpness` was met, and this search has another condition: "
        "use `epoch = last`, or `best`",
    ),
    Rule(
        ("until", "derive"),
        lambda s: isinstance(s.derive, Menus) and s.derive.epoch is Epoch.BEFORE,
        "`derive = menus` leaves choices for a later search, and `epoch = before` is the architecture before this one "
        "went wrong: use `epoch = last`, or `derive = strongest`",
    ),
    Rule(
        ("until", "relax"),
        lambda s: isinstance(s.until, Sharpness) and not s.relax.runs_all,
        "`until = sharpness` differentiates the weights of items twice, and this relaxation draws one: "
        "use a `relax` that mixes, or another condition",
    ),
    Rule(
        ("until", "precision"),
        lambda s: isinstance(s.until, Sharpness) and s.precision is not Precision.FLOAT32,
        "`until = sharpness` is a second derivative, and half precision has too few digits for it: "
        "use `precision = float32`",
    ),
    Rule(
        ("until", "alphas"),
        lambda s: isinstance(s.until, Unchanged) and isinstance(s.alphas, AlphaFixed),
        "`until = unchanged` waits while alphas move, and `alphas = fixed` never moves them: use another condition",
    ),
    Rule(
        ("perturb", "relax"),
        lambda s: not isinstance(s.perturb, NoPerturbation) and not s.relax.runs_all,
        "`perturb` displaces mixing weights, and this relaxation has none: use a `relax` that mixes",
    ),
    Rule(
        ("perturb", "levels"),
        lambda s: not isinstance(s.perturb, NoPerturbation) and _one_level(s),
        "`perturb` displaces what the weights alone learn under, and with `levels = 1` alphas learn with them: "
        "use `levels = 2`",
    ),
    Rule(
        ("align", "relax"),
        lambda s: _aligns(s) and not s.relax.runs_all,
        "`align` compares gradients of mixing weights, and this relaxation has none: use a `relax` that mixes",
    ),
    Rule(
        ("align", "levels"),
        lambda s: _aligns(s) and _one_level(s),
        "`align` is learned by the weights alone, and with `levels = 1` alphas learn with them: use `levels = 2`",
    ),
    Rule(
        ("align", "precision"),
        lambda s: _aligns(s) and s.precision is not Precision.FLOAT32,
        "`align` is a difference of gradients, and half precision has too few digits for it: use `precision = float32`",
    ),
    Rule(
        ("freeze", "relax"),
        lambda s: _freezes(s) and not s.relax.runs_all,
        "`freeze` compares gradients of every operation in every step, and this relaxation runs one of them: use a "
        "`relax` that mixes",
    ),
    Rule(
        ("freeze", "levels"),
        lambda s: _freezes(s) and _one_level(s),
        "`freeze` compares gradients on two halves of the images, and `levels = 1` has one: use `levels = 2`",
    ),
    Rule(
        ("freeze", "order"),
        lambda s: _freezes(s) and _second(s),
        "`freeze` compares gradients at the same weights, and `order = second` looks ahead: use `order = first`",
    ),
    Rule(
        ("freeze", "alphas"),
        lambda s: _freezes(s) and isinstance(s.alphas, AlphaFixed | AlphaNatural),
        "`freeze` compares with the gradient on a batch of the alphas, and these take none: use `alphas = adam`",
    ),
    Rule(
        ("teacher", "relax"),
        lambda s: isinstance(s.teacher, LargestTeacher) and s.teacher.ratio > 0 and not isinstance(s.relax, Sample),
        "`teacher = largest` is one architecture that teaches others, and this relaxation runs none by itself: "
        "use `relax = sample`",
    ),
    Rule(
        ("teacher", "levels"),
        lambda s: s.teacher.ratio > 0 and _one_level(s),
        "a teacher teaches in the step of the weights, and `levels = 1` takes it with that of the alphas: "
        "use `levels = 2`",
    ),
    Rule(
        ("teacher", "order"),
        lambda s: s.teacher.ratio > 0 and _second(s),
        "a teacher teaches in the step of the weights, and `order = second` looks ahead to one without it: "
        "use `order = first`",
    ),
    Rule(
        ("levels", "relax"),
        lambda s: _one_level(s) and isinstance(s.relax, Sample),
        "`levels = 1` takes one gradient for weights and alphas, and `relax = sample` has none of the alphas: "
        "use `levels = 2`",
    ),
    Rule(
        ("levels", "preferences"),
        lambda s: _one_level(s) and s.preferences is Preferences.APART,
        "`preferences = apart` is a step after that of the alphas, and `levels = 1` has none of their own: "
        "use `together`",
    ),
    Rule(
        ("alphas", "relax"),
        lambda s: isinstance(s.alphas, AlphaNatural) and not isinstance(s.relax, Sample),
        "`alphas = natural` ranks the architectures that `relax = sample` draws: "
        "use `relax = sample(weights = policy)`",
    ),
    Rule(
        ("relax", "edges"),
        lambda s: isinstance(s.relax, Sparse) and s.edges is Edges.WEIGHED,
        "`relax = sparse` weighs all items of a pick by one code, in which `edges = weighed` has no part: "
        "use `edges = shared`",
    ),
    Rule(
        ("relax", "perturb"),
        lambda s: isinstance(s.relax, Sparse) and not isinstance(s.perturb, NoPerturbation),
        "`perturb` displaces weights within the range of a softmax, and those of `relax = sparse` have none: "
        "use `perturb = none`",
    ),
    Rule(
        ("relax", "narrow"),
        lambda s: isinstance(s.relax, Sparse) and narrows(s),
        "`relax = sparse` chooses anew in every epoch what runs, and `narrow` gives items up for good: "
        "use `narrow = none`",
    ),
    Rule(
        ("relax", "align"),
        lambda s: isinstance(s.relax, Sparse) and _aligns(s),
        "`align` compares gradients of the weights of all items, and `relax = sparse` runs few: use `align = none`",
    ),
    *EXPLORING,
    *TASKS,
)
"""Settings that cannot be combined."""


def check_combination(settings: Combined) -> None:
    """Refuse settings that do not go together.

    Raises:
        ConflictError: the first rule that they break.
    """
    for rule in RULES:
        rule.check(settings)
