"""A rate over a window that slides: the panes that enter are added, those that leave are subtracted."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from monitor.stats.rate import Rate
from monitor.windows.feature_series import FeatureState
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import SegmentKey

Panes = Callable[[int, int], Iterable[Pane]]
"""The fine panes of a series that start in [start, end), microseconds since 1970."""


class SlidingRate:
    """A rate over the fine panes of a series from ``since_us`` to ``until_us``. Initially of no pane.

    It sums counts of one weight only. Where a pane has another weight, the class of a pane that leaves may be
    that of another pane too, so nothing is summed until that pane has left.
    """

    __slots__ = (
        "_failures",
        "_is_valid",
        "_metric",
        "_n",
        "_odd_us",
        "_panes",
        "_ppm",
        "_since_us",
        "until_us",
    )

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._since_us = self.until_us = 0
        self._ppm: int | None = None
        self._n = self._failures = self._panes = 0  # panes: those that have the rate
        self._is_valid = False
        self._odd_us = -1  # start of a pane with several weights

    def move(self, panes: Panes, since_us: int, until_us: int) -> Rate | None:
        """Return the rate over [since, until); None where it has several weights."""
        if since_us <= self._odd_us < until_us:
            return None
        if not self._is_valid or not self._since_us <= since_us < self.until_us <= until_us:
            self._n = self._failures = self._panes = 0
            self._is_valid = self._add(panes(since_us, until_us), 1)
        else:
            self._is_valid = self._add(panes(self.until_us, until_us), 1) and self._add(
                panes(self._since_us, since_us), -1
            )
        self._since_us, self.until_us = since_us, until_us
        if not self._is_valid:
            return None
        out = Rate()
        if self._panes and self._ppm is not None:
            out.classes[self._ppm] = [self._n, self._failures]
        return out

    def add_late(self, counts: Pane, *, has_new_rate: bool) -> None:
        """Add counts of a pane that starts before ``until_us``."""
        if counts.start_us < self._since_us or self._metric not in counts.rates:
            return
        # a pane that has the rate now first: the panes are counted again
        self._is_valid = self._is_valid and not has_new_rate and self._add([counts], 1)
        self._panes -= 1  # the pane was counted before

    def shrink(self) -> None:
        """Do nothing: a sum of three numbers is small."""

    def _add(self, panes: Iterable[Pane], sign: int) -> bool:
        """Add or subtract panes; return whether all have the same weight as the sum."""
        for pane in panes:
            if (rate := pane.find_rate(self._metric)) is None:
                continue
            if rate.level or len(rate.classes) != 1:
                self._odd_us = pane.start_us
                return False
            ((ppm, (n, failures)),) = rate.classes.items()
            if not self._panes:
                self._ppm = ppm
            elif ppm != self._ppm:
                self._odd_us = pane.start_us
                return False
            self._n += sign * n
            self._failures += sign * failures
            self._panes += sign
        return True


def sliding_rate(
    feature: FeatureState,
    segment_key: SegmentKey | None,
    metric: str,
    edge_us: int,
    pane_us: int,
    since_us: int,
    until_us: int,
) -> Rate | None:
    """Return a rate over the fine panes of a series that start in [since, until).

    Args:
        segment_key: the series; None for the whole feature.
        edge_us: the pane edge; windows of the same distance from it share a sum.
        pane_us: length of a pane.

    Returns:
        None where the rate has several weights: its panes have to be merged one by one.
    """
    sums, key = feature.cache.for_series(segment_key).sums, ("rate", metric, edge_us - until_us)
    total = sums.get(key)
    if not isinstance(total, SlidingRate):
        total = sums[key] = SlidingRate(metric)
    feature.cache.extend(until_us)
    find = feature.pane if segment_key is None else feature.segments[segment_key].panes.get

    def panes(start_us: int, end_us: int) -> Iterable[Pane]:
        starts = range(-(-start_us // pane_us) * pane_us, end_us, pane_us)
        return [pane for begin_us in starts if (pane := find(begin_us)) is not None]

    return total.move(panes, since_us, until_us)
