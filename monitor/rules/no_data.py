"""No data: a feature from which nothing comes although its past leads one to expect events.

The expectation is the count of the same hours of the same weekday, one week before. In the first week it is
the least count of the same hours of the days before. Each hour counts at most what its neighbours do, so that
the edge of a quiet night is no outage.

On a feature's first day the half hour before the silence is used: the least of six stretches as long as the
silence, and at most what the last two of them lead on to, so that traffic that fades into its first night is
no outage. Hours inside an outage teach nothing; a silence of over four hours is learnt as quiet, because
nobody ended it.

In a feature's first eight days its week is not known, so a silence is a ticket. It pages only if the feature
stopped abruptly and without a closing meter (``may_page``).

Traffic that comes in batches pauses by itself: a silence must be half as long again as the pauses of a day
with as many events. A feature whose meters still come is idle, not silent.

If all producers of a service stop without a closing meter, the window is not waited for (``expectation_of_killed``).
"""

from __future__ import annotations

from statistics import median

from monitor.rules.evidence import SilenceEvidence
from monitor.rules.reading import Reading
from monitor.rules.service_activity import ServiceActivity
from monitor.windows.feature_series import FeatureState
from monitor.windows.producer_counters import RECENT_US, VANISHED_US
from monitor.windows.segment_series import DAY_US, FINE_RETENTION_US, HOUR_US
from schemas.config.rules import NoData, Rule
from schemas.times import rfc3339

RULE = "no-data"
DAYS = 7
STRETCHES = 6  # before the silence, from which the expectation of a first day is computed
OUTAGE_US = 4 * HOUR_US
PAUSES = 1.5  # times the usual pause
FAMILIAR_US = 8 * DAY_US
"""Age from which a feature's week is known, so that its silence pages."""
ABRUPT_EVENTS = 60
"""Events to be expected in the window, for the silence of a younger feature to page."""
LEARNT_US = 30 * 60 * 1_000_000  # least history on a first day


def as_rule(settings: NoData) -> Rule:
    """Build the rule that incidents of silence carry."""
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


def read(
    settings: NoData, feature: FeatureState, edge_us: int, pane_us: int, services: ServiceActivity
) -> Reading:
    """Read whether the feature is silent at a pane edge against expectation. It is never ``between``.

    ``services``: of its partition.
    """
    silent_from = feature.active_us + pane_us
    silence_us = edge_us - silent_from
    if silence_us <= 0:
        return Reading("good", _evidence(settings.window, 1))
    window_us = round(settings.window * 1e6)
    is_early = silence_us < window_us or feature.producers.is_alive(edge_us, window_us)
    expected = expectation_of_killed(feature, edge_us, pane_us, services) if feature.first_us else 0.0
    if not feature.first_us or (is_early and not expected):
        return Reading("unknown", _evidence(max(settings.window, silence_us / 1e6), None))
    expected = expected or expectation(feature, max(silent_from, edge_us - DAY_US), edge_us)
    breached = expected >= settings.min_expected and silence_us > PAUSES * usual_pause_us(
        feature, silent_from, expected / silence_us * HOUR_US
    )
    evidence = _evidence(silence_us / 1e6, 0, expected, rfc3339(silent_from))
    return Reading("breach" if breached else "unknown", evidence)


def expectation_of_killed(
    feature: FeatureState, edge_us: int, pane_us: int, services: ServiceActivity
) -> float:
    """Return the events to be expected since its service stopped at once and without goodbye; 0 if it did
    not, as far as this partition shows.

    All must be true: its producers vanished (``ProducerTracker.have_vanished``); a whole pane is empty; 60
    events were to be expected since, both from the half hour before and from the same hours of earlier days;
    no feature of its service in this partition had an event or a meter since, nor a closing meter; and no
    meter of any service in this partition was delayed since ten minutes before. Delayed meters show that the
    broker or a network was down, and then other records may still be on their way.
    """
    silent_from = feature.active_us + pane_us
    if edge_us - silent_from < pane_us or not feature.producers.have_vanished(edge_us):
        return 0.0
    since_us = feature.producers.last_meter_us() - RECENT_US
    service = services.of(feature.key, edge_us)
    lives = service.active_us > edge_us - 2 * pane_us or service.meter_us > edge_us - VANISHED_US
    if lives or service.closed_us >= since_us or services.delayed_us(edge_us) >= since_us:
        return 0.0
    # the last pane with events is left out: the service stopped in it
    expected = _expectation_of_first_day(feature, feature.active_us, edge_us - silent_from)
    if silent_from - DAY_US >= feature.first_us:
        expected = min(expected, expectation(feature, silent_from, edge_us))
    return expected if expected >= ABRUPT_EVENTS else 0.0


