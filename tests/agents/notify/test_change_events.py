"""A new prompt version on the events topic becomes a change event at PagerDuty: a real worker on the embedded
broker, through a kill.
"""

from __future__ import annotations

import asyncio
import json
import random
from datetime import UTC, datetime, timedelta

import pytest

from agents.demo.fake_pagerduty import FakePagerDuty, Fault
from agents.demo.processes import EmbeddedBroker, WorkerProcess, configuration, free_port
from softfail.partitioning import partition_of
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


def test_a_new_prompt_version_is_sent_to_pagerduty_once_through_a_kill_and_does_not_page(tmp_path):
    from confluent_kafka import Producer

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
            await asyncio.sleep(1.5)  # the checkpoint after the answer
            worker._process.kill()
            await worker._process.wait()
            await worker.start()
            await asyncio.sleep(3)
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
    assert not [incident for incident in receiver.incidents if incident.payload["component"] == "answer"]
    assert KEY not in log
