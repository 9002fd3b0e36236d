"""Counts of a rate in units: each failure and each other event as a part of the heaviest of its kind."""

from __future__ import annotations

import math

from monitor.drift.likelihood_ratios import WeightClass
from monitor.references.daily_cycle import no_interval
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import MILLION, Units


def count_units(rate: Rate, units: Units) -> tuple[float, float, list[WeightClass] | None]:
    """Return events and failures in units, and the counts by weight; None there if each event is one unit."""
    if len(rate.classes) == 1 and units.any == units.failed == MILLION / next(iter(rate.classes)):
        counted = rate.estimate(0.0, interval=no_interval)
        return counted.n, counted.n * (counted.value or 0.0), None
    weight_classes: list[WeightClass] = [
        (f, MILLION / ppm / units.failed, n - f, MILLION / ppm / units.any)
        for ppm, (n, f) in sorted(rate.classes.items())
    ]
    failures = math.fsum(f * failure_units for f, failure_units, _, _ in weight_classes)
    others = math.fsum(n * other_units for _, _, n, other_units in weight_classes)
    return failures + others, failures, weight_classes
