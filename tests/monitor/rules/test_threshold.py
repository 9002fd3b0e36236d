"""The interval that decides a threshold, the numbers of a resolved finding, and the end of a drift."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec
import pytest

from monitor.incidents.incident import Incident
from monitor.protocol.messages import FileRecord
from monitor.rules.evidence import no_evidence
from monitor.rules.reading import Reading
from monitor.rules.threshold import RateHistory, read
from monitor.watch import Watch
from monitor.windows.feature_series import FeatureState
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from monitor.windows.segment_series import DAY_US, FINE, HOUR, HOUR_US, SegmentSeries
from schemas.config.monitor_config import Config
from schemas.config.rules import FixedThreshold, Rule

M = SegmentKey("m")
NOW_US = 1000 * DAY_US
BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)
RULE = Rule.model_validate({"name": "errors", "on": "error_rate", "above": 0.02, "keep_firing_for": 0})


class OnePane:
    """A series of one pane: 50 calls, of which this many failed."""

    def __init__(self, failures: int) -> None:
        self.pane = Pane(0)
        self.pane.rate("error_rate").add(1_000_000, 50, failures)

    def window(self, start_us: int, end_us: int) -> Iterator[Pane]:
        yield self.pane


def test_a_threshold_fires_by_the_exact_interval_and_not_by_wilsons_at_six_of_fifty() -> None:
    states = [
        read(RULE, FixedThreshold("above", 0.02), OnePane(failures), 60_000_000).state
        for failures in (6, 7, 8, 9)
    ]
    assert states == ["between", "between", "between", "breach"]


class Sparse:
    """Calls one after the other in hours before ``NOW_US``: (hours ago, failed)."""

    def __init__(self, *calls: tuple[float, bool]) -> None:
        self.feature = FeatureState(FeatureKey("s", "f", "production"))
        segment = self.feature.segments[M] = SegmentSeries(M)
        for hours_ago, failed in calls:
            at_us = NOW_US - round(hours_ago * HOUR_US)
            resolution, length_us = (FINE, 60_000_000) if hours_ago <= 2 else (HOUR, HOUR_US)
            start_us = at_us // length_us * length_us
            pane = segment.panes_by_resolution[resolution].setdefault(start_us, Pane(start_us))
            pane.rate("error_rate").add(1_000_000, 1, int(failed))

    def read(
        self, rule: Rule = RULE, firing: float | None = None, cleared_us: int | None = None, days: float = 30
    ) -> Reading:
        hours = partial(self.feature.rate_of_hours, None, rule.on)
        history = RateHistory(NOW_US - round(days * 24 * HOUR_US), hours)
        threshold = rule.threshold
        assert isinstance(threshold, FixedThreshold)
        return read(rule, threshold, self.feature, NOW_US, cleared_us, history=history, firing_value=firing)


def test_a_reading_of_too_few_events_names_the_longest_window_although_it_adds_nothing() -> None:
    for days, window_s in ((30, 7 * 86_400.0), (1, 7 * 86_400.0)):
        evidence = Sparse((0.01, False), (0.02, True)).read(days=days).evidence
        assert (evidence.window_s, evidence.n) == (window_s, 2)


def regular(first: float, last: float, step: float, failed: bool) -> list[tuple[float, bool]]:
    """Calls each ``step`` hours, from ``first`` hours ago until ``last`` hours ago."""
    return [(first - nth * step, failed) for nth in range(round((first - last) / step))]


@pytest.mark.parametrize(("failures", "state"), [(3, "unknown"), (4, "breach")])
def test_four_failures_of_four_breach_two_percent(failures: int, state: str) -> None:
    reading = Sparse(*regular(0.5, 0.5 - failures * 0.1, 0.1, True)).read(days=2)
    assert (reading.state, reading.evidence.n) == (state, failures)


def test_few_events_are_judged_by_the_exact_interval_of_their_window() -> None:
    calls = [*regular(72, 12, 2, False), *regular(12, 0, 2, True)]
    breach = Sparse(*calls).read()
    assert (breach.state, breach.evidence.n, breach.evidence.value) == ("breach", 12, 0.5)
    assert breach.evidence.window_s == 86_400
    assert breach.evidence.low is not None
    assert breach.evidence.low > 0.02
    assert Sparse(*calls[:-2]).read().state == "between"


def test_eight_calls_a_day_are_enough_for_a_window_of_seven_days() -> None:
    healthy = Sparse(*regular(200, 0, 3, False)).read()
    assert (healthy.state, healthy.evidence.window_s) == ("good", 604_800)
    assert healthy.evidence.n == pytest.approx(56, abs=1)
    between = Sparse(*regular(200, 100, 3, False), (99, True), (96, True), *regular(93, 0, 3, False)).read()
    assert between.state == "between"


def test_fewer_calls_than_a_week_needs_are_judged_once_a_week_has_passed() -> None:
    few = Sparse(*regular(160, 0, 16, False))
    assert (few.read(days=6).state, few.read(days=8).state) == ("unknown", "good")


def test_a_number_is_not_judged_from_few_events() -> None:
    slow = Rule.model_validate({"name": "slow", "on": "duration_s.p90", "above": 1})
    series = Sparse((1, False))
    pane = series.feature.segments[M].panes[NOW_US - 60_000_000] = Pane(NOW_US - 60_000_000)
    pane.number("duration_s").add(1_000_000, 20, 180_000_000, {750: 20})
    assert series.read(slow).state == "unknown"


def test_a_page_of_a_quiet_series_ends_when_the_odds_favour_recovery() -> None:
    outage = regular(60, 24, 2, True)
    states = [
        Sparse(*outage, *regular(24, 24 - 2 * good, 2, False)).read(firing=0.9).state for good in range(6)
    ]
    assert states[0] == "breach"
    assert states[-1] == "good"
    assert states[1] == "breach"
    # without an incident the outage of yesterday is found
    assert Sparse(*outage, *regular(24, 14, 2, False)).read().state == "breach"


def test_a_busy_series_clears_by_its_point_estimate_as_before() -> None:
    calls = [*regular(1.9, 0.5, 0.02, True), *regular(0.5, 0, 0.02, False)]
    assert Sparse(*calls).read(firing=1.0).state == "breach"


def test_no_window_reaches_back_before_the_last_clearing() -> None:
    calls = [*regular(150, 100, 2, True), *regular(100, 0, 2, False)]
    assert Sparse(*calls).read().state == "breach"
    assert Sparse(*calls).read(cleared_us=NOW_US - 80 * HOUR_US).state != "breach"


@pytest.mark.parametrize(("calls_a_day", "share"), [(3, 0.02), (12, 0.018), (40, 0.015), (200, 0.012)])
def test_low_traffic_below_its_threshold_never_breaches(calls_a_day: int, share: float) -> None:
    for seed in range(3):
        rng = random.Random(seed)
        times = sorted(rng.uniform(0, 240) for _ in range(10 * calls_a_day))
        assert Sparse(*((hours_ago, rng.random() < share) for hours_ago in times)).read().state != "breach"


def test_a_resolved_finding_keeps_its_numbers_when_the_last_reading_has_none() -> None:
    nothing = no_evidence("error_rate", 300.0)
    incident = Incident("i", "errors", "d", "error", 0, nothing)
    incident.step(RULE, Reading("breach", msgspec.structs.replace(nothing, value=0.3)), 60_000_000)
    incident.step(RULE, Reading("good", nothing), 120_000_000)
    assert incident.evidence.value == 0.3


def test_a_drift_of_twenty_minutes_resolves_a_quarter_of_an_hour_after_its_end() -> None:
    rng = random.Random(5)
    records = []
    for nth in range(150 * 60):
        tokens = rng.lognormvariate(5, 0.5) * (3 if 60 <= nth // 60 < 80 else 1)
        event = {
            "event_id": str(nth),
            "time": (BEGAN + timedelta(seconds=nth)).isoformat(),
            "service": "s",
            "feature": "f",
            "model": "m",
            "output_tokens": round(tokens),
        }
        records.append(FileRecord(json.dumps(event).encode(), nth + 1))
    out = Watch(Config()).apply(records)
    transitions = [
        record
        for message in out.messages["alerts"]
        if (record := json.loads(message.value))["record"] == "transition" and record["level"] == "feature"
    ]
    minutes = [
        (item["state"], (datetime.fromisoformat(item["time"]) - BEGAN).total_seconds() / 60)
        for item in transitions
        if item["rule"] == "drift"
    ]
    assert [state for state, _ in minutes] == ["firing", "resolved"]
    assert 60 < minutes[0][1] <= 63
    assert minutes[1][1] <= 96
