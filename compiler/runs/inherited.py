"""What a network took from another (`inheriting.py`). No torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Inherited:
    """The names of a network's tensors, by where their values come from now.

    Where it is exact, the network gives in eval mode what the other gives with the same decisions.
    """

    whole: tuple[str, ...] = ()
    """Taken as they are."""
    part: tuple[str, ...] = ()
    """The part of a larger one that sharing weights defines: the first channels, the middle of a kernel."""
    grown: tuple[str, ...] = ()
    """A smaller one, of which channels are repeated."""
    fresh: tuple[str, ...] = ()
    """As they were: the other network has nothing for them."""
    unused: tuple[str, ...] = ()
    """Modules of the other network that its architecture uses, and this one has no place for."""
    exact: bool = False
    """Whether all came over that the output depends on, which does not depend on an auxiliary head."""

    def __str__(self) -> str:
        parts = [
            (len(self.whole), "tensors as they are"),
            (len(self.part), "in part"),
            (len(self.grown), "grown"),
            (len(self.fresh), f"fresh, as {self.fresh[0]}" if self.fresh else ""),
            (len(self.unused), f"modules unused, as {self.unused[0]}" if self.unused else ""),
        ]
        return ", ".join(f"{count} {what}" for count, what in parts if count) or "nothing"
