"""The plan of a comparison: an architecture and random ones of its space, all trained alike. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from compiler.program.overrides import Override
from compiler.program.request import Request
from compiler.searcher.run_files import CHECKPOINT, COMPARISON

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
        UsageError: it still has choices, or the folder holds a comparison that is neither resumed nor overwritten.
    """
    plan_training(request, config, writes=False)
    started = any(config.out.glob(f"*/seed-*/{CHECKPOINT}"))
    guard(config, config.out / COMPARISON, started)
    # One name whatever their number: with more of them later, what is trained is found again.
    texts = {f"random-{number}": text for number, text in enumerate(random)}
    recipe = request.recipe or request.path
    others = {name: replace(request, path=config.out / f"{name}.hsp", recipe=recipe, network=None) for name in texts}
    return VersusPlan(config, {ARCHITECTURE: request, **others}, texts, tuple(range(seed, seed + seeds)))
