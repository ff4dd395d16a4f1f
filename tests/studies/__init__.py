"""Tests of `compiler/studies`."""
