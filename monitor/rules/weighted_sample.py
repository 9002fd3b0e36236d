"""The sample behind a rate whose events have different weights, for people who read a page."""

from __future__ import annotations

from monitor.rules.evidence import WeightedSample, rounded
from monitor.stats.known_calls import Calls
from monitor.stats.sampling_weights import NO_UNITS, Units
from monitor.windows.metric_reader import MetricReader

Z95 = 1.959963984540054  # as monitor.windows.record has it


def weighted_sample_of(
    reader: MetricReader, window_s: float, known: Units = NO_UNITS, calls: Calls | None = None
) -> WeightedSample | None:
    """Describe the sample of a rate; None if all events have one weight, or the metric is no rate.

    Args:
        reader: the rate over its window.
        window_s: length of the window, seconds.
        known: the heaviest weights of the series.
        calls: how many there were in the window, if that is known.
    """
    rate = reader.rate
    if rate is None or not rate.events:
        return None
    units = rate.units(known)
    if len(rate.classes) == 1 and units.any == units.failed:
        return None
    failed, total = rate.weighted_counts()
    estimate = None if calls is None else reader.estimate_of_calls(Z95, calls, known)
    if calls is not None and estimate is not None:
        total = calls.n
    _, _, low, high = estimate or reader.estimate(Z95, known=known)
    return WeightedSample(
        failed=float(f"{failed:.6g}"),
        calls_per_minute=float(f"{total * 60 / window_s:.6g}"),
        low=rounded(low) or 0.0,
        high=1.0 if high is None else float(f"{high:.6g}"),
    )
