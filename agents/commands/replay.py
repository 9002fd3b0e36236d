"""``python -m agents replay``: what would have been told and paged, from the events topic between two times.
Nothing is written, no group joined.

The records of all partitions are laid side by side by the time they have come to, and go through the same
core into the same reports as files do (``monitor.cli.replay``). Unlike a file, a topic knows when each record was
appended, so a clock that is ahead counts as it does for a worker.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import logging
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError, KafkaTimeoutError

from agents.commands.topics import await_broker
from agents.dead_letters.records import PATIENCE_S, connection
from agents.process import exits
from monitor.backtest.event_files import Chosen, Unreadable
from monitor.cli.options import add_options, configurations, refuse_wrong
from monitor.cli.replay import run, silence_a_closed_pipe
from monitor.wording.sanitize import sanitize
from schemas.config.load import InvalidConfig, load
from schemas.config.monitor_config import Kafka
from schemas.event_decoder import InvalidEvent, decode, microseconds
from softfail.partitioning import partition_of

# records of a partition that wait for the others: above the first it rests, below the second it is read again
FULL, ROOM = 4000, 1000


class TopicLog:
    """The committed records of a topic that were appended in [``since_ms``, ``until_ms``), up to where it
    ended when it was asked.

    ``done`` of ``total`` offsets are read. ``misplaced``: records that lie in a partition that is not theirs;
    a worker has sent each on, and measures it where it then lies. ``is_cut``: whether older records that were
    asked for are deleted.

    Raises:
        Misconfigured: there is no such topic.
    """

    unit = "records"

    def __init__(self, kafka: Kafka, topic: str, since_ms: int | None, until_ms: int | None) -> None:
        self._consumer = KafkaConsumer(
            **connection(kafka),
            enable_auto_commit=False,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=1 << 20,
        )
        if topic not in self._consumer.topics():  # asking for it by name would make it, on some brokers
            self._consumer.close()
            raise exits.Misconfigured(
                f"topic {topic} does not exist; check kafka.prefix or --topic, or run: python -m agents"
                " topics"
            )
        self.topic, self.misplaced, self.done = topic, 0, 0
        self._tps = [
            TopicPartition(topic, number) for number in sorted(self._consumer.partitions_for_topic(topic))
        ]
        begins, self._ends = (
            self._consumer.beginning_offsets(self._tps),
            dict(self._consumer.end_offsets(self._tps)),
        )
        self._starts = {**begins, **self._offsets_at(since_ms)}
        self._ends |= {tp: min(offset, self._ends[tp]) for tp, offset in self._offsets_at(until_ms).items()}
        self.is_cut = since_ms is not None and any(0 < begins[tp] == self._starts[tp] for tp in self._tps)
        self.total = sum(max(0, self._ends[tp] - self._starts[tp]) for tp in self._tps)
        self._held: dict[Any, deque[Any]] = {tp: deque() for tp in self._tps}

    def __enter__(self) -> TopicLog:
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.close()

    def records(self) -> Iterator[Any]:
        """Each partition in its own order, the partitions side by side by the time they have come to.

        Raises:
            KafkaTimeoutError: the broker gives nothing for 30 s although there is more.
        """
        if not self.total:
            return iter(())
        self._consumer.assign(self._tps)
        for tp, offset in self._starts.items():
            self._consumer.seek(tp, offset)
        return (record for *_, record in heapq.merge(*map(self._timed, self._tps)))

    def _offsets_at(self, time_ms: int | None) -> dict[Any, int]:
        """The first offset of each partition that was appended then or later."""
        if time_ms is None:
            return {}
        found = self._consumer.offsets_for_times(dict.fromkeys(self._tps, max(0, time_ms)))
        return {tp: self._ends[tp] if (at := found.get(tp)) is None else at.offset for tp in self._tps}

    def _timed(self, tp: Any) -> Iterator[tuple[int, int, int, Any]]:
        reached, partitions = 0, len(self._tps)
        for record in self._read(tp):
            try:
                event = decode(record.value or b"")
            except InvalidEvent:
                pass  # it becomes a dead letter where it stands
            else:
                if partition_of(event.service, event.feature, partitions) != tp.partition:
                    self.misplaced += 1
                    continue
                reached = max(reached, min(microseconds(event.time), record.timestamp * 1000))
            yield reached, tp.partition, record.offset, record

    def _read(self, tp: Any) -> Iterator[Any]:
        held = self._held[tp]
        while held or self._fetch(tp):
            yield held.popleft()

    def _fetch(self, wanted: Any) -> bool:
        """Wait for more of one partition, and take what comes of the others; False if it has been read."""
        consumer, held = self._consumer, self._held
        deadline = time.monotonic() + PATIENCE_S
        while not held[wanted]:
            if self._starts[wanted] >= self._ends[wanted] or consumer.position(wanted) >= self._ends[wanted]:
                return False
            ended = {tp for tp in self._tps if consumer.position(tp) >= self._ends[tp]}
            consumer.pause(*(tp for tp in self._tps if tp in ended or len(held[tp]) >= FULL))
            consumer.resume(*(tp for tp in self._tps if tp not in ended and len(held[tp]) <= ROOM))
            batches = consumer.poll(timeout_ms=500, max_records=5000)
            if batches:
                deadline = time.monotonic() + PATIENCE_S
            elif time.monotonic() > deadline:
                raise KafkaTimeoutError(
                    f"{self.topic}/{wanted.partition}: no record came for {PATIENCE_S:.0f} s, though there"
                    " are more; try again"
                )
            for tp, records in batches.items():
                held[tp].extend(record for record in records if record.offset < self._ends[tp])
            self.done = sum(
                min(consumer.position(tp), self._ends[tp]) - self._starts[tp]
                for tp in self._tps
                if self._starts[tp] < self._ends[tp]
            )
        return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m agents replay",
        description=(
            "Run the rules over the events topic between two times (of appending), and tell what would have "
            "paged. Nothing is written to Kafka."
        ),
    )
    add_options(parser)
    parser.add_argument("--topic", metavar="NAME", help="another topic of events; by default PREFIX.events")
    return parser


def _replay(options: argparse.Namespace, kafka: Kafka) -> int:
    topic = options.topic or f"{kafka.prefix}.events"
    since_ms, until_ms = (None if one is None else -(-one // 1000) for one in (options.since, options.until))
    configs = configurations(options)
    now_us = time.time_ns() // 1000
    with TopicLog(kafka, topic, since_ms, until_ms) as log:
        if log.is_cut:
            print(
                f"{topic} begins after --from: what was appended before is deleted (retention), and is not in"
                " the report",
                file=sys.stderr,
            )
        if not log.total:
            print(
                f"{topic} has no record of these times; give others, or none for all that it holds",
                file=sys.stderr,
            )
        until_us = min(now_us, options.until or now_us)
        run(options, configs, log, Chosen(match=options.match), letters_told=False, until_us=until_us)
        if log.misplaced:
            print(
                f"{log.misplaced} records lie in a partition that is not their own; what a worker has sent on"
                " was measured there",
                file=sys.stderr,
            )
    return exits.OK


def main(argv: Sequence[str] | None = None) -> int:
    """0 when the report is written, 2 for wrong arguments, 78 when the configuration or Kafka does not allow
    it.
    """
    parser = _parser()
    options = parser.parse_args(argv)
    refuse_wrong(parser, options)
    logging.getLogger("kafka").setLevel(logging.CRITICAL)  # what matters of it is raised, and said once
    path: Path | None = options.config
    try:
        kafka = load(path, with_secrets="kafka").kafka
        if kafka.embedded:
            raise exits.Misconfigured(
                "kafka.embedded: the embedded broker keeps nothing; this needs an Apache Kafka"
            )
        asyncio.run(await_broker(kafka, patience_s=10))
        return _replay(options, kafka)
    except (InvalidConfig, exits.Misconfigured, Unreadable) as error:
        print(sanitize(str(error), lines=True), file=sys.stderr)
        return exits.CONFIGURATION
    except KafkaError as error:
        print(f"Kafka refuses: {sanitize(f'{type(error).__name__}: {error}')}", file=sys.stderr)
        return exits.CONFIGURATION
    except BrokenPipeError:
        return exits.OK
    except KeyboardInterrupt:
        print("stopped; nothing was written", file=sys.stderr)
        return 130
    finally:
        silence_a_closed_pipe()
