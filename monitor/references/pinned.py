"""Pinned references: series that were pinned by name and never change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from monitor.references.reference import MIN_REFERENCE_EVENTS, MIN_REFERENCE_TEXTS, Reference, TextReference
from monitor.stats import text_sketch
from monitor.stats.exponential_buckets import MAX_SCALE
from monitor.stats.text_sketch import TextSketch
from monitor.windows import format_versions
from monitor.windows.pane import Pane, merge_panes
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from schemas.pin_file import Pin, Pinned, PinnedFeature, PinnedSegment, PinnedSeries, pinned_name
from schemas.times import microseconds, rfc3339

NEVER_US = 2**62


class PinnedReferences:
    """The pins of a configuration. A series is unpacked on demand and cached.

    Args:
        pinned: name -> pin as ``schemas.config.load`` read it.

    Raises:
        ValueError: a pin was not read, or is of a release that counted differently.
    """

    def __init__(self, pinned: Mapping[str, Pinned]) -> None:
        self._features: dict[tuple[str, FeatureKey], PinnedFeature] = {}
        self._series: dict[tuple[str, FeatureKey], dict[SegmentKey | None, PinnedSeries]] = {}
        self._cache: dict[Any, Any] = {}
        for name, entry in pinned.items():
            if entry.pin is None:
                raise ValueError(
                    f"pinned.{name}.file: {entry.file} was not read; schemas.config.load reads it"
                )
            if fault := _format_fault(entry.pin):
                raise ValueError(f"pinned.{name}.file: {fault}")
            for feature in entry.pin.features:
                key = FeatureKey(feature.service, feature.feature, feature.environment)
                self._features[name, key] = feature
                self._series[name, key] = {
                    None: feature.whole,
                    **{_segment_key(segment): segment for segment in feature.segments},
                }

    def find(self, name: str, feature: FeatureKey, segment_key: SegmentKey | None) -> Reference | None:
        """Return the pinned reference of a series (``segment_key`` None: the whole feature).

        A segment that the pin does not have is compared with the whole feature. None if the pin does not have
        the feature either.
        """
        segment_key, series = self._find_series(name, feature, segment_key)
        if series is None:
            return None
        reference: Reference | None = self._cache.get((name, feature, segment_key))
        if reference is None:
            reference = _reference(f"pinned {name}", series)
            self._cache[name, feature, segment_key] = reference
        return reference

    def texts(
        self, name: str, feature: FeatureKey, segment_key: SegmentKey | None, statistic: str
    ) -> TextReference | None:
        """Return the pinned texts of a series; None if there are too few."""
        segment_key, series = self._find_series(name, feature, segment_key)
        if series is None:
            return None
        key = (name, feature, segment_key, statistic)
        if key not in self._cache:
            self._cache[key] = _texts(series.texts.get(statistic, ()))
        reference: TextReference | None = self._cache[key]
        return reference

    def changed(
        self, reference: str, feature: FeatureKey, now: Mapping[str, tuple[str, int]], since_us: int
    ) -> dict[str, int]:
        """Return since when each evaluator (and ``pass_rate``) is comparable with a pin.

        That is 0 if the pin was counted by the same version of the evaluator, else ``NEVER_US``: what another
        version counted is another statistic.

        Args:
            reference: name of the reference, as the configuration has it.
            now: evaluator -> its identity, and since when it has that one, microseconds.
            since_us: an evaluator that changed later has counted a part of the window in its earlier version.
        """
        pinned = self._features.get((pinned_name(reference) or "", feature))
        before = pinned.evaluators if pinned is not None else {}
        return {
            name: 0 if before.get(name) == identity and changed_us <= since_us else NEVER_US
            for name, (identity, changed_us) in now.items()
        }

    def _find_series(
        self, name: str, feature: FeatureKey, segment_key: SegmentKey | None
    ) -> tuple[SegmentKey | None, PinnedSeries | None]:
        series = self._series.get((name, feature), {})
        key = _sort_dimensions(segment_key) if segment_key is not None else None
        return (key, series[key]) if key in series else (None, series.get(None))


def pin_fault(pin: Pin) -> str:
    """Return why this release cannot use a pin, with the remedy; empty if it can. Reads all of the pin."""
    if fault := _format_fault(pin):
        return fault
    for number, feature in enumerate(pin.features):
        for series in (feature.whole, *feature.segments):
            try:
                if (
                    series.events < MIN_REFERENCE_EVENTS
                    or _reference(pin.name, series).pane.events != series.events
                ):
                    return f"features[{number}]: what it holds is not what it says it holds; {_remedy(pin)}"
                for sketches in series.texts.values():
                    _texts(sketches)
            except (ValueError, RecursionError) as error:
                return f"features[{number}]: cannot be read: {error}; {_remedy(pin)}"
    return ""


def _reference(name: str, series: PinnedSeries) -> Reference:
    blocks = []
    for block in series.blocks:
        start_us = microseconds(block.start)
        blocks.append(Pane.from_state(start_us, format_versions.decode_record("pane", block.pane)))
    whole, kept = merge_panes(blocks, blocks[0].start_us), tuple(blocks)
    return Reference(
        name, microseconds(series.start), microseconds(series.end), whole, lambda: kept, {}, is_pinned=True
    )


def _texts(sketches: Sequence[bytes]) -> TextReference | None:
    blocks, whole = tuple(TextSketch.from_state(sketch) for sketch in sketches), TextSketch()
    for block in blocks:
        whole.merge(block)
    if whole.n < MIN_REFERENCE_TEXTS:
        return None
    return TextReference(whole.packed(), lambda: blocks, is_young=False, cache={})


def _format_fault(pin: Pin) -> str:
    ours = {
        "layout": format_versions.LAYOUT,
        "histogram_scale": MAX_SCALE,
        "text_sketch": text_sketch.VERSION,
    }
    theirs = {"layout": pin.layout, "histogram_scale": pin.histogram_scale, "text_sketch": pin.text_sketch}
    # Older layouts are migrated.
    if theirs == ours or (
        theirs | {"layout": format_versions.LAYOUT} == ours and 1 <= pin.layout < format_versions.LAYOUT
    ):
        return ""
    differences = ", ".join(
        f"{name} {value} and not {ours[name]}" for name, value in theirs.items() if value != ours[name]
    )
    return f"was counted otherwise than this release does ({differences}); {_remedy(pin)}"


def _remedy(pin: Pin) -> str:
    return (
        f"pin it anew: python -m monitor baseline pin {pin.name} --from {rfc3339(pin.from_)} --to"
        f" {rfc3339(pin.to)} FILES"
    )


def _segment_key(segment: PinnedSegment) -> SegmentKey:
    return _sort_dimensions(
        SegmentKey(segment.model, segment.prompt_version, segment.variant, tuple(segment.dimensions.items()))
    )


def _sort_dimensions(segment_key: SegmentKey) -> SegmentKey:
    """Return the key with sorted dimensions: their order in the configuration may have changed."""
    return segment_key._replace(dimensions=tuple(sorted(segment_key.dimensions)))
