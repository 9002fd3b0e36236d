"""An arm of a comparison: the counts of one version by minute and stratum, and by group of sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from monitor.stats.category_counts import CategoryCounts
from monitor.stats.number_summary import NumberSummary
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import MILLION

Statistic = Rate | NumberSummary | CategoryCounts


class MetricCounts(Protocol):
    """Statistics by metric, as a pane has them."""

    @property
    def rates(self) -> Mapping[str, Rate]:
        """Rates by name."""

    @property
    def numbers(self) -> Mapping[str, NumberSummary]:
        """Numbers by name."""

    @property
    def categories(self) -> Mapping[str, CategoryCounts]:
        """Categories by name."""


class CellKey(NamedTuple):
    """A minute and a stratum: the values of the labels whose mix must be the same in both arms."""

    start_us: int
    stratum: tuple[str, ...] = ()


class Arm(NamedTuple):
    """The counts of one version.

    Attributes:
        name: the value of the label that distinguishes the arms, like ``p2``.
        cells: counts by minute and stratum.
        session_groups: the same events by group of sessions (``design_effect``); empty if no event names a session.
        events: number of responses, unweighted.
        session_size: mean calls of the session of a call; 1 if sessions are not known.
        first_us, last_us: times of the first and the last response, microseconds since 1970; 0 without any.
    """

    name: str
    cells: Mapping[CellKey, MetricCounts]
    session_groups: Sequence[MetricCounts] = ()
    session_size: float = 1.0
    events: int = 0
    first_us: int = 0
    last_us: int = 0


def class_sizes(statistic: Statistic) -> dict[int, int]:
    """Return the number of events by weight class; a class that is only known of has 0.

    >>> rate = Rate()
    >>> rate.add(100_000, 7, 1)
    >>> class_sizes(rate)
    {100000: 7}
    """
    if isinstance(statistic, Rate):
        return {ppm: n for ppm, (n, _) in statistic.classes.items()}
    if isinstance(statistic, NumberSummary):
        return {ppm: histogram.n for ppm, histogram in statistic.classes.items()}
    return {ppm: sum(counts.values()) for ppm, counts in statistic.classes.items()}


def weighted_size(statistic: Statistic) -> float:
    """Return for how many calls the events of a statistic stand: the sum of 1/p."""
    if isinstance(statistic, Rate) and len(statistic.classes) == 1:  # nearly always, and asked very often
        ((ppm, (n, _)),) = statistic.classes.items()
        return n * MILLION / ppm
    return sum(n * MILLION / ppm for ppm, n in sorted(class_sizes(statistic).items()))
