"""The plan of a comparison: an architecture and random ones of its space, all trained alike. No torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from compiler.program.overrides import Override
from compiler.program.request import Request
from compiler.searcher.run_files import CHECKPOINT, COMPARISON
from compiler.util.errors import UsageError
from hdas_dsl.text.reading import is_file

from .config import RunConfig
from .plan import TrainPlan, guard, plan_training

ARCHITECTURE = "architecture"
"""The name of the architecture that is compared; random ones are numbered."""


@dataclass(frozen=True, eq=False)
class VersusPlan:
    """Architectures, each with how it is compiled to be trained.

    Attributes:
        config: of the comparison; the folder of each training lies in its folder.
        contenders: the requests by name, that of the architecture in question first.
        texts: the texts of the random ones by name, to be written where their requests have them.
        seeds: of the trainings of each.
    """

    config: RunConfig
    contenders: dict[str, Request]
    texts: dict[str, str]
    seeds: tuple[int, ...]

    def training(self, name: str, seed: int) -> TrainPlan:
        """The plan of one training, which goes on where an earlier one ended.

        Raises:
            HspError: the file is wrong.
            UsageError: it still has choices, or the folder of the training is in use.
        """
        request = self.contenders[name]
        given = [item for item in request.overrides if item.name != "seed"]
        seeded = replace(request, overrides=(*given, Override("seed", seed, f"--seed {seed}")))
        out = self.config.out / name / f"seed-{seed}"
        started = (out / CHECKPOINT).is_file()
        return plan_training(seeded, replace(self.config, out=out, resume=started and not self.config.force))


def plan_versus(
    request: Request, random: Sequence[str], config: RunConfig, *, seed: int = 0, seeds: int = 1
) -> VersusPlan:
    """The plan of a comparison.

    Args:
        request: the architecture.
        random: the texts of random ones, at least one; they are trained as the architecture's file says.
        config: the folder of the comparison, and how it happens.
        seed: the first seed of the trainings.
        seeds: how many trainings of each.

    Raises:
        HspError: the architecture's file is wrong.
        UsageError: it still has choices, or the folder holds a comparison that is neither resumed nor overwritten, or
            one with other random architectures.
    """
    plan_training(request, config, writes=False)
    started = any(config.out.glob(f"*/seed-*/{CHECKPOINT}"))
    guard(config, config.out / COMPARISON, started)
    # One name whatever their number: with more of them later, what is trained is found again.
    texts = {f"random-{number}": text for number, text in enumerate(random)}
    if config.resume and not config.force:
        _go_on_with(texts, config.out, seed)
    recipe = request.recipe or request.path
    others = {name: replace(request, path=config.out / f"{name}.hsp", recipe=recipe, network=None) for name in texts}
    return VersusPlan(config, {ARCHITECTURE: request, **others}, texts, tuple(range(seed, seed + seeds)))


def _go_on_with(texts: Mapping[str, str], out: Path, seed: int) -> None:
    """Refuse random architectures that are not those of a comparison that goes on.

    Raises:
        UsageError: a file of the folder has another one; nothing is trained or written before that is said.
    """
    for name, text in texts.items():
        file = out / f"{name}.hsp"
        if is_file(file) and file.read_bytes() != text.encode():
            seeds = sorted(int(n) for p in out.glob("*/seed-*") if (n := p.name.removeprefix("seed-")).isdecimal())
            if seeds and seeds[0] != seed:
                why = f"--seed {seeds[0]} drew it, not --seed {seed}: --resume takes the same"
            else:
                why = "the space or its training says something else now"
            raise UsageError(f"'{file}' is another random architecture, since {why}; --force starts anew")
