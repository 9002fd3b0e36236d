"""Figures of a pane from its counts: rates with Wilson intervals, numbers with quantiles, as in
``semantics.md`` and decision 1.

Counts are kept by the finest weight class, in parts per million. They are made coarser only for display: at
the least level with at most eight classes.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from functools import lru_cache
from itertools import accumulate
from typing import Any, NamedTuple

WHOLE = 1_000_000
Z95 = 1.959963984540054
SUCCESSES = frozenset({"pass_rate", "feedback.acceptance_rate"})
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
SLACK = 1 - 1e-12  # the rank of a whole count must not reach the next bucket by rounding

Classes = dict[int, list[int]]  # ppm -> [n, failures]


class Shown(NamedTuple):
    """Value with its interval and effective n."""

    value: float | None
    n: float
    low: float | None
    high: float | None


NOTHING = Shown(None, 0.0, None, None)


@lru_cache(4096)
def grid(probability: float) -> int:
    """Return the probability rounded to three significant digits, in parts per million.

    >>> grid(0.12345), grid(1e-9)
    (123000, 1)
    """
    return _digits(max(1, min(WHOLE, round(probability * WHOLE))), 3)


def _digits(ppm: int, digits: int) -> int:
    unit = 10 ** max(0, len(str(ppm)) - digits)
    return min(WHOLE, (2 * ppm + unit) // (2 * unit) * unit)


@lru_cache(4096)
def at_level(ppm: int, level: int) -> int:
    """Return a class on grid ``level``. Each level rounds the level before: to 3, 2, 1 digits, then to the
    nearest power of ten in proportion.
    """
    for step in range(1, level + 1):
        ppm = (
            _digits(ppm, 3 - step)
            if step < 3
            else min(WHOLE, next(10**power for power in range(8) if ppm**2 < 10 * 100**power))
        )
    return ppm


def coarse_enough(classes: dict[int, Any]) -> dict[int, list[int]]:
    """Return the classes on the finest grid with at most eight: coarse ppm -> the classes that it merges."""
    if len(classes) <= 8:
        return {ppm: [ppm] for ppm in classes}
    for level in range(4):
        together: dict[int, list[int]] = {}
        for ppm in classes:
            together.setdefault(at_level(ppm, level), []).append(ppm)
        if len(together) <= 8:
            return together
    raise AssertionError("powers of ten are at most seven")


def coarse_rate(classes: Classes) -> Classes:
    """Return (n, failures) by class, at most eight classes."""
    if len(classes) <= 8:
        return classes
    return {
        ppm: [sum(classes[item][0] for item in these), sum(classes[item][1] for item in these)]
        for ppm, these in sorted(coarse_enough(classes).items())
    }


Units = tuple[float, float]  # heaviest known weights: of any event, of a failed event
NO_UNITS: Units = (0.0, 0.0)


def rate(classes: Classes, z: float, inverted: bool = False, units: Units = NO_UNITS) -> Shown:
    """Return R = sum(f/p) / sum(n/p) with Wilson's interval on n events; with several weights as in decision
    30.
    """
    if has_one_weight(classes, units):
        return _rate(tuple([(ppm, n, f) for ppm, (n, f) in classes.items()]), z, inverted)
    return _in_units(classes, z, inverted, units, False)


def has_one_weight(classes: Classes, units: Units) -> bool:
    """Return whether the classes and the known units of the series contain a single weight."""
    return not classes or (len(classes) == 1 and units[0] <= max(WHOLE / ppm for ppm in classes))


def units_of(classes: Classes, units: Units) -> Units:
    """Return c_s and c_f: the heaviest weight of any event, and of a failed event. Without failures c_f is
    c_s.
    """
    every = max(units[0], *(WHOLE / ppm for ppm in classes))
    failed = max([units[1]] + [WHOLE / ppm for ppm, (_, f) in classes.items() if f])
    return every, failed or every


def without_heaviest(classes: Classes) -> float:
    """Return the share of failures without the heaviest event that passed."""
    bad = sum(f * WHOLE / ppm for ppm, (_, f) in sorted(classes.items()))
    whole = sum(n * WHOLE / ppm for ppm, (n, _) in sorted(classes.items()))
    if sum(n > 0 for n, _ in classes.values()) > 1:
        whole -= max([WHOLE / ppm for ppm, (n, f) in classes.items() if n > f] or [0.0])
    return min(1.0, bad / whole) if whole > 0 else float(bad > 0)


def _odds_times(share: float, factor: float) -> float:
    return 1.0 if share >= 1 else 1 - 1 / (1 + factor * share / (1 - share))


def _in_units(classes: Classes, z: float, inverted: bool, units: Units, decides: bool) -> Shown:
    every, failing = units_of(classes, units)
    bad = sum(f * WHOLE / ppm for ppm, (_, f) in classes.items())
    good = sum((n - f) * WHOLE / ppm for ppm, (n, f) in classes.items())
    if not bad + good:
        return NOTHING
    share, n = bad / (bad + good), (bad + good) ** 2 / (failing * good + every * bad)
    if decides:
        low, high = _bounds(classes, z, every, failing, bad, good)
    else:
        count = bad / failing + good / every
        observed = bad / failing / count
        middle = (observed + z * z / (2 * count)) / (1 + z * z / count)
        half = z / (1 + z * z / count) * math.sqrt(observed * (1 - observed) / count + z * z / (4 * count**2))
        low, high = (
            _odds_times(min(1.0, max(0.0, end)), failing / every)
            for end in (min(observed, middle - half), max(observed, middle + half))
        )
    low, high = min(share, low), max(share, high)
    return Shown(1 - share, n, 1 - high, 1 - low) if inverted else Shown(share, n, low, high)


def _bounds(
    classes: Classes, z: float, every: float, failing: float, bad: float, good: float
) -> tuple[float, float]:
    side = math.erfc(z / math.sqrt(2)) / 2
    weights = {WHOLE / ppm: (f, n - f) for ppm, (n, f) in classes.items()}
    lows = [weight for weight, (f, _) in weights.items() if f]
    highs = [weight for weight, (_, g) in weights.items() if g]
    low, high = 0.0, 1.0
    for unit in lows:
        count = sum(f * min(1.0, weight / unit) for weight, (f, _) in weights.items())
        low = max(low, _odds_times(_beta_quantile(side / len(lows), count, good / every + 1), unit / every))
    for unit in highs:
        count = sum(g * min(1.0, weight / unit) for weight, (_, g) in weights.items())
        end = 1 - _beta_quantile(side / len(highs), count, bad / failing + 1)
        high = min(high, _odds_times(end, failing / unit))
    return low, high


def decided(classes: Classes, z: float, inverted: bool = False, units: Units = NO_UNITS) -> Shown:
    """Return the rate with the interval that decides a rule: Clopper and Pearson's."""
    if not has_one_weight(classes, units):
        return _in_units(classes, z, inverted, units, True)
    shown = rate(classes, z, inverted)
    return shown if shown.value is None else Shown(shown.value, shown.n, *_exact(shown.value, shown.n, z))


