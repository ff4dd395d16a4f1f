"""Progress on the terminal, logs for people and machines."""
