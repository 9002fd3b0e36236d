"""Write the output of a command to standard output or, when it is complete, to a file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from monitor.backtest.event_files import UnreadableInput


@contextmanager
def atomic_output(path: Path | None) -> Iterator[TextIO]:
    """Open a text stream; a file gets its name when it is complete, and is removed after a failure.

    Args:
        path: the file; None: standard output.

    Raises:
        UnreadableInput: the file cannot be written.
    """
    if path is None:
        yield sys.stdout
        return
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("w", encoding="utf-8") as stream:
            yield stream
        temporary.replace(path)
    except OSError as error:
        raise UnreadableInput(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            temporary.unlink()
