"""What a worker does when its source topics are not those that it started with."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from faust.types import TP

from agents.kafka.state_topic import HEADER
from agents.kafka.topic_ids import TopicIdentity
from agents.process import exits
from agents.runtime import watchdog
from agents.runtime.changelog import Changelog
from agents.runtime.counters import Counters
from agents.runtime.owned_partitions import OwnedPartitions
from agents.runtime.source_topics import SourceTopics
from agents.runtime.watchdog import Watchdog
from agents.web.worker_status import readiness_faults
from schemas.config.connections import Kafka
from tests.agents.runtime.memory_backend import MemoryKafka
from tests.agents.web.conftest import FakeWorker
from tests.polling import idle

EVENTS, ALERTS = "t.events", "t.alerts"
BEFORE = {EVENTS: TopicIdentity("id-1", 4), ALERTS: TopicIdentity("id-2", 1)}
FACTS = {"topic_id": "id-1", "pane_s": 60.0}


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (BEFORE, None),
        (BEFORE | {EVENTS: TopicIdentity("id-9", 4)}, "t.events was deleted and created again"),
        (BEFORE | {EVENTS: TopicIdentity("id-1", 8)}, "had 4 partitions, now it has 8"),
        (BEFORE | {EVENTS: TopicIdentity("", 4)}, None),
        ({ALERTS: BEFORE[ALERTS]}, None),
    ],
    ids=["the same", "re-created", "more partitions", "no ids", "deleted"],
)
def test_a_source_that_is_another_topic_is_a_fault(now, words):
    fault = SourceTopics(BEFORE).observe(now)
    assert (fault is None) if words is None else (fault is not None and words in fault)


def test_the_state_of_a_topic_states_its_id_where_the_broker_keeps_one():
    sources = SourceTopics(BEFORE | {"t.old": TopicIdentity("", 4)})
    assert sources.facts(EVENTS) == {"topic_id": "id-1"}
    assert sources.facts("t.old") == sources.facts("t.unknown") == {}


def test_a_deleted_topic_makes_the_worker_unready_until_it_is_there_again():
    sources = SourceTopics(BEFORE)
    sources.observe({ALERTS: BEFORE[ALERTS]})
    assert sources.missing == (EVENTS,)
    (reason,) = readiness_faults(FakeWorker(ready=False, missing_topics=sources.missing))
    assert "topic t.events was deleted" in reason
    sources.observe(BEFORE)
    assert sources.missing == ()


class Observer:
    def __init__(self, *identities: Any) -> None:
        self._identities = list(identities)

    async def look(self) -> Any:
        identities = self._identities.pop(0)
        if isinstance(identities, Exception):
            raise identities
        return identities


def test_the_watchdog_ends_the_worker_with_78_when_its_topic_is_created_again(
    ends, ended, caplog, monkeypatch
):
    async def nobody(*_: Any) -> set[TP]:
        return set()

    monkeypatch.setattr(watchdog, "unowned", nobody)
    monkeypatch.setattr(watchdog, "GROUP_S", 0.0)

    async def run() -> None:
        store = OwnedPartitions(Kafka(prefix="t"), [], Counters(), MemoryKafka())
        store.sources = SourceTopics(BEFORE)
        dog = Watchdog(Kafka(prefix="t"), store, set, None)  # type: ignore[arg-type]
        gone = {ALERTS: BEFORE[ALERTS]}
        dog.observer = Observer(  # type: ignore[assignment]
            BEFORE, OSError("no broker"), gone, gone, BEFORE | {EVENTS: TopicIdentity("id-9", 4)}
        )
        for _ in range(4):
            await dog._look_at_group()
        assert ends == []
        assert caplog.text.count("topic t.events was deleted") == 1
        await dog._look_at_group()

    with pytest.raises(ended):
        asyncio.run(run())
    assert ends[0][:2] == ("leave", exits.CONFIGURATION)
    assert "state reset" in ends[0][2]


def test_a_partition_that_was_added_later_ends_the_worker_with_78(ends, ended):
    async def run() -> None:
        store = OwnedPartitions(Kafka(prefix="t"), [], Counters(), MemoryKafka())
        store.sources = SourceTopics(BEFORE)
        await store.assign({TP(EVENTS, 4)})

    with pytest.raises(ended):
        asyncio.run(run())
    assert ends[0][:2] == ("leave", exits.CONFIGURATION)
    assert "had 4 partitions and has more now" in ends[0][2]


def changelog(facts: Any) -> Changelog:
    return Changelog(Kafka(prefix="t"), "watch", TP(EVENTS, 0), "c1", backend=MemoryKafka(), facts=facts)


def header(facts: Any) -> bytes:
    return changelog(facts).header(4)


@pytest.mark.parametrize(
    ("ours", "words"),
    [
        (
            FACTS | {"topic_id": "id-9"},
            "its topic_id is 'id-1', here it is 'id-9' .*deleted and created again",
        ),
        (FACTS | {"pane_s": 30.0}, r"its pane_s is 60\.0, here it is 30\.0 .*time\.pane"),
    ],
)
def test_state_of_another_topic_or_pane_length_is_refused_in_every_partition(ours, words):
    with pytest.raises(exits.Misconfigured, match=words):
        changelog(ours)._check_header(header(FACTS), 4, True)


def test_state_of_an_earlier_release_takes_the_facts_of_the_first_worker(counting):
    async def run() -> list[Any]:
        kafka = MemoryKafka()
        kafka.create(EVENTS, 1)
        kafka.create("t.watch.state", 1, compacted=True)
        kafka.publish("t.watch.state", 0, (HEADER, changelog({}).header(1)), (b"\x00position", b"0"))
        for _ in range(2):  # the second finds them, and writes no header
            log = Changelog(Kafka(prefix="t"), "watch", TP(EVENTS, 0), "c1", backend=kafka, facts=FACTS)
            await log.open()
            await log.write(0, [], counting.Counts().apply([]))
        return [record.value for record in kafka.read("t.watch.state", 0) if record.key == HEADER]

    headers = [json.loads(value) for value in asyncio.run(run())]
    assert len(headers) == 2
    assert "topic_id" not in headers[0]
    assert headers[1].items() >= FACTS.items()


def test_a_tool_that_knows_no_facts_keeps_those_of_the_header():
    log = changelog(None)
    log._check_header(header(FACTS), 4, True)
    assert json.loads(log.header(4)).items() >= FACTS.items()


def partition_of_group(kafka: MemoryKafka, partition: int, pane_s: float) -> Changelog:
    return Changelog(
        Kafka(prefix="t"),
        "watch",
        TP(EVENTS, partition),
        "c1",
        backend=kafka,
        facts={"topic_id": "id-1", "pane_s": pane_s},
        lead=("t.watch.state", 0),
    )


def test_a_new_partition_waits_for_the_header_of_the_leading_partition_and_agrees_with_it(counting):
    async def run() -> list[Any]:
        kafka = MemoryKafka()
        kafka.create(EVENTS, 3)
        kafka.create("t.watch.state", 3, compacted=True)
        same, other = (partition_of_group(kafka, *one) for one in ((1, 60.0), (2, 30.0)))
        opening = [asyncio.create_task(log.open()) for log in (same, other)]
        await idle()
        assert not any(task.done() for task in opening)  # nobody owns partition 0 yet
        lead = partition_of_group(kafka, 0, 60.0)
        await lead.open()
        await idle()
        assert not any(task.done() for task in opening)  # its header is not durable yet
        await lead.write(0, [], counting.Counts().apply([]))
        return await asyncio.gather(*opening, return_exceptions=True)

    same, other = asyncio.run(run())
    assert same.fresh
    assert isinstance(other, exits.Misconfigured)
    assert "pane_s is 60.0 for the others (header of t.watch.state/0), here it is 30.0" in str(other)


def test_a_new_partition_of_an_agent_with_one_source_agrees_with_the_first_agent():
    class Notifying:
        name, source = "notify", "alerts"

    class Watching:
        name, source = "watch", "events"

    store = OwnedPartitions(Kafka(prefix="t"), [Watching(), Notifying()], Counters(), MemoryKafka())  # type: ignore[list-item]
    assert store._lead == ("t.watch.state", 0)
