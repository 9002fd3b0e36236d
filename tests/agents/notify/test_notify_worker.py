"""The notifier in a real worker, on the embedded broker, through a kill."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from agents.demo.fake_pagerduty import FakePagerDuty, Fault
from agents.demo.processes import EmbeddedBroker, WorkerProcess, configuration, free_port
from monitor.delivery.episode_delivery import STATE_PREFIX
from tests.agents.embedded_records import records_of
from tests.polling import until

pytest.importorskip("confluent_kafka")
KEY = "0123456789abcdef0123456789abcdef"


def saved_keys(address):
    """Return the state of every key of the deliveries in the state."""
    latest = dict(records_of(address, "softfail.notify.state"))
    deliveries = [json.loads(value) for key, value in latest.items() if key.startswith(STATE_PREFIX)]
    return [state for delivery in deliveries for state in delivery["keys"].values()]


def test_a_worker_killed_between_trigger_and_resolve_repeats_and_loses_nothing(episode_of, nine_us, tmp_path):
    from confluent_kafka import Producer

    minute = (time.time_ns() // 1000 - nine_us) / 60e6

    async def play():
        receiver, broker = FakePagerDuty(KEY), EmbeddedBroker()
        await receiver.start()
        producer = Producer({"bootstrap.servers": broker.address})

        def put(*episodes):
            for episode in episodes:
                producer.produce(
                    "softfail.alerts", episode.model_dump_json().encode(), b"support-bot/answer", partition=0
                )
            assert producer.flush(10) == 0

        worker = WorkerProcess(tmp_path, configuration(broker.address, free_port(), receiver.url), KEY)
        try:
            await worker.start()
            receiver.faults.extend(
                [Fault("status", 429, (("Retry-After", "1"),)), Fault("status", 500), Fault("close")]
            )
            put(episode_of("a", minute=minute), episode_of("b", minute=minute, urgency="low"))
            await until(lambda: len(receiver.incidents) == 2, 20.0, every_s=0.05)
            await until(lambda: saved_keys(broker.address) == ["open", "open"], 40.0, every_s=0.2)
            worker._process.kill()
            await worker._process.wait()
            put(
                episode_of("a", "resolved", minute=minute),
                episode_of("b", "escalated", minute=minute),
                episode_of("c", minute=minute),
            )
            await worker.start()
            await until(lambda: len(receiver.incidents) == 4, 20.0, every_s=0.05)
            put(episode_of("b", "resolved", minute=minute), episode_of("c", "resolved", minute=minute))
            await until(
                lambda: all(incident.resolved_at for incident in receiver.incidents), 20.0, every_s=0.05
            )
        except AssertionError as error:
            raise AssertionError(f"{error}\n{receiver.answers}\n{worker.log()}") from None
        finally:
            await worker.stop()
            await receiver.stop()
        return receiver, worker.log(1000)

    receiver, log = asyncio.run(play())
    assert sorted((incident.dedup_key, incident.triggers) for incident in receiver.incidents) == [
        ("softfail/a/high", 1),
        ("softfail/b/high", 1),
        ("softfail/b/low", 1),
        ("softfail/c/high", 1),
    ]
    delivered = [key for _, key, status in receiver.answers if status == 202]
    assert delivered.count("softfail/a/high") == 2
    assert KEY not in log
