"""Genotypes: the strings in which the field passes cells and stages around, and their way into the language and back.

    text -> `read` -> frozen dataclasses (`model`) -> `frame` -> syntax tree -> printer -> .hsp
    .hsp -> syntax tree -> `extract` -> frozen dataclasses -> `spell` -> text

A genotype says which operations join which tensors and nothing about the network around them. That network, its
parameters and its recipe are those of the space that the genotype comes from, read from the shipped file of that space:
what is imported is the space with its decisions made, as if a search had derived it.
"""

from .model import Cells, Dag, Edge, Genotype, Lattice, Part, Stages
from .read import read_genotype
from .write import spell

__all__ = ["Cells", "Dag", "Edge", "Genotype", "Lattice", "Part", "Stages", "read_genotype", "spell"]