def may_page(settings: NoData, feature: FeatureState, edge_us: int, pane_us: int) -> bool:
    """Return whether a silence that begins to fire at this edge may page: the feature's week is known, or it
    stopped abruptly and its producers did not say that they close.

    A feature stopped abruptly if 60 events were to be expected in the first window of the silence, from the
    half hour before it and, where there are some, from the same hours of the days before. Producers without
    meters never say that they close.
    """
    if edge_us - feature.first_us >= FAMILIAR_US:
        return True
    silent_from, window_us = feature.active_us + pane_us, round(settings.window * 1e6)
    expected = _expectation_of_first_day(feature, silent_from, window_us)
    if silent_from - DAY_US >= feature.first_us:
        expected = min(expected, expectation(feature, silent_from, silent_from + window_us))
    return expected >= ABRUPT_EVENTS and not feature.producers.has_closed(silent_from - window_us)


def usual_pause_us(feature: FeatureState, before_us: int, events_per_hour: float) -> int:
    """Return the second longest pause, microseconds, in the hours of the day before ``before_us`` with at
    least half as many events; 0 where there are not two pauses.
    """
    last_hour = before_us // HOUR_US
    pauses = [
        pause_us
        for hour in range(last_hour - 24, last_hour + 1)
        if feature.hourly_responses.get(hour, 0) >= events_per_hour / 2
        for pause_us in feature.longest_pauses.get(hour, ())
    ]
    return sorted(pauses)[-2] if len(pauses) > 1 else 0


def expectation(feature: FeatureState, start_us: int, end_us: int) -> float:
    """Return the events that the past leads one to expect in [start, end); 0 where it says nothing."""
    days = [day for day in range(1, DAYS + 1) if start_us - day * DAY_US >= feature.first_us]
    by_day = {
        day: _counted(feature.hourly_responses, start_us - day * DAY_US, end_us - day * DAY_US)
        for day in days
    }
    if (last_week := by_day.get(DAYS)) is not None:
        return last_week
    if days:
        counts = [count for count in by_day.values() if count is not None]
        return median(counts) if DAYS in days and counts else min(counts, default=0.0)
    return _expectation_of_first_day(feature, start_us, end_us - start_us)


def _expectation_of_first_day(feature: FeatureState, start_us: int, length_us: int) -> float:
    history_us = STRETCHES * length_us
    if history_us > FINE_RETENTION_US or start_us - max(history_us, LEARNT_US) < feature.first_us:
        return 0.0
    newest, older, *rest = (
        sum(
            pane.events
            for pane in feature.window(start_us - (nth + 1) * length_us, start_us - nth * length_us)
        )
        for nth in range(STRETCHES)
    )
    return max(0, min(newest, older, *rest, 2 * newest - older))


def learn(feature: FeatureState, edge_us: int, pane_us: int) -> None:
    """Record that the feature is silent against expectation at this edge: later expectations leave out the
    hours of an outage.
    """
    begun_us = feature.active_us + pane_us
    is_outage = edge_us - begun_us <= OUTAGE_US
    if not is_outage and edge_us - begun_us > OUTAGE_US + pane_us:
        return
    for hour in range(begun_us // HOUR_US, (edge_us - 1) // HOUR_US + 1):
        feature.hourly_responses[hour] = -1 if is_outage else 0


def _counted(hourly: dict[int, int], start_us: int, end_us: int) -> float | None:
    """Count events in [start, end), each hour at the least rate of itself and its neighbours; None if an
    outage lies in it.
    """
    total = 0.0
    for hour in range(start_us // HOUR_US, (end_us - 1) // HOUR_US + 1):
        least = min(hourly.get(hour + step, 0) for step in (-1, 0, 1))
        if least < 0:
            return None
        share = (min(end_us, (hour + 1) * HOUR_US) - max(start_us, hour * HOUR_US)) / HOUR_US
        total += least * share
    return total


def _evidence(
    window_s: float, value: int | None, expected: float | None = None, began: str = ""
) -> SilenceEvidence:
    return SilenceEvidence(
        metric="events",
        value=value,
        n=0.0,
        low=None,
        high=None,
        above=None,
        below=1.0,
        window_s=window_s,
        expected=None if expected is None else float(f"{expected:.4g}"),
        began=began,
    )
