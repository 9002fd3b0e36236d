"""Event models: what a service publishes, one JSON object per Kafka message.

Times are RFC 3339 in UTC, durations are in seconds, money is in US dollars. An optional field that is
``null`` counts as absent. Unknown fields are ignored. A wrong type, an impossible value or a missing required
field is an error that names the field.

Source of the attribute names: OpenTelemetry semantic conventions for generative AI (status: Development).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from softfail.event_time import Time

SCHEMA_VERSION = 1
# Labels appear in keys, metric series and pages. A longer one is a text in the wrong field.
LABEL_CHARS = 256


Label = Annotated[str, Field(min_length=1, max_length=LABEL_CHARS)]
OptionalLabel = Annotated[str, Field(max_length=LABEL_CHARS)]
Count = Annotated[int, Field(ge=0, le=10**9)]  # the bounds keep integer sums of a bundle inside 64 bits
Total = Annotated[int, Field(ge=0, le=2**53)]
Seconds = Annotated[float, Field(ge=0, le=10**7)]
Probability = Annotated[float, Field(gt=0, le=1)]
MIN_SAMPLE_PROBABILITY = 1e-4
MIN_TEXT_PROBABILITY = 1e-6
"""Least probability that an event is sent with its texts: sample_probability times content_probability."""


def _not_too_rare(value: Any) -> Any:
    """Refuse a probability at which one event would stand for more calls than a feature has in most minutes."""
    if isinstance(value, int | float) and 0 < value < MIN_SAMPLE_PROBABILITY:
        raise ValueError(f"is below {MIN_SAMPLE_PROBABILITY:g}; sample at least one call in 10,000")
    return value


SampleProbability = Annotated[float, Field(ge=MIN_SAMPLE_PROBABILITY, le=1), BeforeValidator(_not_too_rare)]
Score = Annotated[float, Field(ge=-(10**9), le=10**9)]


class Event(BaseModel):
    """Fields common to all kinds of events. ``service/feature`` is the Kafka key."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)

    kind: str
    event_id: OptionalLabel = Field("", description="Unique name of the event. OTel: gen_ai.response.id")
    time: Time = Field(description="When the call ended, RFC 3339 UTC. OTel: the span's end time")
    service: Label = Field(description="The service that made the call. OTel: service.name")
    feature: Label = Field(
        description="The AI feature inside the service. OTel: gen_ai.agent.name or gen_ai.prompt.name"
    )
    environment: Label = Field(
        "production", description="Only `production` pages by default. OTel: deployment.environment.name"
    )
    model: OptionalLabel = Field("", description="The model asked for. OTel: gen_ai.request.model")
    prompt_version: OptionalLabel = Field(
        "", description="Version of the prompt. No OTel attribute (OpenLLMetry: traceloop.prompt.version)"
    )
    variant: OptionalLabel = Field(
        "", description="Arm of an experiment, or canary. OTel: feature_flag.result.variant"
    )
    dimensions: dict[Label, OptionalLabel] = Field(
        {},
        max_length=32,
        description="More labels; the configuration selects those that become part of the segment",
    )
    sample_probability: SampleProbability = Field(
        1.0, description="Probability that this event was sent, 0.0001 to 1. No OTel attribute"
    )
    base_probability: SampleProbability | None = Field(
        None,
        description=(
            "Probability that an ordinary call of the feature is sent, where this event was sent with another"
            " one (an error that is always kept). No OTel attribute"
        ),
    )
    schema_version: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        SCHEMA_VERSION, description="Version of this layout"
    )

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        if isinstance(value, dict):
            return {name: item for name, item in value.items() if item is not None}
        return value

    @property
    def key(self) -> bytes:
        """The Kafka key, ``service/feature`` in UTF-8."""
        return f"{self.service}/{self.feature}".encode()


