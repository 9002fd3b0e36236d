"""How the producer is set up. A wrong option is logged and its default taken: monitoring must not stop a
service from starting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from kafka import KafkaProducer
from kafka.codec import has_zstd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from softfail.events import OptionalLabel
from softfail.security import InvalidSecurity, Security, Unusable, security_of

_OURS = frozenset(
    {
        "bootstrap_servers",
        "key_serializer",
        "value_serializer",
        "transactional_id",
        "transaction_timeout_ms",
        "partitioner",
    }
)


class Options(BaseModel):
    """Everything that ``Softfail`` takes; what it does not know goes to ``KafkaProducer``, if that knows it."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    service: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        "unknown", description="Name of the service; give it"
    )
    bootstrap_servers: str | list[str] = Field(
        "localhost:9092", description="host:port, several with commas or as a list"
    )
    security: Security | Unusable | None = Field(
        None, description="TLS and login: `softfail.security.Security`, or a dict with its keys"
    )
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")] = Field(
        "softfail.events", description="Where the events go"
    )
    environment: OptionalLabel = Field("production", description="Only `production` pages by default")
    service_version: OptionalLabel = Field("", description="Put on every response that has none")
    sample_probability: Annotated[float, Field(gt=0, le=1)] = Field(
        1.0, description="Share of calls (of sessions, if given) that is sent"
    )
    content_probability: Annotated[float, Field(ge=0, le=1)] = Field(
        0.1, description="Share of those whose texts come along"
    )
    error_content_per_minute: Annotated[float, Field(ge=0, le=1e6)] = Field(
        60.0, description="Errors a minute sent for certain, with texts"
    )
    redact: bool | Callable[[str], str] = Field(
        True, description="Redact texts; a function (text -> text) runs after ours"
    )
    queue_size: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        10_000, description="Events waiting at most; then the oldest goes"
    )
    queue_bytes: Annotated[int, Field(ge=1_000)] = Field(
        32 * 2**20, description="Their size at most, bytes, roughly"
    )
    recent_responses: Annotated[int, Field(ge=0, le=10_000_000)] = Field(
        10_000, description="Responses whose labels are kept for feedback by id"
    )
    meter_interval_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        10.0, description="Seconds between meters"
    )
    exit_timeout_s: Annotated[float, Field(ge=0, le=600)] = Field(
        5.0, description="Seconds that the flush at exit may take"
    )


def read(given: Mapping[str, Any]) -> tuple[Options, dict[str, Any], list[str]]:
    """Options, the settings of ``KafkaProducer``, and what was wrong with what was given.

    >>> read({"service": "shop", "sample_probability": 7, "acks": "all", "colour": "red"})[1:]  # doctest: +NORMALIZE_WHITESPACE
    ({'acks': 'all'}, ['colour: no option of Softfail or KafkaProducer; left out', 'sample_probability: Input
    should be less \
than or equal to 1, got 7; the default 1.0 is used'])
    """
    faults: list[str] = []
    own = {name: value for name, value in given.items() if name in Options.model_fields}
    kafka: dict[str, Any] = {}
    for name, value in given.items():
        if name in own:
            continue
        if name in KafkaProducer.DEFAULT_CONFIG and name not in _OURS:
            kafka[name] = value
        else:
            faults.append(f"{name}: no option of Softfail or KafkaProducer; left out")
    _secure(own, kafka, faults)
    if not own.get("service"):
        faults.append("service: not given; events are sent as service `unknown`")
        own.pop("service", None)
    while True:
        try:
            return Options.model_validate(own), kafka, faults
        except ValidationError as error:
            for fault in error.errors(include_url=False, include_context=False):
                name = str(fault["loc"][0])
                if name in own:
                    faults.append(
                        f"{name}: {fault['msg']}, got {own.pop(name)!r:.60}; the default"
                        f" {Options.model_fields[name].default!r} is used"
                    )


def _secure(own: dict[str, Any], kafka: dict[str, Any], faults: list[str]) -> None:
    """Read ``security``. One that is wrong has no default to fall back to: what was meant to be secured is
    not sent in the clear.
    """
    if own.get("security") is None:
        return
    try:
        own["security"] = security_of(own["security"])
    except InvalidSecurity as error:
        faults += [f"{fault}; nothing is sent until it is mended" for fault in str(error).splitlines()]
        own["security"] = Unusable(str(error))
    for name in [name for name in kafka if name == "security_protocol" or name.startswith(("ssl_", "sasl_"))]:
        del kafka[name]
        faults.append(f"{name}: left out, because security= says how to connect; put it there")


def producer_settings(options: Options, kafka: Mapping[str, Any], client_id: str) -> dict[str, Any]:
    """Settings of ``KafkaProducer``: ours, then the user's.

    Source: kafka.producer.kafka.KafkaProducer of kafka-python 3.0.
    """
    return {
        "bootstrap_servers": options.bootstrap_servers,
        "client_id": client_id,
        "enable_idempotence": True,  # brings acks=all and endless retries, bounded by delivery_timeout_ms
        "delivery_timeout_ms": 120_000,
        "compression_type": "zstd" if has_zstd() else "gzip",
        "linger_ms": 50,
        "batch_size": 64 * 1024,
        "max_block_ms": 5_000,  # on our background thread: how long it waits for the topic to be known
        "bootstrap_timeout_ms": 10_000,
        "reconnect_backoff_max_ms": 10_000,
        # a broker that creates topics would give it the wrong number of partitions
        "allow_auto_create_topics": False,
        "metrics_enabled": False,
        **kafka,
    }
