"""Remedies against Faust and aiokafka, tested with their real classes without a broker. ``tests/removals.py``
names the test of each.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from faust.types import TP

from agents.process import exits
from agents.runtime import app, faust_transport, watchdog
from agents.runtime.faust_transport import Bundle
from monitor.protocol.messages import FileRecord
from schemas.config.connections import Kafka
from schemas.config.monitor_config import Config
from tests.polling import idle, until

A = TP("p.events", 0)


@pytest.fixture
def worker(counting) -> Any:
    """Make a worker that never connects. Call it inside an event loop."""

    def make() -> app.Worker:
        config = Config.model_validate(
            {"kafka": {"brokers": "127.0.0.1:1", "prefix": "p"}, "http": {"port": 6066}}
        )
        return app.Worker(config, [counting.CountingAgent()])

    return make


def made(start: int, n: int) -> Bundle:
    bundle = Bundle(FileRecord(b"", offset) for offset in range(start, start + n))
    bundle.start, bundle.stop = start, start + n
    return bundle


def test_all_records_of_a_fetch_pass_through_faust_as_one_message(worker, monkeypatch):
    async def scene() -> tuple[Any, int]:
        running = worker()
        bundle = made(7, 5000)

        async def fetched(*_: Any) -> Any:
            return {TopicPartition(*A): bundle}

        monkeypatch.setattr(faust_transport.driver.Consumer, "_getmany", fetched)
        consumer = running.faust.consumer
        assert isinstance(consumer, faust_transport.Consumer)
        (messages,) = (await consumer._getmany({A}, 1.0)).values()
        (event,) = [
            await faust_transport.Schema().compile(running.faust)(consumer._to_message(A, message))
            for message in messages
        ]
        return event.value is bundle, running.faust.conf.broker_max_poll_records

    assert asyncio.run(scene()) == (True, 5000)


def test_values_pass_through_faust_undecoded_so_that_no_value_can_crash_it(worker):
    """Faust's codec raises for an unreadable value, and with ``take`` the stream then stops."""

    async def scene() -> Any:
        running = worker()
        (agent,) = running.faust.agents.values()
        bundle = made(0, 1)
        message = running.faust.consumer._to_message(
            A, faust_transport.pseudo_message(TopicPartition(*A), bundle)
        )
        event = await agent.channel.schema.compile(running.faust)(message, propagate=True)
        return event.value is bundle

    assert asyncio.run(scene())


def test_a_worker_has_no_tables_no_leader_no_web_server_and_reads_only_its_sources(worker):
    async def scene() -> None:
        running = worker()
        await running.faust._leader_assignor.on_start()
        assert not list(running.faust.topics)  # the agents' are added when it starts
        assert (len(running.faust.tables), running.faust.tables.changelog_topics) == (0, set())
        assert (running.faust.conf.web_enabled, running.faust.conf.autodiscover) == (False, False)

    asyncio.run(scene())


def test_fetching_resumes_only_when_all_assigned_partitions_are_restored(worker, monkeypatch):
    """Faust waits for this signal's receivers, seeks, and then resumes (recovery.py:309)."""

    async def scene() -> None:
        running = worker()
        may, given = asyncio.Event(), []

        async def assign(tps: set[TP]) -> None:
            await may.wait()
            given.append(tps)

        monkeypatch.setattr(running.store, "assign", assign)
        running.faust.consumer = SimpleNamespace(assignment=lambda: {A})
        signalled = asyncio.create_task(running.faust.on_rebalance_complete.send())
        await idle()
        assert not signalled.done()
        may.set()
        await signalled
        assert given == [{A}]

    asyncio.run(scene())


def test_the_source_topics_are_compared_before_a_partition_is_assigned(worker, monkeypatch):
    async def scene() -> list[str]:
        running, steps = worker(), list[str]()

        async def look() -> None:
            steps.append("look")

        async def assign(_: set[TP]) -> None:
            steps.append("assign")

        monkeypatch.setattr(running.watchdog, "look_at_topics", look)
        monkeypatch.setattr(running.store, "assign", assign)
        running.faust.consumer = SimpleNamespace(assignment=lambda: {A})
        await running.faust.on_rebalance_complete.send()
        return steps

    assert asyncio.run(scene()) == ["look", "assign"]


def test_the_seek_after_a_rebalance_uses_the_durable_positions(worker, monkeypatch):
    """Faust calls ``perform_seek`` after the signal; its own seek would undo a seek in the signal."""

    async def scene() -> tuple[list[Any], Any]:
        running = worker()
        running.store.owned[A] = SimpleNamespace(position=42, durable=40)
        consumer, sought = running.faust.consumer, []
        inner = SimpleNamespace(
            seek=lambda tp, offset: sought.append((tp, offset)), assignment=lambda: {TopicPartition(*A)}
        )
        consumer._thread._consumer = inner

        async def call_thread(step: Any, *arguments: Any) -> Any:
            return await step(*arguments)

        monkeypatch.setattr(consumer._thread, "call_thread", call_thread)
        await consumer.perform_seek()
        return sought, consumer._read_offset[A]

    assert asyncio.run(scene()) == ([(TopicPartition(*A), 42)], None)


