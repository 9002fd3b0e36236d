"""Healthy traffic: its shapes, and the lives of features draw_life from them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from monitor.stats.exponential_buckets import bucket_codes
from monitor.stats.number_summary import NumberSummary
from monitor.stats.sampling_weights import MILLION

MINUTES = 1440  # of a day
MINUTE_US, START_US = 60_000_000, 1_772_409_600_000_000  # 2 March 2026, a Monday
DISPERSION = 0.002  # correlation of the outcomes of one minute, beta-binomial
# healthy rates, and the most that they may come to together
ERRORS, FAILURES, IN_ALL = (0.002, 0.01), (0.002, 0.1), 0.25
# gating by default, beside `error`
EVALUATORS = ("outcome", "empty", "refusal", "truncation", "content_filter", "known_failure")
QUANTITIES = {  # name -> median in integer units, spread of the logarithm
    "duration_s": (2e6, 0.6),
    "output_tokens": (200, 1.0),
    "input_tokens": (800, 0.7),
    "cost_usd": (5e6, 0.9),
    "time_to_first_token_s": (4e5, 0.5),
}
# and the share of zeros
INFLATED = {
    "cached_input_tokens": (512, 0.5, 0.5),
    "reasoning_tokens": (300, 1.0, 0.7),
    "tool_calls": (1.5, 0.4, 0.8),
}

Counts = np.ndarray[Any, np.dtype[np.int64]]


class Shape(NamedTuple):
    """One kind of healthy traffic.

    ``a_minute``: calls, log-uniform over features; ``volume``, ``rates``: how far the day takes volume, and
    rates and numbers, up and down;
    ``bursts``: by how much volume is multiplied now and then; ``grain``: shape of the gamma by which minutes
    differ, 0: not at all;
    ``night``: hours without traffic, and ``dusk``: hours in which it fades out and comes back; ``every``: all
    calls come in one minute of so many;
    ``zeros``: share of the evaluators that nothing ever fails, and numbers that are mostly zero;
    ``office``: calls only Monday to Friday, 8 to 18 h; ``weekend``: factor on failures on Saturday and Sunday;
    ``days``: of a life; ``learns``: days at its beginning that do not count.
    """

    a_minute: tuple[float, float]
    volume: float = 0.0
    rates: float = 0.0
    bursts: float = 1.0
    grain: float = 0.0
    night: int = 0
    dusk: float = 0.0
    every: int = 1
    zeros: float = 0.0
    office: bool = False
    weekend: float = 1.0
    days: int = 7
    learns: int = 0


SHAPES = {
    "log-normal": Shape((10, 100)),
    "zero-inflated": Shape((10, 100), zeros=0.6),
    "daily cycle, rates ± 20 %": Shape((10, 300), volume=0.8, rates=0.2),
    "daily cycle, rates ± 10 %": Shape((10, 300), volume=0.8, rates=0.1),
    "bursty": Shape((3, 30), bursts=15.0, grain=2.0),
    "nights without traffic": Shape((5, 100), night=8, dusk=3),
    "low volume": Shape((1, 1)),
    "high volume": Shape((500, 2000), grain=50.0),
    "office hours": Shape((10, 100), office=True, days=22, learns=8),
    "failures × 3 at weekends": Shape((10, 100), weekend=3.0, days=36, learns=8),
}
APART = {
    "opening hours, 16 a day": Shape((5, 100), night=8),
    "a batch every 10 minutes": Shape((5, 100), every=10),
}
"""Healthy too, and known to page: see docs/statistics.md. Run only where ``--shape`` names them, and left out of the sum."""
ALL = SHAPES | APART


class Life(NamedTuple):
    """What a feature is sent: calls (minutes, segments), failures of error and each evaluator (minutes, 7,
    segments), where in the day (minutes,).
    """

    calls: Counts
    failures: Counts
    cycle: np.ndarray[Any, np.dtype[np.float64]]
    labels: dict[str, Any]


def draw_life(shape: Shape, rng: np.random.Generator, days: int) -> Life:
    minute_index, phase = np.arange(days * MINUTES), rng.uniform(0, 1)
    cycle = np.sin(2 * np.pi * (minute_index / MINUTES + phase))
    base = float(np.exp(rng.uniform(*np.log(shape.a_minute))))
    expected = base * (1 + shape.volume * cycle)
    if shape.bursts > 1:
        # one in three hours, of a quarter of an hour on average
        for begin in np.flatnonzero(rng.random(len(minute_index)) < 1 / 180):
            expected[begin : begin + rng.geometric(1 / 15)] = base * shape.bursts
    if shape.grain:
        expected = expected * rng.gamma(shape.grain, 1 / shape.grain, len(minute_index))
    if shape.night:
        hour = (minute_index / 60 + phase * 24) % 24 - shape.night  # of the day that follows the night
        expected = expected * np.where(
            hour < 0, 0, np.clip(np.minimum(hour, 24 - shape.night - hour) / max(shape.dusk, 1e-9), 0, 1)
        )
    expected = expected * shape.every * ((minute_index + int(phase * shape.every)) % shape.every == 0)
    weekday, week = np.zeros(len(minute_index), int), np.ones(len(minute_index))
    if shape.office or shape.weekend != 1:  # born on any day of the week, with office hours at 8 h
        start = int(rng.integers(5 if shape.office else 7)) * MINUTES + (480 if shape.office else 0)
        weekday, hour = (start + minute_index) // MINUTES % 7, (start + minute_index) % MINUTES / 60
        week = np.where(weekday < 5, 1 / shape.weekend, 1.0)
        expected = expected * ((weekday < 5) & (hour >= 8) & (hour < 18) if shape.office else 1)
    segments = int(rng.integers(1, 4))
    calls = rng.multinomial(rng.poisson(expected), rng.dirichlet(np.full(segments, 4.0)))
    rates = np.exp([rng.uniform(*np.log(item)) for item in (ERRORS, *[FAILURES] * len(EVALUATORS))])
    rates[1:] *= (rng.random(len(EVALUATORS)) >= shape.zeros) * min(1.0, IN_ALL / rates.sum())
    unlike = rng.lognormal(0, 0.2, segments)
    failures, left = np.zeros((len(minute_index), len(rates), segments), np.int64), calls.copy()
    for nth, rate in enumerate(rates):
        if rate:
            mean = rate * (1 + shape.rates * cycle) * week
            minute = rng.beta(mean * (1 / DISPERSION - 1), (1 - mean) * (1 / DISPERSION - 1))
            failures[:, nth] = rng.binomial(
                left, np.minimum(1, minute[:, None] * (unlike if nth else np.ones(segments)))
            )
            left -= failures[:, nth]
    labels = {
        "a_minute": round(base, 1),
        "segments": segments,
        "rates": [round(float(rate), 4) for rate in rates],
    }
    return Life(calls, failures, shape.rates * cycle, labels)


def draw_numbers(
    calls: Counts, cycle: Any, shape: Shape, rng: np.random.Generator
) -> list[dict[str, NumberSummary]]:
    """The numbers of each minute of one segment."""
    minute = np.repeat(np.arange(len(calls)), calls)
    common = rng.normal(0, 1, len(minute))  # what makes an answer long makes it slow and dear
    shared, swing = rng.normal(0, 0.03, len(calls))[minute], np.log1p(cycle)[minute]
    out: list[dict[str, NumberSummary]] = [{} for _ in calls]
    kinds: dict[str, tuple[float, float, float]] = {
        name: (*median, 0.0) for name, median in QUANTITIES.items()
    } | (INFLATED if shape.zeros else {})
    for name, (middle, spread, zeros) in kinds.items():
        noise = 0.7 * common + 0.714 * rng.normal(0, 1, len(minute))
        values = np.rint(middle * np.exp(spread * noise + shared + swing)).astype(np.int64) * (
            rng.random(len(minute)) >= zeros
        )
        order = np.lexsort((codes := bucket_codes(values), minute))
        keys = minute[order] * 8192 + codes[order] + 4096
        firsts = np.flatnonzero(np.diff(keys, prepend=-1))
        buckets: list[dict[int, int]] = [{} for _ in calls]
        for key, n in zip(keys[firsts].tolist(), np.diff(firsts, append=len(keys)).tolist(), strict=True):
            buckets[key // 8192][key % 8192 - 4096] = n
        sums = np.bincount(minute, values, len(calls)).astype(np.int64).tolist()
        for day_numbers, n, total, counts in zip(out, calls.tolist(), sums, buckets, strict=True):
            if n:
                day_numbers[name] = NumberSummary()
                day_numbers[name].add(MILLION, n, total, counts)
    return out
