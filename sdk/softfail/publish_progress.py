"""Show the progress of publishing a file: a bar on a terminal, otherwise a line every few seconds."""

from __future__ import annotations

import os
import stat
import threading
import time
from dataclasses import dataclass, field
from typing import IO

from softfail.sanitize import sanitize

_BAR_CHARS = 30
_TERMINAL_INTERVAL_S = 0.1
_LINE_INTERVAL_S = 5.0


@dataclass
class PublishCounts:
    """Counts of published lines, and the errors to print next."""

    sent: int = 0
    invalid: int = 0
    undelivered: int = 0
    errors: list[str] = field(default_factory=list)

    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, delivered: bool) -> None:
        """Count an event that was acknowledged or dropped. Called on several threads."""
        with self._lock:
            if delivered:
                self.sent += 1
            else:
                self.undelivered += 1

    @property
    def completed(self) -> int:
        """Number of events that were acknowledged or dropped."""
        return self.sent + self.undelivered


class PublishProgress:
    """Shows the counts, and prints new errors.

    Args:
        file: the file that is read. For a regular file its size is the length of the bar.
        err: where to write.
    """

    def __init__(self, file: IO[bytes], err: IO[str]) -> None:
        file_status = os.fstat(file.fileno())
        self._file_bytes = file_status.st_size if stat.S_ISREG(file_status.st_mode) else 0
        self._err = err
        self._is_terminal = err.isatty()
        self._interval_s = _TERMINAL_INTERVAL_S if self._is_terminal else _LINE_INTERVAL_S
        self._read_bytes = 0
        self._start_s = self._last_shown_s = time.monotonic()

    def read(self, size: int) -> None:
        """Count bytes that were read."""
        self._read_bytes += size

    def show(self, counts: PublishCounts) -> None:
        """Print new errors. Show the progress if the interval has passed."""
        now_s = time.monotonic()
        if counts.errors:
            self._print_errors(counts)
        if now_s - self._last_shown_s >= self._interval_s:
            self._last_shown_s = now_s
            line = self._line(counts)
            self._err.write(f"\r{line}\x1b[K" if self._is_terminal else f"{line}\n")
            self._err.flush()

    def end(self, counts: PublishCounts) -> None:
        """Print the remaining errors and clear the bar."""
        self._print_errors(counts)
        if self._is_terminal:
            self._err.write("\r\x1b[K")

    def _print_errors(self, counts: PublishCounts) -> None:
        clear = "\r\x1b[K" if self._is_terminal else ""
        while counts.errors:
            self._err.write(f"{clear}{sanitize(counts.errors.pop(0))}\n")
        self._err.flush()

    def _line(self, counts: PublishCounts) -> str:
        rate = counts.sent / max(1e-9, time.monotonic() - self._start_s)
        bar = ""
        if self._file_bytes:
            share = min(1.0, self._read_bytes / self._file_bytes)
            filled = "#" * round(share * _BAR_CHARS)
            bar = f"[{filled:{_BAR_CHARS}}] {share:4.0%}  " if self._is_terminal else f"{share:.0%} read, "
        return (
            f"{bar}{counts.sent:,} sent  {rate:,.0f}/s  {counts.invalid:,} invalid  {counts.undelivered:,}"
            " undelivered"
        )
