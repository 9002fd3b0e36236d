"""``python -m agents replay`` without Kafka: refused arguments, and how partitions are merged."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition

from agents.commands.replay import main
from agents.kafka.event_log import EventLog
from agents.process import exits
from softfail.partitioning import partition_of

PARTITIONS = 3
NAMES = {partition_of("bot", name, PARTITIONS): name for name in ("a", "b", "c", "d", "e", "f", "g", "h")}
"""A feature for each partition."""


def record(partition, offset, second, *, appended=None, feature=None, value=None):
    time = datetime.fromtimestamp(second, UTC).isoformat()
    event = {
        "kind": "response",
        "event_id": "e",
        "time": time,
        "service": "bot",
        "feature": feature or NAMES[partition],
        "model": "m",
    }
    return SimpleNamespace(
        topic="t.events",
        partition=partition,
        offset=offset,
        timestamp=(second if appended is None else appended) * 1000,
        key=None,
        value=json.dumps(event).encode() if value is None else value,
        headers=[],
    )


class Reader:
    """Records in memory, read like ``BlockingTopicReader`` does: a hundred of one partition at a time."""

    def __init__(self, records, begins=None):
        self.log, self.first = defaultdict(list), begins or {}
        for record in records:
            self.log[TopicPartition(record.topic, record.partition)].append(record)
        self.positions = {}

    def partitions(self, topic):
        return [TopicPartition(topic, number) for number in range(PARTITIONS)] if topic == "t.events" else []

    def begins(self, partitions):
        return {partition: self.first.get(partition.partition, 0) for partition in partitions}

    def ranges(self, partitions, since_ms=None, until_ms=None):
        def offset(partition, time_ms):
            records = self.log[partition]
            end = records[-1].offset + 1 if records else 0
            return next((record.offset for record in records if record.timestamp >= time_ms), end)

        begins = self.begins(partitions)
        return {
            partition: range(
                begins[partition] if since_ms is None else offset(partition, since_ms),
                offset(partition, float("inf") if until_ms is None else until_ms),
            )
            for partition in partitions
        }

    def assign(self, ranges):
        self.ranges_read = dict(ranges)
        self.positions = {partition: offsets.start for partition, offsets in ranges.items()}

    def position(self, partition):
        return self.positions[partition]

    def fetch(self, partition):
        first, stop = self.positions[partition], self.ranges_read[partition].stop
        records = [record for record in self.log[partition] if first <= record.offset < stop][:100]
        self.positions[partition] = records[-1].offset + 1 if records else stop
        return records


@pytest.fixture
def opened():
    def make(records, since_ms=None, until_ms=None, **more):
        return EventLog(Reader(records, **more), "t.events", since_ms, until_ms)

    return make


def test_partitions_are_merged_by_running_maximum_time_and_each_keeps_its_order(opened):
    log = opened(
        [
            record(0, 0, 10),
            record(0, 1, 40),
            record(0, 2, 20),
            record(1, 0, 15),
            record(1, 1, 30),
            record(2, 0, 35),
        ]
    )
    assert [(record.partition, record.offset) for record in log.records()] == [
        (0, 0),
        (1, 0),
        (1, 1),
        (2, 0),
        (0, 1),
        (0, 2),
    ]
    assert log.done == log.total == 6


def test_a_producer_with_a_fast_clock_does_not_delay_its_partition(opened):
    log = opened([record(0, 0, 9000, appended=10), record(0, 1, 20), record(1, 0, 15)])
    assert [(record.partition, record.offset) for record in log.records()] == [(0, 0), (1, 0), (0, 1)]


def test_an_event_in_a_foreign_partition_is_omitted_because_a_worker_forwards_it(opened):
    log = opened([record(0, 0, 10, feature=NAMES[1]), record(1, 0, 11), record(1, 1, 12)])
    assert [(record.partition, record.offset) for record in log.records()] == [(1, 0), (1, 1)]
    assert log.misplaced == 1


def test_an_unreadable_record_keeps_its_position(opened):
    log = opened([record(0, 0, 10), record(0, 1, 0, appended=11, value=b"garbage"), record(0, 2, 12)])
    assert [record.offset for record in log.records()] == [0, 1, 2]


def test_the_range_is_in_append_times_and_excludes_its_end(opened):
    records = [record(number % PARTITIONS, number // PARTITIONS, number) for number in range(90)]
    log = opened(records, since_ms=30_000, until_ms=60_000)
    assert sorted(record.timestamp // 1000 for record in log.records()) == list(range(30, 60))
    assert not log.is_cut


def test_a_range_without_records_gives_none_and_does_not_wait(opened):
    log = opened([record(0, 0, 10)], since_ms=50_000)
    assert (log.total, list(log.records())) == (0, [])


def test_a_log_that_starts_after_the_requested_time_is_reported(opened):
    assert opened([record(0, 7, 100)], since_ms=50_000, begins={0: 7}).is_cut
    assert not opened([record(0, 7, 100)], since_ms=None, begins={0: 7}).is_cut
    assert not opened([record(0, 7, 40), record(0, 8, 100)], since_ms=50_000, begins={0: 7}).is_cut


def test_a_long_partition_waits_in_the_broker_and_not_in_memory(opened):
    log = opened(
        [record(0, number, 10_000 + number) for number in range(12_000)]
        + [record(1, number, number) for number in range(12_000)]
    )
    given, read_ahead = 0, 0
    for given, _ in enumerate(log.records(), 1):
        read_ahead = max(read_ahead, log.done - given)
    assert given == log.done == log.total == 24_000
    assert read_ahead < 100 * PARTITIONS


def test_an_unknown_topic_is_an_error_that_names_the_remedy():
    with pytest.raises(
        exits.Misconfigured, match=r"topic x.events does not exist; check kafka.prefix or --topic"
    ):
        EventLog(Reader([]), "x.events", None, None)


def test_the_embedded_broker_stores_nothing_to_replay(tmp_path, capsys):
    config = tmp_path / "softfail.yaml"
    config.write_text("kafka: {embedded: true}\n")
    assert main(["--config", str(config)]) == exits.CONFIGURATION
    assert "embedded broker keeps nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--from", "2026-11-03", "--to", "2026-11-02"], "--from must be before --to"),
        (["--to", "soon"], "'soon' is not a time"),
        (["file.ndjson"], "unrecognized arguments"),
    ],
)
def test_invalid_arguments_exit_with_2(arguments, message, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert message in capsys.readouterr().err


def test_an_unreachable_broker_is_an_error_that_names_it(tmp_path, capsys, free_port):
    config = tmp_path / "softfail.yaml"
    config.write_text(f"kafka: {{brokers: 'localhost:{free_port()}'}}\n")
    assert main(["--config", str(config)]) == exits.CONFIGURATION
    assert "localhost" in capsys.readouterr().err
