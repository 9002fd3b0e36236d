"""A pane: all that was counted of one segment in one bucket of event time. Panes merge, in any order, to the same bytes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from monitor.quantities import QUANTILES, SUCCESSES, quantile_of, unit_of
from monitor.stats.buckets import opentelemetry
from monitor.stats.number import Number
from monitor.stats.rate import NOTHING, Estimate, Rate
from monitor.stats.weights import WHOLE

Z95 = 1.959963984540054  # what a reader is shown; what a rule decides by is the rule's own

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


class Pane:
    """Counts of one segment from ``start_us`` on. ``revision`` is that of the window last written, ``late`` how many of those were late."""

    __slots__ = ("events", "late", "numbers", "rates", "revision", "samples", "stale", "start_us")

    def __init__(self, start_us: int) -> None:
        self.start_us = start_us
        self.events = 0
        self.revision = 0
        self.late = 0
        self.samples = 0  # failing responses kept of this pane
        self.stale = False  # counted into since the window was last written
        self.rates: dict[str, Rate] = {}
        self.numbers: dict[str, Number] = {}

    def rate(self, name: str) -> Rate:
        """The rate of this name, made when it is first asked for."""
        rate = self.rates.get(name)
        if rate is None:
            rate = self.rates[name] = Rate()
        return rate

    def number(self, name: str) -> Number:
        """The number of this name, made when it is first asked for."""
        number = self.numbers.get(name)
        if number is None:
            number = self.numbers[name] = Number()
        return number

    def merge(self, other: Pane) -> None:
        """Take in another pane's counts; it stays as it is."""
        self.events += other.events
        self.samples += other.samples
        for name, rate in other.rates.items():
            self.rate(name).merge(rate)
        for name, number in other.numbers.items():
            self.number(name).merge(number)

    def state(self) -> bytes:
        """The pane as bytes: equal counts give equal bytes."""
        rates = [[name, self.rates[name].state()] for name in sorted(self.rates)]
        numbers = [[name, self.numbers[name].state()] for name in sorted(self.numbers)]
        return _encode([self.events, self.revision, self.late, self.samples, self.stale, rates, numbers])

    @classmethod
    def from_state(cls, start_us: int, state: bytes) -> Pane:
        """Back from ``state``."""
        pane = cls(start_us)
        pane.events, pane.revision, pane.late, pane.samples, pane.stale, rates, numbers = _decode(state)
        pane.rates = {name: Rate.from_state(value) for name, value in rates}
        pane.numbers = {name: Number.from_state(value) for name, value in numbers}
        return pane


def merged(panes: Iterable[Pane], start_us: int) -> Pane:
    """A new pane with the counts of all these."""
    out = Pane(start_us)
    for pane in panes:
        out.merge(pane)
    return out


def estimate(panes: Iterable[Pane], metric: str, z: float) -> Estimate:
    """A metric (`pass_rate`, `evaluator.refusal.fail_rate`, `duration_s.p90`, `output_tokens.mean`) over several panes.

    Nothing counted, or a metric that nobody knows, gives n = 0 and None.
    """
    if metric.endswith("_rate"):
        rate = Rate()
        for pane in panes:
            if (held := pane.rates.get(metric)) is not None:
                rate.merge(held)
        return rate.estimate(z, inverted=metric in SUCCESSES)
    name, _, reading = metric.rpartition(".")
    number = Number()
    for pane in panes:
        if (counted := pane.numbers.get(name)) is not None:
            number.merge(counted)
    if reading == "mean":
        return _scaled(number.mean(z), unit_of(name))
    if (q := quantile_of(reading)) is None:
        return NOTHING
    return _scaled(number.quantile(q, z), unit_of(name))


def metrics(pane: Pane) -> dict[str, dict[str, Any]]:
    """All metrics of a pane as a window record has them: values with 95 % intervals, and what merges."""
    out: dict[str, dict[str, Any]] = {}
    for name in sorted(pane.rates):
        rate = pane.rates[name]
        classes = [[ppm / WHOLE, n, f] for ppm, (n, f) in sorted(rate.classes.items())]
        out[name] = {**_shown(rate.estimate(Z95, inverted=name in SUCCESSES), 1), "classes": classes}
    for name in sorted(pane.numbers):
        number, unit = pane.numbers[name], unit_of(name)
        histogram = opentelemetry(number.weighted_buckets())
        mean, *quantiles = number.readings(Z95, QUANTILES.values())
        out[f"{name}.mean"] = {**_shown(mean, unit), "sum": number.weighted_sum(), "unit": unit, "histogram": histogram}
        for reading, found in zip(QUANTILES, quantiles, strict=True):
            out[f"{name}.{reading}"] = _shown(found, unit)
    return out


def _scaled(raw: Estimate, unit: float) -> Estimate:
    if unit == 1:
        return raw
    value, low, high = (None if item is None else item * unit for item in (raw.value, raw.low, raw.high))
    return Estimate(value, raw.n, low, high)


def _shown(raw: Estimate, unit: float) -> dict[str, float | None]:
    value, n, low, high = raw if unit == 1 else _scaled(raw, unit)
    return {"value": value, "n": n, "low": low, "high": high}
