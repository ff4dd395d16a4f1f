"""What judges without a supernet have in common: the derived file of an architecture, compiled."""

from __future__ import annotations

from dataclasses import replace

from compiler.derivation import derive_module
from compiler.elaborate import Elaborated
from compiler.program.model import Program
from compiler.program.request import Request
from compiler.searcher.explore.space import Candidate, ExploredSpace
from hdas_dsl.tree.printer import print_module


class DerivedAlone:
    """The derived files of architectures.

    Args:
        space: the architectures.
        request: the file that they are of.
    """

    def __init__(self, space: ExploredSpace, request: Request) -> None:
        self.space, self.request = space, request

    def derived(self, text: str) -> Program:
        """A derived file, compiled."""
        return replace(self.request, text=text, overrides=()).compile()

    def text(self, found: Candidate) -> str:
        """The derived file of an architecture, without where it comes from."""
        part = self.space.part
        train = part.program.carried if part.is_last else None
        return print_module(derive_module(part.space, self.space.completed(found), train))


def network_of(program: Program) -> Elaborated:
    """The network of a derived file as `--train` trains it."""
    return program.train_network or program.network
