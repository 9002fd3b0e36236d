"""The SDK and an Apache Kafka that is killed and started again."""

from __future__ import annotations

import json
import signal
import threading
from typing import Any

from softfail import Softfail
from tests.integration.softfail.test_kafka import create_topic, read_records
from tests.polling import wait_until


def test_an_outage_of_the_broker_loses_and_duplicates_no_event_that_fits_the_queue(own_kafka: Any) -> None:
    """The service continues to report while the broker is killed and restarted."""
    topic = create_topic(own_kafka.address)
    sf = Softfail(service="shop", bootstrap_servers=own_kafka.address, topic=topic, queue_size=100_000)
    stop = threading.Event()
    reported: list[str] = []

    def serve() -> None:
        while not stop.wait(0.002):
            reported.append(sf.response(feature="f", model="m"))

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        wait_until(lambda: sf.counts().get("shop/f", {}).get("sent", 0) > 100, timeout_s=60)
        own_kafka.stop(signal.SIGKILL)
        count = len(reported)
        wait_until(lambda: len(reported) > count + 500, timeout_s=60)
        own_kafka.start()
        count = sf.counts()["shop/f"]["sent"]
        wait_until(lambda: sf.counts()["shop/f"]["sent"] > count + 500, timeout_s=60)
    finally:
        stop.set()
        thread.join()
    assert sf.flush(60)
    assert sf.counts()["shop/f"] == {
        "seen": len(reported),
        "sampled": len(reported),
        "sent": len(reported),
        "dropped": 0,
    }
    sf.close(10)
    arrived = [
        json.loads(record.value)["event_id"]
        for record in read_records(own_kafka.address, topic)
        if b'"kind":"response"' in record.value
    ]
    assert sorted(arrived) == sorted(reported)
