"""What a finished phase leaves to later ones: its derived file, and its weights. No torch."""

from __future__ import annotations

from pathlib import Path

from compiler.program.model import Phase
from compiler.searcher.run_files import CHECKPOINT
from compiler.util.errors import UsageError
from hdas_dsl.text.reading import read_named


def found_before(path: Path) -> str:
    """The text of a derived file that an earlier phase left.

    Raises:
        UsageError: it is damaged.
    """
    try:
        return read_named(path)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"'{path}' cannot be read: {getattr(error, 'strerror', None) or error}") from None


def weights_of(phase: Phase, out: Path) -> Path | None:
    """The checkpoint, in the folder of a run, that a phase takes its first weights from; None where they are fresh.

    Raises:
        UsageError: it is missing.
    """
    return _left(phase, phase.settings.start.after, out, "starts from the weights of")


def teacher_weights_of(phase: Phase, out: Path) -> Path | None:
    """The checkpoint, in the folder of a run, of the phase that teaches another; None where none does.

    Raises:
        UsageError: it is missing.
    """
    return _left(phase, phase.settings.teacher.after, out, "is taught by")


def _left(phase: Phase, earlier: str | None, out: Path, why: str) -> Path | None:
    if earlier is None:
        return None
    path = out / earlier / CHECKPOINT
    if not path.is_file():
        raise UsageError(f"phase '{phase.name}' {why} '{earlier}', and there is no '{path}'")
    return path
