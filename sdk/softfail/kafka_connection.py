"""kafka-python's producer, opened and closed in the ways that it gets wrong by itself."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from softfail.connection_diagnosis import refusal
from softfail.security import InvalidSecurity, Security, Unusable

_discarded: list[Any] = []  # kept for ever: their __del__ would write to the parent's sockets


def open_producer(
    settings: Mapping[str, Any], topic: str, security: Security | Unusable | None = None
) -> Any:
    """A connected producer that knows its topic. Blocks: background thread only.

    Args:
        security: how to connect; its files are read now, so a renewed certificate is taken at the next
            connection.

    Raises:
        KafkaError, ValueError: what kafka-python raises; the topic is missing, there is no broker, a setting
            is wrong.
        InvalidSecurity: a broker is there and does not take ``security``, or a file of it cannot be used.
    """
    try:
        producer = KafkaProducer(**settings, **(security.kafka_python() if security is not None else {}))
    except KafkaError:
        # NoBrokersAvailable in 2.x, KafkaTimeoutError in 3.x: its time ran out, whatever the cause
        known = security if isinstance(security, Security) else None
        if (
            "security_protocol" not in settings
            and (why := refusal(settings["bootstrap_servers"], known)) is not None
        ):
            raise InvalidSecurity(why) from None
        raise
    # Its own exit handler would run before ours (last registered, first run) and close it under our flush.
    cleanup = getattr(producer, "_cleanup", None)
    if cleanup is not None:
        atexit.unregister(cleanup)
    try:
        producer.partitions_for(topic)
    except KafkaTimeoutError:
        shut(producer, 0.0)
        raise KafkaTimeoutError(
            f"topic {topic} is unknown to the broker; create it with `python -m agents topics`"
        ) from None
    except BaseException:
        shut(producer, 0.0)
        raise
    return producer


def shut(producer: Any, timeout_s: float) -> None:
    """Close, and by force what does not close: ``close`` raises when its flush times out, and leaves its
    thread behind.
    """
    try:
        producer.close(timeout=timeout_s)
    except Exception:  # noqa: BLE001 - it goes away whatever it says
        sender = getattr(producer, "_sender", None)
        if sender is not None and sender.is_alive():
            sender.force_close()


def discard(producer: Any) -> None:
    """Forget the parent's producer in the child of a fork, without a word to the broker: the sockets are
    shared.
    """
    if producer is not None:
        producer._closed = True  # close() and __del__ return at once
        _discarded.append(producer)
