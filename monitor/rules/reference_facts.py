"""What drift tests read of a reference at each edge, computed once, so that its panes stay packed."""

from __future__ import annotations

from typing import NamedTuple

from monitor.drift.histogram_distance import HistogramShape
from monitor.references.reference import Reference
from monitor.rules.drift_evidence import shares
from monitor.stats.rate import Rate
from monitor.windows.metric_definitions import CATEGORIES, TEXT_CATEGORIES

Shares = tuple[dict[str, float], float]
"""Weight of each label, and the effective events."""

_ABSENT = {category.name: category.absent for category in CATEGORIES + TEXT_CATEGORIES}


class NumberFacts(NamedTuple):
    """Of a number: its effective events, and the scale of its buckets."""

    n: float
    scale: int


class ReferenceFacts(NamedTuple):
    """Of a reference: its numbers, the shares of its categories, and the names of its rates."""

    numbers: dict[str, NumberFacts]
    shares: dict[str, Shares]
    rates: tuple[str, ...]


def facts_of(reference: Reference) -> ReferenceFacts:
    """Return the facts of a reference."""
    return reference.cached("facts", lambda: _facts(reference))


def _facts(reference: Reference) -> ReferenceFacts:
    pane = reference.pane.unpacked()
    return ReferenceFacts(
        {name: NumberFacts(number.effective_n, number.scale) for name, number in pane.numbers.items()},
        {name: shares(name, _ABSENT[name], pane) for name in pane.categories if name in _ABSENT},
        tuple(pane.rates),
    )


def shares_of(reference: Reference, name: str) -> Shares:
    """Return the shares of a category, which may have no label."""
    category_shares = facts_of(reference).shares.get(name)
    if category_shares is not None:
        return category_shares
    return reference.cached(("shares", name), lambda: shares(name, _ABSENT[name], reference.pane.unpacked()))


def rate_of(reference: Reference, name: str) -> Rate:
    """Return a rate that the reference has."""
    rate = reference.cached(("rate", name), lambda: reference.pane.find_rate(name))
    assert rate is not None
    return rate


def shape_of(reference: Reference, name: str, scale: int) -> HistogramShape:
    """Return the distribution of a number that the reference has, at a scale."""
    shape = reference.cached(("shape", name, scale), lambda: _shape(reference, name, scale))
    assert shape is not None  # facts state its effective events
    return shape


def _shape(reference: Reference, name: str, scale: int) -> HistogramShape | None:
    number = reference.pane.find_number(name)
    return None if number is None else HistogramShape.from_number(number, scale)
