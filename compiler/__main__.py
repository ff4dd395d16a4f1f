"""`python -m compiler`: `hdas`, where no script is installed."""

from __future__ import annotations

import sys

from .commands.hdas import hdas_script

sys.exit(hdas_script())
