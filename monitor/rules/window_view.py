"""A window of one series: its panes side by side, merged statistic by statistic when one is read."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.drift.block_correlation import CAUTION, CORRELATION
from monitor.stats.category_counts import CategoryCounts
from monitor.stats.number_summary import NumberSummary
from monitor.windows.pane import Pane


class Window:
    """Panes that do not change while the window is read. Each statistic is what it would be if all were
    merged; a rule reads few of them.

    ``n_panes``: number of fine panes, if ``panes`` are blocks of them.

    Attributes:
        events: responses counted, unweighted.
    """

    def __init__(self, panes: Sequence[Pane], start_us: int, n_panes: int | None = None) -> None:
        self._n_panes = len(panes) if n_panes is None else n_panes
        self.events = sum(pane.events for pane in panes)
        self._panes = panes if len(panes) == 1 else [pane.unpacked() for pane in panes]
        self._part = panes[0] if len(panes) == 1 else Pane(start_us)
        self._merged: set[str] = set()
        self.categories = {name for pane in self._panes for name in pane.categories}
        """Names of the categories of which a label is counted."""

    def independent_n(self, n: float) -> float:
        """Return how many independent outcomes ``n`` events are worth: those of one pane are correlated, as
        in ``monitor.drift.block_correlation``.
        """
        return n / (1 + CAUTION * max(0.0, n / self._n_panes - 1) * CORRELATION[0])

    def numbers(self, name: str) -> list[NumberSummary]:
        """Return the number of this name of each pane that has it."""
        return [number for pane in self._panes if (number := pane.numbers.get(name)) is not None]

    def part(self, *names: str) -> Pane:
        """Return a pane with at least the statistics of these names; nothing where none is counted."""
        for name in names if len(self._panes) > 1 else ():
            if name not in self._merged:
                self._merged.add(name)
                self._merge(name)
        return self._part

    def _merge(self, name: str) -> None:
        if rates := [rate for pane in self._panes if (rate := pane.rates.get(name)) is not None]:
            self._part.rate(name).merge_all(rates)
        if name in self.categories:
            _add_up(
                self._part.category(name),
                [category for pane in self._panes if (category := pane.categories.get(name)) is not None],
            )
        for number in self.numbers(name):
            self._part.number(name).merge(number)


def _add_up(out: CategoryCounts, parts: Sequence[CategoryCounts]) -> None:
    """Do the same as ``merge_all``; faster where all have the finest grid, because labels are counted before
    they are ranked.
    """
    if any(part.level for part in parts):
        out.merge_all(parts)
        return
    totals: dict[int, dict[str, int]] = {}
    for part in parts:
        for ppm, counts in part.classes.items():
            total = totals.setdefault(ppm, {})
            for label, n in counts.items():
                total[label] = total.get(label, 0) + n
    for ppm, total in totals.items():
        out.add(ppm, total)
