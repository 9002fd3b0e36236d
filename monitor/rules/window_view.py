"""A window of one series: its panes side by side. Merged is only what is asked for, when it is asked for,
which of most windows is little.
"""

from __future__ import annotations

from collections.abc import Sequence

from monitor.drift.shiryaev_roberts import CAUTION, CORRELATION
from monitor.stats.category_counts import CategoryCounts
from monitor.stats.number_summary import NumberSummary
from monitor.windows.pane import Pane


class Window:
    """Panes that stay as they are while it is read; each statistic is what it would be if they were merged."""

    def __init__(self, panes: Sequence[Pane], start_us: int) -> None:
        self._panes = panes if len(panes) == 1 else [pane.unpacked() for pane in panes]
        self._part = panes[0] if len(panes) == 1 else Pane(start_us)
        self._known: set[str] = set()
        self.categories = {name for pane in self._panes for name in pane.categories}
        """Names of those of which a label is counted."""

    def worth(self, n: float) -> float:
        """How many independent outcomes so many are worth: those of one pane have something in common, as
        ``monitor.drift.shiryaev_roberts`` has it.
        """
        return n / (1 + CAUTION * max(0.0, n / len(self._panes) - 1) * CORRELATION[0])

    def numbers(self, name: str) -> list[NumberSummary]:
        """The number of this name, pane by pane."""
        return [number for pane in self._panes if (number := pane.numbers.get(name)) is not None]

    def part(self, *names: str) -> Pane:
        """A pane that holds at least the statistics of these names, as far as anything is counted under them."""
        for name in names if len(self._panes) > 1 else ():
            if name not in self._known:
                self._known.add(name)
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


def _add_up(out: CategoryCounts, several: Sequence[CategoryCounts]) -> None:
    """``merge_all``, quick where all have the finest grid: labels are counted before they are ranked."""
    if any(one.level for one in several):
        out.merge_all(several)
        return
    totals: dict[int, dict[str, int]] = {}
    for one in several:
        for ppm, counts in one.classes.items():
            held = totals.setdefault(ppm, {})
            for label, n in counts.items():
                held[label] = held.get(label, 0) + n
    for ppm, held in totals.items():
        out.add(ppm, held)
