"""Tests of `compiler.ir`."""
