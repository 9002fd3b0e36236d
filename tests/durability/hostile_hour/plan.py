"""Which features fail in a run, how, and when."""

from __future__ import annotations

from tests.durability.hostile_hour.account import Period

FAILURES = (
    ("shop-bot/search", "errors"),
    ("desk/triage", "refusals"),
    ("crm/summary", "half_empty"),
    ("tutor/explain", "truncated"),
    ("mail/draft", "timeouts"),
    ("wiki/find", "filtered"),
)
"""Feature and fault of ``tests.scenarios.faults``. Each feature is of another service and fails once, so that no
page is shared with another feature and none is open from an earlier failure.
"""
FIRST_MIN, INTERVAL_MIN = 2.0, 10.0
FAILURE_MIN = 4.0
REST_MIN = 2.0  # after the end of the last failure, at least


def failures_of(minutes: float) -> list[Period]:
    """Return the failures of a run of this many minutes, in order.

    >>> [(period.feature, period.begin, period.end) for period in failures_of(20)]
    [('shop-bot/search', 2.0, 6.0), ('desk/triage', 12.0, 16.0)]
    >>> len(failures_of(60))
    6
    """
    begins = [FIRST_MIN + INTERVAL_MIN * number for number in range(len(FAILURES))]
    return [
        Period(feature, fault, begin, begin + FAILURE_MIN)
        for (feature, fault), begin in zip(FAILURES, begins, strict=True)
        if begin + FAILURE_MIN + REST_MIN <= minutes
    ]
