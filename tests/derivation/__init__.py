"""Tests of `compiler/derivation`."""
