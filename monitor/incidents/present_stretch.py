"""Present stretch of an incident: since when it is wrong again, if it was normal after it had begun.

An incident stays open until its rule was good for long enough, which takes an hour for a rate that flaps, and
as long as the odds need for a learnt baseline. A failure that returns in that time began when it returned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from monitor.rules.present_figure import Figure, Present
from monitor.windows.figure_comparison import differ, is_share, is_worse

Reader = Callable[[int, int], Present | None]
"""Reads the metric of an incident over [start, end), microseconds since 1970; None for too few events."""

LEAST_US = 120_000_000
"""Least length of a normal run, after which a failure is another one."""
LONGEST_US = 3_600_000_000
"""Longest part of a normal run that is read; fine panes are kept for two hours."""


@dataclass(slots=True)
class PresentStretch:
    """When a firing incident failed again, and the run of normal figures before that.

    ``returned_us``: the edge from which on it is wrong again; 0 if it is so since it began. ``failed``: the worst
    figure before the run. ``from_us``, ``until_us``: the run, ``until_us`` its last edge; 0 without a run.
    ``wrong_us``: the first edge after the run with a wrong figure. ``over_us``: the edge at which the incident
    would have resolved, had it not come back soon after it ended before.
    """

    returned_us: int = 0
    failed: Figure | None = None
    from_us: int = 0
    until_us: int = 0
    wrong_us: int = 0
    over_us: int = 0

    def note_reading(self, edge_us: int) -> None:
        """Note that the rule breaches again at an edge, after the incident would have resolved.

        Figures may have shown it before: a rule reads a longer window.
        """
        if self.returned_us <= self.over_us:
            self.returned_us = edge_us
            self._end_run()

    def note_figure(
        self,
        figure: Figure,
        is_wrong: Callable[[Figure], bool],
        read: Reader,
        read_new: Reader,
        edge_us: int,
        worst: Figure | None,
        *,
        falls: bool,
    ) -> bool:
        """Note the present figure of an edge; return whether the incident fails again from here on.

        It does if figures were normal for two minutes at least and better than the worst one before them, and if
        what came after them is worse than they are, both beyond chance.

        Args:
            figure: the present one.
            is_wrong: whether a figure of the metric is wrong.
            read: reads the metric over a stretch of time.
            read_new: the same over the newest part of the stretch that has enough events.
            edge_us: now.
            worst: its worst figure so far; None if unknown.
            falls: whether less of the metric is worse.
        """
        failed = self.failed
        if failed is None or failed.metric != figure.metric:
            self._end_run()
            if worst is not None and worst.metric == figure.metric and not is_wrong(figure):
                self.failed = worst
                self.from_us, self.until_us = edge_us - round(figure.window_s * 1e6), edge_us
            return False
        new = read_new(self.until_us, edge_us)
        if new is None:
            return False
        if not is_wrong(new.figure):
            self.until_us, self.wrong_us = edge_us, 0
            return False
        self.wrong_us = self.wrong_us or edge_us
        normal = read(max(self.from_us, self.until_us - LONGEST_US), self.until_us)
        since = read(self.until_us, edge_us)
        if normal is None or since is None or not _is_worse(since, normal, falls=falls):
            return False
        was_normal = self.until_us - self.from_us >= LEAST_US and _is_apart(normal, failed)
        if was_normal:
            self.returned_us = self.wrong_us
        self._end_run()
        return was_normal

    def _end_run(self) -> None:
        self.failed, self.from_us, self.until_us, self.wrong_us = None, 0, 0, 0

    def state_values(self) -> list[Any]:
        """Return plain values for the state topic."""
        failed = None if self.failed is None else msgspec.to_builtins(self.failed)
        return [self.returned_us, failed, self.from_us, self.until_us, self.wrong_us, self.over_us]

    @classmethod
    def from_state_values(cls, values: Sequence[Any]) -> PresentStretch:
        """Build a stretch from the values of ``state_values``.

        Raises:
            ValueError: its figure cannot be read.
        """
        returned_us, failed, *times = values
        return cls(returned_us, msgspec.convert(failed, Figure | None), *times)


def _is_worse(now: Present, before: Present, *, falls: bool) -> bool:
    """Return whether a stretch is worse than another beyond chance."""
    metric, value, other = now.figure.metric, now.figure.value, before.figure.value
    if not is_worse(metric, value, other, falls=falls):
        return False
    if is_share(metric):
        return differ((value, now.figure.n), (other, before.figure.n))
    if now.low is None or now.high is None or before.low is None or before.high is None:
        return False
    return now.high < before.low or before.high < now.low


def _is_apart(stretch: Present, figure: Figure) -> bool:
    """Return whether a stretch differs beyond chance from a figure."""
    if is_share(figure.metric):
        return differ((stretch.figure.value, stretch.figure.n), (figure.value, figure.n))
    if stretch.low is None or stretch.high is None:
        return False
    return not stretch.low <= figure.value <= stretch.high
