"""All architectures of a space, for Python users: counted, drawn, listed, mutated and crossed. No torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .request import FilePath, request_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compiler.analysis.architectures import Architecture, Architectures, Count


def count(space: FilePath, unique: str = "", *, seed: int = 0, graphs: int = 20_000, **params: object) -> Count:
    """How many architectures a file has: ``exact`` where that is known, else an ``estimate`` with its standard error.

    Args:
        space: a .hsp file.
        unique: count up to an equivalence: ``isomorphic``, ``pruned``, ``functional``, or one that the file defines.
        seed: of the sample that an estimate comes from.
        graphs: how many graphs of one cell or stage are compared for ``unique`` at most; 10,000 take some seconds.
        **params: parameters and settings instead of the file's, such as ``c=36``.

    Raises:
        HspError: the file is wrong, or it has a structure that is not counted.
        UsageError: the number up to the equivalence is not known; the message gives the reason and a lower bound.
    """
    from compiler.analysis.architectures import count

    return count(_architectures(space, params), seed, unique, graphs)


def sample(
    space: FilePath, number: int = 1, *, seed: int = 0, weighted: bool = False, **params: object
) -> list[Architecture]:
    """Architectures drawn independently from those of a file that meet its requirements.

    Args:
        space: a .hsp file.
        number: how many are drawn.
        seed: equal seeds give equal texts.
        weighted: by the weights of items instead of uniformly.
        **params: parameters and settings instead of the file's, such as ``c=36``.

    Raises:
        HspError: the file is wrong.
        UsageError: no architecture of many draws met the requirements.
    """
    from compiler.analysis.architectures import sample

    return list(sample(_architectures(space, params), number, seed, weighted))


def enumerate(space: FilePath, limit: int | None = None, **params: object) -> Iterator[Architecture]:
    """All architectures of a file that meet its requirements, or the first ``limit`` of them, one after the other.

    Raises:
        HspError: the file is wrong.
    """
    from compiler.analysis.architectures import enumerate_all

    return enumerate_all(_architectures(space, params), limit)


def mutate(space: FilePath, architecture: FilePath, *, seed: int = 0, **params: object) -> Architecture:
    """An architecture of the space that differs from a given one in one choice, and in the decisions that depend on it.

    Args:
        space: a .hsp file.
        architecture: a .hsp file of an architecture of the space.
        seed: equal seeds give equal texts.
        **params: parameters and settings of the space instead of the file's, such as ``c=36``.

    Raises:
        HspError: a file is wrong.
        UsageError: the given architecture does not lie in the space, or no choice of it can be changed alone.
    """
    from compiler.analysis.architectures import mutate

    return mutate(_architectures(space, params), request_of(architecture, {}), seed)


def crossover(space: FilePath, left: FilePath, right: FilePath, *, seed: int = 0, **params: object) -> Architecture:
    """An architecture of the space that takes each choice from one of two given ones, by a fair coin.

    Args:
        space: a .hsp file.
        left, right: .hsp files of architectures of the space.
        seed: equal seeds give equal texts.
        **params: parameters and settings of the space instead of the file's, such as ``c=36``.

    Raises:
        HspError: a file is wrong.
        UsageError: a given architecture does not lie in the space, or no child meets the space's requirements.
    """
    from compiler.analysis.architectures import crossover

    return crossover(_architectures(space, params), request_of(left, {}), request_of(right, {}), seed)


def _architectures(space: FilePath, params: dict[str, object]) -> Architectures:
    from compiler.analysis.architectures import Architectures

    return Architectures(request_of(space, params))
