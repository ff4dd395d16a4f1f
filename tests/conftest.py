"""How the tests run.

One thread per test process: the tensors here are tiny, and several processes share the cores.

Hypothesis draws the same examples each time, so that a run says something of the commit and of nothing else. With
``HYPOTHESIS_PROFILE=wander`` it draws others each time.
"""

import os

from hypothesis import settings

os.environ.setdefault("OMP_NUM_THREADS", "1")

settings.register_profile("fixed", derandomize=True, database=None)
settings.register_profile("wander", derandomize=False, database=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))
