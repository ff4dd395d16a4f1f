"""The entry of every command: from words to an exit code, with everything that may go wrong on the way.

Exit codes: 0 fine; 1 the file is wrong; 2 the command line is wrong; 3 a run failed; 130 interrupted; 141 nobody reads
the output any more. Each exception of the package has its own (`HdasError.exit_code`).
"""

from __future__ import annotations

import errno
import gc
import shlex
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from compiler.util.memory import is_out_of_memory
from hdas_dsl.text.diagnostics import Diagnostic, HspError
from hdas_dsl.text.errors import HdasError

from .output import complain, discard, open_streams

if TYPE_CHECKING:
    from .command import Command

OK, DIFFERENT, WRONG_FILE, WRONG_USAGE, FAILED = 0, 1, 1, 2, 3
INTERRUPTED, UNREAD = 130, 141
"""Exit codes as a shell reports a process that SIGINT or SIGPIPE ends."""

WRONG_PATHS = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
"""Errors of the operating system that say that a path on the command line is wrong; others fail a run."""


class Ended(SystemExit):
    """The command line is dealt with, by help or by a complaint: the program ends with this code."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code


def run(program: str, words: Sequence[str], choose: Callable[[Sequence[str]], Command]) -> int:
    """Run the command that the words ask for; whatever happens, the user gets a sentence and the shell a code.

    Args:
        program: how messages call it.
        words: the command line.
        choose: from the words to a command.
    """
    open_streams()
    code = _run(program, words, choose)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        code = _unread() if code in (OK, DIFFERENT) else code
    except OSError as error:
        discard(sys.stdout)
        if code != FAILED:  # else it was said, maybe of this very output
            say(program, f"standard output cannot be written: {error.strerror}")
        code = code or FAILED
    return code


def _run(program: str, words: Sequence[str], choose: Callable[[Sequence[str]], Command]) -> int:
    wrong_file = WRONG_FILE
    try:
        command = choose(words)
        wrong_file = command.wrong_file
        if command.collects_garbage:
            gc.enable()
        return command.run()
    except Ended as end:
        return end.exit_code
    except BrokenPipeError:
        return _unread()
    except KeyboardInterrupt:
        return INTERRUPTED
    except HspError as error:
        _trace(words)
        show(error.diagnostics)
        return wrong_file
    except HdasError as error:
        _trace(words)
        again = shlex.join([program, *words, error.retry_with])
        say(program, f"{error}{f'; get it with: {again}' if error.retry_with else ''}")
        return error.exit_code
    except OSError as error:
        _trace(words)
        say(program, f"'{error.filename}': {error.strerror}" if error.filename else error.strerror or str(error))
        return WRONG_USAGE if isinstance(error, WRONG_PATHS) or error.errno == errno.EROFS else FAILED
    except (Exception, SystemExit) as error:
        _trace(words)
        say(program, _unforeseen(error))
        return FAILED


def _unforeseen(error: BaseException) -> str:
    """A sentence on what nothing below has a sentence for."""
    if is_out_of_memory(error):
        return "out of memory: use a smaller batch, smaller images, fewer channels or bfloat16"
    what = f"{type(error).__name__}: {error}".removesuffix(": ")
    return f"an error of this program, not of your input ({what}); --debug shows where it happened"


def show(diagnostics: Sequence[Diagnostic]) -> None:
    """Diagnostics on standard error, with a count at the end."""
    for diagnostic in diagnostics:
        complain(diagnostic.render())
    errors = sum(diagnostic.severity.value == "error" for diagnostic in diagnostics)
    if errors > 1:
        complain(f"{errors} errors")


def say(program: str, message: str) -> None:
    """A sentence on standard error."""
    complain(f"{program}: {message}")


def _trace(words: Sequence[str]) -> None:
    """The traceback of the error being handled, where the words ask for it."""
    if "--debug" in words:
        complain(traceback.format_exc().rstrip())


def _unread() -> int:
    """End quietly when the reader of the output is gone: what is still buffered must not be written at exit either."""
    discard(sys.stdout)
    return UNREAD


def reason(error: Exception) -> str:
    """Why a file cannot be read, without its name."""
    return getattr(error, "strerror", None) or str(error)
