"""The read model follows real topics: what lies there, what comes, and what comes after a broken connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from datetime import UTC, datetime

from agents.web import fleet_reader
from agents.web.fleet_reader import FleetReader
from monitor.fleet.read_model import Fleet
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.connections import Kafka
from schemas.config.monitor_config import Config


def outputs(feature):
    """What a worker publishes of 20 minutes in which half of the calls fail."""
    began_s = time.time() - 1200
    events = [
        {
            "event_id": f"{feature}-{second}",
            "time": datetime.fromtimestamp(began_s + second, UTC).isoformat(),
            "service": "bot",
            "feature": feature,
            "model": "m",
            "error_type": "timeout" if second > 600 and second % 2 else "",
        }
        for second in range(1200)
    ]
    rule = {"name": "errors", "on": "error_rate", "above": 0.1, "for": "1m"}
    watch = Watch(Config.model_validate({"rules": [rule]}), 0, 1)
    return watch.apply([FileRecord(json.dumps(event).encode(), nth) for nth, event in enumerate(events)])


def publish(topics, written):
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=topics.address)
    for topic, message in written.order:
        producer.send(f"{topics.prefix}.{topic}", message.value, key=message.key, partition=0)
    producer.flush()
    producer.close()


def test_the_read_model_has_what_was_published_before_and_after_its_start(make_topics, monkeypatch):
    topics = make_topics(4)
    monkeypatch.setattr(fleet_reader, "POLL_S", 0.05)
    monkeypatch.setattr(fleet_reader, "RETRY_S", 0.05)
    publish(topics, outputs("a"))

    async def scene():
        reader = FleetReader(Kafka(brokers=topics.address, prefix=topics.prefix), Fleet(Config()))

        async def known(features):
            async with asyncio.timeout(60):
                while True:
                    status = reader.fleet.status(time.time_ns() // 1000)
                    if not reader.fault and {row["feature"] for row in status["features"]} == features:
                        return status
                    await asyncio.sleep(0.05)  # the reader has no event for it

        task = asyncio.create_task(reader.run())
        status = await known({"a"})
        assert [episode["feature"] for episode in status["episodes"]] == ["a"]
        await asyncio.to_thread(publish, topics, outputs("b"))
        await known({"a", "b"})
        monkeypatch.setattr(fleet_reader.TopicReader, "ends", _broken)
        async with asyncio.timeout(60):
            while not reader.fault:  # noqa: ASYNC110 - the reader has no event for it
                await asyncio.sleep(0.05)
        monkeypatch.undo()
        await asyncio.to_thread(publish, topics, outputs("c"))
        status = await known({"a", "b", "c"})
        assert sorted(episode["feature"] for episode in status["episodes"]) == ["a", "b", "c"]
        assert {sample["feature"] for sample in reader.fleet.samples("")} == {"a", "b", "c"}
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    asyncio.run(scene())


async def _broken(self, partitions):
    raise ConnectionError("the broker is away")
