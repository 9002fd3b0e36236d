"""Where a command writes: standard output, or a file that appears only when it is whole."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from monitor.backtest.event_files import UnreadableInput


@contextmanager
def atomic_output(path: Path | None) -> Iterator[TextIO]:
    """A stream for text; None: standard output. The file takes its name when all went well, and nothing is
    left of it otherwise.

    Raises:
        UnreadableInput: it cannot be written.
    """
    if path is None:
        yield sys.stdout
        return
    part = path.with_name(path.name + ".part")
    try:
        with part.open("w", encoding="utf-8") as stream:
            yield stream
        part.replace(path)
    except OSError as error:
        raise UnreadableInput(f"{path}: cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            part.unlink()
