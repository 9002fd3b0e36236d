"""Read the options of the producer.

An invalid option is logged and replaced by its default: monitoring must not stop a service from starting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

from kafka import KafkaProducer
from kafka.codec import has_zstd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from softfail.events import MIN_SAMPLE_PROBABILITY, MIN_TEXT_PROBABILITY, OptionalLabel, SampleProbability
from softfail.safety import validated
from softfail.security import InvalidSecurity, RejectedSecurity, Security, parse_security

# options of KafkaProducer that the SDK sets itself
_RESERVED = frozenset(
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
    """The options of ``Softfail``. Other keywords are passed on to ``KafkaProducer`` if it knows them."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=True)

    service: Annotated[str, Field(min_length=1, max_length=256)] = Field(
        "unknown", description="Name of the service; always set it"
    )
    bootstrap_servers: str | list[str] = Field(
        "localhost:9092", description="host:port, several with commas or as a list"
    )
    security: Security | RejectedSecurity | None = Field(
        None, description="TLS and login: `softfail.security.Security`, or a dict with its keys"
    )
    topic: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")] = Field(
        "softfail.events", description="Topic of the events"
    )
    environment: OptionalLabel = Field("production", description="Only `production` pages by default")
    service_version: OptionalLabel = Field("", description="Set on every response that has none")
    sample_probability: SampleProbability = Field(
        1.0, description="Share of calls (of sessions, if given) that is sent, at least 0.0001"
    )
    content_probability: Annotated[float, Field(ge=0, le=1)] = Field(
        0.1,
        description=(
            "Share of the sent calls that include their texts: 0, or at least 1e-6 when multiplied by"
            " sample_probability"
        ),
    )
    error_content_per_minute: Annotated[float, Field(ge=0, le=1e6)] = Field(
        60.0, description="Errors a minute that are always sent, with texts"
    )
    redact: bool | Callable[[str], str] = Field(
        True, description="Redact texts; a function (text -> text) runs after the built-in redaction"
    )
    redact_all_ips: bool = Field(
        False, description="Redact private, loopback and documentation addresses too, not only public ones"
    )
    safety: list[Any] = Field(
        [],
        description=(
            "Checks of every call before sampling, on the background thread: `pii`, and functions of one"
            " `softfail.evaluator.ModelResponse`; a call that fails one is always sent"
        ),
    )
    queue_size: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        10_000, description="Maximum number of waiting events; then the oldest is dropped"
    )
    queue_bytes: Annotated[int, Field(ge=1_000)] = Field(
        32 * 2**20, description="Maximum size of the waiting events, bytes, estimated"
    )
    recent_responses: Annotated[int, Field(ge=0, le=10_000_000)] = Field(
        10_000, description="Number of responses whose labels are kept for feedback by id"
    )
    meter_interval_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        10.0, description="Seconds between meters"
    )
    exit_timeout_s: Annotated[float, Field(ge=0, le=600)] = Field(
        5.0, description="Maximum duration of the flush at exit, seconds"
    )

    @field_validator("safety", mode="before")
    @classmethod
    def _usable_checks(cls, value: Any) -> list[Any]:
        return validated(value)

    @field_validator("content_probability")
    @classmethod
    def _texts_not_too_rare(cls, value: float, info: ValidationInfo) -> float:
        if 0 < value * info.data.get("sample_probability", 1.0) < MIN_TEXT_PROBABILITY:
            raise ValueError(
                f"times sample_probability is below {MIN_TEXT_PROBABILITY:g}; include the texts of at least"
                " one call in 1,000,000, or 0 for none"
            )
        return value


