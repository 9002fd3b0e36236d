"""A pane: all counts of one segment in one bucket of event time.

Panes merge; in any order the result has the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from monitor.stats.category_counts import CategoryCounts
from monitor.stats.number_summary import NumberSummary
from monitor.stats.rate import Rate
from monitor.windows.metric_ids import MetricId, metric_id, metric_name
from monitor.windows.pane_compression import compress, decompress

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
_decode_rates = msgspec.msgpack.Decoder(
    tuple[int, int, int, int, bool, list[_RateState], msgspec.Raw, msgspec.Raw, msgspec.Raw]
).decode
_decode_numbers = msgspec.msgpack.Decoder(
    tuple[int, int, int, int, bool, msgspec.Raw, list[_NumberState], msgspec.Raw, msgspec.Raw]
).decode
_UNPACKED = ("rates", "numbers", "categories", "rates_at_close")


class Pane:
    """Counts of one segment from ``start_us`` on, initially empty.

    A pane restored from ``state`` is checked at once, but unpacked only when its counts are first read. Most
    panes are not read before they are rolled up, and unpacked they take eight times the memory.

    Attributes:
        events: events counted, unweighted.
        revision: number of windows written for this pane; ``late``: how many of those after it had closed.
        samples: failing responses of this pane that became failure samples.
        stale: it has counts that no window has reported.
        rates_at_close: copy of the rates at the last edge, if it was counted into after it had closed.
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
        self.samples = 0
        self.stale = False
        self.rates = {}
        self.numbers = {}
        self.categories = {}
        self.rates_at_close = None

    def __getattr__(self, name: str) -> Any:
        # Python calls this for a slot that is not set: once for a packed pane, never for each event.
        if name not in _UNPACKED:
            raise AttributeError(name)
        self._unpack(self._packed)
        del self._packed
        return getattr(self, name)

    def _unpack(self, packed: bytes) -> None:
        *_, rates, numbers, categories, at_close = _decode(decompress(packed))
        self.rates = {metric_name(stored): Rate.from_state(state) for stored, state in rates}
        self.numbers = {metric_name(stored): NumberSummary.from_state(state) for stored, state in numbers}
        self.categories = {
            metric_name(stored): CategoryCounts.from_state(state) for stored, state in categories
        }
        self.rates_at_close = (
            None
            if at_close is None
            else {metric_name(stored): Rate.from_state(state) for stored, state in at_close}
        )

    def rate(self, name: str) -> Rate:
        """Return the rate with this name; create it if it does not exist."""
        rate = self.rates.get(name)
        if rate is None:
            rate = self.rates[name] = Rate()
        return rate

    def number(self, name: str) -> NumberSummary:
        """Return the number with this name; create it if it does not exist."""
        number = self.numbers.get(name)
        if number is None:
            number = self.numbers[name] = NumberSummary()
        return number

    def category(self, name: str) -> CategoryCounts:
        """Return the category counts with this name; create them if they do not exist."""
        category = self.categories.get(name)
        if category is None:
            category = self.categories[name] = CategoryCounts()
        return category

    @property
    def is_packed(self) -> bool:
        """Whether the counts were not read since ``pack`` or ``from_state``."""
        try:
            object.__getattribute__(self, "_packed")
        except AttributeError:
            return False
        return True

    def find_rate(self, name: str) -> Rate | None:
        """Return the rate with this name, None if there is none; a packed pane stays packed."""
        if not self.is_packed:
            return self.rates.get(name)
        rates = _decode_rates(decompress(self._packed))[5]
        return next((Rate.from_state(state) for stored, state in rates if metric_name(stored) == name), None)

    def find_number(self, name: str) -> NumberSummary | None:
        """Return the number with this name, None if there is none; a packed pane stays packed."""
        if not self.is_packed:
            return self.numbers.get(name)
        numbers = _decode_numbers(decompress(self._packed))[6]
        return next(
            (NumberSummary.from_state(state) for stored, state in numbers if metric_name(stored) == name),
            None,
        )

    def open_for_counting(self) -> None:
        """Prepare for further counts. A closed pane copies its rates first, for ``new_rates``."""
        if self.revision and not self.stale:
            self.rates_at_close = {name: Rate.from_state(rate.state()) for name, rate in self.rates.items()}
        self.stale = True

    def new_rates(self) -> dict[str, Rate]:
        """Return what the rates counted since the last edge; empty if that is nothing."""
        if self.rates_at_close is None:
            return self.rates if self.stale else {}
        return {
            name: rate_difference(rate, self.rates_at_close[name]) if name in self.rates_at_close else rate
            for name, rate in self.rates.items()
        }

    def closed_rates(self) -> dict[str, Rate]:
        """Return the rates at the last edge: all counts but ``new_rates``."""
        if self.rates_at_close is not None:
            return self.rates_at_close
        return {} if self.stale else self.rates

    def unpacked(self) -> Pane:
        """Return the pane. If it is still packed, return an unpacked copy and keep the packed form."""
        try:
            packed = object.__getattribute__(self, "_packed")
        except AttributeError:
            return self
        copy = Pane.__new__(Pane)
        copy._unpack(packed)
        copy.start_us, copy.events, copy.samples = self.start_us, self.events, self.samples
        copy.revision, copy.late, copy.stale = self.revision, self.late, self.stale
        return copy

    def pack(self, state: bytes) -> None:
        """Replace the counts by ``state``, which ``state()`` returned, compressed to save memory.

        Reading or counting unpacks them again.
        """
        if not self.is_packed:
            for name in _UNPACKED:
                delattr(self, name)
        self._packed = compress(state)

    def shrink(self) -> None:
        """Pack the pane, unless it has counts that no window has reported; compress one that was restored."""
        if self.is_packed:
            self._packed = compress(self._packed)
        elif not self.stale and self.rates_at_close is None:
            self.pack(self.state())

    def merge(self, other: Pane) -> None:
        """Add the counts of ``other``, which stays as it is."""
        other = other.unpacked()
        self.events += other.events
        self.samples += other.samples
        _merge_by_name(self.rates, other.rates, Rate)
        _merge_by_name(self.numbers, other.numbers, NumberSummary)
        _merge_by_name(self.categories, other.categories, CategoryCounts)

    def state(self) -> bytes:
        """Return the pane as MessagePack; equal counts give equal bytes.

        ``monitor.windows.format_versions`` defines the layout. A packed pane stays packed.
        """
        if self.is_packed:
            return self.unpacked().state()
        at_close = None if self.rates_at_close is None else _states(self.rates_at_close)
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
                at_close,
            ]
        )

    def packed_state(self) -> bytes:
        """Return a state with the present counts; of a packed pane the bytes it was packed from."""
        return decompress(self._packed) if self.is_packed else self.state()

    @classmethod
    def from_state(cls, start_us: int, state: bytes) -> Pane:
        """Restore a pane from ``state``.

        Raises:
            ValueError: ``state`` is not a pane.
        """
        pane = cls.__new__(cls)
        pane.start_us, pane._packed = start_us, state
        pane.events, pane.revision, pane.late, pane.samples, pane.stale, _, numbers, _, _ = _decode(state)
        if any(len(steps) != len(counts) for _, (_, classes) in numbers for *_, steps, counts in classes):
            raise ValueError("a number has not as many buckets as counts")
        return pane