@lru_cache(1 << 18)
def _exact(share: float, n: float, z: float) -> tuple[float, float]:
    side, bad, good = math.erfc(z / math.sqrt(2)) / 2, share * n, n - share * n
    low = _beta_quantile(side, bad, good + 1) if bad > 0 else 0.0
    high = 1 - _beta_quantile(side, good, bad + 1) if good > 0 else 1.0
    return max(0.0, min(share, low)), min(1.0, max(share, high))


@lru_cache(1 << 16)
def _beta_quantile(chance: float, a: float, b: float) -> float:
    """Return x with I_x(a, b) = chance, by false position (the Illinois rule), or by bisection where that is
    slower.
    """
    low, high = 0.0, 1.0
    below, above = -chance, 1 - chance
    width, side = 1.0, 0
    for step in range(400):
        middle = (low + high) / 2 if step % 4 == 3 else (low * above - high * below) / (above - below)
        if not low < middle < high:
            middle = (low + high) / 2
        if middle in (low, high) or width <= 1e-15 * high:
            break
        error = _beta(middle, a, b) - chance
        if error < 0:
            low, below, above, side = middle, error, above / 2 if side < 0 else above, -1
        else:
            high, above, below, side = middle, error, below / 2 if side > 0 else below, 1
        width = high - low
    return (low + high) / 2


def _beta(x: float, a: float, b: float) -> float:
    """Return the regularised incomplete beta function.

    Source: its continued fraction (Abramowitz and Stegun, 26.5.8), evaluated from the front (Lentz).
    """
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(1 - x, b, a)
    front = (
        math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x))
        / a
        if x > 0
        else 0.0
    )
    c, d = 1.0, 1 / (1 - (a + b) * x / (a + 1) or 1e-300)
    value = d
    for m in range(1, 10_000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d, c = 1 / (1 + even * d or 1e-300), 1 + even / c or 1e-300
        value *= d * c
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d, c = 1 / (1 + odd * d or 1e-300), 1 + odd / c or 1e-300
        value *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return front * value


@lru_cache(1 << 18)
def _rate(classes: tuple[tuple[int, int, int], ...], z: float, inverted: bool) -> Shown:
    total = failed = 0.0
    for ppm, n, f in classes:
        total += n * WHOLE / ppm
        failed += f * WHOLE / ppm
    if not total:
        return NOTHING
    share = failed / total
    spread = alike = 0.0
    for ppm, n, f in classes:
        weight = (WHOLE / ppm) ** 2
        spread += weight * (f * (1 - share) ** 2 + (n - f) * share**2)
        alike += weight * n
    mixed = any(f for _, _, f in classes) and any(n - f for _, n, f in classes)
    n_effective = share * (1 - share) * total**2 / spread if mixed else total**2 / alike
    share = 1 - share if inverted else share
    centre = (share + z * z / (2 * n_effective)) / (1 + z * z / n_effective)
    half = (
        z
        / (1 + z * z / n_effective)
        * math.sqrt(share * (1 - share) / n_effective + z * z / (4 * n_effective**2))
    )
    return Shown(share, n_effective, max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half)))


