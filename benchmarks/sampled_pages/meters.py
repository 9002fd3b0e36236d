"""The calls of a sampled feature as its meters state them, and baselines that read them, many at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from benchmarks.baseline_bank import MINUTE_US, BaselineBank, Bools, Floats, event_weights
from benchmarks.false_pages.traffic import START_US
from benchmarks.sampled_pages.designs import DESIGNS, Cell, Day
from benchmarks.window_screen import Counts
from monitor.drift import lagging_reference
from monitor.rules.learned_baseline import LEARNT_US
from monitor.windows.producer_counters import ProducerTracker

PRODUCERS, METER_S = 2, 10


class MeteredDay(NamedTuple):
    """What the meters of two producers state in a day. At midnight a meter ends at the edge.

    Attributes:
        n: calls of a minute, by minute and life; a meter that crosses the edge of a minute shares its calls by
            time. ``crossing``: calls of the meters that cross the end of the minute.
        inner: calls that a producer counts between the meters that cross edges, by minute, producer and life;
            ``at_end``: those of the meter that crosses the end.
        before_us: how long before an edge the meter that crosses it begins, by producer and life.
    """

    n: Counts
    crossing: Counts
    inner: Counts
    at_end: Counts
    before_us: Counts


def draw_meters(cell: Cell, day: Day, key: tuple[int, ...]) -> MeteredDay:
    """Draw the meters of a day, whose sampled events are known; ``key``: seed, round, day."""
    own = (list(DESIGNS).index(cell.design), cell.calls, round(cell.failing * 1e4), 31)
    rng, life_rng = np.random.default_rng([*key, *own]), np.random.default_rng([*key[:2], *own])
    sent = sum(kind.sum(1).astype(np.int64) for kind in day)
    assert isinstance(sent, np.ndarray)
    minutes, lives = sent.shape
    unsent = cell.calls * (1 - cell.rates[0]) * (1 - DESIGNS[cell.design][0].of_others)
    calls = sent + rng.poisson(unsent, sent.shape)
    before_us = life_rng.integers(1, METER_S * 1_000_000, (PRODUCERS, lives))
    of_first = rng.binomial(calls, 1 / PRODUCERS)
    inner: list[Counts] = []
    at_end: list[Counts] = []
    shared = np.zeros_like(calls)
    for producer, of_producer in enumerate((of_first, calls - of_first)):
        before = before_us[producer] / MINUTE_US
        after = np.tile(METER_S * 1_000_000 / MINUTE_US - before, (minutes, 1))
        after[0] = 0
        calls_after = rng.binomial(of_producer, after)
        calls_before = rng.binomial(of_producer - calls_after, before / (1 - after))
        crosses = calls_before + np.concatenate([calls_after[1:], np.zeros((1, lives), np.int64)])
        earlier = crosses * before_us[producer] // (METER_S * 1_000_000)
        earlier[-1] = crosses[-1]
        inner.append(of_producer - calls_after - calls_before)
        at_end.append(crosses)
        shared += inner[-1] + earlier
        shared[1:] += (crosses - earlier)[:-1]
    crossing = np.sum(at_end, 0)
    crossing[-1] = 0
    return MeteredDay(shared, crossing, np.stack(inner, 1), np.stack(at_end, 1), before_us)


def apply_meters(
    producers: ProducerTracker, seen: list[int], day: MeteredDay, minute: int, life: int, edge_us: int
) -> None:
    """Apply the meters of a minute that ends at ``edge_us``; ``seen``: calls of each producer so far."""
    is_last = minute == len(day.n) - 1
    for producer in range(PRODUCERS):
        begins_us = edge_us - int(day.before_us[producer, life])
        ends_us = edge_us if is_last else begins_us + METER_S * 1_000_000
        for time_us, counts in ((begins_us, day.inner), (ends_us, day.at_end)):
            seen[producer] += int(counts[minute, producer, life])
            producers.apply_meter(f"producer-{producer}", time_us, START_US, (seen[producer], 0, 0, 0))


class MeteredBaselines:
    """The baseline of sampled events and its twin of known calls, of many series (``monitor.rules.
    known_calls_baseline``).

    Args:
        streams: how many series.
        weights: of the classes: that of failures, 1, and that of other events.
    """

    def __init__(self, streams: int, weights: list[float]) -> None:
        assert weights[0] == 1 < weights[1]
        self.events, self.calls = BaselineBank(streams, weights), BaselineBank(streams, [1.0])
        self.largest, self.blocks = np.zeros((2, streams))
        self._other_weight = weights[1]
        self._have_failed = np.zeros(streams, bool)

    def feed(
        self, edge: int, events: Floats, failed: Floats, present: Bools, calls: Counts, crossing: Counts
    ) -> None:
        """Weigh a minute by one of the two baselines and learn from it in both.

        Args:
            edge: end of the minute, minutes.
            events: by series and class; ``failed``: how many of them failed; ``present``: which classes the
                block names.
            calls: as the meters state them, by series; ``crossing``: those of meters that cross an edge.
        """
        sent, failures = events.sum(1), failed.sum(1)
        self._have_failed |= failures > 0
        known = self._have_failed & (calls > 0) & (crossing <= calls) & (sent <= calls + crossing)
        counted = np.maximum(calls, sent) * known
        by_calls = known & self._weighs_calls(counted, edge)
        was_weighed = np.zeros(len(sent), bool)
        for bank, weighed, counts in (
            (self.calls, by_calls, (counted[:, None], (failures * known)[:, None])),
            (self.events, ~by_calls, (events, failed, present)),
        ):
            rows, statistic = bank.feed(edge, *counts, is_weighed=weighed)
            self.largest[rows] = np.maximum(self.largest[rows], statistic)
            was_weighed[rows] = True
        self.blocks += was_weighed

    def _weighs_calls(self, calls: Counts, edge: int) -> Bools:
        own, events = self.calls, self.events
        is_old = (edge - own.begun) * MINUTE_US >= LEARNT_US  # of no baseline False
        learned = np.maximum(
            lagging_reference.MIN_REFERENCE_EVENTS, np.minimum(events.n, lagging_reference.POOLED_EVENTS)
        )
        is_large = own.n >= learned
        rate = (own.failures + 1) / np.maximum(own.n + 1, own.failures + 1.5)
        failures, others = calls * rate, calls * (1 - rate) / self._other_weight
        sampled = np.maximum(failures + others, 1e-9)
        of_events = failures * others / sampled * event_weights(sampled, events.rho)
        of_calls = calls * rate * (1 - rate) * event_weights(calls, own.rho)
        return is_old & is_large & (of_calls >= of_events)
