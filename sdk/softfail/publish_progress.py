"""How far a file is published: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import os
import stat
import time
from typing import IO, Protocol

_BAR = 30
_EVERY_S = (0.1, 5.0)  # on a terminal, elsewhere


class Counts(Protocol):
    """What is shown."""

    sent: int
    invalid: int
    undelivered: int
    faults: list[str]


class Progress:
    """Shows the counts, and prints the faults that have come up since.

    Args:
        file: what is read; its size, if it has one, is the length of the bar.
        err: where to show it.
    """

    def __init__(self, file: IO[bytes], err: IO[str]) -> None:
        found = os.fstat(file.fileno())
        self._size = found.st_size if stat.S_ISREG(found.st_mode) else 0
        self._err = err
        self._bar = err.isatty()
        self._read = 0
        self._began = self._shown = time.monotonic()

    def read(self, size: int) -> None:
        """So many bytes more were read."""
        self._read += size

    def show(self, counts: Counts) -> None:
        """Show where it stands, if it is time to."""
        now = time.monotonic()
        if counts.faults:
            self._faults(counts)
        if now - self._shown >= _EVERY_S[0 if self._bar else 1]:
            self._shown = now
            self._err.write(f"\r{self._line(counts)}\x1b[K" if self._bar else f"{self._line(counts)}\n")
            self._err.flush()

    def end(self, counts: Counts) -> None:
        """Clear the bar and print what is left to say."""
        self._faults(counts)
        if self._bar:
            self._err.write("\r\x1b[K")

    def _faults(self, counts: Counts) -> None:
        clear = "\r\x1b[K" if self._bar else ""
        while counts.faults:
            self._err.write(f"{clear}{counts.faults.pop(0)}\n")
        self._err.flush()

    def _line(self, counts: Counts) -> str:
        rate = counts.sent / max(1e-9, time.monotonic() - self._began)
        share = min(1.0, self._read / self._size) if self._size else None
        bar = (
            ""
            if share is None
            else (
                f"[{'#' * round(share * _BAR):{_BAR}}] {share:4.0%}  " if self._bar else f"{share:.0%} read, "
            )
        )
        return (
            f"{bar}{counts.sent:,} sent  {rate:,.0f}/s  {counts.invalid:,} invalid  {counts.undelivered:,}"
            " undelivered"
        )
