"""The healthy panes and texts of a series in blocks: what lies in an incident is left out."""

from __future__ import annotations

import operator
from collections.abc import Iterator

from monitor.references.gaps import Gaps, lies_in_gap
from monitor.references.reference import (
    MIN_REFERENCE_EVENTS,
    MIN_REFERENCE_TEXTS,
    MIN_REFERENCE_US,
    SURE_REFERENCE_US,
    Reference,
    TextReference,
)
from monitor.stats.text_sketch import TextSketch
from monitor.windows.feature_series import FeatureState
from monitor.windows.pane import Pane, merge_panes
from monitor.windows.segment_keys import SegmentKey
from monitor.windows.segment_series import FINE, HOUR, HOUR_US, SegmentSeries
from monitor.windows.text_blocks import BLOCK_US


def panes_by_block(
    feature: FeatureState,
    segment_key: SegmentKey | None,
    start_us: int,
    end_us: int,
    since_us: int,
    gaps: Gaps,
    *,
    coarse: bool,
) -> dict[int, list[Pane]]:
    """Return number of the block -> panes in [start, end) of a series (None: the whole feature).

    Panes in an incident are left out.

    Args:
        since_us: incidents since then were accepted as normal.
        gaps: of the rule and series.
        coarse: blocks are hours, and an hour with an incident is left out as a whole; otherwise blocks are
            five minutes.
    """
    block_us = HOUR_US if coarse else BLOCK_US
    blocks: dict[int, list[Pane]] = {}
    for segment in _segments(feature, segment_key):
        for pane in _panes_inside(segment, start_us, end_us):
            begin_us = pane.start_us // HOUR_US * HOUR_US if coarse else pane.start_us
            if not lies_in_gap(gaps, begin_us, begin_us + (HOUR_US if coarse else 1), since_us):
                blocks.setdefault(pane.start_us // block_us, []).append(pane)
    return blocks


def whole_block(
    feature: FeatureState, segment_key: SegmentKey | None, number: int, panes: list[Pane]
) -> Pane:
    """Return the panes of a block of five minutes merged, from the cache if the same panes were merged before.

    The cache drops a block when one of its panes changes, so references that begin anew, for other rules or
    after a late event, merge blocks instead of panes.
    """
    if len(panes) == 1:
        return panes[0]
    key = (segment_key, number)
    cached: tuple[list[Pane], Pane] | None = feature.block_cache.get(key)
    if cached is not None and len(cached[0]) == len(panes) and all(map(operator.is_, cached[0], panes)):
        return cached[1]
    merged = merge_block(panes)
    feature.block_cache[key] = panes, merged
    return merged


def merge_block(panes: list[Pane]) -> Pane:
    """Return panes, at least one, merged.

    A single pane is not copied: when it changes, cached references are dropped.
    """
    return panes[0] if len(panes) == 1 else merge_panes(panes, min(pane.start_us for pane in panes))


def hourly_reference(
    name: str,
    feature: FeatureState,
    segment_key: SegmentKey | None,
    start_us: int,
    end_us: int,
    since_us: int,
    gaps: Gaps,
) -> Reference | None:
    """Return the reference of the whole hours in [start, end); None if they have too few events."""
    panes = panes_by_block(feature, segment_key, start_us, end_us, since_us, gaps, coarse=True)
    blocks = {number: merge_block(several) for number, several in panes.items()}
    whole = merge_block(list(blocks.values())) if blocks else None
    return block_reference(name, blocks, whole, end_us, HOUR_US)


def block_reference(
    name: str, blocks: dict[int, Pane], whole: Pane | None, end_us: int, block_us: int
) -> Reference | None:
    """Return the reference of some blocks; None if they have too few events or span too little time.

    Args:
        blocks: number of the block -> pane; ``whole``: all of them merged, None without blocks.
        block_us: length of a block; the reference ends at the end of the last block, at most at ``end_us``.
    """
    if whole is None or whole.events < MIN_REFERENCE_EVENTS:
        return None
    first_us, last_us = whole.start_us, min(end_us, (max(blocks) + 1) * block_us)
    if last_us - first_us < MIN_REFERENCE_US:
        return None
    return Reference(name, first_us, last_us, whole, tuple(pane for _, pane in sorted(blocks.items())), {})


def text_reference(
    feature: FeatureState,
    segment_key: SegmentKey | None,
    start_us: int,
    end_us: int,
    statistic: str,
    since_us: int,
    gaps: Gaps,
    *,
    coarse: bool,
) -> TextReference | None:
    """Return the texts of a series in [start, end); None if there are too few.

    Args:
        statistic: a name of ``TEXT_NAMES``.
        since_us: incidents since then were accepted as normal.
        gaps: of the rule and series.
        coarse: read hours, otherwise blocks of five minutes.
    """
    length_us, resolution = (HOUR_US, HOUR) if coarse else (BLOCK_US, FINE)
    blocks: dict[int, TextSketch] = {}
    for segment in _segments(feature, segment_key):
        for begin_us, block in segment.texts[resolution].items():
            inside = (
                start_us <= begin_us
                and begin_us + length_us <= end_us
                and not lies_in_gap(gaps, begin_us, begin_us + length_us, since_us)
            )
            if inside and (sketch := block.sketch(statistic)) is not None:
                blocks.setdefault(begin_us, TextSketch()).merge(sketch)
    whole = TextSketch()
    for sketch in blocks.values():
        whole.merge(sketch)
    if whole.n < MIN_REFERENCE_TEXTS:
        return None
    span_us = max(blocks) + length_us - min(blocks)
    if span_us < MIN_REFERENCE_US:
        return None
    sketches = tuple(sketch for _, sketch in sorted(blocks.items()))
    return TextReference(whole, sketches, span_us < SURE_REFERENCE_US, {})


def _segments(feature: FeatureState, segment_key: SegmentKey | None) -> list[SegmentSeries]:
    return [feature.segments[segment_key]] if segment_key is not None else list(feature.segments.values())


def _panes_inside(segment: SegmentSeries, start_us: int, end_us: int) -> Iterator[Pane]:
    fine, hours = segment.panes_by_resolution[FINE], segment.panes_by_resolution[HOUR]
    yield from (pane for begin_us, pane in fine.items() if start_us <= begin_us < end_us)
    yield from (pane for begin_us, pane in hours.items() if start_us <= begin_us <= end_us - HOUR_US)
