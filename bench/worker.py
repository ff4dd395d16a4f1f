"""A process of its own for each contender, which takes steps on command: `Worker` here, `main` there.

Its argument says which contender it is (a `Contender` as JSON); commands are words on its standard input; it
answers each with one line of JSON. What the network says on standard output goes to standard error.

**Peak memory above the process's own baseline.** The baseline is what the process holds before its first step at full
size: interpreter, libraries, the network, the batch, and whatever torch sets up when it is first used, for which a
step on two images is taken before. So what is counted is what a step needs: activations, temporaries, gradients. On
the CPU it is resident memory: freed memory is first handed back to the system (`malloc_trim`), the peak that the
kernel has recorded is reset (/proc/self/clear_refs, since Linux 4.0), and read after two steps (VmHWM). Two, because
the second meets a heap in pieces, as all later ones do. On a GPU it is what torch's allocator reserves for them and for
two more, by when passes are recorded.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel

import compiler  # noqa: F401 (before torch: it says how threads wait)

if TYPE_CHECKING:
    from contender import Contender, Step
    from iteration import Iteration


class Word(StrEnum):
    """The commands of a worker."""

    STEP = "step"
    MEMORY = "memory"
    REST = "rest"


class Ready(BaseModel):
    """The answer to nothing: the network is built."""

    parameters: int


class Took(BaseModel):
    """The answer to `STEP`: of one step, the mean where a call takes several; ``processor``: of all threads."""

    seconds: float
    processor: float


class Rested(BaseModel):
    """The answer to `REST`: free memory is handed back."""


class Held(BaseModel):
    """The answer to `MEMORY`: bytes. ``reset``: whether the recorded peak could be reset before."""

    baseline: int
    peak: int
    reset: bool

    @property
    def above(self) -> int:
        return self.peak - self.baseline


Answer = TypeVar("Answer", bound=BaseModel)


class RefusedError(Exception):
    """A contender that cannot run here; the text says what is missing."""


class Worker:
    """The process of a contender, seen from outside. Use it as a context: it ends with it."""

    def __init__(self, contender: Contender) -> None:
        self.contender = contender
        threads = contender.case.threads
        environment = os.environ | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
        self.process = subprocess.Popen(
            [sys.executable, __file__, contender.model_dump_json()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )

    def __enter__(self) -> Worker:
        self.ready = self._read(Ready)
        return self

    def __exit__(self, *error: object) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()

    def step(self, processor: bool = False) -> float:
        """Seconds of one step, or what its threads took of the processor."""
        took = self._ask(Word.STEP, Took)
        return took.processor if processor else took.seconds

    def memory(self) -> Held:
        return self._ask(Word.MEMORY, Held)

    def rest(self) -> None:
        """Hand free memory back to the system, so that many processes can wait for their turns."""
        self._ask(Word.REST, Rested)

    def _ask(self, word: Word, kind: type[Answer]) -> Answer:
        assert self.process.stdin
        self.process.stdin.write(f"{word.value}\n")
        self.process.stdin.flush()
        return self._read(kind)

    def _read(self, kind: type[Answer]) -> Answer:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise RefusedError(f"{self.contender.name}: its process ended with status {self.process.wait()}")
        found = json.loads(line)
        if "refused" in found:
            self.process.wait()
            raise RefusedError(f"{self.contender.name}: {found['refused']}")
        return kind.model_validate(found)


# ---------------------------------------------------------------- inside the process


def memory_of(step: Step | Iteration) -> Held:
    """The peak of two steps, and what was held before them."""
    import torch

    step(batch=2)
    step.network.zero_grad(set_to_none=True)
    if step.device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(step.device)
        baseline = torch.cuda.memory_reserved(step.device)
        for _ in range(4):
            step()
        return Held(baseline=baseline, peak=torch.cuda.max_memory_reserved(step.device), reset=True)
    trim_heap()
    reset = reset_peak()
    baseline = resident("VmRSS")
    step()
    step()
    return Held(baseline=baseline, peak=resident("VmHWM"), reset=reset)


def resident(field: str) -> int:
    """A figure of this process's memory in bytes: ``VmRSS`` is now, ``VmHWM`` the highest so far."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * 1024
    raise RefusedError("memory on the CPU is measured on Linux only")


def reset_peak() -> bool:
    """Make the highest resident memory so far the present one, where the kernel lets us."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def trim_heap() -> None:
    """Hand free memory back to the system, where the C library can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def main() -> None:
    import torch
    from contender import Contender, Step
    from iteration import Iteration
    from peers.checkout import CheckoutError

    from hdas_dsl.text.diagnostics import HspError

    answers, sys.stdout = sys.stdout, sys.stderr
    contender = Contender.model_validate_json(sys.argv[1])
    if contender.case.threads:
        torch.set_num_threads(contender.case.threads)

    def answer(text: str) -> None:
        answers.write(f"{text}\n")
        answers.flush()

    try:
        step = Step(contender) if contender.turn is None else Iteration(contender, contender.turn)
        answer(Ready(parameters=sum(p.numel() for p in step.network.parameters())).model_dump_json())
        for line in sys.stdin:
            match Word(line.strip()):
                case Word.STEP:
                    started, used = time.perf_counter(), time.process_time()
                    step()
                    seconds, processor = time.perf_counter() - started, time.process_time() - used
                    answer(Took(seconds=seconds / step.count, processor=processor / step.count).model_dump_json())
                case Word.MEMORY:
                    answer(memory_of(step).model_dump_json())
                case Word.REST:
                    trim_heap()
                    answer(Rested().model_dump_json())
    except (CheckoutError, HspError, RefusedError, SystemExit, RuntimeError, NotImplementedError) as error:
        answer(json.dumps({"refused": str(error)}))


if __name__ == "__main__":
    main()
