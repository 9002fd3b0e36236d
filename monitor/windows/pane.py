"""A pane: all that was counted of one segment in one bucket of event time. Panes merge, in any order, to the
same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from monitor.stats.category_counts import CategoryCounts
from monitor.stats.exponential_buckets import to_opentelemetry
from monitor.stats.number_summary import NumberSummary
from monitor.stats.rate import NO_ESTIMATE, Estimate, IntervalMethod, Rate, wilson_interval
from monitor.stats.sampling_weights import MILLION
from monitor.windows.metric_definitions import QUANTILES, SUCCESS_RATES, quantile_of, unit_of
from monitor.windows.metric_ids import MetricId, metric_id, metric_name

Z95 = 1.959963984540054  # what a reader is shown; what a rule decides by is the rule's own

_encode = msgspec.msgpack.Encoder().encode
_RateState = tuple[MetricId, tuple[int, list[tuple[int, int, int]]]]
_NumberState = tuple[MetricId, tuple[int, list[tuple[int, int, int, list[int], list[int]]]]]
_CategoryState = tuple[MetricId, tuple[int, list[tuple[int, dict[str, int]]]]]
_decode = msgspec.msgpack.Decoder(
    tuple[
        int,
        int,
        int,
        int,
        bool,
        list[_RateState],
        list[_NumberState],
        list[_CategoryState],
        list[_RateState] | None,
    ]
).decode
_BUILT = ("rates", "numbers", "categories", "rates_at_close")


class Pane:
    """Counts of one segment from ``start_us`` on. ``revision`` is that of the window last written, ``late``
    how many of those were late.

    What comes back from ``state`` is checked at once, and built when it is first looked at: most panes never
    are until they are rolled up, and built they take eight times the memory.
    """

    __slots__ = (
        "_packed",
        "categories",
        "events",
        "late",
        "numbers",
        "rates",
        "rates_at_close",
        "revision",
        "samples",
        "stale",
        "start_us",
    )

    _packed: bytes
    rates: dict[str, Rate]
    numbers: dict[str, NumberSummary]
    categories: dict[str, CategoryCounts]
    rates_at_close: dict[str, Rate] | None

    def __init__(self, start_us: int) -> None:
        self.start_us = start_us
        self.events = 0
        self.revision = 0
        self.late = 0
        self.samples = 0  # failing responses kept of this pane
        self.stale = False  # counted into since the window was last written
        self.rates = {}
        self.numbers = {}
        self.categories = {}
        # the rates as of the last edge, of a pane that was counted into after it was closed
        self.rates_at_close = None

    def __getattr__(self, name: str) -> Any:
        # Called for a slot that is not set, so once for a pane that came back, and never on the way of an
        # event.
        if name not in _BUILT:
            raise AttributeError(name)
        *_, rates, numbers, categories, before = _decode(self._packed)
        self.rates = {metric_name(called): Rate.from_state(value) for called, value in rates}
        self.numbers = {metric_name(called): NumberSummary.from_state(value) for called, value in numbers}
        self.categories = {
            metric_name(called): CategoryCounts.from_state(value) for called, value in categories
        }
        self.rates_at_close = (
            None
            if before is None
            else {metric_name(called): Rate.from_state(value) for called, value in before}
        )
        del self._packed
        return getattr(self, name)

    def rate(self, name: str) -> Rate:
        """The rate of this name, made when it is first asked for."""
        rate = self.rates.get(name)
        if rate is None:
            rate = self.rates[name] = Rate()
        return rate

    def number(self, name: str) -> NumberSummary:
        """The number of this name, made when it is first asked for."""
        number = self.numbers.get(name)
        if number is None:
            number = self.numbers[name] = NumberSummary()
        return number

    def category(self, name: str) -> CategoryCounts:
        """The counter of this name, made when it is first asked for."""
        category = self.categories.get(name)
        if category is None:
            category = self.categories[name] = CategoryCounts()
        return category

    def open_for_counting(self) -> None:
        """It is about to be counted into. One that was closed remembers what it had then, for ``new_rates``."""
        if self.revision and not self.stale:
            self.rates_at_close = self._copy()
        self.stale = True

    def new_rates(self) -> dict[str, Rate]:
        """What was counted in rates since the last edge."""
        if self.rates_at_close is None:
            return self.rates if self.stale else {}
        return {
            name: _less(rate, self.rates_at_close[name]) if name in self.rates_at_close else rate
            for name, rate in self.rates.items()
        }

    def closed_rates(self) -> dict[str, Rate]:
        """What had been counted in rates at the last edge: all but ``new_rates``."""
        if self.rates_at_close is not None:
            return self.rates_at_close
        return {} if self.stale else self.rates

    def _copy(self) -> dict[str, Rate]:
        return {name: Rate.from_state(rate.state()) for name, rate in self.rates.items()}

    def unpacked(self) -> Pane:
        """The pane itself, or of one that came back and was never looked at a built copy, so that it stays
        small.
        """
        try:
            packed = object.__getattribute__(self, "_packed")
        except AttributeError:
            return self
        copy = Pane.from_state(self.start_us, packed)
        copy.events, copy.samples = self.events, self.samples
        return copy

    def pack(self, state: bytes) -> None:
        """Go back to what ``state`` gave: it is not expected to be counted into soon. Whoever looks at it or
        counts into it finds it as it was.
        """
        for name in _BUILT:
            getattr(self, name)  # all of them are there, or none
            delattr(self, name)
        self._packed = state

    def merge(self, other: Pane) -> None:
        """Take in another pane's counts; it stays as it is."""
        other = other.unpacked()
        self.events += other.events
        self.samples += other.samples
        for name, rate in other.rates.items():
            self.rate(name).merge(rate)
        for name, number in other.numbers.items():
            self.number(name).merge(number)
        for name, category in other.categories.items():
            self.category(name).merge(category)

    def state(self) -> bytes:
        """The pane as MessagePack: equal counts give equal bytes. What layout that is, ``monitor.windows.format_versions``
        says.
        """
        before = None if self.rates_at_close is None else _states(self.rates_at_close)
        rates, numbers, categories = _states(self.rates), _states(self.numbers), _states(self.categories)
        return _encode(
            [
                self.events,
                self.revision,
                self.late,
                self.samples,
                self.stale,
                rates,
                numbers,
                categories,
                before,
            ]
        )

    @classmethod
    def from_state(cls, start_us: int, state: bytes) -> Pane:
        """Back from ``state``.

        Raises:
            ValueError: these are no such bytes.
        """
        pane = cls.__new__(cls)
        pane.start_us, pane._packed = start_us, state
        pane.events, pane.revision, pane.late, pane.samples, pane.stale, _, numbers, _, _ = _decode(state)
        if any(len(steps) != len(counts) for _, (_, classes) in numbers for *_, steps, counts in classes):
            raise ValueError("a number has not as many buckets as counts")
        return pane


