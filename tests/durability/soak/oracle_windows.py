"""Sums of a rate over windows of panes at each edge: sliding, exact integers, by the finest weight class."""

from __future__ import annotations

from tests.durability.soak import oracle_figures as figures

FAR = 200  # panes; a window that moves further is summed anew


class Sliding:
    """Sum over [start, end), which usually moves by one pane."""

    def __init__(self, panes: dict[int, figures.Classes], pane_us: int) -> None:
        self._panes, self._pane_us = panes, pane_us
        self._start = self._end = 0
        self._total: figures.Classes = {}

    def count(self, start_us: int, ppm: int, failures: int) -> None:
        """Count an event of the pane that starts here."""
        if self._start <= start_us < self._end:
            self._add({ppm: [1, failures]}, 1)

    def move(self, start_us: int, end_us: int) -> figures.Classes:
        """Return the sum over [start, end), both on pane edges."""
        far = FAR * self._pane_us
        if (
            not self._start <= start_us <= self._start + far
            or not self._end <= end_us <= self._end + far
            or start_us >= self._end
        ):
            self._start, self._end, self._total = start_us, end_us, {}
            for pane_us, classes in self._panes.items():
                if start_us <= pane_us < end_us:
                    self._add(classes, 1)
        while self._end < end_us:
            self._add(self._panes.get(self._end, {}), 1)
            self._end += self._pane_us
        while self._start < start_us:
            self._add(self._panes.get(self._start, {}), -1)
            self._start += self._pane_us
        return self._total

    def _add(self, classes: figures.Classes, sign: int) -> None:
        for ppm, (n, failures) in classes.items():
            sums = self._total.setdefault(ppm, [0, 0])
            sums[0] += sign * n
            sums[1] += sign * failures
            if not sums[0]:
                del self._total[ppm]


class Series:
    """Rates of a segment, or of a feature as a whole, that rules read."""

    def __init__(self, pane_us: int) -> None:
        self._pane_us = pane_us
        self._panes: dict[str, dict[int, figures.Classes]] = {}
        self._sliding: dict[str, dict[float, Sliding]] = {}

    def count(self, metric: str, start_us: int, ppm: int, failures: int) -> None:
        """Count one event."""
        sums = self._panes.setdefault(metric, {}).setdefault(start_us, {}).setdefault(ppm, [0, 0])
        sums[0] += 1
        sums[1] += failures
        for sliding in self._sliding.get(metric, {}).values():
            sliding.count(start_us, ppm, failures)

    def sum(self, metric: str, window_s: float, start_us: int, end_us: int) -> figures.Classes:
        """Return the sum over [start, end); ``window_s`` identifies the sliding window."""
        by_window = self._sliding.setdefault(metric, {})
        if window_s not in by_window:
            by_window[window_s] = Sliding(self._panes.setdefault(metric, {}), self._pane_us)
        return by_window[window_s].move(start_us, end_us)
