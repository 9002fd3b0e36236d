"""Burn rates: an error budget that burns too fast over a long window (so it is worth a page) and still over a
short one (so it is not over).

Source: Google SRE Workbook, chapter 5, "Multiwindow, multi-burn-rate alerts".
"""

from __future__ import annotations

from monitor.rules.evidence import BurnRateEvidence, WeightedSample, rounded
from monitor.rules.reading import Reading
from monitor.rules.threshold import WHOLE_EVENTS, CallsWithin, Series, z_of
from monitor.rules.weighted_sample import weighted_sample_of
from monitor.stats.estimate import Estimate
from monitor.stats.judge_correction import JudgeCorrection
from monitor.stats.sampling_weights import NO_UNITS, Units
from monitor.stats.share_intervals import clopper_pearson_interval
from monitor.windows.metric_definitions import SUCCESS_RATES
from monitor.windows.metric_reader import MetricReader
from monitor.windows.segment_series import FINE_RETENTION_US, HOUR_US
from schemas.config.objectives import Burning


def read(
    rule: Burning,
    series: Series,
    edge_us: int,
    since_us: int,
    known: Units = NO_UNITS,
    calls_within: CallsWithin | None = None,
    correction: JudgeCorrection | None = None,
) -> Reading:
    """Read a burn rate at a pane edge. It breaches when the long window's whole interval burns too fast and
    the short window's rate does too; it is good when the short window is.

    ``since_us``: older panes were counted by another version of the evaluator and are not read.
    ``known``: the heaviest weights of the series. ``calls_within``, ``correction``: as ``threshold.read`` takes
    them.
    """
    z = z_of(rule.confidence)
    if edge_us - since_us > FINE_RETENTION_US:
        # inwards: the hour around it may hold counts of the other version
        since_us = -(-since_us // HOUR_US) * HOUR_US
    long_since_us, short_since_us = (
        max(since_us, edge_us - round(window_s * 1e6)) for window_s in (rule.window, rule.short)
    )
    long_reader = MetricReader(rule.on, correction).add(series.window(long_since_us, edge_us))
    short_reader = MetricReader(rule.on, correction).add(series.window(short_since_us, edge_us))
    long_calls, short_calls = (
        None if calls_within is None else calls_within(start_us, edge_us)
        for start_us in (long_since_us, short_since_us)
    )
    by_calls = None if long_calls is None else long_reader.estimate_of_calls(z, long_calls, known)
    long = by_calls or long_reader.estimate(z, clopper_pearson_interval, known)
    sample = weighted_sample_of(long_reader, rule.window, known, long_calls)
    evidence = _evidence(rule, long, sample)
    by_calls = None if short_calls is None else short_reader.estimate_of_calls(z, short_calls, known)
    short = by_calls or short_reader.estimate(z, known=known)
    if long.value is None:
        return Reading("unknown", evidence)
    has_enough = long.n >= rule.min_events * WHOLE_EVENTS
    if short.value is None:
        return Reading("good" if has_enough else "unknown", evidence)
    least_bad = 1 - long.high if rule.on in SUCCESS_RATES and long.high is not None else long.low
    clearing = short_reader.clearing_value() if by_calls is None else None
    bad_now, bad_to_clear = (
        1 - value if rule.on in SUCCESS_RATES else value
        for value in (short.value, short.value if clearing is None else clearing)
    )
    if max(bad_now, bad_to_clear) <= rule.failing:
        return Reading("good" if has_enough else "unknown", evidence)
    burns = bad_now > rule.failing and least_bad is not None and least_bad > rule.failing
    # an exact interval decides at any n
    return Reading("breach" if burns else "between" if has_enough else "unknown", evidence)


def _evidence(rule: Burning, estimate: Estimate, sample: WeightedSample | None) -> BurnRateEvidence:
    is_success = rule.on in SUCCESS_RATES
    limit = rounded(1 - rule.failing if is_success else rule.failing)
    bad = None if estimate.value is None else 1 - estimate.value if is_success else estimate.value
    return BurnRateEvidence(
        metric=rule.on,
        value=rounded(estimate.value),
        n=float(f"{estimate.n:.6g}"),
        low=rounded(estimate.low),
        high=rounded(estimate.high),
        above=None if is_success else limit,
        below=limit if is_success else None,
        window_s=rule.window,
        weighted_sample=sample,
        burn=None if bad is None else float(f"{bad / (1 - rule.target):.3g}"),
        target=rule.target,
    )
