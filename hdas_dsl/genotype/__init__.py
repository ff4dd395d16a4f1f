"""Genotypes: the texts in which the field passes cells and stages around, and their way into the language and back.

    text -> `read` -> frozen dataclasses (`model`) -> `template` -> syntax tree -> printer -> .hsp
    .hsp -> syntax tree -> `template` -> frozen dataclasses -> `write` -> text

A genotype says which operations join which tensors and nothing about the network around them. That network, its
parameters and its recipe are those of the space that the genotype comes from, read from the shipped file of that space:
what is imported is the space with its decisions made, as if a search had derived it.
"""

from .model import Cells, Dag, Edge, Genotype, Lattice, Matrix, Part, Stages, Vertex, Widths
from .read import is_text, read_genotype
from .write import spell

__all__ = [
    "Cells",
    "Dag",
    "Edge",
    "Genotype",
    "Lattice",
    "Matrix",
    "Part",
    "Stages",
    "Vertex",
    "Widths",
    "is_text",
    "read_genotype",
    "spell",
]
