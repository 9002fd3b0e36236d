"""The healthy panes and texts of a series in blocks: what lies in an incident is left out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

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
    for pane in (
        *fine_panes(feature, segment_key, start_us, end_us),
        *_hours(feature, segment_key, start_us, end_us),
    ):
        begin_us = pane.start_us // HOUR_US * HOUR_US if coarse else pane.start_us
        if not lies_in_gap(gaps, begin_us, begin_us + (HOUR_US if coarse else 1), since_us):
            blocks.setdefault(pane.start_us // block_us, []).append(pane)
    return blocks


def merged_blocks(
    feature: FeatureState,
    segment_key: SegmentKey | None,
    start_us: int,
    end_us: int,
    since_us: int,
    gaps: Gaps,
) -> dict[int, Pane]:
    """Return number of the block of five minutes -> its panes merged, as ``panes_by_block`` finds them.

    Whole blocks are merged once and kept packed; a late event is added to them.
    """
    by_block: dict[int, list[Pane]] = {}
    for pane in fine_panes(feature, segment_key, start_us, end_us):
        if not (gaps and lies_in_gap(gaps, pane.start_us, pane.start_us + 1, since_us)):
            by_block.setdefault(pane.start_us // BLOCK_US, []).append(pane)
    out: dict[int, Pane] = {}
    for number, panes in by_block.items():
        begin_us, until_us = number * BLOCK_US, (number + 1) * BLOCK_US
        is_whole = start_us <= begin_us and until_us <= end_us
        if is_whole and not (gaps and lies_in_gap(gaps, begin_us, until_us, since_us)):
            out[number] = _whole_block(feature, segment_key, number, panes)
        else:
            out[number] = merge_block(panes)
    for pane in _hours(feature, segment_key, start_us, end_us):
        if not lies_in_gap(gaps, pane.start_us, pane.start_us + 1, since_us):
            number = pane.start_us // BLOCK_US
            out[number] = merge_block([out[number], pane]) if number in out else pane
    return out


def _whole_block(
    feature: FeatureState, segment_key: SegmentKey | None, number: int, panes: list[Pane]
) -> Pane:
    """Return all fine panes of a block merged, from the cache if they were merged before."""
    if len(panes) == 1:
        return panes[0]
    blocks = feature.cache.for_series(segment_key).blocks
    if number not in blocks:
        feature.cache.extend((number + 1) * BLOCK_US)
        blocks[number] = merge_block(panes)
        blocks[number].pack(blocks[number].state())
    return blocks[number]


def merge_block(panes: list[Pane]) -> Pane:
    """Return panes, at least one, merged. A single pane is not copied."""
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
    if not blocks:
        return None
    whole, ordered = merge_block(list(blocks.values())), tuple(pane for _, pane in sorted(blocks.items()))
    whole.shrink()
    return block_reference(name, whole, max(blocks), end_us, HOUR_US, lambda: ordered)


def block_reference(
    name: str,
    whole: Pane,
    last_block: int,
    end_us: int,
    block_us: int,
    blocks: Callable[[], tuple[Pane, ...]],
) -> Reference | None:
    """Return the reference of some blocks; None if they have too few events or span too little time.

    Args:
        whole: all blocks merged; ``last_block``: the greatest number of a block.
        block_us: length of a block; the reference ends at the end of the last block, at most at ``end_us``.
        blocks: returns the blocks in order.
    """
    if whole.events < MIN_REFERENCE_EVENTS:
        return None
    first_us, last_us = whole.start_us, min(end_us, (last_block + 1) * block_us)
    if last_us - first_us < MIN_REFERENCE_US:
        return None
    return Reference(name, first_us, last_us, whole, blocks, {})


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
    sketches = partial(
        _sketches, feature, segment_key, start_us, end_us, statistic, since_us, gaps, coarse=coarse
    )
    blocks, whole, length_us = sketches(), TextSketch(), HOUR_US if coarse else BLOCK_US
    for sketch in blocks.values():
        whole.merge(sketch)
    if whole.n < MIN_REFERENCE_TEXTS:
        return None
    span_us = max(blocks) + length_us - min(blocks)
    if span_us < MIN_REFERENCE_US:
        return None
    return TextReference(whole.packed(), lambda: _in_order(sketches()), span_us < SURE_REFERENCE_US, {})


def _in_order(sketches: dict[int, TextSketch]) -> Sequence[TextSketch]:
    return [sketch for _, sketch in sorted(sketches.items())]


def _sketches(
    feature: FeatureState,
    segment_key: SegmentKey | None,
    start_us: int,
    end_us: int,
    statistic: str,
    since_us: int,
    gaps: Gaps,
    *,
    coarse: bool,
) -> dict[int, TextSketch]:
    """Return start of a block -> its texts of all segments of the series; arguments as ``text_reference``."""
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
    return blocks


def _segments(feature: FeatureState, segment_key: SegmentKey | None) -> list[SegmentSeries]:
    return [feature.segments[segment_key]] if segment_key is not None else list(feature.segments.values())


def fine_panes(
    feature: FeatureState, segment_key: SegmentKey | None, start_us: int, end_us: int
) -> list[Pane]:
    """Return the fine panes that start in [start, end); of a whole feature those of its segments, merged."""
    if segment_key is not None:
        panes = feature.segments[segment_key].panes
        return [pane for begin_us, pane in panes.items() if start_us <= begin_us < end_us]
    starts = {
        begin_us
        for segment in feature.segments.values()
        for begin_us in segment.panes
        if start_us <= begin_us < end_us
    }
    return [pane for begin_us in sorted(starts) if (pane := feature.pane(begin_us)) is not None]


def _hours(
    feature: FeatureState, segment_key: SegmentKey | None, start_us: int, end_us: int
) -> Iterator[Pane]:
    """Yield the panes of an hour that lie in [start, end), of each segment of the series."""
    if end_us - start_us < HOUR_US:
        return
    for segment in _segments(feature, segment_key):
        hours = segment.panes_by_resolution[HOUR]
        yield from (pane for begin_us, pane in hours.items() if start_us <= begin_us <= end_us - HOUR_US)
