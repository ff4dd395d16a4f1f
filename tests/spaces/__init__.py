"""Tests of the files of `spaces/`, and of the constructions that they have to equal."""
