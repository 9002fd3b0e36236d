"""Find the reference of a series: the panes or texts that stand for its healthy state."""

from __future__ import annotations

from functools import cache

from monitor.references.blocks import fine_panes, hourly_reference, panes_by_block, text_reference
from monitor.references.daily_cycle import DailyCycle
from monitor.references.gaps import Gaps, frozen_us
from monitor.references.growing import GrowingReference
from monitor.references.pinned import PinnedReferences
from monitor.references.reference import MIN_REFERENCE_EVENTS, Reference, TextReference
from monitor.references.weekly_cycle import KNOWN_AFTER_DAYS, SHORT_OUTAGE_US, SPAN_HOURS, WeeklyCycle
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import SegmentKey
from monitor.windows.segment_series import DAY_US, FINE_RETENTION_US, HOUR_US, SegmentSeries
from monitor.windows.text_blocks import BLOCK_US
from schemas.pin_file import pinned_name

YOUNG_LAG_US = 3 * 60 * 1_000_000
"""Distance of a young reference from the present: a change found two minutes late is not in it."""
WEEK_US = 7 * DAY_US


class ReferenceFinder:
    """Finds references. They depend on the panes alone, so they are the same after a restart.

    They are cached with the feature until one of their panes changes.

    Args:
        pins: pinned references of the configuration; None if there are none.
    """

    def __init__(self, pins: PinnedReferences | None = None) -> None:
        self._pins = pins

    def find(
        self,
        name: str,
        feature: FeatureState,
        segment_key: SegmentKey | None,
        edge_us: int,
        window_us: int,
        since_us: int,
        gaps: Gaps = (),
    ) -> Reference | None:
        """Find the reference of a window of a series; None if there are too few events.

        Args:
            name: as the configuration has it.
            segment_key: None for the whole feature.
            edge_us: end of the window, microseconds; ``window_us``: its length.
            since_us: what is older is no reference.
            gaps: when incidents of the rule on the series were open; these times are no reference.
        """
        feature.cache.add_late_counts(feature.segments)
        if (pinned := pinned_name(name)) is not None:
            return self._pins.find(pinned, feature.key, segment_key) if self._pins is not None else None
        if name.startswith("trailing"):
            return self._trailing(name, feature, segment_key, edge_us, window_us, since_us, gaps)
        if name == "same hours last week":
            hour_us = edge_us // HOUR_US * HOUR_US - WEEK_US
            start_us = min(hour_us - HOUR_US, (edge_us - window_us) // HOUR_US * HOUR_US - WEEK_US)
            end_us = hour_us + 2 * HOUR_US
            return _cached_hours(name, feature, segment_key, max(since_us, start_us), end_us, since_us, gaps)
        if name == "previous prompt version":
            if (previous := _previous_version(feature, segment_key)) is None:
                return None
            end_us = edge_us // HOUR_US * HOUR_US
            return _cached_hours(name, feature, previous, end_us - 8 * DAY_US, end_us, 0, gaps)
        return None

    def texts(
        self,
        name: str,
        feature: FeatureState,
        segment_key: SegmentKey | None,
        edge_us: int,
        window_us: int,
        since_us: int,
        statistic: str,
        gaps: Gaps = (),
    ) -> TextReference | None:
        """Find the reference of texts, which are kept for less time; None if there are too few.

        It is a trailing day, a prompt version of the last day, or pinned. Arguments as in ``find``;
        ``statistic``: a name of ``TEXT_NAMES``.
        """
        if (pinned := pinned_name(name)) is not None:
            if self._pins is None:
                return None
            return self._pins.texts(pinned, feature.key, segment_key, statistic)
        if name == "previous prompt version":
            if (previous := _previous_version(feature, segment_key)) is None:
                return None
            hour_us = edge_us // HOUR_US * HOUR_US
            return _cached_texts(
                name, feature, previous, since_us, hour_us, statistic, since_us, gaps, coarse=True
            )
        if not name.startswith("trailing"):
            return None
        start_us, end_us = _trailing_hours(name, edge_us, since_us, gaps)
        hours = _cached_texts(
            name, feature, segment_key, start_us, end_us, statistic, since_us, gaps, coarse=True
        )
        if hours is not None:
            return hours
        end_us = _young_end_us(edge_us, window_us, gaps) // BLOCK_US * BLOCK_US
        return _cached_texts(
            name, feature, segment_key, since_us, end_us, statistic, since_us, gaps, coarse=False
        )

    def cycle(
        self, feature: FeatureState, segment_key: SegmentKey | None, edge_us: int, gaps: Gaps = ()
    ) -> DailyCycle:
        """Return the daily cycle of a series over the last day of hours, without its gaps."""
        end_us = _last_hour_us(edge_us, gaps)
        results, key = feature.cache.for_series(segment_key).results, ("cycle", end_us, gaps)
        if key not in results:
            feature.cache.extend(end_us)
            hours = panes_by_block(feature, segment_key, end_us - DAY_US, end_us, 0, gaps, coarse=True)
            results[key] = end_us, DailyCycle(hours.values())
        cycle: DailyCycle = results[key][1]
        return cycle

    def last_week(
        self, feature: FeatureState, segment_key: SegmentKey | None, edge_us: int, gaps: Gaps = ()
    ) -> WeeklyCycle | None:
        """Return the same hours of last week; None in the first seven days."""
        if edge_us - feature.first_us < KNOWN_AFTER_DAYS * DAY_US:
            return None
        hour = (edge_us - WEEK_US - 1) // HOUR_US
        gaps = tuple(gap for gap in gaps if gap[1] and gap[1] - gap[0] < SHORT_OUTAGE_US)
        results, key = feature.cache.for_series(segment_key).results, ("last week", hour, gaps)
        if key not in results:
            start_us, end_us = (hour - SPAN_HOURS) * HOUR_US, (hour + SPAN_HOURS + 1) * HOUR_US
            feature.cache.extend(end_us)
            hours = panes_by_block(feature, segment_key, start_us, end_us, 0, gaps, coarse=True)
            results[key] = end_us, WeeklyCycle(hour, hours)
        cycle: WeeklyCycle = results[key][1]
        return cycle

    def _trailing(
        self,
        name: str,
        feature: FeatureState,
        segment_key: SegmentKey | None,
        edge_us: int,
        window_us: int,
        since_us: int,
        gaps: Gaps,
    ) -> Reference | None:
        """Find whole hours that end two hours ago; if those are too few, what ends three minutes ago."""
        start_us, end_us = _trailing_hours(name, edge_us, since_us, gaps)
        if end_us - start_us >= HOUR_US:
            hours = _cached_hours(name, feature, segment_key, start_us, end_us, since_us, gaps)
            if hours is not None:
                _drop_growing(feature, segment_key, since_us, (window_us, -window_us), gaps)
                return hours
        end_us = _young_end_us(edge_us, window_us, gaps)
        whole_blocks_us = end_us // BLOCK_US * BLOCK_US
        aligned = _growing(feature, segment_key, since_us, whole_blocks_us, window_us, gaps)
        blocks = aligned.find(name, feature, segment_key, whole_blocks_us)
        if blocks is not None and not blocks.is_young:
            _drop_growing(feature, segment_key, since_us, (-window_us,), gaps)
            return blocks
        newest = fine_panes(feature, segment_key, whole_blocks_us, end_us)
        if aligned.events + sum(pane.events for pane in newest) < MIN_REFERENCE_EVENTS:
            return None  # a quiet series merges nothing at each edge
        newer = _growing(feature, segment_key, since_us, end_us, -window_us, gaps)
        return newer.find(name, feature, segment_key, end_us)


def _last_hour_us(edge_us: int, gaps: Gaps) -> int:
    """Return the end of the last whole hour that is two hours old and before any open incident."""
    return min(edge_us - FINE_RETENTION_US, frozen_us(gaps, edge_us)) // HOUR_US * HOUR_US


def _trailing_hours(name: str, edge_us: int, since_us: int, gaps: Gaps) -> tuple[int, int]:
    """Return [start, end) of a trailing reference, in whole hours."""
    end_us = _last_hour_us(edge_us, gaps)
    return max(since_us, end_us - trailing_length_us(name)), end_us


def _young_end_us(edge_us: int, window_us: int, gaps: Gaps) -> int:
    """Return the end of a young reference: before the window, and a lag before the edge."""
    return min(edge_us - max(window_us, YOUNG_LAG_US), frozen_us(gaps, edge_us))


def _cached_hours(
    name: str,
    feature: FeatureState,
    segment_key: SegmentKey | None,
    start_us: int,
    end_us: int,
    since_us: int,
    gaps: Gaps,
) -> Reference | None:
    results, key = feature.cache.for_series(segment_key).results, (start_us, end_us, name, since_us, gaps)
    if key not in results:
        feature.cache.extend(end_us)
        hourly = hourly_reference(name, feature, segment_key, start_us, end_us, since_us, gaps)
        results[key] = end_us, hourly
    reference: Reference | None = results[key][1]
    return reference


def _cached_texts(
    name: str,
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
    texts, key = feature.cache.for_series(segment_key).texts, (name, statistic, coarse, since_us, gaps)
    until_us, result = texts.get(key, (0, None))
    if until_us != end_us or result[0] != start_us:  # the last one only: it moves on every five minutes
        feature.cache.extend(end_us)
        text_blocks = text_reference(
            feature, segment_key, start_us, end_us, statistic, since_us, gaps, coarse=coarse
        )
        texts[key] = end_us, (start_us, text_blocks)
    reference: TextReference | None = texts[key][1][1]
    return reference


def _growing(
    feature: FeatureState,
    segment_key: SegmentKey | None,
    since_us: int,
    end_us: int,
    cache_id: int,
    gaps: Gaps,
) -> GrowingReference:
    """Return the sum of all panes from ``since_us`` to an end that moves on; it continues from the last end.

    ``cache_id``: tells apart the references that grow by different steps.
    """
    sums, key = feature.cache.for_series(segment_key).sums, (since_us, cache_id, gaps)
    growing = sums.get(key)
    if not isinstance(growing, GrowingReference) or growing.until_us > end_us:
        growing = sums[key] = GrowingReference(since_us, gaps)
    return growing


def _drop_growing(
    feature: FeatureState,
    segment_key: SegmentKey | None,
    since_us: int,
    cache_ids: tuple[int, ...],
    gaps: Gaps,
) -> None:
    """Drop references that a longer one has replaced."""
    sums = feature.cache.for_series(segment_key).sums
    for cache_id in cache_ids:
        sums.pop((since_us, cache_id, gaps), None)


def _previous_version(feature: FeatureState, segment_key: SegmentKey | None) -> SegmentKey | None:
    """Return the prompt version that was active last before that of a segment began.

    Model, variant and dimensions are the same. None if there is none, or for a whole feature.
    """
    if segment_key is None or (segment := feature.segments.get(segment_key)) is None:
        return None
    begun_us = _begun_us(segment)
    others = [
        other
        for key, other in feature.segments.items()
        if key.prompt_version != segment_key.prompt_version
        and key._replace(prompt_version=segment_key.prompt_version) == segment_key
        and _begun_us(other) < begun_us
    ]
    return max(others, key=lambda other: (other.active_us // HOUR_US, other.key)).key if others else None


def _begun_us(segment: SegmentSeries) -> int:
    return min((pane_us for panes in segment.panes_by_resolution.values() for pane_us in panes), default=0)


@cache
def trailing_length_us(name: str) -> int:
    """Return the length of a reference like ``trailing 24h``, microseconds."""
    number, unit = name.removeprefix("trailing ").replace(" ", "")[:-1], name[-1]
    return round(float(number) * {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}[unit] * 1e6)
