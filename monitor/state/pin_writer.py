"""Pins: what was counted of features between two times, in blocks, as a file that stays the same."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from monitor.references.reference import MIN_REFERENCE_EVENTS
from monitor.state.partition_state import PartitionState
from monitor.stats import text_sketch
from monitor.stats.exponential_buckets import MAX_SCALE
from monitor.stats.text_sketch import TextSketch
from monitor.windows import format_versions
from monitor.windows.pane import Pane, merge_panes
from monitor.windows.segment_keys import UNLABELLED, FeatureKey, SegmentKey
from monitor.windows.segment_series import FINE, HOUR_US
from monitor.windows.text_blocks import BLOCK_US, TEXT_NAMES, TextBlock
from schemas.pin_file import Block, Pin, PinnedFeature, PinnedSegment, PinnedSeries

MAX_BLOCKS = 48
"""Blocks of one series."""
EVENTS_PER_BLOCK = 100
"""Least average; a block of fewer than 50 events shows nothing of how much the series varies."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE_US = 60_000_000
_HOURS = (1, 2, 3, 4, 6, 8, 12, *range(24, 2401, 24))
_BLOCK_LENGTHS_US = (  # those above an hour divide a day, or are whole days
    *(minutes * _MINUTE_US for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * HOUR_US for hours in _HOURS),
)
_Sketches = dict[str, dict[int, TextSketch]]
"""Name of ``TEXT_NAMES`` -> start -> sketch."""


class CountedSeries(NamedTuple):
    """One series to pin.

    ``panes``: start and length, microseconds, and the pane. ``texts``: name -> start -> sketch.
    """

    panes: Sequence[tuple[int, int, Pane]]
    texts: Mapping[str, Mapping[int, TextSketch]]

    @property
    def events(self) -> int:
        """Events of all panes."""
        return sum(pane.events for *_, pane in self.panes)


class TextCollector:
    """The texts of all series, also those that the partition drops after a day.

    They are collected as blocks while the partition has these, and as hours after that.
    """

    def __init__(self) -> None:
        self._blocks: dict[tuple[FeatureKey, SegmentKey], dict[int, TextBlock]] = {}
        self._hours: dict[tuple[FeatureKey, SegmentKey], _Sketches] = {}
        self._rolled_us = 0

    def collect(self, partition_state: PartitionState) -> None:
        """Collect the text blocks of a partition at an edge.

        A block stays the same object until it is rolled up, so texts that are added to it later count too.
        """
        for feature in partition_state.features.values():
            for segment_key, segment in feature.segments.items():
                blocks = self._blocks.setdefault((feature.key, segment_key), {})
                blocks.update(
                    (start_us, block)
                    for start_us, block in segment.texts[FINE].items()
                    if start_us >= self._rolled_us
                )
        if partition_state.rolled_us > self._rolled_us:
            self._rolled_us = partition_state.rolled_us
            for key, blocks in self._blocks.items():
                for start_us in [start for start in blocks if start < self._rolled_us]:
                    hour_us = start_us // HOUR_US * HOUR_US
                    _add(self._hours.setdefault(key, {}), hour_us, blocks.pop(start_us))

    def sketches(
        self, feature: FeatureKey, segment_key: SegmentKey
    ) -> Mapping[str, Mapping[int, TextSketch]]:
        """Return name -> start of an hour, or of a block not rolled up -> sketch; empty if unknown."""
        key = (feature, segment_key)
        out: _Sketches = {name: dict(sketches) for name, sketches in self._hours.get(key, {}).items()}
        for start_us, block in self._blocks.get(key, {}).items():
            _add(out, start_us, block)
        return out


def _add(sketches: _Sketches, start_us: int, block: TextBlock) -> None:
    for name in TEXT_NAMES:
        if (added := block.sketch(name)) is not None:
            previous, merged = sketches.setdefault(name, {}).get(start_us), TextSketch()
            merged.merge(added)
            if previous is not None:
                merged.merge(previous)
            sketches[name][start_us] = merged


