"""Datasets: the words for them (`specs`, without torch), and their images a batch at a time (`load`)."""

from .specs import DataError, DataSpec, MissingData, register_dataset

__all__ = ["DataError", "DataSpec", "MissingData", "register_dataset"]
