"""How the tests run.

One thread per test process: the tensors here are tiny, and several processes share the cores.

Hypothesis draws the same examples each time, so that a run says something of the commit and of nothing else. With
``HYPOTHESIS_PROFILE=wander`` it draws others each time.
"""

import os
from collections.abc import Generator

import pytest
from coverage import Coverage
from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("fixed", derandomize=True, database=None)
settings.register_profile("wander", derandomize=False, database=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))

UNCOVERED = (
    "tests/laws",
    "tests/spaces",
    "tests/elaborate",
    "tests/analysis/test_architectures.py",
    "tests/analysis/test_equivalence.py",
    "tests/analysis/test_constrained.py",
    "tests/analysis/test_costs.py",
    "tests/analysis/test_costs_range.py",
    "tests/analysis/test_work.py",
    "tests/backend/test_blocks.py",
    "tests/language/test_genotypes.py",
    "tests/runs/test_hdas_runs.py",
    "tests/runs/test_methods.py",
    "tests/searcher/test_pairs.py",
    "tests/promises/test_any_text_is_compiled_or_refused_within_a_bound.py",
    "tests/searcher/test_expected_cost.py",
    "tests/searcher/test_methods_equal_reference.py",
    "tests/searcher/test_paths_equal_reference.py",
    "tests/test_docs.py",
    "tests/test_soak.py",
)
"""Long tests of code that others cover as well: those that compile much take 2.5 times as long under coverage."""


def is_uncovered(item: pytest.Item) -> bool:
    """Whether a test is left out of the coverage: those of properties are long as well."""
    path = item.path.relative_to(item.config.rootpath).as_posix()
    is_property = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
    return is_property or "slow" in item.keywords or path.startswith(UNCOVERED)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Stop what measures coverage for some tests: the mark of `pytest-cov` stops one of several that a worker has."""
    stopped = []
    while is_uncovered(item) and (measuring := Coverage.current()) is not None and measuring not in stopped:
        measuring.stop()
        stopped.append(measuring)
    try:
        return (yield)
    finally:
        for measuring in reversed(stopped):
            measuring.start()
