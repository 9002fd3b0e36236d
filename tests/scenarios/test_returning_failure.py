"""A failure that returns in a page that is still open: its texts state since when it fails again."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from tests.scenarios.deployment import START, WARM, Deployment, Planned, run_plan

ANSWER = "shop-bot/answer"
AGAIN = re.compile(r", again since 2 Mar (\d\d:\d\d) UTC \(first at (\d\d:\d\d)\)")


def starts(deployment: Deployment) -> list[tuple[float, str]]:
    """Return (minute, text) of all that a person read."""
    return [
        (minute, text)
        for ring in deployment.pagerduty.incidents
        for minute, summary, lines in ring.history
        for text in (summary, *lines)
    ]


def clock(minute: float) -> str:
    return f"{START + timedelta(minutes=WARM + minute):%H:%M}"


@pytest.mark.parametrize(("fault", "gap"), [("few_errors", 6), ("errors", 3)])
@pytest.mark.parametrize("restarts", [(), (16.0, 18.6, 25.0)])
def test_texts_of_a_failure_that_returns_in_an_open_page_state_when_it_returned(fault, gap, restarts):
    returned = 14.2 + gap
    deployment = run_plan(
        [ANSWER],
        [Planned(fault, ANSWER, 2.3, 14.2), Planned(fault, ANSWER, returned, returned + 12)],
        returned + 12,
        restarts,
    )
    assert len(deployment.pagerduty.rings) == 1
    texts = [text for minute, text in starts(deployment) if minute > returned + 1 and "calls failed" in text]
    lasting = [text for text in texts if "over now" not in text]
    again = [match for text in lasting if (match := AGAIN.search(text))]
    assert lasting
    assert len(again) == len(lasting), lasting
    # the edges after the first failures of each stretch
    assert {match[1] for match in again} <= {clock(returned + edge) for edge in (1, 2, 3)}, lasting
    assert all(clock(2) <= match[2] <= clock(14) for match in again), lasting


def test_a_failure_that_never_ended_has_its_first_start():
    deployment = run_plan([ANSWER], [Planned("few_errors", ANSWER, 2.3, 30)], 30)
    assert not [text for _, text in starts(deployment) if "again" in text]
