"""Derivation: decisions go back into the syntax tree, and the printer writes an architecture in the same language."""

from .module import derive_module, derive_space

__all__ = ["derive_module", "derive_space"]
