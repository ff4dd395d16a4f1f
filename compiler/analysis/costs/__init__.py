"""Costs of architectures, as functions of the decisions of their space."""
