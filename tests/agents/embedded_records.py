"""Records of a topic of an embedded broker."""

from __future__ import annotations


def records_of(address: str, topic: str) -> list[tuple[bytes | None, bytes | None]]:
    """Return key and value of all committed records of a topic; empty if it does not exist."""
    import confluent_kafka

    consumer = confluent_kafka.Consumer(
        {
            "bootstrap.servers": address,
            "group.id": "reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "log_level": 0,
        }
    )
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        consumer.assign([confluent_kafka.TopicPartition(topic, partition, 0) for partition in partitions])
        records, ended = list[tuple[bytes | None, bytes | None]](), set[int]()
        while len(ended) < len(partitions):
            message = consumer.poll(10)
            assert message is not None, f"no answer about {topic}"
            if message.error() is None:
                records.append((message.key(), message.value()))
            elif message.error().code() == confluent_kafka.KafkaError._PARTITION_EOF:
                ended.add(message.partition())
    finally:
        consumer.close()
    return records
