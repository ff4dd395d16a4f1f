"""Genotypes: the strings in which the field passes cells and stages around, and their way into the language and back.

    text -> `read` -> frozen dataclasses (`model`) -> `frame` -> syntax tree -> printer -> .hsp
    .hsp -> syntax tree -> `extract` -> frozen dataclasses -> `spell` -> text

A genotype names the operations between tensors, not the network around them. That network, its parameters and its
recipe come from the shipped file of the genotype's space, so an imported text is that space with its decisions made, as
if a search had derived it.
"""

from .model import Cells, Dag, Edge, Genotype, Lattice, Part, Stages
from .read import read_genotype
from .write import spell

__all__ = ["Cells", "Dag", "Edge", "Genotype", "Lattice", "Part", "Stages", "read_genotype", "spell"]
