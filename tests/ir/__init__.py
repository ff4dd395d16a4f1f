"""Tests of the space graph, its operators and its verifier."""