def merge_panes(panes: Iterable[Pane], start_us: int) -> Pane:
    """Return a new pane from ``start_us`` on with the counts of all; without panes it is empty."""
    out = Pane(start_us)
    for pane in panes:
        out.merge(pane)
    return out


def merge_rates(*several: dict[str, Rate]) -> dict[str, Rate]:
    """Return new rates by name with the counts of all."""
    out: dict[str, Rate] = {}
    for rates in several:
        for name, rate in rates.items():
            out.setdefault(name, Rate()).merge(rate)
    return out


def _merge_by_name(own: dict[str, Any], others: Mapping[str, Any], kind: type[Any]) -> None:
    for name, other in others.items():
        statistic = own.get(name)
        if statistic is None:
            statistic = own[name] = kind()
        statistic.merge(other)


def _states(statistics: Mapping[str, Rate | NumberSummary | CategoryCounts]) -> list[Any]:
    return [[metric_id(name), statistics[name].state()] for name in sorted(statistics)]


def rate_difference(rate: Rate, earlier: Rate) -> Rate:
    """Return what a rate has counted since it was ``earlier``."""
    out, subtracted = Rate.from_state(rate.state()), Rate()
    subtracted.level = rate.level
    subtracted.merge(earlier)
    for ppm, (n, failures) in subtracted.classes.items():
        counts = out.classes[ppm]
        counts[0] -= n
        counts[1] -= failures
    return out
