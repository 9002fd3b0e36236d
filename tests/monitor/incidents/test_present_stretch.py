"""Laws of the present stretch of an incident: since when it fails again."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from monitor.incidents.present_stretch import PresentStretch
from monitor.rules.present_figure import Figure, Present, figure_between, present_figure
from monitor.windows.figure_comparison import is_worse
from monitor.windows.pane import Pane

MINUTE_US = 60_000_000
LIMIT = 0.02


def returns(minutes: Sequence[tuple[int, int]], *, restored: bool = False) -> list[int]:
    """Return the minutes at whose end an incident on the error rate has failed again.

    ``minutes``: events and failures of each; the incident fires from the first on. The minutes are the values
    of ``returned_us`` at the edges at which it failed again.
    """
    panes: dict[int, Pane] = {}
    stretch, worst, found = PresentStretch(), None, []

    def panes_of(start_us: int, end_us: int) -> list[Pane]:
        return [pane for pane_us, pane in panes.items() if start_us <= pane_us < end_us]

    def read(start_us: int, end_us: int) -> Present | None:
        return figure_between("error_rate", panes_of, start_us, end_us)

    for minute, (events, failures) in enumerate(minutes):
        edge_us = (minute + 1) * MINUTE_US
        if not events:
            continue
        panes[minute * MINUTE_US] = Pane(start_us=minute * MINUTE_US)
        panes[minute * MINUTE_US].rate("error_rate").add(1_000_000, events, failures)
        now = present_figure("error_rate", panes_of, edge_us, stretch.returned_us)
        if now is None:
            continue
        figure = now.figure
        if worst is None or is_worse("error_rate", figure.value, worst.value, falls=False):
            worst = figure
        if stretch.note_figure(
            figure,
            lambda figure: figure.value > LIMIT,
            read,
            lambda start_us, end_us: present_figure("error_rate", panes_of, end_us, start_us),
            edge_us,
            worst,
            falls=False,
        ):
            found.append(stretch.returned_us // MINUTE_US - 1)
        if restored:
            stretch = PresentStretch.from_state_values(stretch.state_values())
    return found


@pytest.mark.parametrize("restored", [False, True])
@pytest.mark.parametrize(
    ("minutes", "at"),
    [
        ([(60, 30)] * 5 + [(60, 0)] * 2 + [(60, 30)] * 3, [7]),
        ([(240, 7)] * 9 + [(240, 0)] * 5 + [(240, 240)] * 3, [14]),
        ([(60, 30)] * 5 + [(60, 0)] * 3 + [(60, 60)] * 2 + [(60, 0)] * 9 + [(60, 40)] * 2, [8, 19]),
        ([(60, 30)] * 5 + [(60, 0)] * 70 + [(60, 30)] * 3, [75]),
    ],
)
def test_a_failure_that_returns_after_two_normal_minutes_begins_there(minutes, at, restored):
    assert returns(minutes, restored=restored) == at


@pytest.mark.parametrize(
    "minutes",
    [
        [(60, 30)] * 30,
        [(60, 30)] * 5 + [(60, 0)] + [(60, 30)] * 5,  # normal for one minute
        [(20, 1)] * 9 + [(20, 0)] * 3 + [(20, 20)] * 3,  # three minutes without any of 5 % are chance
        [(60, 30)] * 5 + [(40, 0)] * 20 + [(40, 1), (40, 0)] * 5,  # single failures
    ],
)
def test_a_failure_that_was_not_normal_or_does_not_return_beyond_chance_has_its_first_start(minutes):
    assert returns(minutes) == []


def test_silence_neither_ends_a_failure_nor_brings_it_back():
    failing, silent, normal = [(60, 30)] * 5, [(0, 0)] * 8, [(60, 0)] * 3
    assert returns(failing + silent + failing) == []
    assert returns(failing + normal + silent + normal) == []
    assert returns(failing + normal + silent + failing) == [16]


def test_a_slow_return_begins_at_the_first_wrong_figure_after_the_normal_ones():
    assert returns([(240, 120)] * 5 + [(240, 0)] * 9 + [(240, 5)] * 5) == [14]


def test_a_breach_that_would_have_been_over_begins_anew_unless_figures_showed_it_before():
    stretch = PresentStretch(over_us=5 * MINUTE_US)
    stretch.note_reading(8 * MINUTE_US)
    assert stretch.returned_us == 8 * MINUTE_US
    stretch.over_us = 20 * MINUTE_US
    stretch.returned_us = 21 * MINUTE_US
    stretch.note_reading(23 * MINUTE_US)
    assert stretch.returned_us == 21 * MINUTE_US


def test_another_metric_begins_another_run():
    figure = Figure(metric="duration_s.p50", value=1.0, n=60, window_s=60.0, time="2026-03-02T09:00:00Z")
    stretch = PresentStretch(failed=figure, from_us=MINUTE_US, until_us=3 * MINUTE_US)
    other = Figure(metric="error_rate", value=1.0, n=60, window_s=60.0, time="2026-03-02T09:00:00Z")
    assert not stretch.note_figure(
        other,
        lambda _: True,
        lambda *_: None,
        lambda *_: None,
        4 * MINUTE_US,
        other,
        falls=False,
    )
    assert (stretch.failed, stretch.until_us) == (None, 0)
