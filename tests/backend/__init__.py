"""Tests of `compiler/backend`."""
