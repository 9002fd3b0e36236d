"""kafka-python's producer, opened and closed in the ways that it gets wrong by itself."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaTimeoutError

_discarded: list[Any] = []  # kept for ever: their __del__ would write to the parent's sockets


def open_producer(settings: Mapping[str, Any], topic: str) -> Any:
    """A connected producer that knows its topic. Blocks: background thread only.

    Raises:
        KafkaError, ValueError: what kafka-python raises; the topic is missing, there is no broker, a setting is wrong.
    """
    producer = KafkaProducer(**settings)
    # Its own exit handler would run before ours (last registered, first run) and close it under our flush.
    cleanup = getattr(producer, "_cleanup", None)
    if cleanup is not None:
        atexit.unregister(cleanup)
    try:
        producer.partitions_for(topic)
    except KafkaTimeoutError:
        shut(producer, 0.0)
        raise KafkaTimeoutError(f"topic {topic} is unknown to the broker; create it with `python -m agents topics`") from None
    except BaseException:
        shut(producer, 0.0)
        raise
    return producer


def shut(producer: Any, timeout_s: float) -> None:
    """Close, and by force what does not close: ``close`` raises when its flush times out, and leaves its thread behind."""
    try:
        producer.close(timeout=timeout_s)
    except Exception:  # noqa: BLE001 - it goes away whatever it says
        sender = getattr(producer, "_sender", None)
        if sender is not None and sender.is_alive():
            sender.force_close()


def discard(producer: Any) -> None:
    """Forget the parent's producer in the child of a fork, without a word to the broker: the sockets are shared."""
    if producer is not None:
        producer._closed = True  # close() and __del__ return at once
        _discarded.append(producer)
