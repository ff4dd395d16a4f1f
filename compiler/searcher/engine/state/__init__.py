"""The memory of a run: tensors and counters, checkpoints, seeds, signals."""
