"""Rates of events with different weights: false breaches of thresholds, coverage of the interval shown, false
alarms and delay of the sequential detector. The tables of docs/statistics.md.

    python -m benchmarks.sampling_designs thresholds    false breaches, by importance sampling
    python -m benchmarks.sampling_designs intervals     how often the 95 % interval misses the true rate
    python -m benchmarks.sampling_designs alarms        alarms of the detector, against its run length
    python -m benchmarks.sampling_designs delays        minutes to an alarm, beside a detector that knows all

``--design`` and ``--calls`` choose rows; ``--quick`` takes a tenth of the trials.
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np
from scipy.special import betaincinv

from benchmarks.baseline_bank import shift_odds
from benchmarks.detector.bank import DEFAULT_RUN, Bank
from benchmarks.markdown_table import print_table
from monitor.drift import block_correlation
from monitor.drift.lagging_reference import MIN_REFERENCE_EVENTS

BUDGET_Z = 4.8
Z95 = 1.959963984540054
LOOKS = 1_440_000  # in 1,000 feature-days, one a minute
LADDER_MINUTES = (5, 30, 120, 360, 1440)
MIN_EVENTS = 50
SHORT_RUN = 1e5  # a run length at which alarms can be counted
REFERENCE_DAYS = 3
GIVE_UP_MINUTES = 720


class WeightClass(NamedTuple):
    """Sampled events of one weight: failures and others a minute."""

    weight: float
    failed: float
    passed: float


Design = Callable[[float, float], list[WeightClass]]
"""Calls a minute and failure rate -> the classes as they are sampled."""


def _errors_kept(p: float) -> Design:
    return lambda calls, rate: [
        WeightClass(1.0, calls * rate, 0.0),
        WeightClass(1 / p, 0.0, calls * (1 - rate) * p),
    ]


def _one_rare_event(p: float) -> Design:
    return lambda calls, rate: [
        WeightClass(1.0, calls * rate, calls * (1 - rate)),
        WeightClass(1 / p, 0.1 * rate, 0.1 * (1 - rate)),
    ]


DESIGNS: dict[str, Design] = {
    **{f"errors at 1, others at {p:g}": _errors_kept(p) for p in (0.1, 0.01, 0.005, 0.001, 0.0003)},
    "fleet at 0.001, canary (1 %) at 1": lambda calls, rate: [
        WeightClass(1000.0, calls * rate * 0.001, calls * (1 - rate) * 0.001),
        WeightClass(1.0, calls * rate * 0.01, calls * (1 - rate) * 0.01),
    ],
    "all at 1, one event of p = 0.0001 in 10 minutes": _one_rare_event(1e-4),
    "texts at 0.1 (half of the failures need text)": lambda calls, rate: [
        WeightClass(1.0, calls * rate / 2, 0.0),
        WeightClass(10.0, calls * rate / 2 * 0.1, calls * (1 - rate) * 0.1),
    ],
}


class Counts(NamedTuple):
    """Events by class and trial, shape (classes, trials)."""

    weights: np.ndarray
    failed: np.ndarray
    passed: np.ndarray


def units_of(classes: list[WeightClass]) -> tuple[float, float]:
    """Return the heaviest weight of any event and of a failed one."""
    return max(c.weight for c in classes), max(c.weight for c in classes if c.failed)


def draw(rng: np.random.Generator, classes: list[WeightClass], minutes: float, trials: int) -> Counts:
    weights, failed, passed = (np.array(column)[:, None] for column in zip(*classes, strict=True))
    shape = (len(classes), trials)
    return Counts(
        weights,
        rng.poisson(failed * minutes, shape).astype(float),
        rng.poisson(passed * minutes, shape).astype(float),
    )


def estimate(classes: list[WeightClass], counts: Counts, side: float) -> tuple[np.ndarray, ...]:
    """Return value, effective n and lower bound of each trial, as ``monitor.stats.rate`` does."""
    any_unit, failed_unit = units_of(classes)
    weights, failed, passed = counts
    failed_calls, passed_calls = (weights * failed).sum(0), (weights * passed).sum(0)
    total = failed_calls + passed_calls
    bounds = np.maximum(1, (failed > 0).sum(0))
    low = np.zeros(failed.shape[1])
    with np.errstate(all="ignore"):
        for nth, unit in enumerate(weights[:, 0]):
            if not classes[nth].failed:
                continue
            units = (failed * np.minimum(1, weights / unit)).sum(0)
            bound = betaincinv(np.maximum(units, 1e-12), passed_calls / any_unit + 1, side / bounds)
            low = np.maximum(low, np.where(failed[nth] > 0, shift_odds(bound, unit / any_unit), 0.0))
        n = total**2 / (failed_unit * passed_calls + any_unit * failed_calls)
        return failed_calls / total, np.nan_to_num(n), low


def same(trials: int = 200) -> None:
    """The copy here and the product agree."""
    from monitor.stats.rate import Rate
    from monitor.stats.sampling_weights import Units, to_ppm
    from monitor.stats.share_intervals import clopper_pearson_interval

    side = math.erfc(BUDGET_Z / math.sqrt(2)) / 2
    for name, design in DESIGNS.items():
        classes = design(100, 0.05)
        counts = draw(np.random.default_rng(1), classes, 5, trials)
        values, ns, lows = estimate(classes, counts, side)
        for trial in range(trials):
            rate = Rate()
            for weight, failed, passed in zip(
                *(column[:, -1 if column.shape[1] == 1 else trial] for column in counts), strict=True
            ):
                if failed + passed:
                    rate.add(to_ppm(1 / weight), int(failed + passed), int(failed))
            if not rate.events:
                continue
            ours = rate.estimate(BUDGET_Z, interval=clopper_pearson_interval, known=Units(*units_of(classes)))
            theirs = (values[trial], ns[trial], min(lows[trial], values[trial]))
            assert np.allclose(ours[:3], theirs, rtol=0.01, atol=1e-9), (name, ours, theirs)


# factors on the means of failures and of others, from which counts are drawn
_TILTS = (
    (1, 1),
    (1, 0.6),
    (1, 0.3),
    (1, 0.1),
    (1, 0.02),
    (1.5, 0.7),
    (2, 0.5),
    (1.5, 1),
    (2.5, 1),
    (5, 1),
    (20, 0.5),
)


def draw_tilted(
    rng: np.random.Generator, classes: list[WeightClass], minutes: float, trials: int
) -> tuple[Counts, np.ndarray]:
    """Draw counts from a mixture of tilted means, with ln of their importance weights.

    Source: Owen, Zhou, JASA 95 (2000), defensive mixtures.
    """
    size = len(classes)
    failed_means = np.array([c.failed for c in classes]) * minutes
    passed_means = np.array([c.passed for c in classes]) * minutes
    tilts = [(np.full(size, a, float), np.full(size, b, float)) for a, b in _TILTS]
    for nth, (a, b) in itertools.product(range(size), _TILTS[1:]):
        of_failed, of_passed = np.ones(size), np.ones(size)
        of_failed[nth], of_passed[nth] = a, b
        tilts.append((of_failed, of_passed))
    which = rng.integers(len(tilts), size=trials)
    failed = rng.poisson((failed_means * np.array([a for a, _ in tilts])[which]).T).astype(float)
    passed = rng.poisson((passed_means * np.array([b for _, b in tilts])[which]).T).astype(float)
    logs = np.stack([
        (failed * np.log(a)[:, None]).sum(0)
        + (passed * np.log(b)[:, None]).sum(0)
        - (failed_means * (a - 1)).sum()
        - (passed_means * (b - 1)).sum()
        for a, b in tilts
    ])  # fmt: skip
    largest = logs.max(0)
    weights = np.array([c.weight for c in classes])[:, None]
    return Counts(weights, failed, passed), -(largest + np.log(np.exp(logs - largest).mean(0)))


Rows = list[tuple[str, Design, int]]


def thresholds(rows: Rows, scale: float) -> Iterator[list[str]]:
    """False breaches in 1,000 feature-days at a rate of the threshold, each look counted as independent."""
    trials, side = int(12_000 * scale), math.erfc(BUDGET_Z / math.sqrt(2)) / 2
    yield ["design", "calls a minute", "failing", "threshold", "false breaches", "promised"]
    for (name, design, calls), rate in itertools.product(rows, (0.01, 0.05)):
        threshold, total, variance = max(0.02, rate), 0.0, 0.0
        rng, reach = np.random.default_rng(3), np.random.default_rng(5)
        classes = design(calls, rate)
        for minutes in LADDER_MINUTES:
            counts, log_weights = draw_tilted(rng, classes, minutes, trials)
            _, n, low = estimate(classes, counts, side)
            hit = (n >= MIN_EVENTS - 1e-6) & (low > threshold)
            share = np.where(hit, np.exp(log_weights), 0.0)
            total, variance = total + share.mean(), variance + share.var() / trials
            if (
                estimate(classes, draw(reach, classes, minutes, 2000), side)[1] >= MIN_EVENTS
            ).mean() > 0.9995:
                break
        estimated, error = LOOKS * total, LOOKS * math.sqrt(variance)
        yield [
            name,
            f"{calls}",
            f"{rate:.0%}",
            f"{threshold:.0%}",
            f"{estimated:.2g} ± {error:.1g}",
            f"{LOOKS * side:.2g}",
        ]


def intervals(rows: Rows, scale: float) -> Iterator[list[str]]:
    """How often the 95 % interval of five minutes misses the true rate, and how wide it is."""
    yield ["design", "calls a minute", "failing", "truth below", "truth above", "median width"]
    for (name, design, calls), rate in itertools.product(rows, (0.01, 0.05)):
        classes = design(calls, rate)
        any_unit, failed_unit = units_of(classes)
        weights, failed, passed = draw(np.random.default_rng(4), classes, 5, int(20_000 * scale))
        some = (failed + passed).sum(0) > 0
        failed_units = (weights * failed).sum(0)[some] / failed_unit
        n = failed_units + (weights * passed).sum(0)[some] / any_unit
        share, factor = failed_units / n, failed_unit / any_unit
        centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
        half = Z95 / (1 + Z95**2 / n) * np.sqrt(share * (1 - share) / n + Z95**2 / (4 * n * n))
        low, high = (shift_odds(np.clip(bound, 0, 1), factor) for bound in (centre - half, centre + half))
        below, above = np.mean(rate < low - 1e-12), np.mean(rate > high + 1e-12)
        yield [
            name,
            f"{calls}",
            f"{rate:.0%}",
            f"{below:.1%}",
            f"{above:.1%}",
            f"{np.median(high - low):.3f}",
        ]


class WeightedBank(Bank):
    """``ShiryaevRoberts`` over many streams whose blocks have several weights."""

    def __init__(self, streams: int, run_length: float, classes: list[WeightClass]) -> None:
        self.any_unit, self.failed_unit = units_of(classes)
        self.counts = Counts(*np.zeros((3, 1, 1)))
        super().__init__(streams, run_length)

    def tolerated(self, p: np.ndarray) -> np.ndarray:
        factor = self.failed_unit / self.any_unit
        return shift_odds(super().tolerated(shift_odds(p, factor)), 1 / factor)

    def log_ratio(self, events: np.ndarray, failed: np.ndarray, event_weight: np.ndarray) -> np.ndarray:
        weights, failures, passes = self.counts
        total, (bad, good) = np.zeros_like(self.logs), self.ratios(events, failed)
        for weight, failed_n, passed_n in zip(weights[:, 0], failures, passes, strict=True):
            total += failed_n * np.log1p(weight / self.failed_unit * np.expm1(bad))
            total += passed_n * np.log1p(weight / self.any_unit * np.expm1(good))
        return event_weight * total

    def feed(self, counts: Counts) -> np.ndarray:
        """Weigh a block; return which streams alarm."""
        self.counts = counts
        failures = (counts.weights * counts.failed).sum(0) / self.failed_unit
        n = failures + (counts.weights * counts.passed).sum(0) / self.any_unit
        with np.errstate(all="ignore"):  # a block without events has no variance
            return self.step(n, failures) & (n > 0)


def bank_with_reference(classes: list[WeightClass], streams: int, run_length: float) -> WeightedBank:
    """A bank whose reference has what ``REFERENCE_DAYS`` days give."""
    bank, rng = WeightedBank(streams, run_length, classes), np.random.default_rng(1)
    failed = sum(c.failed * c.weight for c in classes) / bank.failed_unit
    passed = sum(c.passed * c.weight for c in classes) / bank.any_unit
    per_minute = failed + passed
    event_weight = 1 / (
        1 + max(per_minute - 1, 0) * block_correlation.CORRELATION[0] * block_correlation.CAUTION
    )
    events = min(9e5, per_minute * event_weight * 1440 * REFERENCE_DAYS)
    bank.f = rng.poisson(events * failed / per_minute, streams).astype(float)
    bank.n = bank.f + rng.poisson(events * passed / per_minute, streams)
    bank.refresh()
    return bank


def alarms(rows: Rows, scale: float) -> Iterator[list[str]]:
    """Alarms without any change in a day of minutes, against the promise of the run length."""
    streams = int(200 * scale)
    yield ["design", "calls a minute", "failing", "alarms", "promised", "ratio"]
    for (name, design, calls), rate in itertools.product(rows, (0.01, 0.05)):
        classes, rng, count, looks = design(calls, rate), np.random.default_rng(7), 0, 0
        bank = bank_with_reference(classes, streams, SHORT_RUN)
        for _ in range(1440):
            looks += int((bank.n >= MIN_REFERENCE_EVENTS).sum())
            alarm = bank.feed(draw(rng, classes, 1, streams))
            bank.logs[:, alarm] = 0
            count += int(alarm.sum())
        promised = looks / SHORT_RUN
        ratio = f"{count / promised:.2f}" if promised else "-"
        yield [name, f"{calls}", f"{rate:.0%}", f"{count}", f"{promised:.1f}", ratio]


def delays(rows: Rows, scale: float) -> Iterator[list[str]]:
    """Median minutes from a change to an alarm at the default run length; of the detector that knows the
    rates before and after as well.
    """
    streams = int(100 * scale)
    yield ["design", "calls a minute", "change", "softfail", "knows all"]
    for (name, design, calls), after in itertools.product(rows, (0.1, 1.0)):
        before, changed = design(calls, 0.01), design(calls, after)
        rng, oracle_rng = np.random.default_rng(9), np.random.default_rng(9)
        bank = bank_with_reference(before, streams, DEFAULT_RUN)
        for _ in range(60):
            bank.logs[:, bank.feed(draw(rng, before, 1, streams))] = 0
        ours = _first_alarms(bank.feed, changed, streams, rng)
        oracle = _Oracle(before, changed, streams)
        best = _first_alarms(oracle.feed, changed, streams, oracle_rng)
        yield [name, f"{calls}", f"1 → {after:.0%}", _median(ours), _median(best)]


class _Oracle:
    """The Shiryaev–Roberts statistic of the outcomes and classes, which knows the rates before and after."""

    def __init__(self, before: list[WeightClass], after: list[WeightClass], streams: int) -> None:
        totals = [sum(c.failed + c.passed for c in classes) for classes in (before, after)]
        least = 1e-9
        self.failed, self.passed = (
            [
                math.log(max(then, least) / totals[1] / (max(now, least) / totals[0])) if now else 0.0
                for now, then in pairs
            ]
            for pairs in (
                [(a.failed, b.failed) for a, b in zip(before, after, strict=True)],
                [(a.passed, b.passed) for a, b in zip(before, after, strict=True)],
            )
        )
        self.statistic = np.zeros(streams)

    def feed(self, counts: Counts) -> np.ndarray:
        gain = np.array(self.failed) @ counts.failed + np.array(self.passed) @ counts.passed
        self.statistic = (1 + self.statistic) * np.exp(np.minimum(gain, 600))
        return self.statistic >= DEFAULT_RUN


def _first_alarms(
    feed: Callable[[Counts], np.ndarray],
    classes: list[WeightClass],
    streams: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the minute of each stream's first alarm; infinite if there is none."""
    first_minutes = np.full(streams, np.inf)
    for minute in range(1, GIVE_UP_MINUTES + 1):
        first_minutes[feed(draw(rng, classes, 1, streams)) & np.isinf(first_minutes)] = minute
        if np.isfinite(first_minutes).all():
            break
    return first_minutes


def _median(minutes: np.ndarray) -> str:
    median, never = np.sort(minutes)[len(minutes) // 2], np.isinf(minutes).mean()
    shown = "over 12 h" if np.isinf(median) else f"{median:.0f}"
    return shown + (f" ({never:.0%} not found)" if never else "")


TABLES = {"thresholds": thresholds, "intervals": intervals, "alarms": alarms, "delays": delays}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("table", choices=TABLES)
    parser.add_argument("--design", default="*", help="a pattern of names of designs")
    parser.add_argument("--calls", type=int, nargs="*", default=[20, 100, 200, 1000], help="calls a minute")
    parser.add_argument("--quick", action="store_true", help="a tenth of the trials")
    options = parser.parse_args()
    same()
    rows = [
        (name, design, calls)
        for name, design in DESIGNS.items()
        if fnmatchcase(name, options.design)
        for calls in options.calls
    ]
    head, *body = TABLES[options.table](rows, 0.1 if options.quick else 1.0)
    print_table(head, body)


if __name__ == "__main__":
    main()
