"""A file compiled: targets, phases, settings, overrides, provenance."""
