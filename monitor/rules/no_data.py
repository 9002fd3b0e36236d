"""Silence: a feature from which nothing comes where the past leads one to expect something.

What one expects is what the same hours of the same weekday brought, a week before; in the first week, the
least that the same hours of the days before brought; and of each hour no more than its neighbours, so that
the edge of a quiet night is no outage. On a feature's first day the half hour before the
silence stands in: the least of six stretches as long as the silence, and no more than where the last two of
them lead on to, so that traffic that fades into its first night is no outage. Hours inside an outage teach
nothing, but a silence of over four hours was no outage that anybody minded: it is learnt as quiet. Traffic
that comes in batches pauses by itself: a silence must be half as long again as the pauses of a day in which
as much came. A feature whose meters still come is idle, not silent.
"""

from __future__ import annotations

from statistics import median

from monitor.rules.reading import Reading
from monitor.windows.feature_series import DAY_US, FINE_RETENTION_US, HOUR_US, FeatureState
from schemas.config.rules import NoData, Rule

RULE = "no-data"
DAYS = 7
BEFORE = 6  # stretches before the silence that a first day is judged by
OUTAGE_US = 4 * HOUR_US
PAUSES = 1.5  # times the usual pause
LEARNT_US = 30 * 60 * 1_000_000  # least history on a first day


def as_rule(settings: NoData) -> Rule:
    """The rule that incidents of this kind carry."""
    return Rule.model_validate(
        {
            "name": RULE,
            "on": "events",
            "below": 1,
            "level": "feature",
            "window": settings.window,
            "keep_firing_for": 0,
            "severity": settings.severity,
        }
    )


def read(settings: NoData, feature: FeatureState, edge_us: int, pane_us: int) -> Reading:
    """Whether the feature is silent at an edge against expectation."""
    silent_from = feature.active_us + pane_us
    silence_us = edge_us - silent_from
    if silence_us <= 0:
        return Reading("good", _evidence(settings, silence_us, 1, None))
    if silence_us < settings.window * 1e6 or not feature.first_us:
        return Reading("unknown", _evidence(settings, silence_us, 0, None))
    if feature.producers.last_seen_us() >= edge_us - settings.window * 1e6:
        return Reading("unknown", _evidence(settings, silence_us, 0, None))
    expected = expectation(feature, max(silent_from, edge_us - DAY_US), edge_us)
    breached = expected >= settings.min_expected and silence_us > PAUSES * usual_pause_us(
        feature, silent_from, expected / silence_us * HOUR_US
    )
    return Reading("breach" if breached else "unknown", _evidence(settings, silence_us, 0, expected))


def usual_pause_us(feature: FeatureState, before_us: int, an_hour: float) -> int:
    """The second longest pause, microseconds, of the hours of the day before that brought at least half as
    many events; 0 where there were no two.
    """
    hour = before_us // HOUR_US
    pauses = [
        pause
        for at in range(hour - 24, hour + 1)
        if feature.hourly_responses.get(at, 0) >= an_hour / 2
        for pause in feature.longest_pauses.get(at, ())
    ]
    return sorted(pauses)[-2] if len(pauses) > 1 else 0


def expectation(feature: FeatureState, start_us: int, end_us: int) -> float:
    """Events that the past leads one to expect in [start, end); 0 where it says nothing."""
    days = [day for day in range(1, DAYS + 1) if start_us - day * DAY_US >= feature.first_us]
    counts = {
        day: _counted(feature.hourly_responses, start_us - day * DAY_US, end_us - day * DAY_US)
        for day in days
    }
    known = [found for found in counts.values() if found is not None]
    if (last_week := counts.get(DAYS)) is not None:
        return last_week
    if days:
        return median(known) if DAYS in days and known else min(known, default=0.0)
    length_us = end_us - start_us
    if (
        BEFORE * length_us > FINE_RETENTION_US
        or start_us - max(BEFORE * length_us, LEARNT_US) < feature.first_us
    ):
        return 0.0
    newest, older, *rest = (
        sum(
            pane.events
            for pane in feature.window(start_us - (nth + 1) * length_us, start_us - nth * length_us)
        )
        for nth in range(BEFORE)
    )
    return max(0, min(newest, older, *rest, 2 * newest - older))


def learn(feature: FeatureState, edge_us: int, pane_us: int) -> None:
    """Note that the feature is silent against expectation at this edge: the hours of an outage are left out
    of what is expected later.
    """
    begun_us = feature.active_us + pane_us
    outage = edge_us - begun_us <= OUTAGE_US
    for hour in (
        range(begun_us // HOUR_US, (edge_us - 1) // HOUR_US + 1)
        if outage or edge_us - begun_us <= OUTAGE_US + pane_us
        else ()
    ):
        feature.hourly_responses[hour] = -1 if outage else 0


def _counted(hourly: dict[int, int], start_us: int, end_us: int) -> float | None:
    """Events in [start, end), each hour taken at the least rate of itself and its neighbours; None if an
    outage lies in it.
    """
    total = 0.0
    for hour in range(start_us // HOUR_US, (end_us - 1) // HOUR_US + 1):
        around = [hourly.get(hour + step, 0) for step in (-1, 0, 1)]
        if min(around) < 0:
            return None
        share = (min(end_us, (hour + 1) * HOUR_US) - max(start_us, hour * HOUR_US)) / HOUR_US
        total += min(around) * share
    return total


def _evidence(settings: NoData, silence_us: int, value: float, expected: float | None) -> dict[str, object]:
    window_s = max(settings.window, silence_us / 1e6)
    shown = None if expected is None else float(f"{expected:.4g}")
    return {
        "metric": "events",
        "value": value,
        "n": 0.0,
        "low": None,
        "high": None,
        "above": None,
        "below": 1.0,
        "window_s": window_s,
        "expected": shown,
    }
