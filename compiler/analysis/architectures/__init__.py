"""All architectures of a space: count, sample, enumerate, mutate, cross. No torch."""

from .count import Count, count
from .sampling import enumerate_all, sample, sample_living
from .space_list import Architecture, Architectures
from .variation import crossover, mutate

__all__ = [
    "Architecture",
    "Architectures",
    "Count",
    "count",
    "crossover",
    "enumerate_all",
    "mutate",
    "sample",
    "sample_living",
]
