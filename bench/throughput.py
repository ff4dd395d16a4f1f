"""How much more do several workers judge: trials a second with one process, and with N.

    python bench/throughput.py [--workers 2] [--trials 12] [--epochs 12] [--rounds 1]

A small space is explored by random draws with `judge = trained`. The time is that from the first trial that ended to
the last, so that starting processes is not part of it. Printed are trials a second, and the ratio.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from statistics import median

from compiler import study

TEXT = """\
hsp 1
op unit(x; k = 1) = x -> relu -> conv(k) -> batch_norm
choice Op = unit | unit(k = 3) | unit(k = 5)
network Net(image: [1, 16, 16]; classes = 3) {
  stem = image -> conv(3, 16) -> batch_norm
  n[i < 6] = prev(stem) -> Op
  output last of n -> classifier(classes)
}

search Net {
  data = fake(classes = 3, count = 960, channels = 1, size = 16)
  relax = none
  epochs = 0
  derive = random(%d)
  judge = trained(epochs = %d)
}

train Net {
  data = fake(classes = 3, count = 960, channels = 1, size = 16)
  batch = 32
}
"""


def rate(file: Path, out: Path, workers: int) -> float:
    """Trials a second; several end at once where several run."""
    ended = [time.perf_counter() for _ in study(file, out, workers=workers)]
    return (len(ended) - workers) / (ended[-1] - ended[workers - 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found: dict[int, list[float]] = {1: [], given.workers: []}
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "net.hsp"
        file.write_text(TEXT % (given.trials, given.epochs))
        for number in range(given.rounds):
            for workers, rates in found.items():
                rates.append(rate(file, Path(name) / f"{workers}-{number}", workers))
    one, several = median(found[1]), median(found[given.workers])
    if given.json:
        print(json.dumps({"one": one, "several": several, "ratio": several / one}))
    else:
        print(
            f"one process {one:.3f} trials a second, {given.workers} workers {several:.3f}: {several / one:.2f} times"
        )


if __name__ == "__main__":
    main()
