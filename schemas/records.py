"""Records on softfail's topics, for their readers. Names are a promise; times are RFC 3339 UTC.

The worker writes the same records as msgspec structs, for speed (``monitor.protocol.messages.OutputRecord``);
tests compare them with these models. ``schemas.record_kinds`` says which kind a record is.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.evidence_record import Evidence
from schemas.fields import Severity
from schemas.record_fields import Labels, Written
from schemas.window_record import Window
from softfail.event_time import Time


class Transition(Labels):
    """A change of an incident's state."""

    record: Literal["transition"]
    incident_id: str
    episode_id: str | None = Field(description="None while pending")
    rule: str
    severity: Severity
    state: Literal["pending", "firing", "resolved"]
    reason: str
    time: Time = Field(description="The pane edge, event time")
    decided_at: Time = Field(description="When it was decided, wall clock")
    evidence: Evidence


class Figure(Written):
    """The metric of an incident at one pane edge."""

    metric: str
    value: float
    n: float = Field(description="Effective events")
    window_s: float
    time: Time


class EpisodeIncident(Labels):
    """An incident as its episode shows it."""

    incident_id: str
    rule: str
    severity: Severity
    state: Literal["firing", "resolved"]
    since: Time = Field(description="The first breaching edge")
    evidence: Evidence
    returned: Time | None = Field(
        None,
        description="From when on it is wrong again, after it was normal for long enough; null: it never was",
    )
    text: str = Field(
        "",
        description="The finding in words; only of findings about softfail itself",
    )
    kind: str = Field(
        "",
        description="What failed: errors, silence, an evaluator, or a metric; empty in records of older releases",
    )
    decided: Figure | None = Field(None, description="Its metric when it fired")
    worst: Figure | None = Field(None, description="The same at its worst since")
    present: Figure | None = Field(None, description="The same as of this record, while it fires")
    also_present: list[Figure] = Field([], description="Its further findings as of this record")
    changes: int = Field(0, description="How often a present figure changed by a factor of two")

    @property
    def wrong_since(self) -> Time:
        """From when on it is wrong without a break; as the detector of a baseline places it."""
        began = self.evidence.began or self.since
        return began if self.returned is None else max(began, self.returned)

    @property
    def first_wrong(self) -> Time:
        """Since when it is wrong, or failed first if it failed again; as the detector of a baseline places it."""
        began = self.evidence.began or self.since
        return began if self.returned is None else min(began, self.since)


class Example(Written):
    """A failing response, redacted and cut."""

    event_id: str
    time: Time
    model: str
    evaluator: str
    reason: str
    output: str | None
    input: str | None = None
    prompt_version: str = ""
    session_id: str = ""
    trace_id: str = ""


class Member(Written):
    """A feature in a page over several."""

    episode_id: str
    service: str
    feature: str
    environment: str
    severity: Severity
    state: Literal["firing", "resolved"]
    started_at: Time
    text: str = Field(description="Its weightiest finding, in words")


class Episode(Written):
    """The overlapping incidents of one service/feature/environment. Only episodes are delivered."""

    record: Literal["episode"]
    episode_id: str
    dedup_key: str = Field(description="PREFIX/EPISODE_ID; channels append /high or /low")
    state: Literal["opened", "updated", "escalated", "resolved"]
    reason: str
    service: str
    feature: str
    environment: str
    severity: Severity = Field(description="The worst so far")
    urgency: Literal["high", "low"] = Field(description="high pages; it rises and never sinks")
    muted: str = Field("", description="Why it is recorded and not delivered; empty when it is")
    started_at: Time = Field(description="The first breaching edge")
    time: Time
    decided_at: Time
    firing: int = Field(0, ge=0, description="Incidents that fire, shown or not")
    incidents: list[EpisodeIncident] = Field(
        description="At most 50: those of the whole feature first, firing before resolved"
    )
    examples: list[Example] = Field(max_length=3)
    causes: list[str] = Field(
        [], max_length=3, description="What is probably behind it, in words, the likeliest first"
    )
    provider: str = Field(
        "",
        description="Provider of most calls that went wrong; empty when there are several, or none is known",
    )
    model: str = Field(
        "",
        description="Requested model of most calls that went wrong; empty when there are several, or none is known",
    )
    features: int = Field(
        0,
        ge=0,
        description="Only in what channels send: number of features that are grouped into one page, listed or not",
    )
    lead: str = Field(
        "", description="Only in what channels send: the kind of failure for which a page rings again"
    )
    members: list[Member] = Field(
        [], max_length=50, description="The first of them: those that fire first, then by severity"
    )


class Change(Written):
    """Something new that a feature uses, which is no fault by itself: a version of the prompt or the service,
    a model, a model that answers.
    """

    record: Literal["change"]
    change_id: str
    service: str
    feature: str
    environment: str
    kind: str = Field(
        description=(
            "prompt version, model, answering model; or the name of a dimension that is a version, as in"
            " service version"
        )
    )
    name: str
    before: str = Field("", description="What was used most until then; empty when that is not known")
    time: Time = Field(description="The pane edge at which it was seen, event time")
    decided_at: Time = Field(description="Wall clock")


