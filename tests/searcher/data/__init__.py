"""Tests of `compiler/searcher/data`."""
