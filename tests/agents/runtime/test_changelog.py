"""The records that a changelog refuses, and the layout of a transaction. On Kafka: tests/durability."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import pytest
from faust.types import TP

from agents.kafka.state_topic import BARRIER, HEADER, POSITION
from agents.process import exits
from agents.runtime import changelog as changelog_module
from agents.runtime.changelog import Changelog, WriteResult
from agents.runtime.state_header import LAYOUTS
from agents.runtime.state_sizes import MOST_BYTES, MOST_STATE_BYTES
from monitor.protocol.messages import Message, Outputs
from schemas.config.connections import Kafka
from tests.agents.runtime.memory_backend import MemoryKafka, MemoryReader

HEAD = {"layout": LAYOUTS["watch"], "agent": "watch", "cluster": "c1", "source": "p.events", "partitions": 16}


def write(changelog: Any, changed: Any = (), **outputs: list[Message]) -> tuple[WriteResult, list[Any]]:
    async def scene() -> tuple[WriteResult, list[Any]]:
        left_out = await changelog.write(42, changed, Outputs(outputs))
        return left_out, changelog._writer._producer.committed[-1]

    return asyncio.run(scene())


def test_the_transactional_id_contains_prefix_agent_topic_and_partition(make_changelog):
    settings = make_changelog()._writer._producer.settings
    assert settings["transactional_id"] == "p.watch-p.events-6"
    assert settings["transaction_timeout_ms"] == 20_000
    assert settings["acks"] == "all"


def test_the_first_transaction_contains_the_header_and_each_contains_the_position(make_changelog):
    changelog = make_changelog()
    _, first = write(changelog, [(b"pane", b"1")])
    assert [(topic, partition, key) for topic, partition, key, _, _ in first] == [
        ("p.watch.state", 6, b"pane"),
        ("p.watch.state", 6, HEADER),
        ("p.watch.state", 6, POSITION),
    ]
    assert json.loads(first[1][3]) == HEAD
    _, second = write(changelog)
    assert [(key, value) for _, _, key, value, _ in second] == [(POSITION, b"42")]


def test_records_beyond_a_batch_stay_in_the_same_transaction_in_order(make_changelog):
    _, sent = write(make_changelog(), [(b"%d" % n, b"") for n in range(10)])
    assert [key for _, _, key, _, _ in sent] == [b"%d" % n for n in range(10)] + [HEADER, POSITION]


def test_outputs_go_to_the_topic_of_their_kind(make_changelog):
    _, sent = write(
        make_changelog(),
        windows=[Message(b"support-bot/answer", b"w")],
        alerts=[Message(b"any", b"a")],
        samples=[Message(None, b"s")],
        events=[Message(b"k", b"forwarded", 3, (("softfail-forwarded", b"1"),))],
    )
    assert {
        (topic, partition, value) for topic, partition, _, value, _ in sent if topic != "p.watch.state"
    } == {
        ("p.windows", 6, b"w"),
        ("p.alerts", 0, b"a"),
        ("p.samples", 2, b"s"),
        ("p.events", 3, b"forwarded"),
    }
    assert [headers for _, _, _, value, headers in sent if value == b"forwarded"] == [
        [("softfail-forwarded", b"1")]
    ]


def test_a_failed_batch_aborts_the_whole_transaction(make_changelog):
    changelog = make_changelog()
    with pytest.raises(ValueError, match="refused"):
        write(changelog, [(b"pane", b"1")], windows=[Message(b"k", b"refused")])
    assert changelog._writer._producer.committed == []


def test_a_state_record_above_the_limit_is_refused_by_its_key(make_changelog):
    with pytest.raises(exits.Misconfigured, match="b'pane'"):
        write(make_changelog(), [(b"pane", b"x" * (MOST_STATE_BYTES + 1))])


def test_a_large_state_record_accepted_by_kafka_is_written_counted_and_logged_by_key(make_changelog, caplog):
    written, sent = write(make_changelog(), [(b"pane", b"x" * (MOST_BYTES + 1)), (b"small", b"x")])
    assert written.large == 1
    assert {key for _, _, key, _, _ in sent} >= {b"pane", b"small"}
    assert "b'pane'" in caplog.text


def test_the_size_of_the_state_follows_writes_overwrites_and_deletions(make_changelog):
    changelog = make_changelog()
    write(changelog, [(b"a", b"x" * 9), (b"bb", b"x" * 98), (b"c", b"x")])
    write(changelog, [(b"bb", b"x" * 8), (b"c", None), (b"never", None)])
    assert (changelog.records, changelog.bytes) == (2, 10 + 10)


def test_a_key_reserved_by_the_store_is_refused(make_changelog):
    with pytest.raises(ValueError, match="zero byte"):
        write(make_changelog(), [(POSITION, b"7")])


def test_an_output_above_the_limit_is_omitted_and_counted_unless_its_input_was_as_large(make_changelog):
    huge = b"x" * (MOST_BYTES + 1)
    left_out, sent = write(
        make_changelog(),
        windows=[Message(b"k", huge), Message(b"k", b"small")],
        events=[Message(b"k", huge, 1)],
        deadletter=[Message(None, huge)],
    )
    assert left_out.oversized == 1
    assert sorted((topic, len(value)) for topic, _, _, value, _ in sent if topic != "p.watch.state") == [
        ("p.deadletter", len(huge)),
        ("p.events", len(huge)),
        ("p.windows", 5),
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"layout": LAYOUTS["watch"] + 1}, "newer softfail"),
        ({"layout": 0}, "no softfail has written"),
        ({"layout": -1}, "no softfail"),
        ({"layout": float("inf")}, "cannot be read"),
        ({"agent": "notify"}, "agent"),
        ({"cluster": "c2"}, "cluster"),
        ({"source": "q.events"}, "source"),
        ({"partitions": 8}, "partitions"),
        ({"layout": None}, "cannot be read"),
    ],
)
def test_a_foreign_state_is_refused_with_the_remedy(make_changelog, change, words):
    with pytest.raises(exits.Misconfigured, match=words) as caught:
        make_changelog()._check_header(json.dumps({**HEAD, **change}).encode(), 16, True)
    assert "p.watch.state/6" in str(caught.value)


def test_the_state_of_another_prefix_is_refused_because_of_its_source(make_changelog):
    other = Changelog(Kafka(prefix="q"), "watch", TP("q.events", 6), "c1")
    with pytest.raises(exits.Misconfigured, match=r"its source is 'q\.events', here it is 'p\.events'"):
        make_changelog()._check_header(other.header(16), 16, True)


def test_a_header_of_an_older_version_is_accepted_and_rewritten_with_the_first_record(make_changelog):
    changelog = make_changelog()
    changelog._check_header(json.dumps({**HEAD, "layout": 1, "began": 7}).encode(), 16, True)
    _, first = write(changelog, [(b"pane", b"1")])
    # in the same transaction
    assert [json.loads(value) for _, _, key, value, _ in first if key == HEADER] == [{**HEAD, "began": 7}]
    _, second = write(changelog, [(b"pane", b"2")])
    assert HEADER not in [key for _, _, key, _, _ in second]


def test_a_header_of_the_current_version_is_not_rewritten(make_changelog):
    changelog = make_changelog()
    changelog._check_header(json.dumps(HEAD).encode(), 16, True)
    assert HEADER not in [key for _, _, key, _, _ in write(changelog, [(b"pane", b"1")])[1]]


def test_records_without_a_header_are_refused(make_changelog):
    with pytest.raises(exits.Misconfigured, match="without a header"):
        make_changelog()._check_header(None, 16, True)


def test_the_matching_header_and_an_empty_topic_are_accepted(make_changelog):
    make_changelog()._check_header(json.dumps(HEAD).encode(), 16, True)
    make_changelog()._check_header(None, 16, False)


def source_log(begin: int = 0, early_ends: Sequence[int] = ()) -> MemoryReader:
    """A reader of a source of 100 events, of which those before ``begin`` are deleted."""
    kafka = MemoryKafka()
    kafka.create("p.events", 16)
    kafka.publish("p.events", 6, *[(None, b"event")] * 100)
    kafka.log("p.events", 6).delete_before(begin)
    kafka.early_ends = [*early_ends]
    return kafka.reader()


def test_recovery_returns_the_latest_value_of_each_key_up_to_the_barrier(make_changelog, monkeypatch):
    monkeypatch.setattr(changelog_module, "READ_RECORDS", 2)
    kafka = MemoryKafka()
    kafka.create("p.watch.state", 16, compacted=True)
    written = [(BARRIER, b""), (b"a", b"1"), (b"b", b"1"), (b"a", b"2"), (b"b", None), (BARRIER, b"")]
    barrier = kafka.publish("p.watch.state", 6, *written)[-1]
    kafka.publish("p.watch.state", 6, (b"a", b"after the barrier"))
    changelog = make_changelog()
    assert asyncio.run(changelog._read_to(kafka.reader(), barrier)) == {b"a": b"2"}
    assert (changelog.restored, changelog.share) == (6, 1.0)


@pytest.mark.parametrize(
    ("recorded", "begin", "start", "expected"),
    [
        (None, "earliest", 7, (7, 0)),
        (None, "latest", 7, (100, 0)),
        (50, "latest", 7, (50, 0)),
        (100, "earliest", 7, (100, 0)),
        (3, "earliest", 7, (7, 4)),
    ],
    ids=["fresh", "fresh, from the latest", "inside", "at the end", "before the log: lost"],
)
def test_the_start_offset_follows_from_position_and_log(make_changelog, recorded, begin, start, expected):
    changelog = make_changelog()
    changelog._kafka = Kafka(prefix="p", start=begin)
    assert asyncio.run(changelog._begin_at(source_log(start), recorded)) == expected


def test_a_position_after_the_end_of_the_log_is_refused_and_never_reset(make_changelog, monkeypatch):
    monkeypatch.setattr(changelog_module, "SETTLE_S", 2)
    monkeypatch.setattr(changelog_module.asyncio, "sleep", lambda _: _soon())
    with pytest.raises(
        exits.Misconfigured,
        match=r"p\.events/6 ends at 100, but its state has position 101: was the topic re-created",
    ):
        asyncio.run(make_changelog()._begin_at(source_log(), 101))


def test_an_end_offset_below_the_position_is_requested_again_while_the_broker_starts(
    make_changelog, monkeypatch
):
    monkeypatch.setattr(changelog_module.asyncio, "sleep", lambda _: _soon())
    assert asyncio.run(make_changelog()._begin_at(source_log(early_ends=[0, 50]), 100)) == (100, 0)


async def _soon() -> None:
    return None