def parse_options(arguments: Mapping[str, Any]) -> tuple[Options, dict[str, Any], list[str]]:
    """Split keyword arguments into options and settings of ``KafkaProducer``.

    Args:
        arguments: as passed to ``Softfail``. Empty arguments give the defaults and an error for ``service``.

    Returns:
        The options, the settings of ``KafkaProducer``, and one error for each argument that was not used.

    >>> parse_options({"service": "shop", "acks": "all", "colour": "red"})[1:]
    ({'acks': 'all'}, ['colour: no option of Softfail or KafkaProducer; ignored'])
    >>> parse_options({"service": "shop", "sample_probability": 7})[2]
    ['sample_probability: Input should be less than or equal to 1, got 7; the default 1.0 is used']
    """
    errors: list[str] = []
    option_values = {name: value for name, value in arguments.items() if name in Options.model_fields}
    kafka_settings: dict[str, Any] = {}
    for name, value in arguments.items():
        if name in option_values:
            continue
        if name in KafkaProducer.DEFAULT_CONFIG and name not in _RESERVED:
            kafka_settings[name] = value
        else:
            errors.append(f"{name}: no option of Softfail or KafkaProducer; ignored")
    _parse_security_option(option_values, kafka_settings, errors)
    _raise_probability(option_values, errors)
    if not option_values.get("service"):
        errors.append("service: missing; events are sent as service `unknown`")
        option_values.pop("service", None)
    while True:
        try:
            return Options.model_validate(option_values), kafka_settings, errors
        except ValidationError as validation_error:
            for detail in validation_error.errors(include_url=False, include_context=False):
                name = str(detail["loc"][0])
                if name in option_values:
                    errors.append(
                        f"{name}: {detail['msg'].removeprefix('Value error, ')}, got {option_values.pop(name)!r:.60}; the default"
                        f" {Options.model_fields[name].default!r} is used"
                    )


def _raise_probability(option_values: dict[str, Any], errors: list[str]) -> None:
    """Raise a probability that is too small to the least that the monitor takes: whoever asks for very few
    calls must not get the default, which is all.

    >>> options, _, errors = parse_options({"service": "shop", "sample_probability": 1e-5})
    >>> options.sample_probability, errors
    (0.0001, ['sample_probability: less than 0.0001, got 1e-05; 0.0001 is used'])
    """
    value = option_values.get("sample_probability")
    if isinstance(value, (int, float)) and 0 < value < MIN_SAMPLE_PROBABILITY:
        least = option_values["sample_probability"] = MIN_SAMPLE_PROBABILITY
        errors.append(f"sample_probability: less than {least:g}, got {value!r:.60}; {least:g} is used")


def _parse_security_option(
    option_values: dict[str, Any], kafka_settings: dict[str, Any], errors: list[str]
) -> None:
    """Parse ``security`` in place.

    An invalid block has no default: events that should travel over a secure link are not sent over an
    insecure one.
    """
    if option_values.get("security") is None:
        return
    try:
        option_values["security"] = parse_security(option_values["security"])
    except InvalidSecurity as error:
        errors += [f"{line}; nothing is sent until this is corrected" for line in str(error).splitlines()]
        option_values["security"] = RejectedSecurity(str(error))
    for name in list(kafka_settings):
        if name == "security_protocol" or name.startswith(("ssl_", "sasl_")):
            del kafka_settings[name]
            errors.append(f"{name}: ignored, because security= is set; put it there")


def producer_settings(options: Options, kafka_settings: Mapping[str, Any], client_id: str) -> dict[str, Any]:
    """Return the arguments of ``KafkaProducer``: our defaults, overridden by the user's settings.

    Source: kafka.producer.kafka.KafkaProducer of kafka-python 3.0.
    """
    return {
        "bootstrap_servers": options.bootstrap_servers,
        "client_id": client_id,
        # implies acks=all and unlimited retries, bounded by delivery_timeout_ms
        "enable_idempotence": True,
        "delivery_timeout_ms": 120_000,
        "compression_type": "zstd" if has_zstd() else "gzip",
        "linger_ms": 500,  # below it most batches of a quiet service hold one event, at ten times the cost to read
        "batch_size": 64 * 1024,
        "max_block_ms": 5_000,  # how long the background thread waits for the topic's metadata
        "bootstrap_timeout_ms": 10_000,
        "reconnect_backoff_max_ms": 10_000,
        # a topic created by the broker would have the wrong number of partitions
        "allow_auto_create_topics": False,
        "metrics_enabled": False,
        **kafka_settings,
    }
