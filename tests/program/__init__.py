"""Tests of `compiler/program`."""
