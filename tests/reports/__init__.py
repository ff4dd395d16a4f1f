"""Tests of `compiler/reports`."""
