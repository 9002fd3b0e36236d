"""The window record: one closed pane of a segment or feature.

A segment's metrics have what merges, and the value. A feature's metrics also have the 95 % intervals and the
quantiles; ``complete_metrics`` gives a segment the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from monitor.protocol.messages import OutputRecord
from monitor.stats.estimate import Estimate
from monitor.stats.exponential_buckets import from_opentelemetry, to_opentelemetry
from monitor.stats.judge_correction import JudgeCorrection
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import MILLION, NO_UNITS, Units, to_ppm
from monitor.stats.weighted_values import mean_and_quantiles
from monitor.windows.metric_definitions import QUANTILES, SUCCESS_RATES, unit_of
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import Level

Z95 = 1.959963984540054
"""Standard errors of the 95 % intervals that readers see. Rules decide by an own number."""
SCHEMA_VERSION = 2
"""Version of the window record: 2 has intervals and quantiles at feature level only, 1 at both levels."""


class WindowRecord(OutputRecord, frozen=True, kw_only=True, tag="window"):
    """One closed pane. ``start``, ``end``: RFC 3339. ``metrics``: as ``mergeable_metrics`` returns them for a
    segment, ``complete_metrics`` for a feature.
    """

    schema_version: int = SCHEMA_VERSION
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
    metrics: Mapping[str, Mapping[str, Any]]


def mergeable_metrics(
    pane: Pane, known_units: Callable[[str], Units] = lambda name: NO_UNITS
) -> dict[str, Mapping[str, Any]]:
    """Return metric -> value, effective n, and the counts that merge. An empty pane has no metrics.

    Args:
        pane: of a segment or feature.
        known_units: name of a rate -> the heaviest weights that its series is known to have. Where they are
            heavier than those of the pane, the rate has them as ``known_weights``.
    """
    out: dict[str, Mapping[str, Any]] = {}
    for name in sorted(pane.rates):
        out[name] = _rate_metric(pane.rates[name], known_units(name), inverted=name in SUCCESS_RATES)
    for name in sorted(pane.numbers):
        number, unit = pane.numbers[name], unit_of(name)
        weighted_sum, buckets = number.weighted_sum(), number.weighted_buckets()
        total = sum(buckets.values())
        out[f"{name}.mean"] = {
            "value": weighted_sum / total * unit if total else None,
            "n": number.effective_n,
            "sum": weighted_sum,
            "unit": unit,
            "histogram": to_opentelemetry(buckets, number.scale),
        }
    for name in sorted(pane.categories):
        counts = pane.categories[name]
        out[name] = {"n": counts.effective_n, "counts": counts.weighted_counts()}
    return out


def complete_metrics(metrics: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return mergeable metrics with the 95 % interval of each value, and the quantiles of each number.

    Args:
        metrics: of a record of any version; those that have an interval stay as they are.
    """
    out: dict[str, dict[str, Any]] = {}
    for name, metric in metrics.items():
        if "low" in metric:
            out[name] = dict(metric)
        elif "classes" in metric:
            estimate = _rate_of(metric).estimate(
                Z95,
                inverted=name in SUCCESS_RATES,
                known=Units(*metric.get("known_weights", NO_UNITS)),
            )
            out[name] = {**metric, **estimate._asdict()}
        elif "histogram" in metric:
            number, unit = name.removesuffix(".mean"), metric["unit"]
            histogram = metric["histogram"]
            buckets = from_opentelemetry(histogram)
            mean, *quantiles = (
                estimate.scaled(unit)
                for estimate in mean_and_quantiles(
                    metric["n"], metric["sum"], buckets, histogram["scale"], Z95, QUANTILES.values()
                )
            )
            out[name] = {**metric, **mean._asdict()}
            for reading, quantile in zip(QUANTILES, quantiles, strict=True):
                out[f"{number}.{reading}"] = quantile._asdict()
        else:
            out[name] = {"value": None, "low": None, "high": None, **metric}
    return out


def corrected_metrics(
    metrics: dict[str, dict[str, Any]], corrections: Mapping[str, JudgeCorrection]
) -> dict[str, dict[str, Any]]:
    """Add the true failure rate to each metric that a calibrated judge counts.

    ``metrics``: as ``complete_metrics`` returns them. ``corrections``: metric -> correction.
    """
    for name, correction in corrections.items():
        if (metric := metrics.get(name)) is None:
            continue
        judged = Estimate(metric["value"], metric["n"], metric["low"], metric["high"])
        value, _, low, high = correction.corrected(judged)
        metric["corrected"] = {
            "value": value,
            "low": low,
            "high": high,
            "labels": list(correction.labels),
            "judged": list(correction.period),
        }
    return metrics


def _rate_metric(rate: Rate, known: Units, *, inverted: bool) -> Mapping[str, Any]:
    if len(rate.classes) == 1:
        ((ppm, (n, failures)),) = rate.classes.items()
        if n and known.any <= MILLION / ppm:
            return _plain_rate(ppm, n, failures, inverted)
    classes = [[ppm / MILLION, n, failures] for ppm, (n, failures) in sorted(rate.classes.items())]
    estimate: Estimate = rate.estimate(Z95, inverted=inverted, known=known)
    metric = {"value": estimate.value, "n": estimate.n, "classes": classes}
    units = rate.units(known)
    return metric if units == rate.units() else {**metric, "known_weights": list(units)}


@lru_cache(maxsize=4096)
def _plain_rate(ppm: int, n: int, failures: int, inverted: bool) -> Mapping[str, Any]:
    """Return the metric of a rate with one weight. Most rates of quiet segments are among few."""
    share = min(1.0, (failures * MILLION / ppm) / (n * MILLION / ppm))
    return {
        "value": 1 - share if inverted else share,
        "n": float(n),
        "classes": [[ppm / MILLION, n, failures]],
    }


def _rate_of(metric: Mapping[str, Any]) -> Rate:
    rate = Rate()
    for probability, n, failures in metric["classes"]:
        rate.add(to_ppm(probability), n, failures)
    return rate
