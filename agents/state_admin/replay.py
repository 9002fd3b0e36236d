"""Replay the log of a source through a new core and return the state that results. Nothing is published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiokafka import ConsumerRecord, TopicPartition
from faust.types import TP

from agents.kafka.topic_reader import TopicReader
from agents.runtime.clock import TICK_S, WallClock, wall_clock_us
from monitor.protocol.limits import MAX_AHEAD_US
from monitor.protocol.messages import Record
from monitor.watch import Watch
from monitor.windows.segment_series import HOUR_US
from schemas.config.connections import Kafka
from softfail.evaluator import Verdict
from softfail.evaluator_pool import Request

Evaluate = Callable[[Sequence[Request], float], Mapping[Request, Verdict]]
# records between two times that changes are collected, so that deleted panes do not pile up
FOLD = 100_000
STEP_MS = 1000  # of append time that are applied together, as by a worker that keeps up


@dataclass
class ReplayResult:
    """The result of a replay. ``since_us``: from where on the log is complete; None: it has all that was ever
    counted.
    """

    first: int
    since_us: int | None = None
    events: int = 0
    records: dict[bytes, bytes] = field(default_factory=dict)

    def covers(self, start_us: int) -> bool:
        """Return whether the log is complete for a pane that begins here, microseconds since 1970."""
        return self.since_us is None or start_us >= self.since_us


class _CaughtUpWorker:
    """A core that reads like a worker that always keeps up: between records it advances with the clock."""

    def __init__(
        self, watch: Watch, until_us: int, replayed: ReplayResult, evaluate: Evaluate = lambda *_: {}
    ) -> None:
        self._evaluate = evaluate
        self._watch, self._until_us, self._replayed = watch, until_us, replayed
        self._pane_us = watch.partition_state.pane_us
        self._clock = WallClock()
        self._folded = 0

    def take(self, records: list[ConsumerRecord]) -> None:
        """Apply records that were appended within a second."""
        now_us = max(record.timestamp for record in records) * 1000
        watch = self._watch
        if watch.watermark_us is not None:
            self.advance(self._clock.mark(watch.watermark_us, now_us / 1e6) - round(TICK_S * 1e6), now_us)
        taken: list[Record] = list(records)
        if requests := watch.requests(taken):
            watch.give(self._evaluate(requests, now_us / 1e6))
        watch.apply(taken, now_us)
        if watch.watermark_us is not None:
            self._clock.mark(watch.watermark_us, now_us / 1e6)
        self._replayed.events += len(records)
        if self._replayed.events - self._folded >= FOLD:
            self.fold()

    def advance(self, mark_us: int, now_us: int) -> None:
        """Advance the watermark pane by pane, but not beyond that of the state."""
        watch, mark_us = self._watch, min(mark_us, self._until_us)
        while watch.watermark_us is not None and watch.watermark_us < mark_us:
            edge_us = (watch.watermark_us // self._pane_us + 1) * self._pane_us
            watch.advance(min(edge_us, mark_us), now_us)

    def fold(self) -> None:
        """Collect what has changed since the last call."""
        self._folded = self._replayed.events
        for key, value in self._watch.changed():
            self._replayed.records.pop(key, None)
            if value is not None:
                self._replayed.records[key] = value


async def replay(
    kafka: Kafka,
    source: TP,
    watch: Watch,
    first: int,
    position: int,
    until_us: int | None,
    *,
    whole: bool,
    evaluate: Evaluate,
) -> ReplayResult:
    """Apply [first, position) of a source.

    Args:
        until_us: the watermark of the state; the replay ends there.
        whole: whether the state began to count at ``first``.
        evaluate: runs evaluators of users; gets their requests, and the time in seconds for their budgets.

    Raises:
        Stalled: the log cannot be read up to the position.
    """
    result, tp = ReplayResult(first), TopicPartition(*source)
    follower = _CaughtUpWorker(watch, 2**62 if until_us is None else until_us, result, evaluate)
    async with TopicReader(kafka) as reader:
        async for records in reader.batches({tp: range(first, position)}):
            if result.since_us is None and not whole:
                # An event of a later time was appended later, unless a clock was ahead; rolled-up panes begin
                # at hours.
                result.since_us = -(-(records[0].timestamp * 1000 + MAX_AHEAD_US) // HOUR_US) * HOUR_US
            for batch in _seconds(records):
                follower.take(batch)
    if not whole and result.since_us is None:
        result.since_us = 2**62  # the log is empty
    if until_us is not None:
        follower.advance(until_us, wall_clock_us())
    follower.fold()
    return result


def _seconds(records: list[ConsumerRecord]) -> list[list[ConsumerRecord]]:
    """Split records into runs that were appended within a second."""
    runs: list[list[ConsumerRecord]] = []
    for record in records:
        if not runs or record.timestamp - runs[-1][0].timestamp > STEP_MS:
            runs.append([])
        runs[-1].append(record)
    return runs
