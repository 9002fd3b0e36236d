"""The four layers of quality of each feature: what failed in each, this week and last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from monitor.evaluators.layers import LAYERS, layer_of_metric
from monitor.reports.plot_panels import Panel
from monitor.reports.report_text import figure, place
from monitor.reports.time_series import Bin
from monitor.reports.weekly.week import Feature

FEEDBACK_METRICS = ("feedback.acceptance_rate", "feedback.regeneration_rate", "feedback.rating.mean")
"""Metrics of usefulness and delight that a report reads besides those of evaluators."""
_MOST = 6  # figures of a cell
_NOTHING = "not measured"


class LayerRow(NamedTuple):
    """A feature: its figures by layer, in the order of ``LAYERS``, each a text."""

    feature: str
    cells: Sequence[Sequence[str]]


def layer_rows(
    before: Mapping[Feature, Bin], now: Mapping[Feature, Bin], panels: Sequence[Panel]
) -> list[LayerRow]:
    """Return a row for each feature of this week."""
    rows = []
    for feature in sorted(now):
        by_layer: dict[str, list[tuple[float, str]]] = {}
        for panel in panels:
            layer = layer_of_metric(panel.name)
            if layer is not None:
                by_layer.setdefault(layer, []).extend(_figures(panel, before.get(feature), now[feature]))
        cells = [
            [text for _, text in sorted(by_layer.get(layer, ()), key=lambda item: -item[0])[:_MOST]]
            or [_NOTHING]
            for layer in LAYERS
        ]
        rows.append(LayerRow(place(feature), cells))
    return rows


def _figures(panel: Panel, before: Bin | None, now: Bin) -> Iterator[tuple[float, str]]:
    """Yield each figure of a panel that was measured, with its order: failures before what never failed."""
    for reading in panel.readings or ("",):
        new = now.read(panel.name, reading)
        if new.value is None:
            continue
        old = None if before is None else before.read(panel.name, reading).value
        metric = f"{panel.name}.{reading}" if reading else panel.name
        title = panel._replace(readings=(reading,) if reading else ()).title.removeprefix("Failed: ")
        was = f" (was {figure(metric, old, new.value)})" if old is not None else ""
        yield new.value, f"{title.lower()} {figure(metric, new.value, old)}{was}"
