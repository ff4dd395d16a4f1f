"""Datasets: their images, found, checked, and given a batch at a time in the shape of a network.

This module imports no torch; `load.load_data` is where to start reading.
"""

from compiler.searcher.settings.datasets import DataError, DataSpec, MissingDataError, register_dataset

__all__ = ["DataError", "DataSpec", "MissingDataError", "register_dataset"]
