"""Find the lives of ``benchmarks.false_pages`` that might page, many at once.

Learnt baselines and thresholds are screened in numpy, silence by the product's own functions on the counts of
the feature. The screen knows no incidents: what follows the first mark of a life is for the core to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.baseline_bank import BaselineBank, Floats
from benchmarks.window_screen import HOUR, Bools, Counts, may_breach
from monitor.references import weekly_cycle
from monitor.references.daily_cycle import MAX_TOLERANCE, MIN_HOUR_EVENTS, MIN_HOURS, PEAK_DEVIATIONS
from monitor.rules import no_data
from monitor.rules.service_activity import ServiceActivity
from monitor.windows.feature_series import FeatureState
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import FeatureKey
from monitor.windows.segment_series import FINE_RETENTION_US
from schemas.config.rules import NoData

MINUTE_US = 60_000_000
FINE, WEEK = FINE_RETENTION_US // MINUTE_US, weekly_cycle.KNOWN_AFTER_DAYS * 24 * HOUR
ERROR_LIMIT, FLOOR = 0.02, 0.5  # the default thresholds on failures


class Series(NamedTuple):
    """One rate of one level of a life: its name, events and failures by minute."""

    life: int
    name: str
    events: Counts
    failed: Counts


def series_of(life: int, calls: Counts, failures: Counts) -> Iterator[Series]:
    """Yield the rates of a feature and its segments that something fails.

    Args:
        calls: by minute and segment; ``failures``: by minute, cause (errors first) and segment.
    """
    levels = [(calls[:, nth], failures[:, :, nth]) for nth in range(calls.shape[1])]
    if len(levels) > 1:
        levels.append((calls.sum(1), failures.sum(2)))
    for n, failed in levels:
        yield Series(life, "error", n, failed[:, 0])
        yield Series(life, "pass", n, failed.sum(1))
        for cause in range(1, failed.shape[1]):
            if failed[:, cause].any():
                yield Series(life, "evaluator", n - failed[:, 0], failed[:, cause])


def cycle_tolerance(events: Floats, failed: Floats) -> Floats:
    """Return ``monitor.references.daily_cycle.cycle_tolerance`` of many series; shape (hours, series)."""
    some = events >= MIN_HOUR_EVENTS
    n = np.where(some, events, 0.0)
    total, hours = n.sum(0), some.sum(0)
    with np.errstate(all="ignore"):
        value = np.where(some, failed / events, 0.0)
        mean = (n * value).sum(0) / total
        q = (n * (value - mean) ** 2).sum(0) / (mean * (1 - mean))
        freedom = hours - 1
        unequal = (n**2).sum(0) / total
        variance = np.maximum(0.0, (q - freedom) * mean * (1 - mean) / (total - unequal))
        tolerance = np.minimum(MAX_TOLERANCE, 1 + PEAK_DEVIATIONS * np.sqrt(variance) / mean)
        varies = (hours >= MIN_HOURS) & (mean > 0) & (mean < 1) & (q - freedom > 2 * np.sqrt(2 * freedom))
    return np.where(varies, tolerance, 1.0)


def week_rates(events: Floats, failed: Floats, hour: int) -> Floats:
    """Return ``monitor.references.weekly_cycle.WeeklyCycle.failure_rate`` of many series.

    Args:
        events: by hour from the beginning and series; ``failed``: how many of them failed.
        hour: of last week, at least 0.
    """
    span, rates = weekly_cycle.SPAN_HOURS, np.zeros(events.shape[1])
    for first in (hour - span + 1, hour - span // 2, hour):
        hours = slice(max(0, first), first + span)
        n = events[hours].sum(0)
        rate = failed[hours].sum(0) / np.maximum(1, n)
        rates = np.maximum(rates, np.where(n >= weekly_cycle.MIN_EVENTS, rate, 0.0))
    return rates


def largest_statistics(
    series: Sequence[Series], learns: int = 0, *, has_week: bool = False
) -> tuple[Floats, BaselineBank]:
    """Return the largest statistic of each series after its first ``learns`` minutes, and the bank.

    ``has_week``: the tolerance is that of the same hours of last week, without that of the day.
    """
    events, failed = (
        np.stack([getattr(item, name) for item in series], 1).astype(np.int32)
        for name in ("events", "failed")
    )
    hours = len(events) // HOUR
    hourly = [counts[: hours * HOUR].reshape(hours, HOUR, -1).sum(1) for counts in (events, failed)]
    bank, largest = BaselineBank(len(series), [1.0]), np.zeros(len(series))
    for minute in range(len(events)):
        end = (minute + 1 - FINE) // HOUR
        week = (minute - WEEK) // HOUR
        if has_week and minute % HOUR == 0 and week >= 0:
            usual = (bank.failures + 1) / np.maximum(bank.n + 1, bank.failures + 1.5)
            tolerance = week_rates(hourly[0], hourly[1], week) / usual
            bank.set_tolerance(np.clip(tolerance, 1.0, weekly_cycle.MAX_TOLERANCE))
        if not has_week and (minute + 1) % HOUR == 0 and end >= MIN_HOURS:
            begin = max(0, end - 24)
            bank.set_tolerance(cycle_tolerance(hourly[0][begin:end], hourly[1][begin:end]))
        rows, statistic = bank.feed(minute + 1, events[minute, :, None], failed[minute, :, None])
        if minute >= learns:
            largest[rows] = np.maximum(largest[rows], statistic)
    return largest, bank


class CountedFeature(FeatureState):
    """A feature of which only the number of calls a minute is known."""

    def __init__(self, calls: Counts, start_us: int) -> None:
        super().__init__(FeatureKey("simulated", "counted", "production"))
        self._calls, self._start_us = calls, start_us

    def window(self, start_us: int, end_us: int) -> Iterator[Pane]:
        """Yield one pane with the events of [start, end)."""
        first, last = ((edge_us - self._start_us) // MINUTE_US for edge_us in (start_us, end_us))
        pane = Pane(start_us)
        pane.events = int(self._calls[max(0, first) : max(0, last)].sum())
        yield pane


def silent_pages(calls: Counts, start_us: int, settings: NoData) -> list[int]:
    """Return the minutes in which silence begins to page, by the functions of ``monitor.rules.no_data``."""
    feature, pages, fires = CountedFeature(calls, start_us), [], False
    services = ServiceActivity({feature.key: feature})
    silence = 0
    for minute, n in enumerate(calls.tolist()):
        pane_us = start_us + minute * MINUTE_US
        silence = 0 if n else silence + 1
        if n:
            feature.first_us = feature.first_us or pane_us
            feature.count_arrivals(pane_us, n, MINUTE_US)
            fires = False
        elif silence * 60 >= settings.window and feature.first_us:
            edge_us = pane_us + MINUTE_US
            if not fires and no_data.read(settings, feature, edge_us, MINUTE_US, services).state == "breach":
                fires = True
                if no_data.may_page(settings, feature, edge_us, MINUTE_US):
                    pages.append(minute)
            if fires:
                no_data.learn(feature, edge_us, MINUTE_US)
    return pages


def marked_lives(
    lives: Sequence[tuple[Counts, Counts]],
    start_us: int,
    settings: NoData,
    learns: int = 0,
    *,
    has_week: bool = False,
) -> Bools:
    """Return which lives, each calls and failures, might page after their first ``learns`` minutes.

    ``has_week``: their rates differ between the days of the week.
    """
    marked = np.zeros(len(lives), bool)
    series = [item for nth, (calls, failures) in enumerate(lives) for item in series_of(nth, calls, failures)]
    failing = [item for item in series if item.failed.any()]
    largest, bank = largest_statistics(failing, learns, has_week=has_week)
    for item, statistic in zip(failing, largest, strict=True):
        marked[item.life] |= statistic >= bank.bound / 2
        if item.name != "evaluator" and not marked[item.life]:
            limit, heaviest = ERROR_LIMIT if item.name == "error" else FLOOR, np.ones((len(item.events), 1))
            events, failed = item.events[:, None, None], item.failed[:, None, None]
            marked[item.life] |= may_breach(events, failed, [1.0], limit, heaviest)[0]
    for nth, (calls, _) in enumerate(lives):
        if not marked[nth]:
            pages = silent_pages(calls.sum(1), start_us, settings)
            marked[nth] = any(minute >= learns for minute in pages)
    return marked
