"""A gap between bundles costs a fetch and never an event."""

from __future__ import annotations

import asyncio
from typing import Any

from faust.types import TP
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.runtime import bundle_intake
from agents.runtime.bundle_intake import BundleIntake
from agents.runtime.careful_replay import Attempt, CarefulReplay
from agents.runtime.counters import Counters
from tests.polling import until
from tests.tiers import examples

TPS = TP("t.events", 1)


class Owned:
    """A store that owns one partition."""

    def __init__(self, partition: Any) -> None:
        self.owned, self.counters = {TPS: partition}, Counters()


class Stage:
    """An intake of one partition whose log begins at ``oldest`` (None: the broker does not answer)."""

    def __init__(self, partition: Any, oldest: int | None = 0) -> None:
        self.partition, self.oldest, self.rewound = partition, oldest, 0
        self.store: Any = Owned(partition)
        self.intake = BundleIntake(self.store, self._earliest, self._rewind)

    async def _earliest(self, _: TP) -> int:
        if self.oldest is None:
            raise TimeoutError
        return self.oldest

    async def _rewind(self, _: str) -> None:
        self.rewound += 1


def test_a_contiguous_bundle_is_applied_and_an_old_bundle_is_ignored(make_partition, bundle):
    async def scene() -> None:
        stage = Stage(await make_partition())
        for start, stop in ((0, 4), (0, 4), (2, 4), (4, 6)):
            await stage.intake.take(TPS, bundle(start, stop))
        assert (stage.partition.position, stage.partition.counters.records, stage.rewound) == (6, 6, 0)

    asyncio.run(scene())


def test_a_gap_is_fetched_once_and_later_bundles_wait(make_partition, bundle):
    async def scene() -> None:
        stage = Stage(await make_partition())
        await stage.intake.take(TPS, bundle(0, 4))
        for start, stop in ((6, 8), (8, 9), (9, 12)):
            await stage.intake.take(TPS, bundle(start, stop))
        assert (stage.partition.position, stage.rewound, stage.store.counters.gaps) == (4, 1, 1)
        await stage.intake.take(TPS, bundle(4, 9))
        await stage.intake.take(TPS, bundle(12, 14))  # another gap, so another fetch
        assert (stage.partition.position, stage.rewound) == (9, 2)

    asyncio.run(scene())


def test_a_partition_that_may_end_the_process_comes_after_the_others_and_is_fetched_again(
    make_partition, bundle, monkeypatch
):
    monkeypatch.setattr(bundle_intake, "OTHERS_FIRST_S", 0.05)

    async def scene() -> None:
        stage, other = Stage(await make_partition()), await make_partition()
        suspect = stage.partition
        suspect._replay = CarefulReplay(0, Attempt(0, 3), asyncio.Lock())
        await stage.intake.take(TPS, bundle(0, 3))
        assert suspect.position == 3  # there is no other partition
        suspect._replay = CarefulReplay(3, Attempt(3, 6), asyncio.Lock())
        stage.store.owned[TP("t.events", 2)] = other
        await stage.intake.take(TPS, bundle(3, 6))
        await stage.intake.take(TP("t.events", 2), bundle(0, 4))
        assert (suspect.position, other.position, stage.rewound) == (3, 4, 0)
        await until(lambda: stage.rewound)
        await stage.intake.take(TPS, bundle(3, 6))
        await stage.intake.take(TPS, bundle(6, 9))
        assert (suspect.position, stage.rewound, stage.store.counters.gaps) == (9, 1, 0)

    asyncio.run(scene())


def test_suspects_are_fetched_again_although_the_broker_is_away_for_a_moment(
    make_partition, bundle, monkeypatch
):
    monkeypatch.setattr(bundle_intake, "OTHERS_FIRST_S", 0.0)
    monkeypatch.setattr(bundle_intake, "RETRY_S", 0.0)
    answers: list[Any] = [OSError("no broker"), None]

    async def scene() -> None:
        stage = Stage(await make_partition())
        stage.partition._replay = CarefulReplay(0, Attempt(0, 3), asyncio.Lock())
        stage.store.owned[TP("t.events", 2)] = await make_partition()

        async def rewind(_: str) -> None:
            if (answer := answers.pop(0)) is not None:
                raise answer

        stage.intake._rewind = rewind
        await stage.intake.take(TPS, bundle(0, 3))
        await until(lambda: not answers)

    asyncio.run(scene())


