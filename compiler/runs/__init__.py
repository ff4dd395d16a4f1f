"""Runs: the work of commands that need torch: search, train, evaluate, export, measure."""