class Response(Event):
    """One model call as the service saw it. The texts are optional."""

    kind: Literal["response"] = "response"
    event_id: Label = Field(description="Unique name of the event. OTel: gen_ai.response.id")
    model: Label = Field(description="The model asked for. OTel: gen_ai.request.model")
    provider: OptionalLabel = Field("", description="The provider of the model. OTel: gen_ai.provider.name")
    response_model: OptionalLabel = Field(
        "", description="The model that the provider reports to have run. OTel: gen_ai.response.model"
    )
    operation: OptionalLabel = Field(
        "", description="Kind of request: chat, embeddings, ... OTel: gen_ai.operation.name"
    )
    input: str | None = Field(None, description="Text sent. OTel: gen_ai.input.messages")
    output: str | None = Field(None, description="Text received. OTel: gen_ai.output.messages")
    context: str | None = Field(
        None,
        description="Retrieved text, or instructions sent with the input. OTel: gen_ai.system_instructions",
    )
    content_probability: Probability = Field(
        1.0,
        description=(
            "Probability that the texts were included, given that the event was sent, (0, 1];"
            " times `sample_probability` at least 0.000001"
        ),
    )
    input_chars: Count | None = Field(None, description="Characters sent. No OTel attribute")
    output_chars: Count | None = Field(None, description="Characters received. No OTel attribute")
    input_tokens: Count | None = Field(None, description="OTel: gen_ai.usage.input_tokens")
    output_tokens: Count | None = Field(None, description="OTel: gen_ai.usage.output_tokens")
    cached_input_tokens: Count | None = Field(None, description="OTel: gen_ai.usage.cache_read.input_tokens")
    reasoning_tokens: Count | None = Field(None, description="OTel: gen_ai.usage.reasoning.output_tokens")
    tool_calls: Count | None = Field(
        None,
        description="Number of tool calls in the answer. OTel: tool_call parts of gen_ai.output.messages",
    )
    duration_s: Seconds | None = Field(
        None, description="Duration of the whole call, seconds. OTel: gen_ai.client.operation.duration"
    )
    time_to_first_token_s: Seconds | None = Field(
        None, description="Seconds. OTel: gen_ai.response.time_to_first_chunk"
    )
    stages_s: dict[Label, Seconds] = Field(
        {}, max_length=32, description="Stage name -> seconds. OTel: durations of the child spans"
    )
    finish_reason: OptionalLabel = Field(
        "",
        description=(
            "Why the answer ended: stop, length, content_filter, tool_calls, ..."
            " OTel: gen_ai.response.finish_reasons[0]"
        ),
    )
    error_type: OptionalLabel = Field("", description="Set when the call failed. OTel: error.type")
    attempt: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        1, description="1 for the first try. OTel: http.request.resend_count + 1"
    )
    cost_usd: Annotated[float, Field(ge=0, le=10**6)] | None = Field(
        None, description="US dollars. No OTel attribute"
    )
    interaction: Literal["sync", "progressive", "async"] | None = Field(
        None, description="How the user waits; selects the latency budget. No OTel attribute"
    )
    cold_start: bool | None = Field(None, description="OTel: faas.coldstart")
    cache_hit: bool | None = Field(
        None, description="The answer came from a cache of the service. No OTel attribute"
    )
    outcome: Literal["ok", "parse_error", "schema_error", "downstream_error"] | None = Field(
        None, description="Whether the service could use the answer. No OTel attribute"
    )
    guardrail: Literal["none", "flagged", "blocked"] | None = Field(
        None, description="Result of the guardrail. No OTel attribute"
    )
    fallback: Literal["none", "model", "cache", "template", "omitted"] | None = Field(
        None, description="What replaced the model's answer. No OTel attribute"
    )
    degradation_level: Annotated[int, Field(ge=1, le=5)] | None = Field(
        None, description="Level of service, 1 (full) to 5 (off). No OTel attribute"
    )
    session_id: OptionalLabel = Field("", description="OTel: gen_ai.conversation.id")
    trace_id: OptionalLabel = Field("", description="OTel: the span context's trace id, hexadecimal")
    span_id: OptionalLabel = Field("", description="OTel: the span context's span id, hexadecimal")
    service_version: OptionalLabel = Field("", description="OTel: service.version")
    producer_id: OptionalLabel = Field(
        "", description="The producer process that sent it, as in its meters. OTel: service.instance.id"
    )
    sequence: Total | None = Field(
        None,
        description=(
            "Sequence number, from 0, of the responses that this producer handed to Kafka for this"
            " feature and environment. No OTel attribute"
        ),
    )

    @field_validator("content_probability")
    @classmethod
    def _texts_not_too_rare(cls, value: float, info: ValidationInfo) -> float:
        if value * info.data.get("sample_probability", 1.0) < MIN_TEXT_PROBABILITY:
            raise ValueError(
                f"times sample_probability is below {MIN_TEXT_PROBABILITY:g}; include the texts of at least"
                " one call in 1,000,000"
            )
        return value


