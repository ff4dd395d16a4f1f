"""Tests of `compiler/elaborate`."""
