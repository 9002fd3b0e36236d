"""Each remedy of the transport, tested against its defect."""

from __future__ import annotations

import asyncio
import collections
import inspect
import itertools
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import UnsupportedCodecError
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from agents.process import exits
from agents.runtime import faust_transport
from agents.runtime.faust_transport import Bundle, Continuity, continuity
from tests.polling import idle

A, B = TopicPartition("t", 0), TopicPartition("t", 1)


class Records:
    """The output of aiokafka's decoder: offsets [start, start + n), and a position that ends at ``after``."""

    def __init__(self, start: int, n: int, after: int | None = None, size: int = -1) -> None:
        self.next_fetch_offset, self._end, self._after, self.size = start, start + n, after, size

    def __iter__(self) -> Records:
        return self

    def __next__(self) -> Any:
        if self.next_fetch_offset >= self._end:
            self.next_fetch_offset = max(self.next_fetch_offset, self._after or 0)
            raise StopIteration
        self.next_fetch_offset += 1
        return SimpleNamespace(value=b"", offset=self.next_fetch_offset - 1, serialized_value_size=self.size)


def assigned(*tps: TopicPartition, position: int) -> Any:
    subscription = SubscriptionState()
    subscription.assign_from_user(list(tps))
    assignment = subscription.subscription.assignment
    for tp in tps:
        assignment.state_value(tp).seek(position)
    return subscription, assignment


async def fetched(
    start: int, n: int, after: int | None = None, most: int | None = None, size: int = -1
) -> Bundle:
    _, assignment = assigned(A, position=start)
    bundle = fetcher.FetchResult(
        A, assignment=assignment, partition_records=Records(start, n, after, size), backoff=0
    ).getall(most)
    assert isinstance(bundle, Bundle)
    return bundle


def test_a_bundle_has_the_positions_before_and_after_its_fetch():
    bundle = asyncio.run(fetched(1000, 7))
    assert (bundle.start, bundle.stop, [record.offset for record in bundle]) == (
        1000,
        1007,
        list(range(1000, 1007)),
    )


def test_a_bundle_is_limited_in_bytes_and_the_next_bundle_is_contiguous():
    async def scene() -> tuple[list[Bundle], int]:
        _, assignment = assigned(A, position=0)
        result = fetcher.FetchResult(
            A, assignment=assignment, partition_records=Records(0, 100, size=1 << 20), backoff=0
        )
        bundles = []
        while result.has_more():
            bundles.append(result.getall(5000))
        return bundles, assignment.state_value(A).position

    bundles, position = asyncio.run(scene())
    assert max(len(bundle) << 20 for bundle in bundles) <= faust_transport.MOST_BYTES
    assert [bundle.start for bundle in bundles[1:]] == [bundle.stop for bundle in bundles[:-1]]
    assert [record.offset for bundle in bundles for record in bundle] == list(range(100))
    assert position == bundles[-1].stop == 100


def test_a_bundle_of_markers_only_is_truthy_and_advances_the_position():
    bundle = asyncio.run(fetched(1000, 0, after=1003))
    assert (len(bundle), bundle.start, bundle.stop, bool(bundle)) == (0, 1000, 1003, True)


def test_an_empty_fetch_is_falsy():
    assert not asyncio.run(fetched(1000, 0))


@given(st.integers(0, 50), st.integers(0, 20), st.integers(0, 60))
def test_every_range_is_old_contiguous_or_leaves_a_gap(start, length, position):
    how = continuity(start, start + length, position)
    assert (how is Continuity.OLD) == (start + length <= position)
    assert (how is Continuity.GAP) == (start > position and start + length > position)


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=12), st.randoms(use_true_random=False), st.integers(0, 3)
)
def test_contiguous_bundles_cover_every_position_once_after_drops_duplicates_and_reordering(
    lengths, random, again
):
    edges = [0]
    for length in lengths:
        edges.append(edges[-1] + length)
    applied: list[int] = []
    for _ in range(again + len(lengths)):  # a gap goes back, so everything comes again, in any order
        ranges = list(itertools.pairwise(edges))
        random.shuffle(ranges)
        for start, stop in ranges:
            if continuity(start, stop, len(applied)) is Continuity.JOINS:
                applied += range(max(start, len(applied)), stop)
    assert applied == list(range(edges[-1]))


async def position_of_b(hand_over: Any) -> int:
    """Return the position of partition B when only A was requested and the set of active partitions was
    emptied during the wait.
    """
    subscription, assignment = assigned(A, B, position=1000)
    inner = object.__new__(fetcher.Fetcher)
    inner._subscriptions, inner._records, inner._fetch_waiters = (
        subscription,
        collections.OrderedDict(),
        set(),
    )
    inner._loop, inner._wait_consume_future, inner._closed = asyncio.get_running_loop(), None, False
    active = {A}
    waiting = asyncio.ensure_future(hand_over(inner, active))
    await idle()
    active.clear()  # a rebalance: Faust's pause_partitions
    inner._records[B] = fetcher.FetchResult(
        B, assignment=assignment, partition_records=Records(1000, 5), backoff=0
    )
    for waiter in list(inner._fetch_waiters):
        waiter.set_result(None)
    await asyncio.wait_for(waiting, 5)
    position: int = assignment.state_value(B).position
    return position


