"""Trials on a Ray cluster (`--ray ADDRESS`): actors that judge, wherever the cluster has room.

Ray runs trials and does not see the space: proposing and telling stay in this process, which writes the log. An actor
is what a local worker is, and gets the same job. The folder of the run lies on a file system that all nodes share.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import ray

from compiler.searcher.explore.study import Judged
from compiler.searcher.explore.trials import Asked
from compiler.util.errors import HdasError

from .job import Job
from .local_workers import LOOK, MOST_DEATHS, WorkerError
from .worker import Answer, Judging, refused


class RayJudge:
    """What an actor is: a worker, in the folder that the run was started from.

    Args:
        job: what it judges, as JSON.
        folder: where paths of the job start.
    """

    def __init__(self, job: str, folder: str) -> None:
        os.chdir(folder)
        self.job = Job.model_validate_json(job)
        self.judging: Judging | None = None

    def ready(self) -> bool:
        """Whether it is there."""
        return True

    def judge(self, line: str) -> str:
        """Judge a trial; it, and what is found, as JSON."""
        asked = Asked.model_validate_json(line)
        try:
            self.judging = self.judging or Judging(self.job)
            answer = self.judging(asked)
        except HdasError as error:
            answer = refused(asked, error)
        return answer.model_dump_json()


@dataclass
class RayWorkers:
    """Actors of a Ray cluster that judge, ``count`` at once, each on a processor, and a GPU where the cluster has some.

    Where one dies, with its node or alone, its trial goes on from its checkpoint in another.

    Args:
        job: what they judge.
        count: how many there are at most.
        stopped: raises where the user has asked to stop; called while all wait.
        address: of the cluster; ``auto`` is that of this machine.
    """

    job: Job
    count: int
    stopped: Callable[[], None]
    address: str = "auto"
    waiting: list[Asked] = field(default_factory=list)
    """Trials that no actor has begun."""
    idle: list[Any] = field(default_factory=list)
    """Actors without a trial."""
    hired: dict[Any, Any] = field(default_factory=dict)
    """By the reference of their first answer, actors for which the cluster may have no room yet."""
    running: dict[Any, tuple[Any, Asked]] = field(default_factory=dict)
    """By the reference of its answer, each actor that judges, and its trial."""
    deaths: Counter[int] = field(default_factory=Counter)

    def start(self, asked: Asked) -> None:
        """Have the next actor that is free judge a trial."""
        self.waiting.append(asked)
        self._assign()

    def wait(self) -> Judged:
        """The next trial that ends.

        Raises:
            WorkerError: no trial of this run can be judged.
        """
        while True:
            self.stopped()
            done, _ = ray.wait([*self.running, *self.hired], num_returns=1, timeout=LOOK)
            for reference in done:
                if reference in self.hired:
                    self._arrived(reference)
                elif (found := self._ended(reference)) is not None:
                    return found
            self._assign()

    def _assign(self) -> None:
        """Give trials that wait to idle actors, and hire as many as lack; a lost node may have left room for fewer."""
        while self.waiting and self.idle:
            actor, asked = self.idle.pop(), self.waiting.pop(0)
            self.running[actor.judge.remote(asked.model_dump_json())] = actor, asked
        while len(self.hired) < len(self.waiting) and len(self.hired) + len(self.running) < self.count:
            actor = self._actor()
            self.hired[actor.ready.remote()] = actor

    def _arrived(self, reference: Any) -> None:
        """An actor is there, or died before it was."""
        actor = self.hired.pop(reference)
        with suppress(ray.exceptions.RayActorError):
            ray.get(reference)
            self.idle.append(actor)

    def _ended(self, reference: Any) -> Judged | None:
        """The trial of an actor, or None where that died, and the trial waits for another."""
        actor, asked = self.running.pop(reference)
        try:
            answer = Answer.model_validate_json(ray.get(reference))
        except ray.exceptions.RayActorError as error:
            self.deaths[asked.id] += 1
            if self.deaths[asked.id] == MOST_DEATHS:
                why = str(error).splitlines()[0]
                return Judged(asked.id, 0.0, f"its worker ended {MOST_DEATHS} times: {why}")
            self.waiting.insert(0, asked)
            return None
        self.idle.append(actor)
        if answer.error:
            raise WorkerError(answer.error)
        return answer.judged

    def _actor(self) -> Any:
        gpus = 1 if ray.cluster_resources().get("GPU") else 0
        kind = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(RayJudge)
        return kind.remote(self.job.model_dump_json(), str(Path.cwd()))

    def __enter__(self) -> Self:
        if not ray.is_initialized():
            ray.init(address=self.address, log_to_driver=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the actors; a trial that is under way goes on from its last checkpoint."""
        for actor in (*self.idle, *self.hired.values(), *(actor for actor, _ in self.running.values())):
            ray.kill(actor)
