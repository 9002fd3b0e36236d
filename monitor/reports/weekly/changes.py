"""What moved from one week to the next: figures that differ beyond chance and enough to matter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from monitor.drift.interface import Distribution
from monitor.drift.two_proportions import two_proportions
from monitor.reports.plot_panels import EVENTS, Panel
from monitor.reports.time_series import Bin
from monitor.reports.weekly.week import Feature
from monitor.windows.metric_definitions import SUCCESS_RATES

MOST_P_VALUE = 1e-4
"""Of a share: a report reads some hundred figures."""
LEAST_POINTS = 0.005
LEAST_FACTOR = 1.25
"""Of a number, and of a share below a few percent."""
LEAST_EVENTS = 50


class Change(NamedTuple):
    """A figure of a feature that moved.

    Attributes:
        metric: its name, like ``duration_s.p90``.
        title: for people.
        before, now: values of the two weeks.
        is_worse: None where neither direction is bad.
        size: how far it moved, for the order: points of a share, or the logarithm of the factor.
    """

    feature: Feature
    metric: str
    title: str
    before: float
    now: float
    is_worse: bool | None
    size: float


def changes(
    before: Mapping[Feature, Bin], now: Mapping[Feature, Bin], panels: Sequence[Panel]
) -> list[Change]:
    """Return the figures that moved, worse ones first, then by how far."""
    found = [
        change
        for feature in now
        if feature in before
        for change in _of_feature(feature, before[feature], now[feature], panels)
    ]
    return sorted(
        found, key=lambda change: (not change.is_worse, -change.size, change.feature, change.metric)
    )


def _of_feature(feature: Feature, before: Bin, now: Bin, panels: Sequence[Panel]) -> Iterator[Change]:
    for panel in panels:
        if panel.name == EVENTS:
            continue
        for reading in panel.readings or ("",):
            old, new = before.read(panel.name, reading), now.read(panel.name, reading)
            if old.value is None or new.value is None or min(old.n, new.n) < LEAST_EVENTS:
                continue
            metric = f"{panel.name}.{reading}" if reading else panel.name
            title = panel._replace(readings=(reading,) if reading else ()).title
            factor = max(old.value, new.value) / max(1e-12, min(old.value, new.value))
            if reading:
                if factor < LEAST_FACTOR:
                    continue
                is_worse = new.value > old.value if panel.name in _LESS_IS_BETTER else None
                yield Change(feature, metric, title, old.value, new.value, is_worse, min(1.0, factor / 100))
            elif _share_moved(old.value, old.n, new.value, new.n):
                falls = new.value < old.value
                is_worse = falls if metric in SUCCESS_RATES else not falls
                yield Change(
                    feature, metric, title, old.value, new.value, is_worse, abs(new.value - old.value)
                )


_LESS_IS_BETTER = frozenset({"duration_s", "time_to_first_token_s", "cost_usd"})


def _share_moved(old: float, old_n: float, new: float, new_n: float) -> bool:
    if abs(new - old) < LEAST_POINTS:
        return False
    compared = two_proportions(
        Distribution((False, True), (1 - old, old), old_n), Distribution((False, True), (1 - new, new), new_n)
    )
    return compared.p_value < MOST_P_VALUE
