"""Severities of rules, incidents and episodes, in one order."""

from __future__ import annotations

from collections.abc import Iterable

SEVERITIES = ("info", "warning", "error", "critical")
"""From the least to the most severe; the names of PagerDuty's Events API v2."""
PAGING = ("error", "critical")
"""Severities that page (high urgency); the others open a ticket."""


def severity_rank(severity: str) -> int:
    """Rank a severity: 0 (``info``) to 3 (``critical``).

    Raises:
        ValueError: there is no such severity.

    >>> severity_rank("info"), severity_rank("critical")
    (0, 3)
    """
    return SEVERITIES.index(severity)


def most_severe(severities: Iterable[str]) -> str:
    """Return the most severe of these.

    Raises:
        ValueError: there is none.

    >>> most_severe(["warning", "critical", "error"])
    'critical'
    """
    return max(severities, key=severity_rank)
