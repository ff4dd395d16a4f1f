"""Seeded subsets of images: which of them a run uses, and which train weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from compiler.searcher.settings.datasets import DataError
from compiler.util.plural import plural


def random_generator(*of: object) -> torch.Generator:
    """A generator of the CPU whose numbers are a function of what it is named by, and of nothing else."""
    # Hashed, because neighbouring seeds and epochs are not to share orders and torch uses only 32 bits of a seed.
    digest = hashlib.sha256(repr(of).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))


def limited(labels: Tensor, limit: float, seed: int, word: str) -> Tensor:
    """The indices, ascending, of ``limit`` images of ``labels`` ``[n]``: a number (int) or a share (float) of them.

    Each class has its share of them, as nearly as whole numbers allow.

    Raises:
        DataError: when there are fewer images than that, or the share is of less than one.
    """
    count = limit if isinstance(limit, int) else round(limit * len(labels))
    if not 0 < count <= len(labels):
        raise DataError(
            f"{word} has {plural(len(labels), 'training image')}: `images = {limit:g}` cannot be taken of them"
        )
    sizes = torch.bincount(labels).tolist()
    return stratified(labels, quotas(sizes, count), random_generator(seed, "images"))


def quotas(sizes: Sequence[int], count: int) -> list[int]:
    """``count`` divided in proportion to ``sizes`` by the largest remainder, equal remainders in their order."""
    total = sum(sizes)
    floors = [count * size // total for size in sizes]
    remainders = sorted(range(len(sizes)), key=lambda index: -(count * sizes[index] % total))
    for index in remainders[: count - sum(floors)]:
        floors[index] += 1
    return floors


def stratified(labels: Tensor, counts: Sequence[int], generator: torch.Generator) -> Tensor:
    """The indices, ascending, of ``counts[k]`` images of each class ``k``, drawn at random."""
    chosen = torch.zeros(len(labels), dtype=torch.bool)
    for label, count in enumerate(counts):
        members = (labels == label).nonzero()[:, 0]
        order = torch.randperm(len(members), generator=generator)
        chosen[members[order[:count]]] = True
    return chosen.nonzero()[:, 0]
