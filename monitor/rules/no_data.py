"""Silence: a feature from which nothing comes where the past leads one to expect something.

What one expects is the least that the same hours of the last seven days brought, and of each hour no more than its neighbours, so that the edge of
a quiet night is no outage. On a feature's first day the half hour before the silence stands in: the least of six stretches as long as the silence.
Hours inside an outage teach nothing. A feature whose meters still come and see no calls is idle, not silent.
"""

from __future__ import annotations

from monitor.features import DAY_US, FINE_US, HOUR_US, FeatureState
from monitor.rules.reading import Reading
from schemas.config import NoData, Rule

RULE = "no-data"
DAYS = 7
BEFORE = 6  # stretches before the silence that a first day is judged by
LEARNT_US = 30 * 60 * 1_000_000  # least history on a first day


def as_rule(settings: NoData) -> Rule:
    """The rule that incidents of this kind carry."""
    return Rule.model_validate(
        {"name": RULE, "on": "events", "below": 1, "level": "feature", "window": settings.window, "keep_firing_for": 0, "severity": settings.severity}
    )


def read(settings: NoData, feature: FeatureState, edge_us: int, pane_us: int) -> Reading:
    """Whether the feature is silent at an edge against expectation."""
    silent_from = feature.active_us + pane_us
    silence_us = edge_us - silent_from
    if silence_us <= 0:
        return Reading("good", _evidence(settings, silence_us, 1, None))
    if silence_us < settings.window * 1e6 or not feature.first_us:
        return Reading("unknown", _evidence(settings, silence_us, 0, None))
    if feature.meters and max(meter[0] for meter in feature.meters.values()) >= edge_us - settings.window * 1e6:
        return Reading("unknown", _evidence(settings, silence_us, 0, None))
    expected = expectation(feature, max(silent_from, edge_us - DAY_US), edge_us)
    return Reading("breach" if expected >= settings.min_expected else "unknown", _evidence(settings, silence_us, 0, expected))


def expectation(feature: FeatureState, start_us: int, end_us: int) -> float:
    """Events that the past leads one to expect in [start, end); 0 where it says nothing."""
    same_hours = []
    for day in range(1, DAYS + 1):
        since = start_us - day * DAY_US
        if since >= feature.first_us:
            found = _counted(feature.hourly, since, end_us - day * DAY_US)
            if found is not None:
                same_hours.append(found)
    if same_hours:
        return min(same_hours)
    length_us = end_us - start_us
    if BEFORE * length_us > FINE_US or start_us - max(BEFORE * length_us, LEARNT_US) < feature.first_us:
        return 0.0
    return min(
        sum(pane.events for pane in feature.window(start_us - (nth + 1) * length_us, start_us - nth * length_us)) for nth in range(BEFORE)
    )


def _counted(hourly: dict[int, int], start_us: int, end_us: int) -> float | None:
    """Events in [start, end), each hour taken at the least rate of itself and its neighbours; None if an outage lies in it."""
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
    return {"metric": "events", "value": value, "n": 0.0, "low": None, "high": None, "above": None, "below": 1.0, "window_s": window_s, "expected": shown}
