"""What can be done with all architectures of a space: count, sample, enumerate, mutate, cross. No torch."""

from .count import Count, count
from .draw import enumerate_all, sample
from .listing import Architecture, Architectures
from .vary import crossover, mutate

__all__ = ["Architecture", "Architectures", "Count", "count", "crossover", "enumerate_all", "mutate", "sample"]
