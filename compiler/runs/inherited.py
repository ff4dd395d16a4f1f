"""What a network took from another (`inheriting.py`). No torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Inherited:
    """The names of a network's tensors, by where their values come from now."""

    whole: tuple[str, ...] = ()
    """Taken as they are."""
    part: tuple[str, ...] = ()
    """The part of a larger one that sharing weights defines: the first channels, the middle of a kernel."""
    grown: tuple[str, ...] = ()
    """A smaller tensor, of which channels are repeated."""
    fresh: tuple[str, ...] = ()
    """Unchanged: the other network has no tensor for them."""
    unused: tuple[str, ...] = ()
    """Modules of the other network that its architecture uses and that have no counterpart here."""
    exact: bool = False
    """Whether every tensor was taken that the output, without an auxiliary head, depends on: then both networks have
    equal outputs in eval mode with the same decisions."""

    def __str__(self) -> str:
        parts = [
            (len(self.whole), "tensors as they are"),
            (len(self.part), "in part"),
            (len(self.grown), "grown"),
            (len(self.fresh), f"fresh, as {self.fresh[0]}" if self.fresh else ""),
            (len(self.unused), f"modules unused, as {self.unused[0]}" if self.unused else ""),
        ]
        return ", ".join(f"{count} {what}" for count, what in parts if count) or "nothing"