def test_records_deleted_from_the_log_are_counted_as_lost_and_work_continues_after_them(
    make_partition, bundle
):
    async def scene() -> None:
        stage = Stage(await make_partition(), oldest=10)
        await stage.intake.take(TPS, bundle(0, 4))
        await stage.intake.take(TPS, bundle(10, 12))
        assert (stage.partition.position, stage.partition.counters.lost_events, stage.rewound) == (12, 6, 0)

    asyncio.run(scene())


def test_a_gap_after_lost_records_is_fetched(make_partition, bundle):
    async def scene() -> None:
        stage = Stage(await make_partition(), oldest=10)
        await stage.intake.take(TPS, bundle(12, 15))
        assert (stage.partition.position, stage.partition.counters.lost_events, stage.rewound) == (10, 10, 1)

    asyncio.run(scene())


def test_an_unanswered_request_about_a_gap_loses_no_records(make_partition, bundle):
    async def scene() -> None:
        stage = Stage(await make_partition(), oldest=None)
        await stage.intake.take(TPS, bundle(3, 5))
        assert (stage.partition.position, stage.partition.counters.lost_events) == (0, 0)
        stage.oldest = 0
        await stage.intake.take(TPS, bundle(5, 6))
        assert stage.rewound == 1

    asyncio.run(scene())


def test_a_bundle_of_a_revoked_partition_is_ignored(make_partition, bundle):
    async def scene() -> None:
        stage = Stage(await make_partition())
        stage.store.owned.clear()
        await stage.intake.take(TPS, bundle(0, 4))
        assert stage.partition.position == 0

    asyncio.run(scene())


def test_a_partition_revoked_while_a_bundle_waits_applies_nothing(make_partition, bundle):
    async def scene() -> None:
        stage = Stage(await make_partition())

        async def revoked_meanwhile() -> None:
            stage.store.owned.clear()

        stage.partition.wait_for_space = revoked_meanwhile
        await stage.intake.take(TPS, bundle(0, 4))
        assert stage.partition.position == 0

    asyncio.run(scene())


@settings(max_examples=examples(1 / 4))
@given(st.lists(st.integers(1, 5), min_size=1, max_size=15), st.integers(0, 2**32))
def test_a_stream_with_drops_duplicates_and_reordering_gives_the_exact_result(counting, lengths, seed):
    import random

    from agents.runtime.faust_transport import Bundle
    from agents.runtime.partition import Partition
    from monitor.protocol.messages import FileRecord

    rng, total = random.Random(seed), sum(lengths)

    async def scene() -> None:
        partition = Partition(counting.CountingAgent(), TPS, None, 60, Counters())  # type: ignore[arg-type]
        partition.core = counting.Counts()
        stage = Stage(partition)
        for _ in range(1000):
            if partition.position == total:
                break
            queue, fetch_from = [], partition.position  # what a fetch from the position brings, cut anew
            partition.refetched_from = None  # the watchdog, after silence
            while fetch_from < total:
                stop = min(total, fetch_from + rng.choice(lengths))
                made = Bundle(
                    FileRecord(b'{"key": "k%d", "minute": 0}' % offset, offset)
                    for offset in range(fetch_from, stop)
                )
                made.start, made.stop = fetch_from, stop
                queue += [made] * rng.choice((0, 1, 1, 2))
                fetch_from = stop
            if rng.random() < 0.3:
                rng.shuffle(queue)
            for made in queue:
                await stage.intake.take(TPS, made)
        assert partition.core.counts == {f"k{offset} 0": 1 for offset in range(total)}

    asyncio.run(scene())
