"""Files of events as logs: each in its own order, several side by side by the time they have come to."""

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

from monitor.protocol.messages import FileRecord, Record
from schemas.event_decoder import InvalidEvent, decode
from schemas.times import microseconds

_GZIP = b"\x1f\x8b"


class UnreadableInput(ValueError):
    """An input that cannot be read. The message names it and the remedy."""


class Files:
    """NDJSON files (`-`: standard input; gzip is unpacked), and how much of them has been read.

    ``total`` and ``done`` are bytes as they lie on disk; ``total`` is None where nobody knows it.

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
                f"{next(path for path in paths if paths.count(path) > 1)}: is given twice, and each event"
                " would count twice; give it once"
            )
        self.total = None if None in sizes else sum(cast("list[int]", sizes))

    @property
    def done(self) -> int:
        """Bytes read so far."""
        return self._closed + sum(raw.tell() for raw in self._open.values())

    def records(self) -> Iterator[FileRecord]:
        """Each file in its own order, the files side by side by the time they have come to.

        Raises:
            UnreadableInput: a file cannot be read, or not to its end.
        """
        if len(self.paths) == 1:
            return self._lines(0)
        return (
            record
            for *_, record in heapq.merge(*(timed(self._lines(nth), nth) for nth in range(len(self.paths))))
        )

    def _lines(self, nth: int) -> Iterator[FileRecord]:
        path, number = self.paths[nth], 0
        try:
            with ExitStack() as stack:
                for number, line in enumerate(self._stream(nth, stack), 1):
                    if line.strip():
                        yield FileRecord(line.rstrip(b"\r\n"), number, topic=path)
        except gzip.BadGzipFile as error:
            raise UnreadableInput(
                f"{path}: is not gzip, or is damaged after line {number} ({error}); unpack it, or give it"
                " without .gz"
            ) from None
        except (EOFError, zlib.error) as error:
            raise UnreadableInput(
                f"{path}: its gzip is cut or damaged after line {number} ({error}); get it again, or unpack"
                " what is whole: zcat"
            ) from None
        except OSError as error:
            raise UnreadableInput(f"{path}: cannot be read: {error.strerror or error}") from None

    def _stream(self, nth: int, stack: ExitStack) -> Iterable[bytes]:
        path = self.paths[nth]
        if path == "-":
            raw: BinaryIO = sys.stdin.buffer
        else:
            raw = stack.enter_context(Path(path).open("rb"))  # noqa: SIM115 - closed by the stack
            self._open[nth] = raw
            stack.callback(self._close, nth)
        head = raw.peek(2)[:2] if isinstance(raw, io.BufferedReader) else b""
        if head == _GZIP or path.endswith(".gz"):
            return cast("Iterable[bytes]", stack.enter_context(gzip.GzipFile(fileobj=raw)))
        return raw

    def _close(self, nth: int) -> None:
        self._closed += self._open.pop(nth).tell()


def timed(records: Iterable[Any], nth: int) -> Iterator[tuple[int, int, int, Any]]:
    """Records of one log with the time that it has come to (microseconds since 1970), so that ``heapq.merge``
    lays logs side by side.

    A clock that is ahead counts no more than the broker's own, as for the watermark.
    """
    reached = 0
    for record in records:
        with suppress(InvalidEvent):  # it becomes a dead letter where it stands
            time_us = microseconds(decode(cast(bytes, record.value or b"")).time)
            reached = max(
                reached,
                (
                    time_us
                    if record.timestamp is None or record.timestamp < 0
                    else min(time_us, record.timestamp * 1000)
                ),
            )
        yield reached, nth, record.offset, record


class EventFilter(NamedTuple):
    """Which events are replayed: of [``start_us``, ``end_us``) in event time, microseconds since 1970, of
    features that ``match``; None: all.
    """

    start_us: int | None = None
    end_us: int | None = None
    match: str | None = None

    def of(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records that are meant. What cannot be read has no feature and no time of its own: it stays,
        beside those that stay.
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


def lines_of(path: str) -> Iterator[FileRecord]:
    """The records of an NDJSON file, numbered by line from 1. Empty lines are left out."""
    return Files([path]).records()


def merged_by_time(paths: Sequence[str]) -> Iterator[FileRecord]:
    """Records of several files, as ``Files.records`` gives them."""
    return Files(paths).records()