def test_a_bundle_that_starts_below_the_read_offset_of_faust_is_not_dropped(worker):
    """Faust's fetcher drops a message below its read offset (consumer.py:1209); a bundle that begins there
    may end above.
    """

    async def scene() -> list[int]:
        running = worker()
        consumer, through = running.faust.consumer, []

        async def callback(message: Any) -> None:
            through.append(message.offset)

        fetches = [100, 98, 90]

        async def getmany(timeout: float) -> Any:  # noqa: ASYNC109 - Faust's signature
            if not fetches:
                consumer._stopped.set()
                return
            yield (
                A,
                consumer._to_message(
                    A, faust_transport.pseudo_message(TopicPartition(*A), made(fetches.pop(0), 15))
                ),
            )

        consumer.callback, consumer.getmany = callback, getmany
        await asyncio.wait_for(consumer._drain_messages(SimpleNamespace(_stopped=asyncio.Event())), 10)
        return through

    assert asyncio.run(scene()) == [100, 98, 90]


def test_a_full_queue_never_removes_its_partition_from_the_fetched_partitions(worker):
    """Faust would remove it, and without any partition it sleeps a second (consumer.py:808)."""

    async def scene() -> set[TP]:
        running = worker()
        consumer = running.faust.consumer
        consumer._active_partitions = {A}
        consumer.on_buffer_full(A)
        active: set[TP] = consumer._active_partitions
        return active

    assert asyncio.run(scene()) == {A}


def test_a_revoked_partition_does_not_stop_the_stream(worker):
    """Faust reads the high water mark between two messages (consumer.py:763); aiokafka asserts that the
    partition is assigned.
    """

    async def scene() -> int:
        running = worker()

        def revoked(_: Any) -> int:
            raise AssertionError("partition is not assigned")

        running.faust.consumer._thread._consumer = SimpleNamespace(highwater=revoked)
        return int(running.faust.consumer.highwater(A))

    assert asyncio.run(scene()) == 0


def test_the_consumer_created_by_faust_has_the_settings_of_the_transport(worker):
    async def scene() -> dict[str, Any]:
        running = worker()
        consumer = running.faust.consumer._thread._create_worker_consumer(running.faust.transport)
        return {
            "isolation": consumer._isolation_level,
            "fetch_wait_ms": consumer._fetch_max_wait_ms,
            "metadata_ms": consumer._client._metadata_max_age_ms,
            "member": consumer._group_instance_id,
            "session_ms": consumer._session_timeout_ms,
            "records": consumer._max_poll_records,
        }

    assert asyncio.run(scene()) == {
        "isolation": "read_committed",
        "fetch_wait_ms": 250,
        "metadata_ms": 2000,
        "member": app.instance_id(Config.model_validate({"http": {"port": 6066}})),
        "session_ms": 6000,
        "records": 5000,
    }


def test_an_exception_while_applying_a_bundle_exits_and_acknowledges_nothing(
    worker, monkeypatch, ends, ended
):
    async def scene() -> None:
        running = worker()

        async def take(*_: Any) -> None:
            raise KeyError("segment")

        monkeypatch.setattr(running.intake, "take", take)

        class Stream:
            def noack(self) -> Stream:
                return self

            async def events(self) -> Any:
                yield SimpleNamespace(message=SimpleNamespace(tp=A), value=made(0, 1))

        await app._body(running)(Stream())

    with pytest.raises(ended):
        asyncio.run(scene())
    assert ends[0][:2] == ("restart", exits.STATE)
    assert "segment" in ends[0][2]


class Interrupted:
    """Decoded records with an interruption in the middle."""

    def __init__(self, start: int, n: int, meanwhile: Any) -> None:
        self.next_fetch_offset, self._end, self._meanwhile = start, start + n, meanwhile

    def __iter__(self) -> Interrupted:
        return self

    def __next__(self) -> Any:
        if self.next_fetch_offset == self._end:
            raise StopIteration
        if self.next_fetch_offset + 1 == self._end:
            self._meanwhile()
        self.next_fetch_offset += 1
        return SimpleNamespace(value=b"", offset=self.next_fetch_offset - 1, serialized_value_size=1)


