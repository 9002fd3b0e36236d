"""What ``response`` returns: the event id, and with it what feedback on the response needs to know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LABELS = ("service", "feature", "environment", "model", "prompt_version", "variant", "dimensions")
"""What feedback and evaluations copy from their response."""


class ResponseId(str):
    """The event id of a response, a plain string to everyone else. While it lives it carries the labels of
    its response.

    Attributes:
        labels: the fields in ``LABELS`` that were given.
        sent: whether the response was chosen to be sent.
        sample_probability: with which probability it was.
    """

    labels: Mapping[str, Any]
    sent: bool
    sample_probability: float

    def __new__(
        cls,
        name: str,
        labels: Mapping[str, Any] | None = None,
        sent: bool = True,
        sample_probability: float = 1.0,
    ) -> ResponseId:
        """Make one from an id and what is known of its response."""
        made = super().__new__(cls, name)
        made.labels = labels or {}
        made.sent = sent
        made.sample_probability = sample_probability
        return made