class Feedback(Event):
    """What the user did with a response.

    The labels are copied from the response. Without labels, feedback counts at feature level only.
    """

    kind: Literal["feedback"]
    event_id: Label = Field(description="Unique name of the event")
    response_id: Label = Field(description="`event_id` of the response. OTel: gen_ai.response.id")
    accepted: bool | None = Field(
        None, description="The user accepted the answer unchanged. No OTel attribute"
    )
    edit_distance: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Share of the answer that the user edited, 0 to 1"
    )
    regenerated: bool | None = Field(None, description="The user asked for another answer")
    rating: Score | None = Field(None, description="The user's rating, on the service's own scale")
    task_s: Seconds | None = Field(None, description="Seconds until the user finished the task")
    outcome: OptionalLabel = Field(
        "", description="Outcome of the user's task, a label chosen by the service"
    )


class Evaluation(Event):
    """A verdict computed outside the monitor: by a judge, a person or a batch scorer."""

    kind: Literal["evaluation"]
    event_id: Label = Field(description="Unique name of the event")
    response_id: Label = Field(description="`event_id` of the response. OTel: gen_ai.response.id")
    evaluator: Label = Field(description="OTel: gen_ai.evaluation.name")
    evaluator_version: OptionalLabel = Field("", description="Version of the evaluator. No OTel attribute")
    judge_labels: OptionalLabel = Field(
        "",
        description="Of a calibrated judge, six numbers with spaces between: answers failed by judge and people, by the"
        " judge alone, by people alone, by neither; its verdicts, and those of them *failed*. No OTel attribute",
    )
    passed: bool | None = Field(None, description="OTel: gen_ai.evaluation.score.label, as pass or fail")
    score: Score | None = Field(None, description="OTel: gen_ai.evaluation.score.value")
    reason: str | None = Field(None, description="OTel: gen_ai.evaluation.explanation")


class Meter(Event):
    """Counts of one producer for one feature, cumulative since the producer started.

    Because the counts are cumulative, a lost meter loses no information.
    """

    kind: Literal["meter"]
    producer_id: Label = Field(description="One producer process. OTel: service.instance.id")
    started_at: Time = Field(description="Start of the counts, RFC 3339 UTC. OTel: the metric's start time")
    seen: Total = Field(description="Calls that the service reported")
    sampled: Total = Field(description="Of those, chosen to be sent")
    sent: Total = Field(description="Of those, acknowledged by Kafka")
    dropped: Total = Field(description="Of those, dropped: queue full, too late, too large")
    closing: bool = Field(
        False, description="The producer shuts down: it reports no further calls. No OTel attribute"
    )


KINDS: dict[str, type[Event]] = {
    "response": Response,
    "feedback": Feedback,
    "evaluation": Evaluation,
    "meter": Meter,
}
"""Model by kind. An event without ``kind`` is a response."""
