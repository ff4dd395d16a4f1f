"""The syntax tree of the language."""

from .expressions import *  # noqa: F403
