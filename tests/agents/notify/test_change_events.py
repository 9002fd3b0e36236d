"""A new prompt version on the events topic becomes a change event at PagerDuty: a real worker on the embedded
broker, through a kill.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from datetime import UTC, datetime, timedelta

import pytest

from agents.demo.fake_pagerduty import FakePagerDuty, Fault
from agents.demo.processes import EmbeddedBroker, WorkerProcess, configuration, free_port
from monitor.delivery.change_delivery import STATE_PREFIX
from softfail.partitioning import partition_of
from tests.agents.embedded_records import records_of
from tests.polling import until

pytest.importorskip("confluent_kafka")
KEY = "0123456789abcdef0123456789abcdef"
MINUTES = 16


def traffic(now):
    """A quarter of an hour of a healthy feature, with a new prompt version in its last two minutes."""
    rng = random.Random(1)
    for second in range(0, MINUTES * 60, 2):
        yield {
            "event_id": f"e{second}",
            "time": (now - timedelta(seconds=MINUTES * 60 - second)).isoformat(),
            "service": "support-bot",
            "feature": "answer",
            "model": "gpt-x",
            "prompt_version": "v8" if second >= (MINUTES - 2) * 60 else "v7",
            "output": "It ships on Tuesday.",
            "output_tokens": rng.randrange(20, 60),
        }


def saved_changes(address):
    """Return the change of each change delivery in the state; None: nothing is left to send."""
    latest = dict(records_of(address, "softfail.notify.state"))
    return [json.loads(value).get("change") for key, value in latest.items() if key.startswith(STATE_PREFIX)]


def test_a_new_prompt_version_is_sent_to_pagerduty_once_through_a_kill_and_does_not_page(
    episode_of, nine_us, tmp_path
):
    from confluent_kafka import Producer

    newer = episode_of("a", service="bot", minute=(time.time_ns() // 1000 - nine_us) / 60e6)

    async def play():
        receiver, broker = FakePagerDuty(KEY), EmbeddedBroker()
        await receiver.start()
        receiver.change_faults.append(Fault("status", 503))
        producer = Producer({"bootstrap.servers": broker.address})
        partitions = len(
            producer.list_topics("softfail.events", timeout=10).topics["softfail.events"].partitions
        )
        worker = WorkerProcess(tmp_path, configuration(broker.address, free_port(), receiver.url), KEY)
        try:
            await worker.start()
            for event in traffic(datetime.now(UTC)):
                partition = partition_of("support-bot", "answer", partitions)
                producer.produce(
                    "softfail.events", json.dumps(event).encode(), b"support-bot/answer", partition=partition
                )
            assert producer.flush(10) == 0
            await until(lambda: receiver.changes, 40.0, every_s=0.05)
            await until(lambda: saved_changes(broker.address) == [None], 40.0, every_s=0.2)
            worker._process.kill()
            await worker._process.wait()
            await worker.start()
            # the notifier has had its turn when it has sent something newer
            producer.produce("softfail.alerts", newer.model_dump_json().encode(), b"bot/answer", partition=0)
            assert producer.flush(10) == 0
            await until(lambda: receiver.incidents, 40.0, every_s=0.05)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{receiver.change_answers}\n{worker.log()}") from None
        finally:
            await worker.stop()
            await receiver.stop()
        return receiver, worker.log(1000)

    receiver, log = asyncio.run(play())
    assert [change["payload"]["summary"] for change in receiver.changes] == [
        "support-bot/answer: new prompt version v8, until then mostly v7"
    ], log
    assert receiver.change_answers == [503, 202]
    assert [incident.dedup_key for incident in receiver.incidents] == ["softfail/a/high"]
    assert KEY not in log
