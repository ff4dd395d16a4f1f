"""Datasets: the words for them (`specs`, without torch), and their images a batch at a time (`load`)."""

from compiler.searcher.settings.datasets import DataError, DataSpec, MissingData, register_dataset

__all__ = ["DataError", "DataSpec", "MissingData", "register_dataset"]
