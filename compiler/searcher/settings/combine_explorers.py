"""Settings of explorers and of their judges that do not go together: part of the table in `combine.py`."""

from __future__ import annotations

from .confirmation import ConfirmBest
from .exploring import ExplorerWord, Nsga2, RandomDraws
from .judges import NoJudge, OwnJudge, ProxyJudge, SharedJudge, TableJudge, TrainedJudge, UniqueUpTo
from .narrowing import NoNarrowing
from .relaxation import NoRelaxation
from .rule import Combined, Rule
from .rungs import NoRungs


def narrows(settings: Combined) -> bool:
    """Whether items are given up while a search goes on."""
    return not isinstance(settings.narrow, NoNarrowing)


def _explores(settings: Combined) -> bool:
    return isinstance(settings.derive, ExplorerWord)


def _supernet(settings: Combined) -> bool:
    return not isinstance(settings.relax, NoRelaxation)


EXPLORING = (
    Rule(
        ("judge", "derive"),
        lambda s: not isinstance(s.judge, NoJudge) and not _explores(s),
        "`judge` says how good an architecture is that an explorer proposes, and this rule derives what alphas select: "
        "use `derive = random(100)`, `genetic`, `evolution(100)`, `local(100)` or "
        "`predictor(100)`",
    ),
    Rule(
        ("relax", "derive"),
        lambda s: not _supernet(s) and not _explores(s),
        "`relax = none` has no alphas that select anything: use `derive = random(100)`, `genetic`, `evolution(100)`, "
        "`local(100)` or `predictor(100)`",
    ),
    Rule(
        ("relax", "judge"),
        lambda s: not _supernet(s) and isinstance(s.judge, SharedJudge),
        "`judge = shared` takes the weights of a supernet, and `relax = none` has none: use `judge = trained`",
    ),
    Rule(
        ("judge", "relax"),
        lambda s: _supernet(s) and isinstance(s.judge, TrainedJudge | ProxyJudge | TableJudge | OwnJudge),
        "`judge = trained`, `proxy`, `table` and `own` take each architecture by itself, without a supernet: "
        "use `relax = none`, `epochs = 0`",
    ),
    Rule(
        ("relax", "epochs"),
        lambda s: not _supernet(s) and s.epochs > 0,
        "`relax = none` has no weights to learn: use `epochs = 0`",
    ),
    Rule(
        ("epochs", "relax"),
        lambda s: _supernet(s) and s.epochs == 0,
        "`epochs = 0` is for `relax = none`, where no supernet learns: use 1 epoch or more",
    ),
    Rule(
        ("rungs", "derive"),
        lambda s: not isinstance(s.rungs, NoRungs) and not (isinstance(s.derive, RandomDraws) and not s.derive.again),
        "`rungs` judge the best of many that are drawn again: use `derive = random(81)`, without `again`",
    ),
    Rule(
        ("unique", "derive"),
        lambda s: isinstance(s.unique, UniqueUpTo) and not _explores(s),
        "`unique` judges one of the proposals that are alike, and this rule derives what alphas select: "
        "use `derive = random(100)` or another explorer",
    ),
    Rule(
        ("confirm", "derive"),
        lambda s: isinstance(s.confirm, ConfirmBest) and (not _explores(s) or isinstance(s.derive, Nsga2)),
        "`confirm` judges anew what has the best score, and this rule derives by alphas, or by several objectives: "
        "use `derive = random(100)` or another explorer, or `confirm = none`",
    ),
    Rule(
        ("confirm", "judge"),
        lambda s: (
            isinstance(s.confirm, ConfirmBest) and _explores(s) and not isinstance(s.judge, TrainedJudge | TableJudge)
        ),
        "`confirm` takes trainings with other seeds, and this judge says the same each time: "
        "use `judge = trained` or `table`, or `confirm = none`",
    ),
    Rule(
        ("rungs", "judge"),
        lambda s: not isinstance(s.rungs, NoRungs) and isinstance(s.judge, ProxyJudge),
        "`judge = proxy` trains nothing, so that nothing can be judged with more epochs or images: use `rungs = none`",
    ),
    Rule(
        ("derive", "narrow"),
        lambda s: _explores(s) and narrows(s),
        "`narrow` gives up items that an explorer would still propose: use `narrow = none`",
    ),
    Rule(
        ("derive", "channels"),
        lambda s: _explores(s) and s.channels.partial > 1,
        "an explorer judges architectures as they are derived, whose items see all channels: use `channels = all`",
    ),
    Rule(
        ("derive", "beside"),
        lambda s: _explores(s) and s.beside.wanted is not None,
        "an explorer judges architectures as they are derived, which have nothing beside their items: "
        "use `beside = none`",
    ),
)
"""The rules that are about explorers, judges and searches without a supernet."""
