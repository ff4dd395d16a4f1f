"""Reports of a run: progress on the terminal, a log, a history for programs, TensorBoard."""
