"""Whatever is asked of a space ends, or says why it is not known: work is counted in calls, never timed."""

from __future__ import annotations

import cProfile
import re
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compiler.analysis.architectures import Architectures, sample
from compiler.analysis.counting.errors import UncountableError
from compiler.analysis.requirements.ranges import ranges_of
from compiler.program.compile_file import compile_file
from compiler.program.request import Request
from tests.support.random_spaces import spaces

MOST_CALLS = 15_000_000
"""Calls of functions that counting, drawing and ranges make together at most: some seconds, without the profiler."""

OPEN = """
cell Cell(x, y) {
  p[i < 4] = sum(pick any of (relu(each (x, y, earlier p)), gelu(each (x, y, earlier p))))
  output concat(p)
}
"""


@given(spaces(), st.integers(1, 20), st.booleans())
@settings(max_examples=5, deadline=None, suppress_health_check=list(HealthCheck))
def test_counts_draws_and_ranges_end(text: str, times: int, pruned: bool) -> None:
    """Of random spaces with families so many times as long, each text under `prune` or none."""
    grown = re.sub(r"\[(\w) < (\d+)\]", lambda found: f"[{found[1]} < {int(found[2]) * times}]", text)
    if pruned:
        grown = re.sub(r"((?:cell|stage|network) [^\n]*\{\n)", r"\1  prune\n", re.sub(r"\n *prune\b", "", grown))
    _ask(grown)


def test_picks_of_any_number_under_prune_end() -> None:
    for times in (1, 4):
        body = OPEN.replace("< 4", f"< {4 * times}").replace("  output", "  prune\n  output")
        _ask(f"hsp 1\n{body}\nnetwork Net(x: [4, 8, 8]) {{\n  output Cell(x, x)\n}}\n")


def _ask(text: str) -> None:
    """Compile a text, unless it is refused, and ask for the ranges, the number and one of its architectures."""
    program, _ = compile_file("space.hsp", text=text)
    if program is None or not program.network.is_space:
        return
    profile = cProfile.Profile()
    with profile:
        list(ranges_of(program.network))
        listing = Architectures(Request(Path("space.hsp"), text=text))
        try:
            assert next(sample(listing, 1)).text
        except UncountableError as said:
            reason = said.message
        else:
            reason = ""
    assert not reason or "open at once" in reason or "either may not exist" in reason
    assert sum(entry.callcount for entry in profile.getstats()) < MOST_CALLS
