"""Read the answer of a judge, and classify what is no verdict."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from monitor.judging.prompt import MOST_REASON_CHARS
from schemas.config.judges import Rubric

ErrorKind = Literal[
    "refusal", "broken_answer", "cut_off", "timeout", "rate_limited", "unavailable", "rejected"
]
"""Why a call of a judge gave no verdict."""
_FENCE = re.compile(r"```[a-zA-Z]*\n?|```")
_MOST_CHARS = 100_000


class Answer(BaseModel):
    """The answer of a judge."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    reason: str = Field(min_length=1)
    verdict: str


class InvalidAnswer(ValueError):
    """Raised for an answer that is no verdict; the message says why, for the judge and for people."""


def parse_answer(value: Any, rubric: Rubric) -> Answer:
    """Return the answer in a text, or in the arguments of a tool call.

    Fences and prose around the object are left out. The reason is cut to 400 characters.

    Args:
        value: text, or a decoded object.
        rubric: its choices are the verdicts.

    Raises:
        InvalidAnswer: there is no JSON object, a key is missing, or the verdict is no choice.

    >>> rubric = Rubric(prompt="Is it right? {{output}}", choice_scores={"yes": 1, "no": 0})
    >>> parse_answer('Sure: ```json\\n{"reason": "it is", "verdict": "yes"}```', rubric).verdict
    'yes'
    """
    raw = _object_in(value) if isinstance(value, str) else value
    if not isinstance(raw, dict):
        raise InvalidAnswer("it has no JSON object")
    try:
        answer = Answer.model_validate(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidAnswer(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    verdict = answer.verdict.strip()
    if verdict not in rubric.choice_scores:
        raise InvalidAnswer("verdict: it is not one of the choices")
    return Answer(reason=answer.reason[:MOST_REASON_CHARS], verdict=verdict)


def _object_in(text: str) -> Any:
    """Return the first balanced JSON object in a text; None if there is none."""
    text = _FENCE.sub("", text[:_MOST_CHARS])
    decoder = json.JSONDecoder()
    start = text.find("{")
    for _ in range(20):  # each attempt may read all of the text
        if start < 0:
            return None
        try:
            return decoder.raw_decode(text, start)[0]
        except (ValueError, RecursionError):
            start = text.find("{", start + 1)
    return None
