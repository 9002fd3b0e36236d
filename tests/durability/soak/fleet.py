"""Parts of a run: a broker, and deployments with topics, publisher, workers and receiver of pages."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import threading
import time
import urllib.request
from collections.abc import Collection
from pathlib import Path
from typing import Any

from tests import kafka_launcher
from tests.durability.soak.publisher import Publisher
from tests.durability.soak.workers import Workers

ROUTING_KEY = "0123456789abcdef0123456789abcdef"
POSITION = b"\x00position"  # key of the state record that contains the position of a partition
TAIL = 500  # records of the state topic that are read first to find it


class Pager:
    """PagerDuty receiver of the demo that listens in its own thread."""

    def __init__(self) -> None:
        from agents.demo.fake_pagerduty import FakePagerDuty

        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.receiver = FakePagerDuty(ROUTING_KEY)
        self._wait(self.receiver.start())
        self._port = int(self.receiver.url.split(":")[2].split("/")[0])

    def down(self) -> None:
        """Refuse connections."""
        self._wait(self.receiver.stop())

    def up(self) -> None:
        """Listen again at the same address."""
        self._wait(self.receiver.start(port=self._port))

    def close(self) -> None:
        """Stop finally."""
        self._wait(self.receiver.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _wait(self, step: Any) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result(20)


class Deployment:
    """Prefix on the broker with its topics, corpus, publisher, workers, and the receiver of its pages."""

    def __init__(
        self,
        broker: Any,
        prefix: str,
        directory: Path,
        corpus: Any,
        *,
        partitions: int,
        rate: float,
        static: Collection[int],
        dropping: int,
    ) -> None:
        from agents.kafka.topics import create
        from schemas.config.connections import Kafka

        self.broker, self.prefix, self.directory, self.corpus, self.partitions = (
            broker,
            prefix,
            directory,
            corpus,
            partitions,
        )
        self.kafka = {
            "brokers": broker.address,
            "prefix": prefix,
            "partitions": partitions,
            "checkpoint": 0.5,
        }
        directory.mkdir(parents=True, exist_ok=True)
        asyncio.run(create(Kafka(**self.kafka)))
        self.pager = Pager()
        self.settings: dict[str, Any] = dict(corpus.settings())
        self.rate, self._dropping = rate, dropping
        self._ports = {number: kafka_launcher.free_port() for number in static}
        # read by the dropping worker: the share of bundles to drop
        self.drop_share = directory / "drop"
        self.workers = Workers(
            directory,
            self._command,
            {"PAGERDUTY_ROUTING_KEY": ROUTING_KEY, "DROP_SHARE_FILE": str(self.drop_share)},
        )
        self.publisher = self._new_publisher()
        self.dropped_before_end = 0  # bundles dropped while it was published
        self.max_lag, self._looking = 0.0, True
        self._looker = threading.Thread(target=self._look, daemon=True)
        self._looker.start()
        # topic -> the offset in each partition from which records are compared
        self.since: dict[str, dict[int, int]] = {}
        self._next: dict[str, dict[int, int]] = {}
        self._read: dict[str, list[Any]] = {}
        self.incidents_before = 0  # at the receiver, from the time that is not compared

    def _new_publisher(self) -> Publisher:
        return Publisher(self.broker.address, f"{self.prefix}.events", self.corpus.message, self.rate)

    def _command(self, number: int) -> list[str]:
        path = self.config(number)
        if number == self._dropping:
            return [sys.executable, "-m", "tests.durability.soak.dropping_worker", "--config", str(path)]
        return [sys.executable, "-m", "agents", "worker", "--config", str(path)]

    def config(self, number: int) -> Path:
        """Write the configuration of a worker with the current settings.

        A worker without a port joins the group under a new name each time.
        """
        channels = {
            "pagerduty": {
                "routing_key": "${PAGERDUTY_ROUTING_KEY}",
                "url": self.pager.receiver.url,
                "timeout": 2,
            }
        }
        path = self.directory / f"softfail{number}.yaml"
        path.write_text(
            json.dumps(
                {
                    "channels": channels,
                    **self.settings,
                    "kafka": self.kafka,
                    "http": {"port": self._ports.get(number, 0)},
                },
                indent=1,
            )
        )
        return path

    def recreate_events(self) -> None:
        """Delete and recreate the events topic."""
        from kafka.admin import KafkaAdminClient

        from agents.kafka.topics import create
        from schemas.config.connections import Kafka

        admin = KafkaAdminClient(bootstrap_servers=self.broker.address)
        admin.delete_topics([f"{self.prefix}.events"])
        admin.close()
        time.sleep(3)
        asyncio.run(create(Kafka(**self.kafka)))

    def begin_anew(self, corpus: Any) -> None:
        """Replace corpus and publisher, without starting it.

        Earlier records are not compared; the events topic is empty.
        """
        self.since = {suffix: self.ends(suffix) for suffix in ("windows", "deadletter", "alerts")}
        self.incidents_before = len(self.pager.receiver.incidents)
        self.corpus, self.settings = corpus, dict(corpus.settings())
        self.publisher = self._new_publisher()

    def ends(self, suffix: str) -> dict[int, int]:
        """Return the end of each partition of a topic."""
        from kafka import KafkaConsumer, TopicPartition

        topic = f"{self.prefix}.{suffix}"
        consumer = KafkaConsumer(
            bootstrap_servers=self.broker.address, enable_auto_commit=False, isolation_level="read_committed"
        )
        ends = consumer.end_offsets(
            [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]
        )
        consumer.close()
        return {tp.partition: end for tp, end in ends.items()}

    def read(self, suffix: str) -> list[Any]:
        """Return all committed records of a topic since ``since``, in order within a partition.

        Records that were read before are not fetched again.
        """
        from kafka import KafkaConsumer, TopicPartition

        consumer = KafkaConsumer(
            bootstrap_servers=self.broker.address,
            enable_auto_commit=False,
            isolation_level="read_committed",
            max_poll_records=20_000,
            max_partition_fetch_bytes=16 << 20,
            check_crcs=False,
        )
        ends = {
            TopicPartition(f"{self.prefix}.{suffix}", number): end
            for number, end in self.ends(suffix).items()
        }
        next_of, records_read = self._next.setdefault(suffix, {}), self._read.setdefault(suffix, [])
        consumer.assign(ends)
        for tp in ends:
            consumer.seek(tp, next_of.get(tp.partition, self.since.get(suffix, {}).get(tp.partition, 0)))
        while any(consumer.position(tp) < end for tp, end in ends.items()):
            for records in consumer.poll(timeout_ms=300).values():
                records_read += records
        next_of.update((tp.partition, consumer.position(tp)) for tp in ends)
        consumer.close()
        return records_read

    def positions(self) -> dict[int, int]:
        """Return the position of the state of each partition.

        Every checkpoint writes its position, so it is among the last records.
        """
        from kafka import KafkaConsumer, TopicPartition

        consumer = KafkaConsumer(
            bootstrap_servers=self.broker.address,
            enable_auto_commit=False,
            isolation_level="read_committed",
            max_poll_records=5000,
        )
        positions: dict[int, int] = {}
        with contextlib.closing(consumer):
            for tp in (
                TopicPartition(f"{self.prefix}.watch.state", number) for number in range(self.partitions)
            ):
                consumer.assign([tp])
                begin, end, back = consumer.beginning_offsets([tp])[tp], consumer.end_offsets([tp])[tp], TAIL
                while tp.partition not in positions and end - back // 4 > begin:
                    consumer.seek(tp, max(begin, end - back))
                    while consumer.position(tp) < end:
                        for record in consumer.poll(timeout_ms=300).get(tp, ()):
                            if record.key == POSITION:
                                positions[tp.partition] = int(record.value or b"0")
                    back *= 4
        return positions

    def dropped(self) -> int:
        """Return the number of bundles dropped by the dropping worker."""
        return self.workers.log().count("softfail.dropping dropped ")

    def _look(self) -> None:
        """Record the lag of the static members every two seconds."""
        while self._looking:
            for number in self._ports.keys() & set(self.workers.numbers()):
                with (
                    contextlib.suppress(OSError, ValueError),
                    urllib.request.urlopen(
                        f"http://127.0.0.1:{self._ports[number]}/metrics", timeout=1
                    ) as answer,
                ):
                    lags = [
                        float(line.rsplit(b" ", 1)[1])
                        for line in answer.read().splitlines()
                        if line.startswith(b"softfail_consumer_lag_records{")
                    ]
                    self.max_lag = max(self.max_lag, *lags, 0.0)
            time.sleep(2)

    def close(self) -> None:
        """Stop all parts of the deployment."""
        self._looking = False
        self._looker.join()
        self.workers.close()
        self.pager.close()


def seeded(seed: int, *names: object) -> random.Random:
    """Return a separate generator for each purpose, so that an additional draw changes no other sequence."""
    return random.Random("/".join(map(str, (seed, *names))))
