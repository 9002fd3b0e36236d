"""The name under which softfail reports its own health."""

from __future__ import annotations

SERVICE = "softfail"
"""Service of every episode of self-health."""
MONITOR = "monitor"
"""Feature of the episode that stands for the whole deployment."""


def subject_of(channel: str) -> str:
    """Name the feature under which a failing channel is reported through all other channels.

    >>> subject_of("pagerduty")
    'channel-pagerduty'
    """
    return f"channel-{channel}"
