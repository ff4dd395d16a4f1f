"""Genotypes: the texts in which the field passes cells and stages around, and their way into the language and back.

    text -> `read` -> frozen dataclasses (`model`) -> `template` -> syntax tree -> printer -> .hsp
    .hsp -> syntax tree -> `template` -> frozen dataclasses -> `write` -> text

A genotype names the operations between tensors, not the network around them. That network, its parameters and its
recipe come from the shipped file of the genotype's space, so an imported text is that space with its decisions made, as
if a search had derived it.
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