def test_a_seek_in_the_consumer_thread_is_never_overwritten_by_a_pending_read(worker, monkeypatch):
    """From another thread the last step of ``getall`` overwrites the position. In the consumer thread the
    seek waits until ``getall`` ends.
    """

    async def scene() -> tuple[int, int]:
        subscription = SubscriptionState()
        subscription.assign_from_user([TopicPartition(*A)])
        assignment = subscription.subscription.assignment
        state = assignment.state_value(TopicPartition(*A))
        loop, running, sought = asyncio.new_event_loop(), worker(), threading.Event()
        consumers = threading.Thread(target=loop.run_forever, daemon=True)
        consumers.start()
        running.store.owned[A] = SimpleNamespace(position=3, durable=3)
        thread = running.faust.consumer._thread
        thread._consumer = SimpleNamespace(
            seek=lambda _, offset: (state.seek(offset), sought.set()), assignment=lambda: {TopicPartition(*A)}
        )

        async def call_thread(step: Any) -> Any:
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(step(), loop))

        monkeypatch.setattr(thread, "call_thread", call_thread)
        main_loop = asyncio.get_running_loop()

        async def read(seek: Any) -> int:
            state.seek(1000)
            sought.clear()
            seeks: list[Any] = []

            def meanwhile() -> None:
                seeks.append(asyncio.run_coroutine_threadsafe(seek(), main_loop))
                sought.wait(0.3)

            async def getall() -> Any:
                return fetcher.FetchResult(
                    TopicPartition(*A),
                    assignment=assignment,
                    partition_records=Interrupted(1000, 9, meanwhile),
                    backoff=0,
                ).getall()

            bundle = await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(getall(), loop))
            await asyncio.wrap_future(seeks[0])
            assert (bundle.start, len(bundle)) == (1000, 9)
            position: int = state._position
            return position

        async def as_faust_does() -> None:
            thread._consumer.seek(None, 3)

        results = await read(as_faust_does), await read(thread.seek_to_committed)
        loop.call_soon_threadsafe(loop.stop)
        consumers.join()
        return results

    assert asyncio.run(scene()) == (1009, 3)  # the defect, and the remedy


def test_a_thousand_errors_of_a_library_are_logged_as_one_line():
    script = """
import logging
from agents.process import log_setup
log_setup.configure()
for number in range(1000):
    logging.getLogger("aiokafka").error("Unable to connect to %s", number)
logging.getLogger("softfail.app").info("ours")
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    lines = (ended.stdout + ended.stderr).splitlines()
    assert len(lines) == 2
    assert "Unable to connect to 0" in lines[0]


def test_unowned_partitions_are_detected_by_asking_the_group(monkeypatch):
    missing: set[TP] = {A}

    async def unowned(*_: Any) -> set[TP]:
        return missing

    monkeypatch.setattr(watchdog, "unowned", unowned)
    monkeypatch.setattr(watchdog, "GROUP_S", 0.0)

    async def scene() -> None:
        dog = watchdog.Watchdog(Kafka(), SimpleNamespace(agents={"p.events": None}), set, None)  # type: ignore[arg-type]
        await dog._look_at_group()
        since = dog.state.unowned_since
        assert since is not None
        await dog._look_at_group()
        assert dog.state.unowned_since == since
        missing.clear()
        await dog._look_at_group()
        assert dog.state.unowned_since is None

    asyncio.run(scene())


def test_faust_commits_the_durable_position_for_any_acknowledgement(worker, monkeypatch):
    async def scene() -> tuple[list[Any], int]:
        running = worker()
        consumer, committed = running.faust.consumer, []
        monkeypatch.setattr(running.faust.topics, "acks_enabled_for", lambda _: True)

        async def commit(offsets: Any, **_: Any) -> bool:
            committed.append(dict(offsets))
            return True

        monkeypatch.setattr(consumer, "_commit_offsets", commit)
        running.store.owned[A] = SimpleNamespace(position=30, durable=17)
        for offset in range(25):
            message = consumer._to_message(
                A, faust_transport.pseudo_message(TopicPartition(*A), made(offset, 1))
            )
            consumer.track_message(message)
            consumer.ack(message)
        await consumer.commit()
        return committed, len(consumer._acked[A])

    assert asyncio.run(scene()) == ([{A: 17}], 0)


def test_an_agent_that_fails_outside_our_code_stays_failed_for_the_watchdog(worker):
    """Faust would restart it and continue after the records in progress."""

    async def scene() -> tuple[bool, int]:
        running = worker()
        (agent,) = running.faust.agents.values()
        begun = []

        async def stream_breaks(_: Any) -> None:
            begun.append(1)
            raise RuntimeError("in the stream's own machinery")

        agent.fun = stream_breaks
        await agent.start()
        await until(lambda: agent.crashed)
        return agent.crashed, len(begun)

    assert asyncio.run(scene()) == (True, 1)