def merge_panes(panes: Iterable[Pane], start_us: int) -> Pane:
    """A new pane with the counts of all these."""
    out = Pane(start_us)
    for pane in panes:
        out.merge(pane)
    return out


def merge_rates(*several: dict[str, Rate]) -> dict[str, Rate]:
    """New rates with the counts of all these."""
    out: dict[str, Rate] = {}
    for rates in several:
        for name, rate in rates.items():
            out.setdefault(name, Rate()).merge(rate)
    return out


class MetricReader:
    """A metric (`pass_rate`, `evaluator.refusal.fail_rate`, `duration_s.p90`, `output_tokens.mean`) over the
    panes that it has taken in.

    Each pane counts once, however often it is given: an hour lies in two neighbouring spans, for windows snap
    outwards.
    """

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._name, _, self._reading = metric.rpartition(".")
        self._rate: Rate | None = Rate() if metric.endswith("_rate") else None
        self._number = NumberSummary()
        self._taken: set[int] = set()
        self._held: list[Pane] = []  # kept alive, so that no other pane gets the id of one of them

    def add(self, panes: Iterable[Pane]) -> MetricReader:
        """Take in more panes."""
        some = [pane for pane in panes if id(pane) not in self._taken]
        self._taken.update(map(id, some))
        self._held += some
        if self._rate is not None:
            self._rate.merge_all(
                [rate for pane in some if (rate := pane.rates.get(self._metric)) is not None]
            )
        else:
            for pane in some:
                if (number := pane.numbers.get(self._name)) is not None:
                    self._number.merge(number)
        return self

    def estimate(self, z: float, interval: IntervalMethod = wilson_interval) -> Estimate:
        """Its value and interval (of a rate: which). Nothing counted, or a metric that nobody knows, gives n
        = 0 and None.
        """
        if self._rate is not None:
            return self._rate.estimate(z, inverted=self._metric in SUCCESS_RATES, interval=interval)
        if self._reading == "mean":
            return _scaled(self._number.mean(z), unit_of(self._name))
        if (q := quantile_of(self._reading)) is None:
            return NO_ESTIMATE
        return _scaled(self._number.quantile(q, z), unit_of(self._name))


def estimate_metric(panes: Iterable[Pane], metric: str, z: float) -> Estimate:
    """A metric over several panes; see ``MetricReader``."""
    return MetricReader(metric).add(panes).estimate(z)


def pane_metrics(pane: Pane) -> dict[str, dict[str, Any]]:
    """All metrics of a pane as a window record has them: values with 95 % intervals, and what merges."""
    out: dict[str, dict[str, Any]] = {}
    for name in sorted(pane.rates):
        rate = pane.rates[name]
        classes = [[ppm / MILLION, n, f] for ppm, (n, f) in sorted(rate.classes.items())]
        out[name] = {**_shown(rate.estimate(Z95, inverted=name in SUCCESS_RATES), 1), "classes": classes}
    for name in sorted(pane.numbers):
        number, unit = pane.numbers[name], unit_of(name)
        histogram = to_opentelemetry(number.weighted_buckets(), number.scale)
        mean, *quantiles = number.mean_and_quantiles(Z95, QUANTILES.values())
        out[f"{name}.mean"] = {
            **_shown(mean, unit),
            "sum": number.weighted_sum(),
            "unit": unit,
            "histogram": histogram,
        }
        for reading, found in zip(QUANTILES, quantiles, strict=True):
            out[f"{name}.{reading}"] = _shown(found, unit)
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


def _states(several: Mapping[str, Rate | NumberSummary | CategoryCounts]) -> list[Any]:
    return [[metric_id(name), several[name].state()] for name in sorted(several)]


def _less(rate: Rate, before: Rate) -> Rate:
    """What a rate has counted since it was ``before``."""
    out, then = Rate.from_state(rate.state()), Rate()
    then.level = rate.level
    then.merge(before)
    for ppm, (n, failures) in then.classes.items():
        held = out.classes[ppm]
        held[0] -= n
        held[1] -= failures
    return out


def _scaled(raw: Estimate, unit: float) -> Estimate:
    if unit == 1:
        return raw
    value, low, high = (None if item is None else item * unit for item in (raw.value, raw.low, raw.high))
    return Estimate(value, raw.n, low, high)


def _shown(raw: Estimate, unit: float) -> dict[str, float | None]:
    value, n, low, high = raw if unit == 1 else _scaled(raw, unit)
    return {"value": value, "n": n, "low": low, "high": high}
