"""The SDK on Apache Kafka: idempotence, missing topics and outages, which the mock broker does not have."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from softfail import Softfail
from softfail.kafka_connection import open_producer
from softfail.options import parse_options, producer_settings
from softfail.partitioning import partition_of
from tests.polling import wait_until


def create_topic(address: str) -> str:
    name = f"sdk-{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=address)
    admin.create_topics([NewTopic(name, num_partitions=16, replication_factor=1)])
    admin.close()
    return name


def read_records(address: str, topic: str) -> list[Any]:
    consumer = KafkaConsumer(bootstrap_servers=address, enable_auto_commit=False)
    partitions = [TopicPartition(topic, number) for number in range(16)]
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    ends, records = consumer.end_offsets(partitions), []
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        for batch in consumer.poll(timeout_ms=500).values():
            records += batch
    consumer.close()
    return records


def test_events_arrive_once_in_the_partition_of_their_feature(kafka: Any) -> None:
    topic = create_topic(kafka.address)
    with Softfail(service="shop", bootstrap_servers=kafka.address, topic=topic) as sf:
        for number in range(2_000):
            sf.response(feature=f"f{number % 20}", model="m", event_id=str(number))
        assert sf.flush(30)
    responses = [
        record
        for record in read_records(kafka.address, topic)
        if json.loads(record.value)["kind"] == "response"
    ]
    assert sorted(int(json.loads(record.value)["event_id"]) for record in responses) == list(range(2_000))
    assert all(
        record.partition == partition_of("shop", record.key.decode().removeprefix("shop/"), 16)
        for record in responses
    )


def test_the_producer_is_idempotent_and_compresses(kafka: Any) -> None:
    options, kafka_settings, _ = parse_options({"service": "shop", "bootstrap_servers": kafka.address})
    producer = open_producer(producer_settings(options, kafka_settings, "test"), create_topic(kafka.address))
    assert producer.config["enable_idempotence"]
    assert producer.config["acks"] == -1
    assert producer.config["compression_type"] in ("gzip", "zstd")
    producer.close()


def test_events_wait_for_a_missing_topic_which_the_producer_does_not_create(
    kafka: Any, caplog: pytest.LogCaptureFixture
) -> None:
    topic = f"sdk-{uuid.uuid4().hex[:8]}"
    sf = Softfail(
        service="shop", bootstrap_servers=kafka.address, topic=topic, max_block_ms=500, meter_interval_s=0.5
    )
    sf.response(feature="f", model="m", event_id="early")
    assert not sf.flush(3)
    admin = KafkaAdminClient(bootstrap_servers=kafka.address)
    assert topic not in admin.list_topics()
    admin.create_topics([NewTopic(topic, num_partitions=16, replication_factor=1)])
    admin.close()
    wait_until(lambda: sf.counts()["shop/f"]["sent"] == 1, timeout_s=60)
    sf.close()
    assert f"topic {topic} is unknown to the broker" in caplog.text
