"""How the tests run.

One thread per test process, whatever the environment says: the tensors here are tiny, several processes share the
cores, and a process that is forked where OpenMP has threads waits for them for ever. Nor is it asked whether there is a
terminal, and how wide it is.

Hypothesis draws the same examples each time, so that a run says something of the commit and of nothing else. With
``HYPOTHESIS_PROFILE=wander`` it draws others each time. Neither asks how long an example took, nor how many were no
examples: that says something of the machine, and of the release of Hypothesis.
"""

import gc
import os
import signal

from hypothesis import HealthCheck, settings

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "COLUMNS": "80", "LINES": "25"}
for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
    os.environ.pop(name, None)

# In the background of a shell interrupts are ignored, by the programs that tests start too; here as in the foreground.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Trees and graphs are many small objects; to look through them as often as Python does takes a seventh of the time.
gc.set_threshold(100_000, 50, 100)

timeless = settings(database=None, deadline=None, suppress_health_check=list(HealthCheck))
settings.register_profile("fixed", timeless, derandomize=True)
settings.register_profile("wander", timeless, derandomize=False, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "fixed"))