def test_an_active_set_emptied_during_a_wait_of_aiokafka_does_not_select_all_partitions(monkeypatch):
    """Faust passes its live set (consumer.py:802), and an empty set means all (aiokafka fetcher.py:1221)."""

    async def as_faust_does(inner: Any, active: Any) -> Any:
        return await inner.fetched_records(active, 0.2, 100)

    async def as_we_do(inner: Any, active: Any) -> Any:
        async def faust(_: Any, partitions: Any, seconds: float) -> Any:
            return await inner.fetched_records(partitions, seconds, 100)

        monkeypatch.setattr(faust_transport.driver.Consumer, "_getmany", faust)
        return await object.__new__(faust_transport.Consumer)._getmany(active, 0.2)

    # the defect: B moved, and Faust drops what nobody asked for
    assert asyncio.run(position_of_b(as_faust_does)) == 1005
    assert asyncio.run(position_of_b(as_we_do)) == 1000


def test_one_fetch_becomes_one_message_without_headers():
    bundle = Bundle([1, 2, 3])
    bundle.start, bundle.stop = 5, 9
    message = faust_transport.pseudo_message(A, bundle)
    assert (message.topic, message.partition, message.offset, message.value, message.headers) == (
        "t",
        0,
        5,
        bundle,
        (),
    )


def test_a_read_offset_is_always_unknown():
    offsets = faust_transport.NoReadOffsets()
    offsets[TP("t", 0)] = 100
    offsets.update({TP("t", 0): 100})
    assert offsets[TP("t", 0)] is None


def test_seeks_use_our_positions_in_the_consumer_thread():
    called: list[tuple[Any, int, str]] = []

    class Inner:
        def seek(self, tp: Any, offset: int) -> None:
            called.append((tp, offset, threading.current_thread().name))

    class Ledger:
        def positions(self) -> dict[TP, int]:
            return {TP("t", 0): 42, TP("t", 9): 7}

    thread = object.__new__(faust_transport.ConsumerThread)

    async def call_thread(step: Any) -> Any:
        box: list[Any] = []
        runner = threading.Thread(target=lambda: box.append(asyncio.run(step())), name="consumer")
        runner.start()
        runner.join()
        return box[0]

    vars(thread).update(
        app=type("App", (), {"ledger": Ledger()}),
        call_thread=call_thread,
        _ensure_consumer=Inner,
        assignment=lambda: {TP("t", 0)},
    )
    assert asyncio.run(thread.seek_to_committed()) == {TP("t", 0): 42}
    assert called == [(A, 42, "consumer")]


def test_only_durable_positions_are_committed_for_any_acknowledgement_by_faust():
    consumer = object.__new__(faust_transport.Consumer)
    ledger = type("Ledger", (), {"durable": lambda self: {TP("t", 0): 17}})()
    consumer.app = type("App", (), {"ledger": ledger})
    message = type("Message", (), {"acked": False})()
    assert consumer.ack(message)
    assert consumer._filter_tps_with_pending_acks() == [TP("t", 0)]
    assert consumer._new_offset(TP("t", 0)) == 17
    assert consumer._new_offset(TP("t", 1)) is None


def test_the_schema_passes_the_bundle_through():
    bundle = Bundle()
    bundle.start, bundle.stop = 1, 2
    message = faust_transport.pseudo_message(A, bundle)
    app = type("App", (), {"create_event": lambda self, *parts: parts})()
    event = asyncio.run(faust_transport.Schema().compile(app)(message))
    assert event[1] is bundle


def test_only_committed_records_are_read_and_a_seek_does_not_block(monkeypatch):
    """Faust asks for committed records only in exactly_once apps (driver:571), and waits 1.5 s for each fetch
    (driver:615).
    """
    consumer = type(
        "AIOKafkaConsumer", (), {"_isolation_level": "read_uncommitted", "_fetch_max_wait_ms": 1500}
    )()
    monkeypatch.setattr(
        faust_transport.driver.AIOKafkaConsumerThread, "_create_worker_consumer", lambda *_: consumer
    )
    made = faust_transport.ConsumerThread._create_worker_consumer(
        object.__new__(faust_transport.ConsumerThread), None
    )
    assert made._isolation_level == "read_committed"
    assert made._fetch_max_wait_ms == 250


def test_aiokafka_creates_fetch_results_of_our_class():
    assert fetcher.FetchResult is faust_transport.FetchResult
    source = inspect.getsource(fetcher.Fetcher._proc_fetch_request)
    assert "FetchResult(" in source


def test_a_real_consumer_has_the_settings_of_the_transport():
    """Settings that aiokafka renamed would have no effect."""

    async def scene() -> None:
        consumer = AIOKafkaConsumer(bootstrap_servers="127.0.0.1:1")
        assert consumer._isolation_level == "read_uncommitted"
        assert consumer._fetch_max_wait_ms == 500

    asyncio.run(scene())


def test_a_missing_codec_is_reported_by_name_and_exits_immediately(monkeypatch, ends, ended):
    async def faust(*_: Any) -> Any:
        raise UnsupportedCodecError("Libraries for lz4 compression codec not found")

    monkeypatch.setattr(faust_transport.driver.Consumer, "_getmany", faust)
    with pytest.raises(ended):
        asyncio.run(object.__new__(faust_transport.Consumer)._getmany({A}, 0.2))
    assert ends[0][:2] == ("leave", exits.CONFIGURATION)
    assert "lz4" in ends[0][2]
    assert "cramjam" in ends[0][2]
