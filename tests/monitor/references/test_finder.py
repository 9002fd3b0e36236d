"""Laws of references: the choice of panes that represent normal behaviour."""

from __future__ import annotations

from typing import Any

import pytest

from monitor.references.blocks import merged_blocks
from monitor.references.finder import WEEK_US, YOUNG_LAG_US, ReferenceFinder
from monitor.references.gaps import (
    EVERY_SERIES,
    MAX_GAPS,
    MAX_SERIES,
    close_gap,
    forget_gaps,
    gaps_of,
    open_gap,
)
from monitor.windows.feature_series import FeatureState
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import UNLABELLED, FeatureKey, SegmentKey
from monitor.windows.segment_series import DAY_US, FINE, FINE_RETENTION_US, HOUR, HOUR_US, SegmentSeries
from monitor.windows.text_blocks import BLOCK_US

MINUTE_US = 60_000_000
LAG = YOUNG_LAG_US // MINUTE_US
KEY = FeatureKey("bot", "answer", "production")
M = SegmentKey("m")
RULE = "drift on m"
T = 100 * DAY_US  # an edge: a full hour, and a full day


def state(
    panes: dict[str, dict[int, int]],
    segment_key: SegmentKey = M,
    spans: Any = (),
    into: FeatureState | None = None,
) -> FeatureState:
    """A feature with panes: resolution -> start -> events."""
    feature = into or FeatureState(KEY)
    segment = feature.segments.setdefault(segment_key, SegmentSeries(segment_key))
    for resolution, counts in panes.items():
        for start_us, events in counts.items():
            pane = segment.panes_by_resolution[resolution][start_us] = Pane(start_us)
            pane.events = events
            pane.rate("error_rate").add(1_000_000, events, 0)
            segment.active_us = max(segment.active_us, start_us)
    if spans:
        feature.reference_gaps = {RULE: [list(span) for span in spans]}
    return feature


