"""Tests of `compiler/commands`."""
