"""What the present is compared with: the panes of a series that stand for how it is when it is well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

from monitor.references.daily_cycle import DailyCycle
from monitor.references.pinned import PinnedReferences
from monitor.references.reference import (
    MIN_REFERENCE_EVENTS,
    MIN_REFERENCE_TEXTS,
    MIN_REFERENCE_US,
    SURE_REFERENCE_US,
    Reference,
    TextReference,
)
from monitor.stats.text_sketch import TextSketch
from monitor.windows.feature_series import (
    DAY_US,
    FINE,
    FINE_RETENTION_US,
    HOUR,
    HOUR_US,
    FeatureState,
    SegmentSeries,
)
from monitor.windows.pane import Pane, merge_panes
from monitor.windows.segment_keys import SegmentKey
from monitor.windows.text_blocks import BLOCK_US
from schemas.pin_file import pinned_name

# between such a reference and the present, so that what is found two minutes late has not taught it
YOUNG_LAG_US = 3 * 60 * 1_000_000
WEEK_US = 7 * DAY_US


class _Chain(NamedTuple):
    """A reference that grows: its blocks and all of them together, up to where, and what they are good for."""

    blocks: dict[int, Pane]
    whole: Pane | None
    until_us: int
    found: Reference | None


class ReferenceFinder:
    """Finds references. They depend on the panes and on nothing else, so they are kept until a pane changes,
    and are the same after a restart.

    ``pins``: those of the configuration; None: there are none.
    """

    def __init__(self, pins: PinnedReferences | None = None) -> None:
        self._pins = pins

    def find(
        self,
        name: str,
        feature: FeatureState,
        at: SegmentKey | None,
        edge_us: int,
        window_us: int,
        since_us: int,
    ) -> Reference | None:
        """The reference of a series (``at`` None: the whole feature) for a window that ends at an edge; None
        where there is too little.

        Args:
            name: as the configuration has it.
            since_us: what is older is no reference any more.
        """
        if (pinned := pinned_name(name)) is not None:
            return self._pins.find(pinned, feature.key, at) if self._pins is not None else None
        if name.startswith("trailing"):
            length_us = _length_us(name)
            return self._trailing(name, feature, at, edge_us, window_us, length_us, since_us)
        if name == "same hours last week":
            hour_us = edge_us // HOUR_US * HOUR_US - WEEK_US
            start_us = min(hour_us - HOUR_US, (edge_us - window_us) // HOUR_US * HOUR_US - WEEK_US)
            return self._kept(name, feature, at, max(since_us, start_us), hour_us + 2 * HOUR_US, since_us)
        if name == "previous prompt version":
            return self._previous(name, feature, at, edge_us)
        return None

    def texts(
        self,
        name: str,
        feature: FeatureState,
        at: SegmentKey | None,
        edge_us: int,
        window_us: int,
        since_us: int,
        statistic: str,
    ) -> TextReference | None:
        """The same for texts, of which less is kept: a trailing day, a prompt version of the last day, or
        what was pinned.
        """
        if (pinned := pinned_name(name)) is not None:
            return self._pins.texts(pinned, feature.key, at, statistic) if self._pins is not None else None
        hour_us = edge_us // HOUR_US * HOUR_US
        if name == "previous prompt version":
            before = self._before(feature, at)
            return (
                None
                if before is None
                else self._kept_texts(name, feature, before, since_us, hour_us, statistic, coarse=True)
            )
        if not name.startswith("trailing"):
            return None
        frozen_us = _frozen_us(feature, edge_us)
        end_us = min(edge_us - FINE_RETENTION_US, frozen_us) // HOUR_US * HOUR_US
        found = self._kept_texts(
            name, feature, at, max(since_us, end_us - _length_us(name)), end_us, statistic, coarse=True
        )
        if found is not None:
            return found
        end_us = min(edge_us - max(window_us, YOUNG_LAG_US), frozen_us) // BLOCK_US * BLOCK_US
        return self._kept_texts(name, feature, at, since_us, end_us, statistic, coarse=False)

    def cycle(self, feature: FeatureState, at: SegmentKey | None, edge_us: int) -> DailyCycle:
        """By how much the rates of a series exceed their means at the worst of the last day's hours."""
        end_us = min(edge_us - FINE_RETENTION_US, _frozen_us(feature, edge_us)) // HOUR_US * HOUR_US
        key = ("cycle", at, end_us)
        if key not in feature.reference_cache:
            feature.references_until_us = max(feature.references_until_us, end_us)
            feature.reference_cache[key] = DailyCycle(
                _blocks(feature, at, end_us - DAY_US, end_us, 0, coarse=True).values()
            )
        found: DailyCycle = feature.reference_cache[key]
        return found

    def _kept_texts(
        self,
        name: str,
        feature: FeatureState,
        at: SegmentKey | None,
        start_us: int,
        end_us: int,
        statistic: str,
        *,
        coarse: bool,
    ) -> TextReference | None:
        key = (at, start_us, end_us, name, statistic, coarse)
        if key not in feature.reference_cache:
            feature.references_until_us = max(feature.references_until_us, end_us)
            feature.reference_cache[key] = _texts_made(
                feature, at, start_us, end_us, statistic, coarse=coarse
            )
        found: TextReference | None = feature.reference_cache[key]
        return found

    def _trailing(
        self,
        name: str,
        feature: FeatureState,
        at: SegmentKey | None,
        edge_us: int,
        window_us: int,
        length_us: int,
        since_us: int,
    ) -> Reference | None:
        """Whole hours that lie two hours back; where that is too little, what there is up to three minutes
        before it.
        """
        frozen_us = _frozen_us(feature, edge_us)
        end_us = min(edge_us - FINE_RETENTION_US, frozen_us) // HOUR_US * HOUR_US
        start_us = max(since_us, end_us - length_us)
        if end_us - start_us >= HOUR_US:
            found = self._kept(name, feature, at, start_us, end_us, since_us)
            if found is not None:
                return found
        end_us = min(edge_us - max(window_us, YOUNG_LAG_US), frozen_us)
        found = self._young(name, feature, at, since_us, end_us // BLOCK_US * BLOCK_US, window_us)
        return (
            found
            if found is not None and not found.is_young
            else self._young(name, feature, at, since_us, end_us, -window_us)
        )

    def _previous(
        self, name: str, feature: FeatureState, at: SegmentKey | None, edge_us: int
    ) -> Reference | None:
        before = self._before(feature, at)
        end_us = edge_us // HOUR_US * HOUR_US
        return None if before is None else self._kept(name, feature, before, end_us - 8 * DAY_US, end_us, 0)

    def _before(self, feature: FeatureState, at: SegmentKey | None) -> SegmentKey | None:
        """The other prompt version that was active last before this one began, at the same model, variant and
        dimensions.
        """
        if at is None or (mine := feature.segments.get(at)) is None:
            return None
        begun_us = _begun_us(mine)
        others = [
            one for key, one in feature.segments.items()
            if key.prompt_version != at.prompt_version and key._replace(prompt_version=at.prompt_version) == at and _begun_us(one) < begun_us
        ]  # fmt: skip
        return max(others, key=lambda one: (one.active_us // HOUR_US, one.key)).key if others else None

    def _young(
        self, name: str, feature: FeatureState, at: SegmentKey | None, since_us: int, end_us: int, chain: int
    ) -> Reference | None:
        """All that there is before an end which moves on: what was found for the last one goes on from there."""
        key = (at, since_us, chain)
        held: _Chain = feature.reference_cache.get(key) or _Chain({}, None, since_us, None)
        if held.until_us > end_us:
            held = _Chain({}, None, since_us, None)
        if held.until_us < end_us:
            feature.references_until_us = max(feature.references_until_us, end_us)
            blocks, fresh = (
                dict(held.blocks),
                _blocks(feature, at, held.until_us, end_us, since_us, coarse=False),
            )
            for number, panes in fresh.items():
                blocks[number] = _whole([blocks[number], *panes] if number in blocks else panes)
            new = [pane for panes in fresh.values() for pane in panes]
            whole = (
                held.whole if not new else _whole([*([held.whole] if held.whole is not None else []), *new])
            )
            held = _Chain(blocks, whole, end_us, _reference(name, blocks, whole, end_us, BLOCK_US))
            feature.reference_cache[key] = held
        return held.found

    def _kept(
        self,
        name: str,
        feature: FeatureState,
        at: SegmentKey | None,
        start_us: int,
        end_us: int,
        since_us: int,
    ) -> Reference | None:
        key = (at, start_us, end_us, name, since_us)
        if key not in feature.reference_cache:
            feature.references_until_us = max(feature.references_until_us, end_us)
            feature.reference_cache[key] = _made(name, feature, at, start_us, end_us, since_us)
        found: Reference | None = feature.reference_cache[key]
        return found


def _made(
    name: str, feature: FeatureState, at: SegmentKey | None, start_us: int, end_us: int, since_us: int
) -> Reference | None:
    blocks = {
        number: _whole(panes)
        for number, panes in _blocks(feature, at, start_us, end_us, since_us, coarse=True).items()
    }
    return _reference(name, blocks, _whole(list(blocks.values())) if blocks else None, end_us, HOUR_US)


def _whole(panes: list[Pane]) -> Pane:
    """Panes as one; a single one is not copied: when it changes, what was found of it is forgotten."""
    return panes[0] if len(panes) == 1 else merge_panes(panes, min(pane.start_us for pane in panes))


def _reference(
    name: str, blocks: dict[int, Pane], whole: Pane | None, end_us: int, block_us: int
) -> Reference | None:
    if whole is None or whole.events < MIN_REFERENCE_EVENTS:
        return None
    first_us, last_us = whole.start_us, min(end_us, (max(blocks) + 1) * block_us)
    if last_us - first_us < MIN_REFERENCE_US:
        return None
    return Reference(name, first_us, last_us, whole, tuple(pane for _, pane in sorted(blocks.items())), {})


def _blocks(
    feature: FeatureState, at: SegmentKey | None, start_us: int, end_us: int, since_us: int, *, coarse: bool
) -> dict[int, list[Pane]]:
    """Panes by block; those that lie in an incident are left out, by whole hours where the reference is one
    of hours.
    """
    block_us = HOUR_US if coarse else BLOCK_US
    blocks: dict[int, list[Pane]] = {}
    segments = [feature.segments[at]] if at is not None else list(feature.segments.values())
    for pane in (pane for segment in segments for pane in _inside(segment, start_us, end_us)):
        begin_us = pane.start_us // HOUR_US * HOUR_US if coarse else pane.start_us
        if not _lies_in_incident(feature, begin_us, begin_us + (HOUR_US if coarse else 1), since_us):
            blocks.setdefault(pane.start_us // block_us, []).append(pane)
    return blocks


def _texts_made(
    feature: FeatureState, at: SegmentKey | None, start_us: int, end_us: int, statistic: str, *, coarse: bool
) -> TextReference | None:
    length_us, resolution = (HOUR_US, HOUR) if coarse else (BLOCK_US, FINE)
    blocks: dict[int, TextSketch] = {}
    for segment in [feature.segments[at]] if at is not None else feature.segments.values():
        for begin_us, block in segment.texts[resolution].items():
            inside = (
                start_us <= begin_us
                and begin_us + length_us <= end_us
                and not _lies_in_incident(feature, begin_us, begin_us + length_us)
            )
            if inside and (sketch := block.sketch(statistic)) is not None:
                blocks.setdefault(begin_us, TextSketch()).merge(sketch)
    whole = TextSketch()
    for sketch in blocks.values():
        whole.merge(sketch)
    if whole.n < MIN_REFERENCE_TEXTS or max(blocks) + length_us - min(blocks) < MIN_REFERENCE_US:
        return None
    return TextReference(
        whole,
        tuple(sketch for _, sketch in sorted(blocks.items())),
        max(blocks) + length_us - min(blocks) < SURE_REFERENCE_US,
        {},
    )


def _frozen_us(feature: FeatureState, edge_us: int) -> int:
    """Where a trailing reference ends at the latest: before the incident that lasts, if it does not last for
    a day yet.
    """
    return min(
        (start for start, end in feature.incident_spans if not end and start > edge_us - DAY_US),
        default=edge_us,
    )


def _inside(segment: SegmentSeries, start_us: int, end_us: int) -> Iterator[Pane]:
    yield from (
        pane for begin_us, pane in segment.panes_by_resolution[FINE].items() if start_us <= begin_us < end_us
    )
    yield from (
        pane
        for begin_us, pane in segment.panes_by_resolution[HOUR].items()
        if start_us <= begin_us <= end_us - HOUR_US
    )


def _lies_in_incident(feature: FeatureState, start_us: int, end_us: int, since_us: int = 0) -> bool:
    """Whether an incident began or lasted then; one that lasts over a day is what is normal now, and so is
    one at the same hours of two days.

    ``since_us``: what has been since then was taken for normal, although it was an incident then.
    """
    return any(
        begin_us < end_us and start_us < min(until_us or begin_us + DAY_US, begin_us + DAY_US) and begin_us >= since_us
        and not _recurs(feature.incident_spans, begin_us, until_us)
        for begin_us, until_us in feature.incident_spans
    )  # fmt: skip


def _recurs(spans: Sequence[Sequence[int]], begin_us: int, until_us: int) -> bool:
    """Whether there was one at the same hours of the day before: that is a daily cycle, which a reference
    without it would never know.
    """
    return until_us > 0 and any(
        2 * (min(until_us, end_us + DAY_US) - max(begin_us, start_us + DAY_US)) > until_us - begin_us
        for start_us, end_us in spans
        if end_us
    )


def _begun_us(segment: SegmentSeries) -> int:
    return min((start_us for panes in segment.panes_by_resolution.values() for start_us in panes), default=0)


@cache
def _length_us(name: str) -> int:
    number, unit = name.removeprefix("trailing ").replace(" ", "")[:-1], name[-1]
    return round(float(number) * {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}[unit] * 1e6)
