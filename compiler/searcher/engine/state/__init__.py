"""What a run remembers: tensors and counters, checkpoints, seeds, signals."""
