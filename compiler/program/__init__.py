"""Compiled files: targets, phases, settings, overrides, provenance."""
