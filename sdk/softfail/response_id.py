"""The handle that ``response`` returns: the event id, with the labels that feedback needs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LABELS = ("service", "feature", "environment", "model", "prompt_version", "variant", "dimensions")
"""Fields that feedback and evaluations copy from their response."""


class ResponseId(str):
    """The event id of a response: a string that carries the labels of the response.

    Attributes:
        labels: those fields of ``LABELS`` that the response has.
        sent: whether the response was selected to be sent.
        sample_probability: the probability of that selection, (0, 1].
    """

    labels: Mapping[str, Any]
    sent: bool
    sample_probability: float

    def __new__(
        cls,
        event_id: str,
        labels: Mapping[str, Any] | None = None,
        sent: bool = True,
        sample_probability: float = 1.0,
    ) -> ResponseId:
        """Create a handle from an event id."""
        handle = super().__new__(cls, event_id)
        handle.labels = labels or {}
        handle.sent = sent
        handle.sample_probability = sample_probability
        return handle
