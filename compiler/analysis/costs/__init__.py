"""What architectures cost, as a function of the decisions of their space."""
