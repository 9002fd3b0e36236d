"""The question that people answer about each response, and the labels that they choose from."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from softfail.sanitize import sanitize

CANNOT_TELL = "cannot tell"
"""Label of an answer on which a person gives no verdict. It makes no event."""
MOST_LABELS = 9
"""Each label has a digit from 1 on; 0 is ``CANNOT_TELL``."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_MOST_LABEL_CHARS = 40
_MOST_TEXT_CHARS = 2_000


class InvalidQuestion(ValueError):
    """Raised when a question cannot be asked. The message names the option and the remedy."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with its labels.

    Attributes:
        name: its name in metrics: letters, digits, ``_`` and ``-``.
        text: as people read it.
        passing, failing: labels by what they mean for the answer.

    >>> Question("correct", "Is the answer correct?", ("yes",), ("no",)).evaluator
    'human:correct'
    """

    name: str
    text: str
    passing: tuple[str, ...]
    failing: tuple[str, ...]

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InvalidQuestion(
                f"--question: {sanitize(self.name, 80)!r} must be letters, digits, _ and -, at most 64, like correct"
            )
        if not self.text.strip() or len(self.text) > _MOST_TEXT_CHARS:
            raise InvalidQuestion(f"--ask: write 1 to {_MOST_TEXT_CHARS:,} characters")
        if not self.passing or not self.failing:
            raise InvalidQuestion("--pass and --fail: give at least one label of each")
        if len(self.labels) > MOST_LABELS:
            raise InvalidQuestion(
                f"--pass and --fail: {len(self.labels)} labels, but only {MOST_LABELS} have a digit; leave some out"
            )
        for label in self.labels:
            if not label.strip() or label != sanitize(label, _MOST_LABEL_CHARS) or label == CANNOT_TELL:
                raise InvalidQuestion(
                    f"--pass and --fail: {sanitize(label, 80)!r} must be 1 to {_MOST_LABEL_CHARS} visible characters"
                    f", and not {CANNOT_TELL!r}, which is 0"
                )
            if self.labels.count(label) > 1:
                raise InvalidQuestion(f"--pass and --fail: {label!r} is named twice; name it once")

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, those that pass first. Label number n is the digit n + 1."""
        return self.passing + self.failing

    @property
    def evaluator(self) -> str:
        """Name of the evaluator in events and metrics."""
        return f"human:{self.name}"

    @property
    def version(self) -> str:
        """Digest of text and labels: verdicts on another question are another statistic."""
        text = json.dumps([self.text, self.passing, self.failing])
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    def passes(self, label: str) -> bool | None:
        """Return whether a label passes; None for ``CANNOT_TELL`` and unknown labels."""
        return True if label in self.passing else False if label in self.failing else None


def make_question(
    name: str, text: str | None, passing: Sequence[str] | None, failing: Sequence[str] | None
) -> Question:
    """Make a question; its text and labels have defaults.

    Raises:
        InvalidQuestion: a part is invalid.

    >>> make_question("correct", None, None, None).text
    'Correct?'
    """
    return Question(
        name,
        text if text is not None else f"{name[:1].upper()}{name[1:].replace('_', ' ')}?",
        tuple(passing or ("pass",)),
        tuple(failing or ("fail",)),
    )
