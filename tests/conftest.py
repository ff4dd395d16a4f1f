"""One thread per test process: the tensors here are tiny, and several processes share the cores."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
