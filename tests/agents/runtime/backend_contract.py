"""The laws of a backend, for the one in memory (tier ``check``) and for Kafka (tier ``integration``).

A test module imports them all and gives the fixture ``broker``, a ``Broker``.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced
from faust.types import TP

from agents.kafka.state_topic import HEADER, POSITION, keep_latest
from agents.process.exits import Misconfigured, Refused
from agents.runtime import changelog as changelog_module
from agents.runtime.backend import Backend, Row, Target, TransactionWriter
from agents.runtime.changelog import Changelog
from agents.runtime.faust_transport import Bundle, Continuity, continuity
from agents.runtime.state_header import LAYOUTS
from agents.state_admin.rewriter import Rewriter
from monitor.protocol.messages import Message, Outputs
from monitor.watch import Watch
from monitor.windows.format_versions import LAYOUT
from schemas.config.connections import Kafka
from schemas.config.monitor_config import Config

PARTITIONS = 2
LAYOUT_1 = Path(__file__).parents[2] / "monitor/state/layout1.watch.ndjson"


class Broker(Protocol):
    """Softfail's topics under a fresh prefix, the events with ``PARTITIONS`` partitions.

    Topics are named by their suffix: ``events``, ``watch.state``.
    """

    kafka: Kafka
    backend: Backend
    cluster: str

    async def publish(self, suffix: str, partition: int, *values: bytes) -> list[int]:
        """Append records outside of transactions and return their offsets."""

    async def leave_open(self, writer: TransactionWriter, target: Target, rows: Sequence[Row]) -> None:
        """Write rows and do not end the transaction, as a process that is killed then."""

    async def delete_before(self, suffix: str, partition: int, offset: int) -> None:
        """Delete records as retention does."""

    async def create_anew(self, suffix: str) -> None:
        """Delete a topic and create it again, empty."""

    async def refuse_above(self, suffix: str, most_bytes: int) -> None:
        """Refuse larger records."""

    async def compact(self, suffix: str) -> None:
        """Compact a topic, as far as this can be asked for."""

    def bundles(self, suffix: str, partition: int, position: int, most: int) -> AsyncIterator[Bundle]:
        """Fetch bundles as the transport does, from a position to the end."""


def target(broker: Broker, suffix: str, partition: int = 0) -> Target:
    return f"{broker.kafka.prefix}.{suffix}", partition


def rows(*pairs: tuple[bytes, bytes | None]) -> list[Row]:
    return [(key, value, ()) for key, value in pairs]


async def started(broker: Broker, name: str = "w") -> TransactionWriter:
    writer = broker.backend.writer(transactional_id=f"{broker.kafka.prefix}.{name}")
    await writer.start()
    return writer


async def read(broker: Broker, suffix: str, partition: int = 0, stop: int | None = None) -> list[Any]:
    """All committed records of a partition up to ``stop`` (None: its end)."""
    where = TopicPartition(*target(broker, suffix, partition))
    records: list[Any] = []
    async with broker.backend.reader() as reader:
        begin = (await reader.begins([where]))[where]
        end = (await reader.ends([where]))[where] if stop is None else stop
        async for batch in reader.batches({where: range(begin, end)}, 3):
            assert len(batch) <= 3
            records += batch
    return records


def values(records: Sequence[Any]) -> list[bytes]:
    return [record.value for record in records]


# ---- transactions


def test_a_transaction_is_read_in_order_from_all_its_partitions(broker: Broker):
    async def scene() -> None:
        writer = await started(broker)
        offsets = await writer.transact(
            {
                target(broker, "windows", 1): rows(*((b"k%d" % n, b"%d" % n) for n in range(8))),
                target(broker, "alerts"): [(None, b"page", (("traceparent", b"\xff"),))],
            }
        )
        windows = await read(broker, "windows", 1)
        assert values(windows) == [b"%d" % n for n in range(8)]
        assert windows[-1].offset == offsets[target(broker, "windows", 1)]
        (alert,) = await read(broker, "alerts")
        assert (alert.key, alert.value, list(alert.headers)) == (None, b"page", [("traceparent", b"\xff")])
        assert await writer.partitions(target(broker, "events")[0]) == PARTITIONS
        await writer.stop()

    asyncio.run(scene())


def test_records_of_an_open_transaction_are_after_the_end(broker: Broker):
    async def scene() -> None:
        writer = await started(broker)
        await writer.transact({target(broker, "alerts"): rows((b"a", b"1"))})
        await broker.leave_open(writer, target(broker, "alerts"), rows((b"a", b"open")))
        await broker.publish("alerts", 0, b"behind")
        assert values(await read(broker, "alerts")) == [b"1"]
        await writer.stop()

    asyncio.run(scene())


def test_a_new_writer_aborts_the_open_transaction_of_its_predecessor(broker: Broker):
    async def scene() -> None:
        gone = await started(broker)
        await broker.leave_open(gone, target(broker, "windows"), rows((b"a", b"half")))
        successor = await started(broker)
        last = await successor.transact({target(broker, "windows"): rows((b"a", b"2"))})
        records = await read(broker, "windows", stop=last[target(broker, "windows")] + 1)
        assert values(records) == [b"2"]
        await asyncio.gather(gone.stop(), successor.stop())

    asyncio.run(scene())


def test_a_fenced_writer_writes_nothing_and_a_writer_of_another_id_is_not_fenced(broker: Broker):
    async def scene() -> None:
        # aiokafka leaves futures of a fenced producer that nobody looks at
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        zombie, other = await started(broker), await started(broker, "other")
        await zombie.transact({target(broker, "windows"): rows((b"a", b"1"))})
        successor = await started(broker)
        with pytest.raises(ProducerFenced):
            await zombie.transact({target(broker, "windows"): rows((b"a", b"zombie"))})
        await other.transact({target(broker, "windows"): rows((b"a", b"other"))})
        await successor.transact({target(broker, "windows"): rows((b"a", b"2"))})
        assert values(await read(broker, "windows")) == [b"1", b"other", b"2"]
        await asyncio.gather(zombie.stop(), other.stop(), successor.stop())

    asyncio.run(scene())


def test_a_refused_record_leaves_nothing_of_its_transaction(broker: Broker):
    """aiokafka would commit the rest."""

    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        await broker.refuse_above("windows", 2000)
        writer = await started(broker)
        await writer.transact({target(broker, "windows"): rows((b"a", b"small"))})
        with pytest.raises(KafkaError):
            await writer.transact(
                {
                    target(broker, "watch.state"): rows((b"pane", b"1")),
                    target(broker, "windows"): rows((b"a", b"x" * 100_000)),
                }
            )
        with pytest.raises((KafkaError, AssertionError)):  # aiokafka asserts; the writer is of no use now
            await writer.transact({target(broker, "watch.state"): rows((b"pane", b"2"))})
        await (await started(broker)).stop()
        assert values(await read(broker, "windows")) == [b"small"]
        assert await read(broker, "watch.state") == []
        await writer.stop()

    asyncio.run(scene())


def test_a_compacted_topic_refuses_a_record_without_a_key(broker: Broker):
    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        writer = await started(broker)
        with pytest.raises(KafkaError):
            await writer.transact({target(broker, "watch.state"): [(None, b"1", ())]})
        await writer.stop()
        await (await started(broker)).stop()
        assert await read(broker, "watch.state") == []

    asyncio.run(scene())


def test_a_log_starts_after_its_deleted_records(broker: Broker):
    async def scene() -> None:
        await broker.publish("events", 1, *(b"%d" % n for n in range(10)))
        await broker.delete_before("events", 1, 4)
        assert values(await read(broker, "events", 1)) == [b"%d" % n for n in range(4, 10)]

    asyncio.run(scene())


def test_compaction_keeps_the_latest_record_of_each_key_and_the_offsets(broker: Broker):
    async def scene() -> None:
        writer = await started(broker)
        for value in (b"1", b"2", b"3"):
            await writer.transact({target(broker, "watch.state"): rows((b"a", value), (b"b", value))})
        await writer.transact({target(broker, "watch.state"): rows((b"b", None), (b"c", b"4"))})
        before = {record.key: record.offset for record in await read(broker, "watch.state")}
        await broker.compact("watch.state")
        latest: dict[bytes, bytes] = {}
        records = await read(broker, "watch.state")
        keep_latest(latest, records)
        assert latest == {b"a": b"3", b"c": b"4"}
        assert {record.key: record.offset for record in records} == before
        await writer.stop()

    asyncio.run(scene())


# ---- the log of state


def changelog_of(
    broker: Broker, partition: int = 0, *, cluster: str | None = None, **kafka: Any
) -> Changelog:
    return Changelog(
        broker.kafka.model_copy(update=kafka),
        "watch",
        TP(f"{broker.kafka.prefix}.events", partition),
        broker.cluster if cluster is None else cluster,
        backend=broker.backend,
    )


def rewriter_of(broker: Broker) -> Rewriter:
    return Rewriter(
        broker.kafka, "watch", TP(f"{broker.kafka.prefix}.events", 0), broker.cluster, backend=broker.backend
    )


async def reopened(
    broker: Broker, partition: int = 0, **kafka: Any
) -> tuple[dict[bytes, bytes], int, bool, int]:
    """What a new owner restores: records, position, whether it is fresh, and how many offsets are lost."""
    changelog = changelog_of(broker, partition, **kafka)
    recovered = await changelog.open()
    await changelog.close()
    assert recovered.partitions == PARTITIONS
    records = {key: value for key, value in recovered.records if value is not None}
    return records, recovered.position, recovered.fresh, recovered.lost


def test_a_partition_without_state_starts_where_configured(broker: Broker):
    async def scene() -> None:
        await broker.publish("events", 0, *(b"%d" % n for n in range(9)))
        await broker.delete_before("events", 0, 4)
        assert await reopened(broker) == ({}, 4, True, 0)
        assert await reopened(broker, start="latest") == ({}, 9, True, 0)

    asyncio.run(scene())


def test_a_restored_state_equals_the_last_written_state(broker: Broker):
    async def scene() -> None:
        await broker.publish("events", 0, *(b"%d" % n for n in range(9)))
        changelog = changelog_of(broker)
        await changelog.open()
        await changelog.write(3, [(b"a", b"1"), (b"b", b"1"), (b"c", b"1")], Outputs())
        await changelog.write(5, [(b"a", b"2"), (b"b", None)], Outputs({"windows": [Message(b"w", b"5")]}))
        assert (changelog.records, changelog.bytes) == (2, 4)
        await changelog.close()
        await broker.compact("watch.state")
        assert await reopened(broker) == ({b"a": b"2", b"c": b"1"}, 5, False, 0)
        assert await reopened(broker, 1) == ({}, 0, True, 0)
        assert values(await read(broker, "windows")) == [b"5"]

    asyncio.run(scene())


def test_an_owner_that_resumes_after_its_successor_started_writes_nothing(broker: Broker):
    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        await broker.publish("events", 0, *(b"%d" % n for n in range(20)))
        zombie, successor = changelog_of(broker), changelog_of(broker)
        await zombie.open()
        await zombie.write(5, [(b"k", b"5")], Outputs())
        assert (await successor.open()).position == 5
        await successor.write(10, [(b"k", b"10")], Outputs())
        with pytest.raises(ProducerFenced):
            await zombie.write(7, [(b"k", b"7")], Outputs({"windows": [Message(b"w", b"zombie")]}))
        await asyncio.gather(zombie.close(), successor.close())
        assert await reopened(broker) == ({b"k": b"10"}, 10, False, 0)
        assert await read(broker, "windows") == []

    asyncio.run(scene())


def test_the_open_transaction_of_a_vanished_owner_is_aborted_without_waiting(broker: Broker):
    """It would hold back everything behind it for as long as its timeout, 20 s."""

    async def scene() -> None:
        await broker.publish("events", 0, *(b"%d" % n for n in range(20)))
        gone = changelog_of(broker)
        await gone.open()
        await gone.write(5, [(b"k", b"5")], Outputs())
        await broker.leave_open(gone._writer, target(broker, "watch.state"), rows((b"k", b"half")))
        async with asyncio.timeout(10):
            assert await reopened(broker) == ({b"k": b"5"}, 5, False, 0)
        await gone.close()

    asyncio.run(scene())


def test_a_checkpoint_with_a_refused_record_leaves_nothing(broker: Broker):
    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        await broker.publish("events", 0, *(b"%d" % n for n in range(20)))
        await broker.refuse_above("windows", 2000)
        changelog = changelog_of(broker)
        await changelog.open()
        await changelog.write(5, [(b"k", b"5")], Outputs({"windows": [Message(b"w", b"small")]}))
        with pytest.raises(KafkaError):
            await changelog.write(9, [(b"k", b"9")], Outputs({"windows": [Message(b"w", b"x" * 100_000)]}))
        await changelog.close()
        assert await reopened(broker) == ({b"k": b"5"}, 5, False, 0)
        assert values(await read(broker, "windows")) == [b"small"]

    asyncio.run(scene())


def test_a_recreated_source_topic_is_refused(broker: Broker, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(changelog_module, "SETTLE_S", 1)

    async def scene() -> None:
        await broker.publish("events", 0, *(b"%d" % n for n in range(20)))
        changelog = changelog_of(broker)
        await changelog.open()
        await changelog.write(20, [(b"k", b"20")], Outputs())
        await changelog.close()
        await broker.create_anew("events")
        with pytest.raises(Misconfigured, match=r"ends at 0, but .* position 20: was the topic re-created"):
            await reopened(broker)

    asyncio.run(scene())


def test_events_deleted_before_they_were_applied_are_counted_as_lost(broker: Broker):
    async def scene() -> None:
        await broker.publish("events", 0, *(b"%d" % n for n in range(20)))
        changelog = changelog_of(broker)
        await changelog.open()
        await changelog.write(5, [(b"k", b"5")], Outputs())
        await changelog.close()
        await broker.delete_before("events", 0, 12)
        assert await reopened(broker) == ({b"k": b"5"}, 12, False, 7)

    asyncio.run(scene())


def test_state_of_another_cluster_is_refused(broker: Broker):
    async def scene() -> None:
        changelog = changelog_of(broker, cluster="another")
        await changelog.open()
        await changelog.write(0, [(b"k", b"5")], Outputs())
        await changelog.close()
        with pytest.raises(Misconfigured, match="its cluster is 'another'"):
            await reopened(broker)

    asyncio.run(scene())


def test_a_rewrite_fences_a_zombie_and_a_starting_worker_fences_a_rewrite(broker: Broker):
    async def scene() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        zombie = changelog_of(broker)
        await zombie.open()
        await zombie.write(0, [(b"a", b"1")], Outputs())
        rewriter = rewriter_of(broker)
        records = await rewriter.fence_and_read()
        assert records[b"a"] == b"1"
        worker = changelog_of(broker)  # starts between what was read and what is written
        await worker.open()
        await worker.write(0, [(b"b", b"2")], Outputs())
        with pytest.raises(Refused, match="took"):
            await rewriter.rewrite([(key, None) for key in records])
        await asyncio.gather(rewriter.close(), worker.close())
        rewriter = rewriter_of(broker)
        await rewriter.rewrite([(key, None) for key in await rewriter.fence_and_read()])
        with pytest.raises(ProducerFenced):
            await zombie.write(0, [(b"a", b"3")], Outputs())
        await asyncio.gather(rewriter.close(), zombie.close())
        assert await reopened(broker) == ({}, 0, True, 0)

    asyncio.run(scene())


def test_a_partition_of_version_1_is_upgraded_and_then_refused_by_older_workers(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
):
    lines = LAYOUT_1.read_text().splitlines()
    old = {base64.b64decode(key): base64.b64decode(value) for key, value in map(json.loads, lines)}
    header = {
        "layout": 1,
        "agent": "watch",
        "cluster": broker.cluster,
        "source": f"{broker.kafka.prefix}.events",
        "partitions": PARTITIONS,
    }

    async def opened() -> tuple[Changelog, Watch]:
        changelog, watch = changelog_of(broker), Watch(Config())
        watch.restore((await changelog.open()).records)
        return changelog, watch

    async def opened_by_an_older_worker() -> Changelog:
        with monkeypatch.context() as older:
            older.setitem(LAYOUTS, "watch", 1)
            return (await opened())[0]

    def panes(watch: Watch) -> dict[Any, Any]:
        return {
            (segment_key, start_us): pane.state()
            for feature in watch.partition_state.features.values()
            for segment_key, segment in feature.segments.items()
            for start_us, pane in segment.panes.items()
        }

    async def scene() -> None:
        rewriter = rewriter_of(broker)
        await rewriter.fence_and_read()
        await rewriter.rewrite([(HEADER, json.dumps(header).encode()), (POSITION, b"0"), *old.items()])
        await rewriter.close()
        changelog, watch = await opened()  # it looks, and goes away without a checkpoint: nothing has changed
        await changelog.close()
        await (await opened_by_an_older_worker()).close()
        changelog, watch = await opened()
        await changelog.write(0, watch.changed(), Outputs())
        await changelog.close()
        with pytest.raises(
            Misconfigured,
            match=rf"newer softfail \(layout {LAYOUT}, this one knows 1\); upgrade this worker",
        ):
            await opened_by_an_older_worker()
        changelog, again = await opened()
        await changelog.close()
        assert panes(again) == panes(watch) != {}
        latest: dict[bytes, bytes] = {}
        keep_latest(latest, await read(broker, "watch.state"))
        assert json.loads(latest[HEADER])["layout"] == LAYOUT
        assert {value[:2] for key, value in latest.items() if key not in (HEADER, POSITION)} == {
            bytes((0xC1, LAYOUT))
        }

    asyncio.run(scene())


# ---- the transport


def test_bundles_from_any_position_to_the_end_are_contiguous_although_the_log_has_gaps(broker: Broker):
    """Aborted records, transaction markers, and a log that ends with a marker."""

    async def scene() -> None:
        kept: list[bytes] = []
        for number in range(6):
            writer = await started(broker, "source")  # aborts what the one before left open
            values = [b"%d-%d" % (number, nth) for nth in range(5)]
            if number % 3 == 2:
                await broker.leave_open(writer, target(broker, "events"), rows(*((b"k", v) for v in values)))
            else:
                await writer.transact({target(broker, "events"): rows(*((b"k", v) for v in values))})
                kept += values
            await writer.stop()
        await (await started(broker, "source")).stop()
        where = TopicPartition(*target(broker, "events"))
        async with broker.backend.reader() as reader:
            end = (await reader.ends([where]))[where]
        for first in (0, 3, 11):
            position, records = first, []
            async for bundle in broker.bundles("events", 0, first, most=4):
                assert continuity(bundle.start, bundle.stop, position) is Continuity.JOINS
                assert bundle.start == position
                assert all(record.offset in range(bundle.start, bundle.stop) for record in bundle)
                records += bundle
                position = bundle.stop
            assert position == end
            expected = [record for record in await read(broker, "events") if record.offset >= first]
            assert [(record.offset, record.value) for record in records] == [
                (record.offset, record.value) for record in expected
            ]
            assert first or [record.value for record in records] == kept

    asyncio.run(scene())