def make_pin(
    name: str,
    from_us: int,
    to_us: int,
    features: Iterable[tuple[FeatureKey, Mapping[str, str], Mapping[SegmentKey, CountedSeries]]],
) -> Pin:
    """Return a pin of what was counted in [from, to), microseconds since 1970.

    Features and segments with too few events for a reference are left out.

    Args:
        features: key, evaluator -> identity, and the series of each segment.
    """
    pinned, events = [], 0
    for key, evaluators, segments in features:
        whole = CountedSeries(
            [pane for series in segments.values() for pane in series.panes],
            _merge_texts([series.texts for series in segments.values()]),
        )
        if whole.events < MIN_REFERENCE_EVENTS:
            continue
        events += whole.events
        pinned.append(
            PinnedFeature(
                **key._asdict(),
                evaluators=dict(evaluators),
                whole=PinnedSeries(**_series_fields(whole)),
                segments=tuple(
                    _pinned_segment(segment_key, series)
                    for segment_key, series in sorted(segments.items())
                    if segment_key != UNLABELLED and series.events >= MIN_REFERENCE_EVENTS
                ),
            )
        )
    return Pin(
        record="pin",
        name=name,
        from_=_time(from_us),
        to=_time(to_us),
        layout=format_versions.LAYOUT,
        histogram_scale=MAX_SCALE,
        text_sketch=text_sketch.VERSION,
        events=events,
        features=tuple(pinned),
    )


def _pinned_segment(segment_key: SegmentKey, series: CountedSeries) -> PinnedSegment:
    return PinnedSegment(
        **_series_fields(series),
        model=segment_key.model,
        prompt_version=segment_key.prompt_version,
        variant=segment_key.variant,
        dimensions=dict(segment_key.dimensions),
    )


def _series_fields(series: CountedSeries) -> dict[str, Any]:
    """Return a series in blocks of the shortest length that gives few enough of them.

    The blocks show how much windows of such a length vary by themselves.
    """
    most = min(MAX_BLOCKS, max(1, series.events // EVENTS_PER_BLOCK))
    finest_us = max(pane_us for _, pane_us, _ in series.panes)
    for length_us in (length_us for length_us in _BLOCK_LENGTHS_US if length_us >= finest_us):
        blocks: dict[int, list[Pane]] = {}
        for start_us, _, pane in series.panes:
            blocks.setdefault(start_us // length_us, []).append(pane)
        if len(blocks) <= most:
            break
    text_us = max(length_us, BLOCK_US)
    texts: dict[str, dict[int, TextSketch]] = {}
    for name, sketches in series.texts.items():
        for start_us, sketch in sorted(sketches.items()):
            texts.setdefault(name, {}).setdefault(start_us // text_us, TextSketch()).merge(sketch)
    merged = [merge_panes(panes, min(pane.start_us for pane in panes)) for _, panes in sorted(blocks.items())]
    return {
        "events": series.events,
        "start": _time(min(start_us for start_us, *_ in series.panes)),
        "end": _time(max(start_us + length_us for start_us, length_us, _ in series.panes)),
        "blocks": tuple(
            Block(start=_time(pane.start_us), pane=b64encode(format_versions.encode_record(pane.state())))
            for pane in merged
        ),
        "texts": {
            name: tuple(b64encode(sketch.state()) for sketch in sketches.values())
            for name, sketches in sorted(texts.items())
        },
    }


def _merge_texts(several: Sequence[Mapping[str, Mapping[int, TextSketch]]]) -> _Sketches:
    out: _Sketches = {name: {} for name in TEXT_NAMES}
    for texts in several:
        for name, sketches in texts.items():
            for start_us, sketch in sketches.items():
                out[name].setdefault(start_us, TextSketch()).merge(sketch)
    return out


def _time(time_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=time_us)
