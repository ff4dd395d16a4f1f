"""`hdas import GENOTYPE`, or `hdas-import GENOTYPE`: a genotype string as a file of the language."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from compiler.util.errors import UsageError
from compiler.util.files import atomic_write
from hdas_dsl.text.diagnostics import HspError
from hdas_dsl.text.reading import read_text

from .command import Command
from .console import OK, reason, show
from .groups import standard_input
from .option import OptionGroup, group, option, position
from .output import put
from .program import run_program
from .values import at_least

if TYPE_CHECKING:
    from hdas_dsl.genotype.build import Surroundings
    from hdas_dsl.tree import ast


def image_shape(text: str) -> tuple[int, ...]:
    """The shape of an image, ``CxHxW``."""
    image = tuple(int(dim) if dim.isascii() and dim.isdigit() else 0 for dim in text.split("x"))
    if len(image) != 3 or min(image) < 1:
        raise UsageError(f"'{text}': an image is CxHxW, such as 3x32x32")
    return image


@dataclass(frozen=True, kw_only=True)
class NetworkOptions(OptionGroup):
    """The network around a genotype."""

    title: ClassVar[str] = "the network around it"

    channels: int | None = option(
        "--channels", "N", "parameter c: channels of the first stage", read=at_least(1), otherwise="the space's"
    )
    cells: int | None = option(
        "--cells", "N", "parameter cells: how many in the network", read=at_least(1), otherwise="the space's"
    )
    classes: int | None = option("--classes", "N", "parameter classes", read=at_least(1), otherwise="the space's")
    image: tuple[int, ...] | None = option(
        "--input", "CxHxW", "the shape of an image, such as 3x32x32", read=image_shape, otherwise="the space's"
    )
    sets: tuple[str, ...] = option("--set", "NAME=VALUE", "any other parameter", many=True)
    space: Path | None = option(
        "--space", "FILE", "take network and recipe from this space", read=Path, otherwise="the one shipped for it"
    )

    def params(self) -> dict[str, ast.Expr]:
        """The parameters given, by name."""
        from hdas_dsl.tree import ast

        counts = {"c": self.channels, "cells": self.cells, "classes": self.classes}
        params: dict[str, ast.Expr] = {name: ast.Number(str(n)) for name, n in counts.items() if n is not None}
        if self.sets:
            from compiler.program.overrides import read_override

            params |= {item.name: item.argument() for item in map(read_override, self.sets)}
        return params


@dataclass(frozen=True, kw_only=True)
class JoinOptions(OptionGroup):
    """Other files that a genotype is joined with."""

    title: ClassVar[str] = "joining"

    cell_file: Path | None = option(
        "--cell-file", "FILE", "the cells of a genotype of stages", read=Path, otherwise="none"
    )
    stage_file: Path | None = option(
        "--stage-file", "FILE", "the stages around a genotype of cells", read=Path, otherwise="none"
    )


@dataclass(frozen=True, kw_only=True)
class Import(Command):
    """Turn a genotype into a .hsp file, with the network of its space around it."""

    name: ClassVar[str] = "import"
    summary: ClassVar[str] = "a genotype string as a file of the language"
    no_json: ClassVar[str] = "it prints a text of the language"

    genotype: str = position("GENOTYPE", "a genotype, a file that holds one, or - for standard input")
    wanted: str | None = option(
        "--name", "NAME", "which genotype, where the text assigns several to names", otherwise="the only one"
    )
    out: Path | None = option("-o", "--out", "FILE", "write the file", read=Path, otherwise="standard output")
    network: NetworkOptions = group(NetworkOptions)
    join: JoinOptions = group(JoinOptions)

    def run(self) -> int:
        """Print or write the file."""
        from hdas_dsl.genotype import read_genotype
        from hdas_dsl.genotype.build import build
        from hdas_dsl.tree.printer import print_module

        text, name = self._text()
        around = self._surroundings()
        genotype, diagnostics = read_genotype(text, name, self.wanted)
        if genotype is None:
            raise HspError(diagnostics)
        show(diagnostics)
        made = print_module(build(genotype, around))
        if self.out is None:
            put(made)
        else:
            atomic_write(self.out, made)
        return OK

    def _text(self) -> tuple[str, str]:
        """The text of the genotype, and what messages call it."""
        from hdas_dsl.genotype import is_text

        if self.genotype == "-":
            return standard_input(), "<stdin>"
        if is_text(self.genotype):
            return self.genotype, "<genotype>"
        try:
            return read_text(Path(self.genotype)), self.genotype
        except (OSError, ValueError) as error:
            raise UsageError(f"'{self.genotype}' cannot be read: {reason(error)}") from None

    def _surroundings(self) -> Surroundings:
        """The network around the genotype."""
        from hdas_dsl.genotype.build import Surroundings

        network = self.network
        return Surroundings(network.space, self.join.cell_file, self.join.stage_file, network.image, network.params())


def import_main(words: Sequence[str] | None = None) -> int:
    """`hdas-import`."""
    return run_program("hdas-import", Import, words)
