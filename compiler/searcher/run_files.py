"""The names of the files in a run's folder. No torch, so that a command can look at a folder before it loads torch."""

from __future__ import annotations

CHECKPOINT = "checkpoint.safetensors"
"""The whole state of a run, from which it can be resumed."""

WEIGHTS = "weights.safetensors"
"""The state dictionary of a trained network."""

LOG, HISTORY, EVENTS = "log.txt", "history.jsonl", "events"
"""A log to read, a JSON object for each epoch, and a folder of TensorBoard's events."""

TRIALS = "trials.jsonl"
"""The architectures that an explorer proposed, and their scores, a JSON object for each."""

PARETO = "pareto"
"""The folder of the Pareto front of several objectives."""

TRAININGS = "trials"
"""The folder of the trainings of running trials."""

WORKERS_LOG = "workers.txt"
"""The output of the processes that judge trials."""

DERIVED = "derived.hsp"
"""The architecture that a search found."""

RUNNER_UP = "runner_up.hsp"
"""The architecture that came second."""

SETTINGS, RECORD = "settings.hsp", "run.json"
"""Every setting of the run in the language; its command, the versions and the machine."""

SOURCE = "source"
"""The folder of the text that was searched, and of the files that it uses beside it."""

SPACE = "space.json"
"""The searched space as plain data: costs, choices and pictures, from which a report is made."""

REPORT = "report.html"
"""The report on a run, where one was asked for."""

RESULT = "result.json"
"""The metric of a trained network on the test part."""

TRAINED, VERSUS = "train", "versus"
"""The folders of the training, and of the comparison with chance, of what a search found."""

COMPARISON = "versus.json"
"""An architecture beside random ones of its space."""

LOCK = ".lock"
"""Held by the run that writes to the folder."""
