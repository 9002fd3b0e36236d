"""The present figure states the window over which its events were counted."""

from __future__ import annotations

import pytest

from monitor.rules.present_figure import present_figure
from monitor.windows.pane import Pane

SECOND_US = 1_000_000


@pytest.mark.parametrize(
    ("pane_s", "lasting_s", "a_pane", "window_s", "n"),
    [
        (2, 6, 70, 6, 210),  # the fault is younger than a minute
        (2, 300, 70, 60, 2100),
        (60, 600, 3, 600, 30),  # one and two minutes have too few events, five minutes too
    ],
)
def test_the_window_of_a_figure_is_the_one_that_was_read(pane_s, lasting_s, a_pane, window_s, n):
    edge_us = 3600 * SECOND_US
    since_us = edge_us - lasting_s * SECOND_US
    panes = []
    for start_us in range(since_us - 600 * SECOND_US, edge_us, pane_s * SECOND_US):
        pane = Pane(start_us)
        pane.rate("error_rate").add(1_000_000, a_pane, a_pane)
        panes.append(pane)
    present = present_figure(
        "error_rate",
        lambda start_us, end_us: [pane for pane in panes if start_us <= pane.start_us < end_us],
        edge_us,
        since_us,
    )
    assert (present.figure.window_s, present.figure.n) == (window_s, n)
