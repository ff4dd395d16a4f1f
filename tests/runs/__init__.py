"""Tests of `compiler/runs`."""