@lru_cache(65536)
def bucket(value: int) -> int:
    """Return the i of the bucket (2**(i/32), 2**((i+1)/32)] of a positive whole value, exactly, by its 32nd
    power.

    >>> bucket(1), bucket(2), bucket(3)
    (-1, 31, 50)
    """
    return int((value**32 - 1).bit_length() - 1)


def code(value: int) -> int:
    """Return a code of a bucket that keeps the order: 0 is zero, i + 2 a positive bucket, -(i + 2) a negative
    bucket.
    """
    return 0 if value == 0 else bucket(value) + 2 if value > 0 else -bucket(-value) - 2


@lru_cache(8192)
def middle(by_ppm: int) -> float:
    """Return the harmonic mean of the ends of a bucket, which is at most 1.1 % from each value in it."""
    if by_ppm == 0:
        return 0.0
    low, high = 2 ** ((abs(by_ppm) - 2) / 32), 2 ** ((abs(by_ppm) - 1) / 32)
    return math.copysign(2 * low * high / (low + high), by_ppm)


def number(classes: dict[int, list[Any]], unit: float) -> dict[str, dict[str, Any]]:
    """Return reading (mean, p50, ...) -> figures.

    ``classes``: ppm -> [n, sum, {code: count}].
    """
    by_ppm: dict[int, list[Any]] = dict(sorted(classes.items())) if len(classes) <= 8 else {}
    for ppm, these in sorted(coarse_enough(classes).items()) if not by_ppm else ():
        merged = by_ppm[ppm] = [
            sum(classes[item][0] for item in these),
            sum(classes[item][1] for item in these),
            {},
        ]
        for source_ppm in these:
            for name, count in classes[source_ppm][2].items():
                merged[2][name] = merged[2].get(name, 0) + count
    total = sum(n * WHOLE / ppm for ppm, (n, _, _) in by_ppm.items())
    effective = total**2 / sum(n * (WHOLE / ppm) ** 2 for ppm, (n, _, _) in by_ppm.items())
    whole = list(by_ppm) == [WHOLE]
    summed = by_ppm[WHOLE][1] if whole else sum(part * WHOLE / ppm for ppm, (_, part, _) in by_ppm.items())
    counts: dict[int, float] = {}
    for ppm, (_, _, buckets) in by_ppm.items():
        for name, count in buckets.items():
            counts[name] = counts.get(name, 0) + (count if whole else count * WHOLE / ppm)
    counts = dict(sorted(counts.items()))
    out = {
        "mean": {
            **_scaled(_mean(counts, summed / total, total, effective), unit),
            "sum": summed,
            "unit": unit,
            "histogram": _histogram(counts),
        }
    }
    names, ranks = list(counts), list(accumulate(counts.values()))
    for reading, q in QUANTILES.items():
        out[reading] = _scaled(_quantile(names, ranks, q, effective), unit)
    return out


def _mean(counts: dict[int, float], mean: float, total: float, n: float) -> Shown:
    if n < 2:
        return Shown(mean, n, None, None)
    spread = sum(count * (middle(name) - mean) ** 2 for name, count in counts.items()) / total
    half = Z95 * math.sqrt(spread / (n - 1))
    return Shown(mean, n, mean - half, mean + half)


def _quantile(names: list[int], ranks: list[float], q: float, n: float) -> Shown:
    half, last, total = Z95 * math.sqrt(q * (1 - q) / n), len(names) - 1, ranks[-1] * SLACK
    if not last:  # all in a single bucket, as in most panes
        only = middle(names[0])
        return Shown(only, n, only if q > half else None, only if q + half < 1 else None)
    low, value, high = (
        middle(names[min(last, bisect_left(ranks, share * total))])
        for share in (max(0.0, q - half), q, min(1.0, q + half))
    )
    return Shown(value, n, low if q > half else None, high if q + half < 1 else None)


def _scaled(raw: Shown, unit: float) -> dict[str, Any]:
    value, n, low, high = raw
    return {
        "value": None if value is None else value * unit,
        "n": n,
        "low": None if low is None else low * unit,
        "high": None if high is None else high * unit,
    }


def _histogram(counts: dict[int, float]) -> dict[str, Any]:
    positive = {name - 2: count for name, count in counts.items() if name > 0}
    negative = {-name - 2: count for name, count in counts.items() if name < 0}
    out = {"scale": 5, **_dense(positive), "zero": counts.get(0, 0)}
    return {**out, "negative": {"scale": 5, **_dense(negative), "zero": 0}} if negative else out


def _dense(counts: dict[int, float]) -> dict[str, Any]:
    if not counts:
        return {"offset": 0, "counts": []}
    return {
        "offset": min(counts),
        "counts": [counts.get(code, 0) for code in range(min(counts), max(counts) + 1)],
    }
