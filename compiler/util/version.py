"""The version of the package."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version


def package_version() -> str:
    """The version in `pyproject.toml`; ``unknown`` for code that is not installed."""
    try:
        return version("hdas-dsl")
    except PackageNotFoundError:
        return "unknown"