class Sample(Written):
    """A failing response, redacted and cut (`softfail.samples`)."""

    record: Literal["sample"]
    event_id: str
    time: Time
    service: str
    feature: str
    environment: str
    model: str
    prompt_version: str
    variant: str
    dimensions: dict[str, str]
    failed: dict[str, str] = Field(description="evaluator -> reason")
    input: str | None
    output: str | None
    context: str | None
    error_type: str
    finish_reason: str
    session_id: str = ""
    trace_id: str
    partition: int
    offset: int


class DeadLetter(Written):
    """A record that could not be read, with why (`softfail.deadletter`)."""

    topic: str
    partition: int
    offset: int
    timestamp: int | None = Field(description="Append time, ms since 1970")
    key: str | None = Field(description="As text; bytes that are no UTF-8 as \\xff")
    headers: list[tuple[str, str]] = Field(description="Name and content, as text")
    error: str
    field: str = Field(description="The field at fault; empty when the record itself is")
    value: str | None = Field(description="base64 of the first 64 KiB")
    size: int = Field(description="Bytes of the whole value")


class Finding(Written):
    """Something wrong with softfail's own work, as one partition sees it."""

    name: str = Field(
        description=(
            "dead-letters, evaluator-errors, evaluator-silence, evaluator-cut-off, unrepeated-label,"
            " too-many-features, producer-drops,"
            " events-missing,"
            " wrong-partition, lag, lost-records, recovery"
        )
    )
    severity: Severity
    text: str
    since: Time = Field(description="Wall clock")
    value: float | None


class Heartbeat(Written):
    """The health of an agent and of each partition that it owns: each minute, and when its findings
    change. It is of no use to analysts.
    """

    record: Literal["health"]
    agent: str
    partition: int
    partitions: int = Field(description="Of the agent's source")
    time: Time = Field(description="Wall clock")
    observed_s: float = Field(
        description=(
            "Seconds that the findings rest on; while it is less than health.window, a missing finding does"
            " not mean that all is healthy"
        )
    )
    counts: dict[str, int] = Field(
        description="What was counted in these seconds: `records`, `dead-letters`, `dead-letters/CAUSE`, ..."
    )
    findings: list[Finding]


class JudgedRate(Written):
    """The failure rate of one feature by a judge, on the present day (UTC)."""

    service: str
    feature: str
    n: float = Field(description="Effective number of judged responses")
    judged: float = Field(description="As the judge says")
    value: float | None = Field(description="Corrected for the judge's errors; None: nothing is known")
    low: float = Field(description="95 % interval of the true rate; it contains the errors of the judge")
    high: float
    labels: int = Field(description="Answers labelled by people that the correction rests on")
    reasons: list[str] = Field(
        description="Why the judge may not page about this feature, beside those of the judge"
    )


class JudgedRates(Written):
    """A judge in one partition: whether it is trusted, and the corrected failure rates. A later record of the
    same judge and partition replaces it.
    """

    record: Literal["judged"]
    judge: str
    partition: int
    time: Time = Field(description="Wall clock")
    identity: str = Field(description="Of the judge that answers; empty before its first answer")
    calibrated: bool = Field(description="Whether its verdicts may page")
    reasons: list[str] = Field(description="Why it is uncalibrated, each with its remedy")
    labels: int
    agreement: tuple[float, float, float] | None = Field(
        description="With people: value, low, high (95 % interval)"
    )
    rates: list[JudgedRate]


class Silence(Written):
    """A person asked that something is not delivered for a time. A later record of the same id replaces it:
    to end it, with an earlier end.
    """

    record: Literal["silence"]
    silence_id: str = Field(pattern=r"^[A-Za-z0-9_\-]{1,64}$")
    match: str = Field(
        min_length=1,
        max_length=300,
        description="service/feature, with * and ?; softfail's own health only by softfail/...",
    )
    environments: list[str] = Field([], max_length=20, description="Names, with * and ?; empty: all")
    severity: list[Severity] = Field([], max_length=4, description="Of the episode; empty: any")
    starts_at: Time = Field(description="Wall clock")
    ends_at: Time = Field(description="Wall clock, 30 d after the start at the most")
    author: str = Field("", max_length=200)
    reason: str = Field(max_length=1000)
    time: Time = Field(description="When this was written, wall clock")


RECORDS: dict[str, type[Written]] = {
    "window": Window,
    "transition": Transition,
    "episode": Episode,
    "sample": Sample,
    "deadletter": DeadLetter,
    "health": Heartbeat,
    "silence": Silence,
    "judged": JudgedRates,
    "change": Change,
}
"""Name of the JSON Schema file -> model."""
