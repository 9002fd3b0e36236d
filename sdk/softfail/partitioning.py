"""Choose the partition of an event from its ``service/feature``."""

from kafka.partitioner.default import murmur2


def partition_of(service: str, feature: str, partitions: int) -> int:
    """Return the partition of a feature, as Java clients and kafka-python choose it.

    Args:
        partitions: number of partitions of the topic, at least 1.

    Source: org.apache.kafka.common.utils.Utils, ``toPositive(murmur2(key)) % partitions``.

    >>> partition_of("support-bot", "answer", 16)
    8
    """
    hashed: int = murmur2(f"{service}/{feature}".encode())
    return (hashed & 0x7FFFFFFF) % partitions
