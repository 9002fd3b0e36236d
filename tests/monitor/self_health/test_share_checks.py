"""The share of a window that was counted: what new owners have not seen counts at their rate."""

from __future__ import annotations

import pytest

from monitor.self_health.share_checks import ShareChecks, coverage
from schemas.config.self_health import Health
from schemas.records import Heartbeat

WINDOW_US = 300_000_000


def heartbeat(records: int, observed_s: float) -> Heartbeat:
    return Heartbeat.model_validate(
        {
            "record": "health",
            "agent": "watch",
            "partition": 0,
            "partitions": 2,
            "time": "2026-03-02T09:00:00Z",
            "observed_s": observed_s,
            "counts": {"records": records} if records else {},
            "findings": [],
        }
    )


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        ([(100, 300.0)], 1.0),
        ([(100, 75.0)], 0.25),
        ([(300, 300.0), (100, 100.0)], 400 / 600),
        ([(300, 300.0), (0, 10.0)], 1.0),
        ([(5, 0.0)], 5 / 1500),
        ([], 1.0),
    ],
)
def test_partitions_count_with_the_time_that_their_owners_have_observed(seen, expected):
    assert coverage([heartbeat(*one) for one in seen], WINDOW_US) == pytest.approx(expected)


def test_a_burst_after_a_restart_is_a_ticket_and_the_same_share_of_a_whole_window_pages():
    counts = {"records": 275, "dead-letters": 32, "dead-letters/unreadable": 32}
    (burst,) = ShareChecks(Health()).check(counts, 75, 0, 0.25)
    (whole,) = ShareChecks(Health()).check(counts, 300, 0)
    assert (burst.severity, whole.severity) == ("warning", "error")
    assert burst.text.startswith("11.6 % of records could not be read in 75 s")
