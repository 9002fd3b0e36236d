"""How a command ends: its exit code, and the messages about input that it cannot use."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress

from monitor.backtest.event_files import UnreadableInput
from schemas.config.load import InvalidConfig
from softfail.sanitize import sanitize

INVALID = 2
INTERRUPTED = 130


def run_command(work: Callable[[], int], interrupted: str = "interrupted; nothing was written") -> int:
    """Run a command.

    Args:
        work: returns the exit code.
        interrupted: printed after Ctrl-C.

    Returns:
        That of ``work``; 0 if the reader of standard output has exited; 2 if a file or the configuration cannot be
        used, which is printed; 130 if it was interrupted.
    """
    try:
        return work()
    except (InvalidConfig, UnreadableInput) as error:
        print(sanitize(str(error), lines=True), file=sys.stderr)
        return INVALID
    except BrokenPipeError:
        return 0
    except KeyboardInterrupt:
        print(interrupted, file=sys.stderr)
        return INTERRUPTED
    finally:
        ignore_closed_pipe()


def report_unreadable(count: int) -> int:
    """Print how many lines could not be read; return the exit code: 1 if there are any, else 0."""
    if count:
        lines, were = ("lines", "were") if count > 1 else ("line", "was")
        print(f"{count} {lines} could not be read and {were} left out", file=sys.stderr)
    return 1 if count else 0


def ignore_closed_pipe() -> None:
    """Prevent an error when Python flushes standard output at exit after its reader has exited."""
    try:
        sys.stdout.flush()
    except (BrokenPipeError, ValueError):
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
