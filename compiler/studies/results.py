"""The results of the runs of a study: a line of a file for each run that ended."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Annotated

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from compiler.analysis.requirements.evaluate import amounts_of
from compiler.backend.plugins import allow
from compiler.program.request import Request
from compiler.program.source_file import recorded
from compiler.reports.run_metrics import metrics_of, tested_of, training_loss_of
from compiler.searcher.run_files import DERIVED, LOCK, TRAINED
from compiler.searcher.settings.metric import ACCURACY, Metric
from compiler.util.errors import UsageError
from compiler.util.files import atomic_write, naming
from compiler.util.share import Share

from .plan import Run, StudyPlan, folder_of

PLAN, RUNS, SHARES = "study.json", "runs.jsonl", "shares"
"""The plan of a study, a line for each run that ended, and what shares of it write, in its folder."""
LOGS, TABLES = "logs", ("table.csv", "runs.csv")
"""What the runs said, and the results as tables, there too."""


def log_of(out: Path, run: Run) -> Path:
    """The file of what a run says."""
    return out / LOGS / f"{run.name.replace('/', '-')}.txt"


class Result(BaseModel):
    """The result of a run."""

    model_config = ConfigDict(frozen=True)

    combination: str
    seed: int
    failed: str = ""
    """Why it did not come to its end."""
    score: float | None = None
    """The score of a search."""
    judged: Metric = ACCURACY
    """What the score is of."""
    tested: Annotated[float | None, Field(validation_alias=AliasChoices("tested", "accuracy"))] = None
    """The metric of a training on the test part."""
    metric: Metric = ACCURACY
    """Which metric that is."""
    loss: float | None = None
    """The mean loss of a training, over all of its steps."""
    params: int | None = None
    macs: int | None = None
    seconds: float = 0.0

    @property
    def name(self) -> str:
        """That of the run."""
        return folder_of(self.combination, self.seed)


def result_of(run: Run, out: Path, plugins: Iterable[str], failed: str, seconds: float) -> Result:
    """What a run left in its folder, however it ended."""
    folder = out / run.name
    score = params = macs = tested = loss = None
    judged = metric = ACCURACY
    found = folder / DERIVED
    file = found if found.is_file() else Path(run.steps[0].words[1])
    if not failed:
        program = Request(file, externals=allow(plugins)).compile()
        network = program.train_network or program.network
        said = recorded(program).get("score")
        score = float(said) if isinstance(said, int | float) else None
        if not network.is_space:
            amounts = dict(amounts_of(network))
            params, macs = int(amounts["params"]), int(amounts["macs"])
        judged = metrics_of(folder).scored
        training = folder / TRAINED if found.is_file() else folder
        metric, tested = tested_of(training)
        loss = training_loss_of(training)
    return Result(
        combination=run.combination,
        seed=run.seed,
        failed=failed,
        score=score,
        judged=judged,
        tested=tested,
        metric=metric,
        loss=loss,
        params=params,
        macs=macs,
        seconds=round(seconds, 1),
    )


class ResultLog:
    """The file of results, appended and synced; that of a share of the runs is in a folder of its own.

    Args:
        out: the folder of the study.
        share: the share of the runs that this process carries out; None: all.
    """

    def __init__(self, out: Path, share: Share | None = None) -> None:
        self.out, self.share = out, share
        self.folder = out if share is None else out / SHARES / str(share)
        self.path = self.folder / RUNS

    def start(self, plan: StudyPlan, resume: bool) -> dict[str, Result]:
        """The results that are known, those of all shares, by the name of the run; the last of a run holds.

        Raises:
            UsageError: the folder is of another study, or damaged.
        """
        try:
            found = self._known(plan) if resume else {}
        except ValidationError as error:
            raise UsageError(f"'{self.out}' is damaged: {error.errors()[0]['msg']}; --force starts anew") from None
        kept = [item for item in found.values() if self.share is None or item.name in _names(plan, self.share)]
        self.folder.mkdir(parents=True, exist_ok=True)
        atomic_write(self.path, b"".join(map(_line, kept)))
        atomic_write(self.out / PLAN, plan.model_dump_json(indent=2) + "\n")
        return found

    def remove(self) -> None:
        """Remove the study, and nothing else that is in its folder, which may be the user's own.

        Raises:
            UsageError: the plan, which says which folders are its runs', is damaged.
        """
        try:
            plan = StudyPlan.model_validate_json((self.out / PLAN).read_bytes())
        except ValidationError as error:
            said = error.errors()[0]["msg"]
            raise UsageError(f"'{self.out}' is damaged: {said}; remove it, or choose another --out") from None
        for run in plan.runs:
            folder = self.out / run.name
            if folder.resolve().is_relative_to(self.out.resolve()) and folder.is_dir():
                rmtree(folder)
                with suppress(OSError):  # Another seed is there.
                    folder.parent.rmdir()
            log_of(self.out, run).unlink(missing_ok=True)
        shares = [path.parent for path in self.out.glob(f"{SHARES}/*/{RUNS}")]
        for name in (RUNS, *TABLES, LOCK):
            for share in shares:
                (share / name).unlink(missing_ok=True)
        for name in (RUNS, *TABLES, PLAN):
            (self.out / name).unlink(missing_ok=True)
        for folder in (*shares, self.out / SHARES, self.out / LOGS):
            with suppress(OSError):  # It is not there, or something else is in it.
                folder.rmdir()

    def read(self) -> tuple[StudyPlan, dict[str, Result]]:
        """The plan, and the results that are known.

        Raises:
            UsageError: the folder is damaged.
        """
        try:
            plan = StudyPlan.model_validate_json((self.out / PLAN).read_bytes())
            return plan, self._known(plan)
        except ValidationError as error:
            raise UsageError(f"'{self.out}' is damaged: {error.errors()[0]['msg']}") from None

    def _known(self, plan: StudyPlan) -> dict[str, Result]:
        # A share ends after the study was begun: what it says of a run is later.
        files = [self.out / RUNS, *sorted(self.out.glob(f"{SHARES}/*/{RUNS}"))]
        lines = [line for path in files if path.is_file() for line in path.read_bytes().split(b"\n")[:-1]]
        found = {item.name: item for item in map(Result.model_validate_json, lines)}
        if (self.out / PLAN).is_file():
            before = StudyPlan.model_validate_json((self.out / PLAN).read_bytes())
            steps = {run.name: run.steps for run in before.runs}
            for run in plan.runs:
                if steps.get(run.name, run.steps) != run.steps:
                    raise UsageError(f"'{self.out}' holds another study, in which '{run.name}' is another run")
        return found

    def append(self, result: Result) -> None:
        """Write a result, and have it on the disk."""
        with naming(self.path), self.path.open("ab") as file:
            file.write(_line(result))
            file.flush()
            os.fsync(file.fileno())


def _line(result: Result) -> bytes:
    return result.model_dump_json(exclude_defaults=True).encode() + b"\n"


def _names(plan: StudyPlan, share: Share) -> set[str]:
    return {run.name for run in plan.part(share).runs}
