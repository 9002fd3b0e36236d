"""Open and close kafka-python's producer; correct what it does wrong by itself."""

from __future__ import annotations

import atexit
from collections.abc import Mapping
from typing import Any

from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError

from softfail.connection_diagnosis import describe_denial, diagnose_connection
from softfail.security import InvalidSecurity, RejectedSecurity, Security

# kept until the process ends, because their __del__ would write to the parent's sockets
_abandoned: list[Any] = []


def open_producer(
    settings: Mapping[str, Any], topic: str, security: Security | RejectedSecurity | None = None
) -> Any:
    """Return a connected producer that knows its topic. Blocks: call it on the background thread only.

    Args:
        settings: arguments of ``KafkaProducer``.
        topic: must exist on the broker.
        security: TLS and login. Its files are read now, so a renewed certificate is used at the next
            connection.

    Raises:
        KafkaError, ValueError: raised by kafka-python: the topic is missing, no broker answers, or a setting
            is wrong.
        InvalidSecurity: a broker answers and rejects ``security``, or a file of it cannot be used.
    """
    try:
        producer = KafkaProducer(**settings, **(security.kafka_python() if security is not None else {}))
    except KafkaError:
        # NoBrokersAvailable in 2.x, KafkaTimeoutError in 3.x: both only mean that the time ran out
        if "security_protocol" not in settings:
            reason = diagnose_connection(
                settings["bootstrap_servers"], security if isinstance(security, Security) else None
            )
            if reason is not None:
                raise InvalidSecurity(reason) from None
        raise
    # Exit handlers run in reverse order of registration: its own would close the producer before our flush.
    cleanup = getattr(producer, "_cleanup", None)
    if cleanup is not None:
        atexit.unregister(cleanup)
    try:
        producer.partitions_for(topic)
    except KafkaTimeoutError:
        close_producer(producer, 0.0)
        raise KafkaTimeoutError(
            f"topic {topic} is unknown to the broker, or the broker is slow; "
            "create a missing topic with `python -m agents topics`"
        ) from None
    except BaseException as error:
        close_producer(producer, 0.0)
        if (denial := describe_denial(error, topic)) is not None:
            raise KafkaError(denial) from None
        raise
    return producer


def close_producer(producer: Any, timeout_s: float) -> None:
    """Close a producer, by force if necessary.

    ``KafkaProducer.close`` raises when its flush times out, and then leaves its thread running.
    """
    try:
        producer.close(timeout=timeout_s)
    except Exception:  # noqa: BLE001 - the producer must go, whatever close raises
        sender = getattr(producer, "_sender", None)
        if sender is not None and sender.is_alive():
            sender.force_close()


def abandon_producer(producer: Any) -> None:
    """Drop the parent's producer in the child of a fork without sending anything: the sockets are shared."""
    if producer is not None:
        producer._closed = True  # close() and __del__ return at once
        _abandoned.append(producer)
