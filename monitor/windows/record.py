"""The window record: one closed pane of a segment or feature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from monitor.protocol.messages import OutputRecord
from monitor.stats.estimate import Estimate
from monitor.stats.exponential_buckets import to_opentelemetry
from monitor.stats.sampling_weights import MILLION, NO_UNITS, Units
from monitor.windows.metric_definitions import QUANTILES, SUCCESS_RATES, unit_of
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import Level

Z95 = 1.959963984540054
"""Standard errors of the 95 % intervals that readers see. Rules decide by an own number."""


class WindowRecord(OutputRecord, frozen=True, kw_only=True, tag="window"):
    """One closed pane. ``start``, ``end``: RFC 3339. ``metrics``: as ``pane_metrics`` returns them."""

    level: Level
    service: str
    feature: str
    environment: str
    model: str
    prompt_version: str
    variant: str
    dimensions: dict[str, str]
    start: str
    end: str
    revision: int
    events: int
    metrics: dict[str, dict[str, Any]]


def pane_metrics(
    pane: Pane, known_units: Callable[[str], Units] = lambda name: NO_UNITS
) -> dict[str, dict[str, Any]]:
    """Return metric -> value with its 95 % interval, and the counts that merge.

    ``known_units``: name of a rate -> the heaviest weights that its series is known to have. An empty pane
    has no metrics.
    """
    out: dict[str, dict[str, Any]] = {}
    for name in sorted(pane.rates):
        rate = pane.rates[name]
        classes = [[ppm / MILLION, n, f] for ppm, (n, f) in sorted(rate.classes.items())]
        estimate = rate.estimate(Z95, inverted=name in SUCCESS_RATES, known=known_units(name))
        out[name] = {**_fields(estimate), "classes": classes}
    for name in sorted(pane.numbers):
        number, unit = pane.numbers[name], unit_of(name)
        histogram = to_opentelemetry(number.weighted_buckets(), number.scale)
        mean, *quantiles = number.mean_and_quantiles(Z95, QUANTILES.values())
        out[f"{name}.mean"] = {
            **_fields(mean.scaled(unit)),
            "sum": number.weighted_sum(),
            "unit": unit,
            "histogram": histogram,
        }
        for reading, quantile in zip(QUANTILES, quantiles, strict=True):
            out[f"{name}.{reading}"] = _fields(quantile.scaled(unit))
    for name in sorted(pane.categories):
        counts = pane.categories[name].weighted_counts()
        out[name] = {
            "value": None,
            "n": pane.categories[name].effective_n,
            "low": None,
            "high": None,
            "counts": counts,
        }
    return out


def _fields(estimate: Estimate) -> dict[str, float | None]:
    value, n, low, high = estimate
    return {"value": value, "n": n, "low": low, "high": high}
