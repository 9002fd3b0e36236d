"""Show a progress bar on standard error while an input is read for more than ``AFTER_S`` seconds."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Protocol

from monitor.protocol.messages import Record

AFTER_S = 3.0
EVERY = 1000  # records between two reads of the clock


class Source(Protocol):
    """An input that reports its progress.

    ``done`` and ``total`` are in ``unit``; ``total`` is None if it is unknown.
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
    """Return the records of a source; show a progress bar while they are read.

    Args:
        source: the input.
        shown: whether to show the bar at all.
        clock: monotonic time, seconds.
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
        if bar.live.is_started:  # stopping a bar that was never shown would print an empty line
            bar.stop()
