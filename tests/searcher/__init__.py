"""Tests of `compiler/searcher`."""