def hours(first: int, last: int, events: int = 100) -> dict[str, dict[int, int]]:
    """Return panes of this range of hours before ``T`` at their resolution: fine for the last two hours."""
    old = {T - hour * HOUR_US: events for hour in range(last + 1, first + 1) if hour > 2}
    fine = {T - minute * MINUTE_US: events // 60 for minute in range(60 * last + 1, 60 * min(first, 2) + 1)}
    return {HOUR: old, FINE: fine}


def find(
    feature: FeatureState,
    name: str = "trailing 24h",
    segment_key: SegmentKey | None = M,
    edge_us: int = T,
    window_us: int = MINUTE_US,
    since_us: int = 0,
) -> Any:
    gaps = gaps_of(feature, RULE)
    return ReferenceFinder().find(name, feature, segment_key, edge_us, window_us, since_us, gaps)


def test_a_trailing_reference_is_the_full_hours_before_the_last_two_hours() -> None:
    reference = find(state(hours(40, 0)))
    assert (reference.start_us, reference.end_us) == (T - 26 * HOUR_US, T - 2 * HOUR_US)
    assert (reference.pane.events, len(reference.blocks), reference.is_young) == (2400, 24, False)


def test_a_short_history_gives_a_reference_of_five_minute_blocks_up_to_three_minutes_ago() -> None:
    feature = state({FINE: {T - minute * MINUTE_US: 20 for minute in range(1, 41)}})
    reference = find(feature)
    assert (reference.start_us, reference.end_us, reference.pane.events) == (
        T - 40 * MINUTE_US,
        T - 5 * MINUTE_US,
        35 * 20,
    )
    assert find(feature, window_us=10 * MINUTE_US).end_us == T - 10 * MINUTE_US
    assert find(feature, edge_us=T - 5 * MINUTE_US).pane.events == 30 * 20


@pytest.mark.parametrize(
    ("minutes", "events", "exists", "young"),
    [
        (LAG + 17, 31, True, True),
        (LAG + 14, 50, False, True),
        (LAG + 37, 13, False, True),
        (LAG + 37, 15, True, False),
    ],
)
def test_a_reference_needs_500_events_and_15_minutes_and_is_young_below_30_minutes(
    minutes: int, events: int, exists: bool, young: bool
) -> None:
    reference = find(state({FINE: {T - minute * MINUTE_US: events for minute in range(1, minutes + 1)}}))
    assert (reference is not None) is exists
    assert reference is None or reference.is_young is young


def test_panes_of_an_incident_are_excluded_by_full_hours() -> None:
    over = [T - 9 * HOUR_US + 10 * MINUTE_US, T - 8 * HOUR_US + 5 * MINUTE_US]
    assert find(state(hours(40, 0), spans=[over])).pane.events == 2400 - 200
    young = {FINE: {T - minute * MINUTE_US: 20 for minute in range(1, 61)}}
    assert (
        find(state(young, spans=[[T - 30 * MINUTE_US, T - 20 * MINUTE_US]])).pane.events == (60 - 5 - 10) * 20
    )


def test_while_an_incident_is_open_the_reference_ends_before_it() -> None:
    opened = T - 5 * HOUR_US - 10 * MINUTE_US
    reference = find(state(hours(40, 0), spans=[[opened, 0]]))
    assert reference.end_us == T - 6 * HOUR_US
    later = find(state(hours(40, 0), spans=[[opened, 0]]), edge_us=T + 3 * HOUR_US)
    assert (later.start_us, later.end_us) == (reference.start_us, reference.end_us)
    assert later.pane.state() == reference.pane.state()
    assert [pane.state() for pane in later.blocks] == [pane.state() for pane in reference.blocks]


def test_after_an_incident_was_accepted_as_normal_the_reference_starts_there() -> None:
    since_us = T - 26 * HOUR_US
    feature = state(hours(60, 0), spans=[[since_us - 5 * MINUTE_US, T - 2 * HOUR_US]])
    assert find(feature).pane.events < 60 * 100 - 2400  # what was before it, and what came after
    reference = find(feature, since_us=since_us)
    assert (reference.start_us, reference.end_us, reference.pane.events) == (since_us, T - 2 * HOUR_US, 2400)


def test_a_deviation_at_the_same_hours_a_day_later_is_a_cycle_and_part_of_the_reference() -> None:
    night = [T - 10 * HOUR_US, T - 5 * HOUR_US]
    before = [start - DAY_US + 30 * MINUTE_US for start in night]
    assert find(state(hours(60, 0), spans=[night])).pane.events == 2400 - 500
    assert find(state(hours(60, 0), spans=[before, night])).pane.events == 2400
    elsewhere = [start - DAY_US + 4 * HOUR_US for start in night]
    assert find(state(hours(60, 0), spans=[elsewhere, night])).pane.events < 2400


def test_the_same_hours_last_week_are_the_window_and_a_window_on_each_side() -> None:
    week = {HOUR: {T - WEEK_US + hour * HOUR_US: 300 + hour for hour in range(-5, 6)}}
    assert find(state(week), "same hours last week").pane.events == 299 + 300 + 301
    assert (
        find(state(week), "same hours last week", window_us=2 * HOUR_US).pane.events == 298 + 299 + 300 + 301
    )
    assert find(state(week), "same hours last week", since_us=T - DAY_US) is None


def test_the_previous_prompt_version_is_the_preceding_version_of_the_same_model() -> None:
    def version(text: str, model: str = "m") -> SegmentKey:
        return SegmentKey(model, text)

    feature = state(hours(30, 20), version("1"))
    state(hours(20, 6, 200), version("2"), into=feature)
    state(hours(30, 6, 999), version("1", "other"), into=feature)
    state(hours(5, 0), version("3"), into=feature)
    assert find(feature, "previous prompt version", version("3")).pane.events == 14 * 200
    assert find(feature, "previous prompt version", version("2")).pane.events == 10 * 100
    assert find(feature, "previous prompt version", version("1")) is None
    assert find(feature, "previous prompt version", None) is None


def test_the_whole_feature_contains_all_segments_and_unlabelled_events() -> None:
    feature = state(hours(40, 0))
    state(hours(40, 0), SegmentKey("n"), into=feature)
    for resolution, counts in hours(40, 0).items():
        segment = feature.segments.setdefault(UNLABELLED, SegmentSeries(UNLABELLED))
        for start_us in counts:
            segment.panes_by_resolution[resolution][start_us] = Pane(start_us)
            segment.panes_by_resolution[resolution][start_us].rate("feedback.acceptance_rate").add(
                1_000_000, 7, 1
            )
    reference = find(feature, segment_key=None)
    assert (reference.pane.events, reference.pane.rates["feedback.acceptance_rate"].events) == (4800, 24 * 7)


def test_a_late_event_is_in_the_reference_immediately() -> None:
    feature, references = (
        state({FINE: {T - minute * MINUTE_US: 20 for minute in range(1, 41)}}),
        ReferenceFinder(),
    )
    before = references.find("trailing 24h", feature, M, T, MINUTE_US, 0)
    feature.segments[M].panes[T - 20 * MINUTE_US].events += 5
    feature.invalidate_pane(feature.segments[M], T - 20 * MINUTE_US)
    after = references.find("trailing 24h", feature, M, T, MINUTE_US, 0)
    assert before is not None
    assert after is not None
    assert after.pane.events == before.pane.events + 5


def test_an_incrementally_extended_reference_equals_a_rebuilt_reference() -> None:
    panes = {FINE: {T + minute * MINUTE_US: 10 + minute % 7 for minute in range(110)}}
    feature, references = state(panes), ReferenceFinder()
    for minute in range(1, 110):
        edge_us = T + minute * MINUTE_US
        grown = references.find("trailing 24h", feature, M, edge_us, MINUTE_US, 0)
        made = find(state(panes), edge_us=edge_us)
        assert (grown is None) == (made is None)
        if grown is not None:
            assert (grown.start_us, grown.end_us, grown.pane.state()) == (
                made.start_us,
                made.end_us,
                made.pane.state(),
            )
            assert [pane.state() for pane in grown.blocks] == [pane.state() for pane in made.blocks]
    assert FINE_RETENTION_US > 110 * MINUTE_US  # so that nothing was rolled up meanwhile


def test_an_incident_of_another_rule_or_series_leaves_no_gap() -> None:
    feature = state(hours(40, 0), spans=[[T - 5 * HOUR_US, 0]])
    feature.reference_gaps = {"another rule on m": feature.reference_gaps[RULE]}
    assert find(feature).pane.events == 2400
    feature.reference_gaps = {EVERY_SERIES: feature.reference_gaps["another rule on m"]}
    assert find(feature).end_us == T - 5 * HOUR_US  # of a release whose gaps had no names


def test_gaps_open_once_close_at_the_end_and_expire() -> None:
    feature = FeatureState(KEY)
    for edge_us in (T, T + HOUR_US):
        open_gap(feature, RULE, edge_us)
    assert gaps_of(feature, RULE) == ((T - 5 * MINUTE_US, 0),)
    close_gap(feature, RULE, T + 2 * HOUR_US)
    assert gaps_of(feature, RULE) == ((T - 5 * MINUTE_US, T + 2 * HOUR_US),)
    assert gaps_of(feature, "another") == ()
    forget_gaps(feature, T + 3 * HOUR_US)
    assert feature.reference_gaps == {}


def test_the_number_of_gaps_is_bounded() -> None:
    feature = FeatureState(KEY)
    for nth in range(MAX_GAPS + 5):
        open_gap(feature, RULE, T + nth * HOUR_US)
        close_gap(feature, RULE, T + nth * HOUR_US + MINUTE_US)
    assert len(gaps_of(feature, RULE)) == MAX_GAPS
    for nth in range(MAX_SERIES + 5):
        open_gap(feature, f"{nth}", T)
    assert len(feature.reference_gaps) == MAX_SERIES


def test_a_merged_block_is_used_again_for_the_same_panes_only() -> None:
    feature = state({FINE: {T + minute * MINUTE_US: 10 * (minute + 1) for minute in range(5)}})
    number, end_us = T // BLOCK_US, T + 5 * MINUTE_US

    def block(*gaps: tuple[int, int]) -> Pane:
        return merged_blocks(feature, M, T, end_us, 0, gaps)[number]

    whole = block()
    assert whole.events == 10 + 20 + 30 + 40 + 50
    assert block() is whole
    assert block((end_us - MINUTE_US, end_us)).events == 10 + 20 + 30 + 40  # an incident in the last minute
    assert block((T, T + MINUTE_US)).events == 20 + 30 + 40 + 50  # as many panes, for another rule
    assert block() is whole


def test_references_of_rules_with_incidents_at_other_times_have_their_own_panes() -> None:
    """Both incidents take one minute out of the same block, so both leave as many panes."""
    feature = state({FINE: {T - minute * MINUTE_US: minute for minute in range(1, 61)}})
    whole = find(feature, "trailing 24h")
    totals = []
    for minute in (58, 57):
        feature.reference_gaps = {RULE: [[T - minute * MINUTE_US, T - (minute - 1) * MINUTE_US]]}
        reference = find(feature, "trailing 24h")
        totals.append(reference.pane.events)
    assert whole is not None
    assert totals == [whole.pane.events - 58, whole.pane.events - 57]
