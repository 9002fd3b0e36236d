"""Read files of events as logs: each file in its own order, several files merged by time."""

from __future__ import annotations

import gzip
import heapq
import io
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from monitor.backtest.file_clock import FileClock
from monitor.protocol.messages import FileRecord, Record
from schemas.event_decoder import InvalidEvent, decode
from schemas.times import microseconds
from softfail.bounded_lines import bounded_lines

_GZIP = b"\x1f\x8b"


class UnreadableInput(ValueError):
    """Raised when an input cannot be read. The message names the input and the remedy."""


class Files:
    """NDJSON files (`-`: standard input; gzip is unpacked), with the progress of reading them.

    ``total`` and ``done`` are bytes on disk, before unpacking; ``total`` is None for standard input.

    Raises:
        UnreadableInput: one of them does not exist.
    """

    unit = "bytes"

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths
        self._open: dict[int, BinaryIO] = {}
        self._closed = 0
        sizes: list[int | None] = []
        for path in paths:
            try:
                sizes.append(None if path == "-" else Path(path).stat().st_size)
            except OSError as error:
                raise UnreadableInput(f"{path}: cannot be read: {error.strerror}") from None
        if len(set(paths)) < len(paths):
            raise UnreadableInput(
                f"{next(path for path in paths if paths.count(path) > 1)}: is listed twice, so each event"
                " would count twice; list it once"
            )
        self.total = None if None in sizes else sum(cast("list[int]", sizes))

    @property
    def done(self) -> int:
        """Number of bytes read so far."""
        return self._closed + sum(raw.tell() for raw in self._open.values())

    def records(self) -> Iterator[FileRecord]:
        """Return the records of each file in its own order; several files are merged by time.

        A record whose time lies ahead of its neighbours has a timestamp: the time that its file had reached.

        Raises:
            UnreadableInput: a file cannot be read to its end.
        """
        if len(self.paths) == 1:
            return self._clocked(0)
        return (
            record
            for *_, record in heapq.merge(*(timed(self._clocked(nth), nth) for nth in range(len(self.paths))))
        )

    def _clocked(self, nth: int) -> Iterator[FileRecord]:
        return FileClock().mark(self._lines(nth))

    def _lines(self, nth: int) -> Iterator[FileRecord]:
        path, number = self.paths[nth], 0
        try:
            with ExitStack() as stack:
                for number, line in enumerate(bounded_lines(self._stream(nth, stack)), 1):
                    if line.strip():
                        yield FileRecord(line.rstrip(b"\r\n"), number, topic=path)
        except gzip.BadGzipFile as error:
            raise UnreadableInput(
                f"{path}: is not gzip, or is damaged after line {number} ({error}); unpack it, or rename"
                " it without .gz"
            ) from None
        except (EOFError, zlib.error) as error:
            raise UnreadableInput(
                f"{path}: the gzip data is truncated or damaged after line {number} ({error}); copy the"
                " file again, or unpack its readable part with zcat"
            ) from None
        except OSError as error:
            raise UnreadableInput(f"{path}: cannot be read: {error.strerror or error}") from None

    def _stream(self, nth: int, stack: ExitStack) -> BinaryIO:
        path = self.paths[nth]
        if path == "-":
            raw: BinaryIO = sys.stdin.buffer
        else:
            raw = stack.enter_context(Path(path).open("rb"))  # noqa: SIM115 - closed by the stack
            self._open[nth] = raw
            stack.callback(self._close, nth)
        head = raw.peek(2)[:2] if isinstance(raw, io.BufferedReader) else b""
        if head == _GZIP or path.endswith(".gz"):
            return cast("BinaryIO", stack.enter_context(gzip.GzipFile(fileobj=raw)))
        return raw

    def _close(self, nth: int) -> None:
        self._closed += self._open.pop(nth).tell()


def timed(records: Iterable[Any], nth: int) -> Iterator[tuple[int, int, int, Any]]:
    """Yield each record with the time that its log has reached, so that ``heapq.merge`` can merge logs.

    A producer's clock that is ahead of the broker's clock counts as the broker's, as for the watermark.

    Args:
        records: of one log.
        nth: number of the log, which decides between equal times.

    Returns:
        Time in microseconds since 1970, ``nth``, offset and record.
    """
    reached_us = 0
    for record in records:
        with suppress(InvalidEvent):  # an unreadable record keeps its place and becomes a dead letter
            time_us = microseconds(decode(cast(bytes, record.value or b"")).time)
            reached_us = max(
                reached_us,
                (
                    time_us
                    if record.timestamp is None or record.timestamp < 0
                    else min(time_us, record.timestamp * 1000)
                ),
            )
        yield reached_us, nth, record.offset, record


class EventFilter(NamedTuple):
    """Select events by time and feature.

    ``start_us`` (inclusive) and ``end_us`` (exclusive) are event times in microseconds since 1970; ``match``
    is a pattern such as ``support-bot/*``. None selects all.
    """

    start_us: int | None = None
    end_us: int | None = None
    match: str | None = None

    def select(self, records: Iterable[Record]) -> Iterator[Record]:
        """Yield the selected records.

        A record that cannot be read has no time: it is selected if the record before it lies in the period.
        """
        if self == EventFilter():
            yield from records
            return
        inside = self.start_us is None
        for record in records:
            try:
                event = decode(record.value or b"")
            except InvalidEvent:
                if inside:
                    yield record
                continue
            time_us = microseconds(event.time)
            inside = (self.start_us is None or time_us >= self.start_us) and (
                self.end_us is None or time_us < self.end_us
            )
            if inside and (self.match is None or fnmatchcase(f"{event.service}/{event.feature}", self.match)):
                yield record
