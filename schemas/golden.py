"""Models of a golden set: a case, its checks, and where it came from. A set is one JSON object a line."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from schemas.fields import Part
from softfail.events import Label

CHECK_TYPES = (
    "equals",
    "contains",
    "icontains",
    "contains_any",
    "contains_all",
    "icontains_any",
    "icontains_all",
    "starts_with",
    "ends_with",
    "regex",
    "is_json",
    "contains_json",
    "is_xml",
    "contains_xml",
    "is_html",
    "contains_html",
    "levenshtein",
    "rouge_1",
    "word_count",
    "char_count",
    "refusal",
    "finish_reason",
    "latency_s",
    "cost_usd",
    "expression",
    "rubric",
    "any_of",
    "all_of",
)
MAX_TEXT_CHARS = 200_000
MAX_CHECKS = 100


class GoldenPart(Part):
    """Base class of the parts of a set: frozen, strict; unknown fields are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class Check(GoldenPart):
    """An expectation about one answer."""

    type: Literal[CHECK_TYPES] = Field(description="The kind of check")  # type: ignore[valid-type]  # the literal is the tuple
    value: Any = Field(None, description="What the answer is compared with; its type depends on `type`")
    threshold: Annotated[float, Field(ge=0, le=10**9)] | None = Field(
        None, description="Limit of a check that measures: greatest distance, seconds or dollars; least score"
    )
    transform: str | None = Field(
        None,
        max_length=20_000,
        description="Expression, like `JSON.parse(output).city`, whose value is judged in place of the answer",
    )
    negate: bool = Field(False, description="Whether the answer must not do this")
    weight: Annotated[float, Field(ge=0, le=10**6)] = Field(
        1.0, description="Weight in the score of the case; used only where the case or group has a threshold"
    )
    checks: Annotated[tuple[Check, ...], Field(strict=False, max_length=MAX_CHECKS)] = Field(
        (), description="The checks of `any_of` and `all_of`"
    )


class Origin(GoldenPart):
    """Where a case came from. All fields are optional."""

    source: str = Field("", max_length=400, description="File, data set or topic")
    source_id: str = Field("", max_length=400, description="Identity of the case there")
    event_id: str = Field("", max_length=256, description="The response in production that failed")
    time: str = Field("", max_length=64, description="When it failed")
    model: str = Field("", max_length=256)
    prompt_version: str = Field("", max_length=256)
    variant: str = Field("", max_length=256)
    trace_id: str = Field("", max_length=256)
    failed: dict[str, str] = Field({}, description="Evaluator -> reason of the failure in production")
    similar: Annotated[int, Field(ge=1)] = Field(1, description="How many failures like this one there were")
    redacted: bool = Field(
        False, description="Whether the texts were redacted: a redacted prompt is another prompt"
    )
    not_imported: Annotated[tuple[str, ...], Field(strict=False)] = Field(
        (), description="What of the case could not be imported"
    )


class Message(GoldenPart):
    """A message of a conversation."""

    role: Label
    content: Any


class GoldenCase(GoldenPart):
    """One case of a golden set: what is asked, and what an answer must be like."""

    id: Label = Field(description="Name of the case, unique in the set")
    input: str | Annotated[tuple[Message, ...], Field(strict=False, min_length=1)] | dict[str, Any] = Field(
        description="What the target gets: a text, messages, or an object"
    )
    reference: str | None = Field(None, max_length=MAX_TEXT_CHARS, description="A good answer")
    context: str | None = Field(None, max_length=MAX_TEXT_CHARS, description="Text that the answer rests on")
    feature: str = Field(
        "", max_length=512, description="`service/feature`, whose evaluators of the configuration apply"
    )
    evaluators: Annotated[tuple[Any, ...], Field(strict=False, max_length=MAX_CHECKS)] | None = Field(
        None,
        description="Evaluators of production, as in softfail.yaml; without them those of `feature`, else the default ones",
    )
    checks: Annotated[tuple[Check, ...], Field(strict=False, max_length=MAX_CHECKS)] = Field(
        (), description="Expectations about the answer"
    )
    threshold: Annotated[float, Field(ge=0, le=1)] | None = Field(
        None, description="Least weighted share of the checks that must pass; without it all must"
    )
    must_pass: bool = Field(False, description="Whether a failure of this case alone makes the gate red")
    tags: Annotated[tuple[Label, ...], Field(strict=False, max_length=32)] = Field(
        (), description="Results are also reported by tag"
    )
    status: Literal["active", "candidate"] = Field(
        "active", description="A candidate is not run until a person confirms it"
    )
    origin: Origin = Origin()
    note: str = Field("", max_length=4_000, description="For people")

    @model_validator(mode="after")
    def _feature_has_a_service(self) -> GoldenCase:
        if self.feature and "/" not in self.feature:
            raise ValueError("feature: write service/feature, like support-bot/answer")
        return self
