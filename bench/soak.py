"""Everything that may go wrong, at random and for hours: mutated texts and genotypes, killed runs, damaged files.

    python bench/soak.py --minutes 60 [--seed 0] [--rounds N] [--record soak.json]
    python bench/soak.py --only text 1234 --seed 0

A round has 1000 mutated texts, 50 genotypes, 5 damaged files of runs and 2 runs that are killed. With a record the
count goes on where an earlier call ended. A failure is repeated by the second form, which prints what is wrong with one
case. `docs/promises.md` says what is promised; the checks lie in `tests/support/soak/`.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))  # The checks are those of the tests.
    from tests.support.soak.command import main

    sys.exit(main(__doc__ or ""))
