"""Folders that tests read."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""

FIXTURES = ROOT / "tests" / "fixtures"
"""Programs and the golden files beside them."""

SPACES = ROOT / "spaces"
DOCS = ROOT / "docs"
