"""Tests of `hdas_dsl`."""
