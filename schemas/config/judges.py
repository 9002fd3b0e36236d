"""Judges: models that grade a sample of the responses, with what they may cost and why they are trusted."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from schemas.fields import Duration, Part
from softfail.event_time import Time

JUDGE_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
UNCALIBRATED = "_uncalibrated"
"""Added to the name of a judge: the evaluator that counts its verdicts while it is uncalibrated."""
VARIABLES = ("input", "output", "context")
_PLACEHOLDER = re.compile(r"\{\{\{?\s*([^{}]*?)\s*\}?\}\}")
_ALIAS = re.compile(r"(^|[-_:/.])latest$")

Score = Annotated[float, Field(ge=0, le=1)]
Share = Annotated[float, Field(gt=0, le=1)]


class Rubric(Part):
    """The rubric of a judge, in the YAML form of autoevals: a prompt, and a score for each choice."""

    prompt: str = Field(
        min_length=20,
        max_length=20_000,
        description="The question, with `{{input}}`, `{{output}}` and `{{context}}` where the texts belong",
    )
    choice_scores: dict[str, Score] = Field(
        min_length=2,
        max_length=20,
        description="Choice -> score, 0 to 1; choices in quotes: YAML reads `yes` as true",
    )
    passes_from: float = Field(0.5, gt=0, le=1, description="Least score of a choice that means *passed*")
    use_cot: bool = Field(True, description="Of autoevals; the reason always comes before the choice")

    @field_validator("choice_scores", mode="before")
    @classmethod
    def _choices_are_texts(cls, value: Any) -> Any:
        for choice in value if isinstance(value, dict) else ():
            if not isinstance(choice, str) or not re.fullmatch(r"[\w .,/()-]{1,40}", choice):
                raise ValueError(
                    f"the choice {choice!r} is not a short text; write it in quotes, with letters, digits and - _"
                )
        return value

    @model_validator(mode="after")
    def _is_usable(self) -> Rubric:
        used = set(_PLACEHOLDER.findall(self.prompt))
        if unknown := sorted(used - {*VARIABLES}):
            raise ValueError(
                f"prompt: {{{{{unknown[0]}}}}} is no variable; there are"
                f" {', '.join('{{' + name + '}}' for name in VARIABLES)}"
            )
        if "output" not in used:
            raise ValueError("prompt: lacks {{output}}, so the judge would not see the answer; add it")
        scores = self.choice_scores.values()
        if min(scores) >= self.passes_from or max(scores) < self.passes_from:
            raise ValueError(
                f"choice_scores: all choices are on one side of passes_from ({self.passes_from:g}); give one choice a"
                " score below it and one a score from it on"
            )
        return self

    def passed(self, choice: str) -> bool:
        """Return whether a choice means that the answer passed."""
        return self.choice_scores[choice] >= self.passes_from

    def render(self, texts: dict[str, str]) -> str:
        """Return the prompt with the texts in their places. Placeholders inside a text are not replaced."""
        return _PLACEHOLDER.sub(lambda match: texts[match[1]], self.prompt)


class Endpoint(Part):
    """Where the model answers."""

    kind: Literal["openai", "anthropic"] = Field(
        "openai",
        description="Protocol: `openai` for each server that has `/chat/completions`, or `anthropic`",
    )
    url: str | None = Field(
        None,
        pattern=r"^https?://[^\s@]+$",
        description="Base URL, for example `http://localhost:8000/v1`; by default that of the provider",
    )
    api_key_variable: str = Field(
        "OPENAI_API_KEY",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="Name of the environment variable with the key; only `python -m agents judge` and `golden` read it",
    )


class JudgeSampling(Part):
    """Which responses are judged. The probability follows from what is known before, and is recorded."""

    rate: float = Field(0.05, gt=0, le=1, description="Share of the responses that no cheap evaluator failed")
    failed: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Share of the responses that a gating evaluator failed; failed calls are not judged",
    )
    least_per_hour: float = Field(
        20,
        ge=0,
        le=10_000,
        description="Responses an hour of each feature that are judged at least, if there are as many",
    )


class Prices(Part):
    """Prices of the model, US dollars for a million tokens."""

    input: float = Field(ge=0, le=10_000, description="Of tokens sent")
    output: float = Field(ge=0, le=10_000, description="Of tokens received, thoughts included")


class Anchor(Part):
    """An answer that a judge grades again each day, with the verdict of people."""

    id: str = Field(min_length=1, max_length=256, description="Its name")
    input: str | None = Field(None, description="Text sent")
    output: str = Field(description="Text received")
    context: str | None = Field(None, description="Retrieved text, or instructions")
    passed: bool | None = Field(None, description="Verdict of people, if there is one")


class Calibration(Part):
    """How a judge agrees with people: the file that `python -m monitor judge calibrate` writes."""

    record: Literal["judge_calibration"]
    judge: str = Field(description="Name of the judge")
    identity: str = Field(description="Of the judge whose verdicts were compared")
    time: Time = Field(description="When the labels were compared, RFC 3339 UTC")
    labels: tuple[int, int, int, int] = Field(
        description="Number of answers judged failed and labelled failed; failed, passed; passed, failed; passed, passed"
    )
    judged: tuple[float, float] = Field(
        description="Effective number of responses that were judged, and of those judged failed; 0, 0: the labels are a"
        " random sample"
    )

    @field_validator("labels")
    @classmethod
    def _counts(cls, value: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
        if min(value) < 0:
            raise ValueError("a negative count; write the file again with: python -m monitor judge calibrate")
        return value


class Judge(Part):
    """A judge: a model that grades a sample of the responses of some features by a rubric."""

    name: str = Field(
        pattern=f"^{JUDGE_NAME.pattern}$",
        description="Its verdicts are the metric `evaluator.NAME.fail_rate`",
    )
    match: tuple[str, ...] = Field(
        ("*",), min_length=1, max_length=100, description="Features, `service/feature` with * and ?"
    )
    rubric: Rubric = Field(
        description="The rubric, or the name of a YAML file with it, relative to this file"
    )
    endpoint: Endpoint = Field(Endpoint(), description="Where the model answers")
    model: str = Field(
        min_length=1,
        max_length=256,
        description="A pinned version of a model, for example with a date; no alias `latest`",
    )
    temperature: float | None = Field(
        0.0, ge=0, le=2, description="null for models that accept none (reasoning models)"
    )
    max_tokens: int = Field(
        600, ge=100, le=100_000, description="Of the judge's answer; reasoning models need thousands"
    )
    sample: JudgeSampling = Field(JudgeSampling(), description="Which responses are judged")
    budget: float = Field(gt=0, le=1_000_000, description="US dollars a day (UTC), for this deployment")
    prices: Prices = Field(description="Prices of the model")
    concurrency: int = Field(8, ge=1, le=256, description="Calls at the same time, for each process")
    timeout: Duration = Field(60.0, ge=0.05, le=600, description="Of one call, its retries not included")
    text_chars: int = Field(
        12_000,
        ge=200,
        le=100_000,
        description="Longest text that is judged; of a longer one the middle is left out",
    )
    question: str = Field(
        "",
        max_length=200,
        description="Labels of people come as evaluator `human:QUESTION`; default: the name",
    )
    anchors: tuple[Anchor, ...] = Field(
        (),
        max_length=2000,
        description="Answers that are judged again each day, or the name of a file with one JSON object a line; 300 to"
        " 500 are advised. Without them a judge may not page",
    )
    calibration: Calibration | None = Field(
        None,
        description="Name of the file that `judge calibrate` wrote; without it a judge begins uncalibrated",
    )
    bar: Share = Field(0.85, description="Least agreement with people, with 95 % confidence")

    @field_validator("match", mode="before")
    @classmethod
    def _one_pattern(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("model")
    @classmethod
    def _pinned(cls, value: str) -> str:
        if _ALIAS.search(value):
            raise ValueError(
                f"{value!r} is an alias that changes without notice; write a pinned version, for example with a date"
            )
        return value

    @model_validator(mode="after")
    def _fits(self) -> Judge:
        if self.name.endswith(UNCALIBRATED):
            raise ValueError(
                f"name: ends with {UNCALIBRATED!r}, which softfail adds itself; take another name"
            )
        ids = [anchor.id for anchor in self.anchors]
        if len(ids) != len(set(ids)):
            double = next(name for name in ids if ids.count(name) > 1)
            raise ValueError(f"anchors: the id {double!r} stands twice; give each answer an id of its own")
        if self.calibration is not None and self.calibration.judge != self.name:
            raise ValueError(
                f"calibration: is of the judge {self.calibration.judge!r}; write one with: python -m monitor judge"
                f" calibrate --judge {self.name}"
            )
        return self

    @property
    def label_evaluator(self) -> str:
        """Name of the evaluator of labels by people."""
        return f"human:{self.question or self.name}"

    @property
    def uncalibrated_name(self) -> str:
        """Name of the evaluator that counts its verdicts while it is uncalibrated."""
        return self.name + UNCALIBRATED
