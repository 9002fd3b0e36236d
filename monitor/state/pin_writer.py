"""How a pin is made: of all that was counted of features between two times, in blocks."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from monitor.references.reference import MIN_REFERENCE_EVENTS
from monitor.state.partition_state import PartitionState
from monitor.stats import text_sketch
from monitor.stats.exponential_buckets import MAX_SCALE
from monitor.stats.text_sketch import TextSketch
from monitor.windows import format_versions
from monitor.windows.feature_series import FINE, HOUR_US
from monitor.windows.pane import Pane, merge_panes
from monitor.windows.segment_keys import UNLABELLED, FeatureKey, SegmentKey
from monitor.windows.text_blocks import BLOCK_US, TEXT_NAMES, TextBlock
from schemas.pin_file import Block, Pin, PinnedFeature, PinnedSegment, Series
from schemas.times import utc

MAX_BLOCKS = 48  # a series, at most
# events of one on average, at least: what holds under 50 tells nothing of how much the series varies
EVENTS_PER_BLOCK = 100

_MINUTE_US = 60_000_000
_HOURS = (1, 2, 3, 4, 6, 8, 12, *range(24, 2401, 24))
# of a block: days are cut alike
_LENGTHS_US = (
    *(minutes * _MINUTE_US for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * HOUR_US for hours in _HOURS),
)
_Texts = dict[str, dict[int, TextSketch]]


class CountedSeries(NamedTuple):
    """One series to be pinned. ``panes``: start and length, microseconds, and what was counted; ``texts``:
    name -> start -> sketch.
    """

    panes: Sequence[tuple[int, int, Pane]]
    texts: Mapping[str, Mapping[int, TextSketch]]

    @property
    def events(self) -> int:
        """Events of all panes."""
        return sum(pane.events for *_, pane in self.panes)


class TextCollector:
    """The texts of all that is counted, whatever the core forgets of them after a day: blocks while it holds
    them, then hours.
    """

    def __init__(self) -> None:
        self._blocks: dict[tuple[FeatureKey, SegmentKey], dict[int, TextBlock]] = {}
        self._hours: dict[tuple[FeatureKey, SegmentKey], _Texts] = {}
        self._rolled_us = 0

    def take(self, partition_state: PartitionState) -> None:
        """Look at an edge at what is there. A block that was seen is the one that is counted into until it is
        rolled up.
        """
        for feature in partition_state.features.values():
            for at, segment in feature.segments.items():
                held = self._blocks.setdefault((feature.key, at), {})
                held.update(
                    (start_us, block)
                    for start_us, block in segment.texts[FINE].items()
                    if start_us >= self._rolled_us
                )
        if partition_state.rolled_us > self._rolled_us:
            self._rolled_us = partition_state.rolled_us
            for key, blocks in self._blocks.items():
                for start_us in [start for start in blocks if start < self._rolled_us]:
                    _add(self._hours.setdefault(key, {}), start_us // HOUR_US * HOUR_US, blocks.pop(start_us))

    def of(self, feature: FeatureKey, at: SegmentKey) -> Mapping[str, Mapping[int, TextSketch]]:
        """Name -> start of an hour, or of a block of the last ones -> sketch."""
        out: _Texts = {name: dict(held) for name, held in self._hours.get((feature, at), {}).items()}
        for start_us, block in self._blocks.get((feature, at), {}).items():
            _add(out, start_us, block)
        return out


def _add(held: _Texts, start_us: int, block: TextBlock) -> None:
    for name in TEXT_NAMES:
        if (sketch := block.sketch(name)) is not None:
            known, both = held.setdefault(name, {}).get(start_us), TextSketch()
            for one in (sketch, *([known] if known is not None else [])):
                both.merge(one)
            held[name][start_us] = both


def make_pin(
    name: str,
    from_us: int,
    to_us: int,
    features: Iterable[tuple[FeatureKey, Mapping[str, str], Mapping[SegmentKey, CountedSeries]]],
) -> Pin:
    """A pin of what was counted in [from, to), microseconds since 1970: features and segments that had events
    enough.

    ``features``: each with the identities of its evaluators and its segments.
    """
    made, events = [], 0
    for key, evaluators, segments in features:
        whole = CountedSeries(
            [pane for one in segments.values() for pane in one.panes],
            _together([one.texts for one in segments.values()]),
        )
        if whole.events >= MIN_REFERENCE_EVENTS:
            events += whole.events
            kept = [
                (at, one)
                for at, one in sorted(segments.items())
                if at != UNLABELLED and one.events >= MIN_REFERENCE_EVENTS
            ]
            own = tuple(
                PinnedSegment(
                    **_written(one),
                    model=at.model,
                    prompt_version=at.prompt_version,
                    variant=at.variant,
                    dimensions=dict(at.dimensions),
                )
                for at, one in kept
            )
            made.append(
                PinnedFeature(
                    **key._asdict(),
                    evaluators=dict(evaluators),
                    whole=Series(**_written(whole)),
                    segments=own,
                )
            )
    return Pin(
        record="pin",
        name=name,
        from_=utc(from_us),
        to=utc(to_us),
        layout=format_versions.LAYOUT,
        histogram_scale=MAX_SCALE,
        text_sketch=text_sketch.VERSION,
        events=events,
        features=tuple(made),
    )


def _written(counted: CountedSeries) -> dict[str, Any]:
    """A series by blocks, the shortest of which there are not too many: so it is known how much windows of
    such a length vary by themselves.
    """
    most, finest_us = (
        min(MAX_BLOCKS, max(1, counted.events // EVENTS_PER_BLOCK)),
        max(pane_us for _, pane_us, _ in counted.panes),
    )
    for length_us in (one for one in _LENGTHS_US if one >= finest_us):
        blocks: dict[int, list[Pane]] = {}
        for start_us, _, pane in counted.panes:
            blocks.setdefault(start_us // length_us, []).append(pane)
        if len(blocks) <= most:
            break
    texts: dict[str, dict[int, TextSketch]] = {}
    for name, sketches in counted.texts.items():
        for start_us, sketch in sorted(sketches.items()):
            texts.setdefault(name, {}).setdefault(start_us // max(length_us, BLOCK_US), TextSketch()).merge(
                sketch
            )
    wholes = [merge_panes(panes, min(pane.start_us for pane in panes)) for _, panes in sorted(blocks.items())]
    return {
        "events": counted.events,
        "start": utc(min(start_us for start_us, *_ in counted.panes)),
        "end": utc(max(start_us + length_us for start_us, length_us, _ in counted.panes)),
        "blocks": tuple(
            Block(start=utc(pane.start_us), pane=b64encode(format_versions.encode_record(pane.state())))
            for pane in wholes
        ),
        "texts": {
            name: tuple(b64encode(sketch.state()) for sketch in held.values())
            for name, held in sorted(texts.items())
        },
    }


def _together(texts: Sequence[Mapping[str, Mapping[int, TextSketch]]]) -> dict[str, dict[int, TextSketch]]:
    out: dict[str, dict[int, TextSketch]] = {name: {} for name in TEXT_NAMES}
    for one in texts:
        for name, sketches in one.items():
            for start_us, sketch in sketches.items():
                out[name].setdefault(start_us, TextSketch()).merge(sketch)
    return out
