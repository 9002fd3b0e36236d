"""Find the minutes in which a threshold or a silence might page, over many series at once, in numpy.

The screens are one-sided: a minute that they pass over cannot breach in the product; a minute that they mark
may or may not. They read all windows of the ladder, and allow four times the promised error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from scipy.special import betainc

from benchmarks.baseline_bank import Floats, shift_odds
from monitor.rules.no_data import STRETCHES
from monitor.rules.threshold import BUDGET_Z, LADDER_S
from monitor.windows.segment_series import FINE_RETENTION_US

Counts = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]

HOUR, DAY = 60, 1440  # minutes
FINE = FINE_RETENTION_US // 60_000_000
SIDE = math.erfc(BUDGET_Z / math.sqrt(2)) / 2
SLACK = 4.0
MIN_EXPECTED, MIN_SILENCE = 20, 5  # of the default rule on silence: events, minutes


def may_breach(
    events: Counts, failed: Counts, weights: Sequence[float], threshold: float, heaviest: Floats
) -> Bools:
    """Return which series may have a failure rate above a threshold in some window, shape (streams,).

    Args:
        events: by minute, series and class, from the first minute of the series on; ``failed`` likewise.
        weights: of the classes.
        heaviest: the heaviest weight known so far, by minute and series.
    """
    marked = np.zeros(events.shape[1], bool)
    minutes = len(events)
    for column in range(events.shape[1]):
        cum = [
            np.concatenate([np.zeros((1, len(weights))), counts[:, column].cumsum(0)])
            for counts in (events, failed)
        ]
        if not cum[1][-1].any():
            continue
        for starts in _windows(minutes):
            n, f = (total[1:] - total[starts] for total in cum)
            some = np.flatnonzero((f @ weights) > threshold * (n @ weights))
            if (
                len(some)
                and _is_above(n[some], f[some], np.array(weights), threshold, heaviest[some, column]).any()
            ):
                marked[column] = True
                break
    return marked


def _windows(minutes: int) -> Iterator[Counts]:
    """Yield the first minute of each window of the ladder at each edge; long ones begin at full hours."""
    edges = np.arange(1, minutes + 1)
    for window_s in LADDER_S:
        starts = edges - window_s // 60
        if window_s // 60 > FINE:
            starts = starts // HOUR * HOUR
        yield np.maximum(starts, 0)
        if (starts <= 0).all():
            return


def _is_above(n: Floats, f: Floats, weights: Floats, threshold: float, heaviest: Floats) -> Bools:
    """Return where the exact lower bound of the rate (``Rate._exact_bounds``) exceeds the threshold, nearly."""
    others = ((n - f) @ weights) / heaviest
    kinds = np.maximum(1, (f > 0).sum(1))
    above = np.zeros(len(n), bool)
    for column, unit in enumerate(weights):
        units = (f * np.minimum(1.0, weights / unit)).sum(1)
        share = shift_odds(np.full(len(n), threshold), heaviest / unit)
        above |= (f[:, column] > 0) & (betainc(units, others + 1, share) < SLACK * SIDE / kinds)
    return above


def may_be_silent(responses: Counts) -> Bools:
    """Return which features may be silent against expectation, shape (features,).

    Args:
        responses: by minute and feature, from the first minute of the feature on.
    """
    return np.array([_may_be_silent(column) for column in responses.T])


def _may_be_silent(counts: Counts) -> bool:
    minutes = len(counts)
    total = np.concatenate([[0], counts.cumsum()])
    last = np.maximum.accumulate(np.where(counts > 0, np.arange(minutes), -1))
    silence = np.arange(minutes) - last
    some = np.flatnonzero((silence >= MIN_SILENCE) & (last >= 0))
    if not len(some):
        return False
    hours = counts[: minutes // HOUR * HOUR].reshape(-1, HOUR).sum(1)
    ends = np.concatenate([[np.inf], hours, [np.inf]])
    least = np.minimum(np.minimum(ends[:-2], ends[2:]), hours).max(initial=0)
    if (np.minimum(silence[some], DAY) * least / HOUR >= MIN_EXPECTED).any():
        return True
    first = some[(some < DAY) & (silence[some] * STRETCHES <= FINE)]
    end = last[first] + 1
    before = total[end] - total[np.maximum(0, end - STRETCHES * silence[first])]
    return bool((before >= STRETCHES * MIN_EXPECTED).any())
