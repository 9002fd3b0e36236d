"""An answer that people may read: what they see of a response, and what its verdict has to carry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from schemas.times import rfc3339
from softfail.sanitize import sanitize

MOST_TEXT_CHARS = 20_000
"""Characters of each text that people see; the middle of a longer one is left out."""
LABEL_FIELDS = ("service", "feature", "environment", "model", "prompt_version", "variant")
TEXT_FIELDS = ("input", "context", "output")
_KEPT_TAIL = 4_000


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with its texts, labels and probabilities.

    Attributes:
        response_id: its ``event_id``.
        time: RFC 3339.
        labels: those that an evaluation copies, without empty ones.
        dimensions: further labels.
        sample_probability: that the event was sent, (0, 1].
        text_probability: that the event was sent with its texts, (0, 1].
        input, context, output: texts, safe to show; empty if missing.
        stratum: values by which the sample is stratified.
        draw_probability: that the answer was drawn from its stratum, (0, 1]; 0: not drawn yet.
    """

    response_id: str
    time: str
    labels: dict[str, str]
    dimensions: dict[str, str]
    sample_probability: float
    text_probability: float
    input: str
    context: str
    output: str
    stratum: dict[str, str]
    draw_probability: float = 0.0

    @property
    def probability(self) -> float:
        """Probability that a call has a label of a person: it was sent, with texts, and drawn."""
        return self.text_probability * self.draw_probability

    def record(self) -> dict[str, Any]:
        """Return the answer as a line of the sample file has it."""
        return {"record": "review_answer", **asdict(self)}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Answer:
        """Restore an answer.

        Raises:
            KeyError, TypeError, ValueError: the record is not that of an answer.
        """
        values = {name: record[name] for name in cls.__slots__}
        for name in ("sample_probability", "text_probability", "draw_probability"):
            if not 0 < float(values[name]) <= 1:
                raise ValueError(f"{name} is {values[name]!r:.40}; it must be above 0 and at most 1")
        return cls(**values)


def answer_of(event: Any, stratum: dict[str, str], redact: Callable[[str], str] | None) -> Answer:
    """Make the answer of a decoded response.

    Args:
        event: has an output.
        stratum: of the answer.
        redact: applied to its texts; None leaves them.
    """
    given, context, output = (_shown(getattr(event, name) or "", redact) for name in TEXT_FIELDS)
    return Answer(
        event.event_id,
        rfc3339(event.time),
        {name: value for name in LABEL_FIELDS if (value := getattr(event, name))},
        dict(event.dimensions),
        event.sample_probability,
        event.sample_probability * event.content_probability,
        given,
        context,
        output,
        stratum,
    )


def _shown(text: str, redact: Callable[[str], str] | None) -> str:
    """Redact a text before it is cut, so that no part of a number stays at the cut."""
    text = redact(text) if redact is not None else text
    if len(text) > MOST_TEXT_CHARS:
        left_out = len(text) - MOST_TEXT_CHARS
        head = text[: MOST_TEXT_CHARS - _KEPT_TAIL]
        text = f"{head}\n[... {left_out:,} characters left out ...]\n{text[-_KEPT_TAIL:]}"
    return sanitize(text, lines=True)
