"""Tests of `compiler/util`."""
