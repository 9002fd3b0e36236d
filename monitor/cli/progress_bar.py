"""A bar on standard error while a long input is read: only on a terminal, and only once it takes a while."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from monitor.protocol.messages import Record

AFTER_S = 3.0
EVERY = 1000  # records between two looks at the clock


class Source(Protocol):
    """An input that knows how much of it has been read. ``unit``: what ``done`` and ``total`` count;
    ``total`` None: nobody knows.
    """

    @property
    def unit(self) -> str: ...  # noqa: D102

    @property
    def total(self) -> int | None: ...  # noqa: D102

    @property
    def done(self) -> int: ...  # noqa: D102

    def records(self) -> Iterable[Record]: ...  # noqa: D102


@contextmanager
def with_progress(
    source: Source, *, shown: bool, clock: Callable[[], float] = time.monotonic
) -> Iterator[Iterable[Record]]:
    """The records of a source, with a bar while they are taken.

    Args:
        shown: whether there is anybody to see it.
        clock: seconds, for deciding whether it takes a while.
    """
    if not shown:
        yield source.records()
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    amount = DownloadColumn() if source.unit == "bytes" else MofNCompleteColumn()
    bar = Progress(
        TextColumn("replay"),
        BarColumn(),
        amount,
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
    )
    began = clock()

    def records() -> Iterator[Record]:
        task = None
        for number, record in enumerate(source.records()):
            if number % EVERY == 0 and (task is not None or clock() - began >= AFTER_S):
                if task is None:
                    bar.start()
                    task = bar.add_task("replay", total=source.total)
                bar.update(task, completed=source.done)
            yield record

    try:
        yield records()
    finally:
        if bar.live.is_started:  # to stop one that was never shown writes an empty line
            bar.stop()
