"""References that were pinned by name, found again. They stay what they were, whatever happens since."""

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
from schemas.pin_file import Pin, Pinned, PinnedFeature, PinnedSegment, Series, pinned_name
from schemas.times import microseconds, rfc3339

NEVER_US = 2**62


class PinnedReferences:
    """The pins of a configuration. A series is read when it is first asked for, and is the same object from
    then on.

    Raises:
        ValueError: one of them was not read, or is of a release that counted otherwise.
    """

    def __init__(self, pinned: Mapping[str, Pinned]) -> None:
        self._features: dict[tuple[str, FeatureKey], PinnedFeature] = {}
        self._series: dict[tuple[str, FeatureKey], dict[SegmentKey | None, Series]] = {}
        self._found: dict[Any, Any] = {}
        for name, one in pinned.items():
            if one.pin is None:
                raise ValueError(f"pinned.{name}.file: {one.file} was not read; schemas.config.load reads it")
            if fault := _foreign(one.pin):
                raise ValueError(f"pinned.{name}.file: {fault}")
            for feature in one.pin.features:
                key = FeatureKey(feature.service, feature.feature, feature.environment)
                self._features[name, key] = feature
                self._series[name, key] = {
                    None: feature.whole,
                    **{_at(segment): segment for segment in feature.segments},
                }

    def find(self, name: str, feature: FeatureKey, at: SegmentKey | None) -> Reference | None:
        """How a series was (``at`` None: the whole feature). A segment that the pin does not know is held
        against the whole feature.
        """
        at, series = self._series_of(name, feature, at)
        if series is None:
            return None
        known: Reference | None = self._found.get((name, feature, at))
        if known is None:
            known = self._found[name, feature, at] = _reference(f"pinned {name}", series)
        return known

    def texts(
        self, name: str, feature: FeatureKey, at: SegmentKey | None, statistic: str
    ) -> TextReference | None:
        """The same of texts; None where there were too few."""
        at, series = self._series_of(name, feature, at)
        if series is None:
            return None
        key = (name, feature, at, statistic)
        if key not in self._found:
            self._found[key] = _texts(series.texts.get(statistic, ()))
        found: TextReference | None = self._found[key]
        return found

    def changed(
        self, reference: str, feature: FeatureKey, now: Mapping[str, tuple[str, int]], since_us: int
    ) -> dict[str, int]:
        """Evaluator (and ``pass_rate``) -> 0 if it counted as it does now, else ``NEVER_US``: what another
        one counted is another statistic.

        Args:
            now: evaluator -> its identity, and since when it is that one, as the book has it.
            since_us: one that changed later has counted windows together with the one before.
        """
        pinned = self._features.get((pinned_name(reference) or "", feature))
        before = pinned.evaluators if pinned is not None else {}
        return {
            name: 0 if before.get(name) == identity and at_us <= since_us else NEVER_US
            for name, (identity, at_us) in now.items()
        }

    def _series_of(
        self, name: str, feature: FeatureKey, at: SegmentKey | None
    ) -> tuple[SegmentKey | None, Series | None]:
        known = self._series.get((name, feature), {})
        at = _sorted(at) if at is not None else None
        return (at, known[at]) if at in known else (None, known.get(None))


def pin_fault(pin: Pin) -> str:
    """What keeps this release from using a pin, with the remedy; empty if nothing does. It reads all of it."""
    if fault := _foreign(pin):
        return fault
    for number, feature in enumerate(pin.features):
        for series in (feature.whole, *feature.segments):
            try:
                if (
                    series.events < MIN_REFERENCE_EVENTS
                    or _reference(pin.name, series).pane.events != series.events
                ):
                    return f"features[{number}]: what it holds is not what it says it holds; {_anew(pin)}"
                for sketches in series.texts.values():
                    _texts(sketches)
            except ValueError as error:
                return f"features[{number}]: cannot be read: {error}; {_anew(pin)}"
    return ""


def _reference(name: str, series: Series) -> Reference:
    blocks = []
    for block in series.blocks:
        start_us = microseconds(block.start)
        blocks.append(Pane.from_state(start_us, format_versions.decode_record("pane", block.pane)))
    whole = merge_panes(blocks, blocks[0].start_us)
    return Reference(
        name, microseconds(series.start), microseconds(series.end), whole, tuple(blocks), {}, is_pinned=True
    )


def _texts(sketches: Sequence[bytes]) -> TextReference | None:
    blocks, whole = tuple(TextSketch.from_state(sketch) for sketch in sketches), TextSketch()
    for block in blocks:
        whole.merge(block)
    return TextReference(whole, blocks, is_young=False, cache={}) if whole.n >= MIN_REFERENCE_TEXTS else None


def _foreign(pin: Pin) -> str:
    ours = {
        "layout": format_versions.LAYOUT,
        "histogram_scale": MAX_SCALE,
        "text_sketch": text_sketch.VERSION,
    }
    theirs = {"layout": pin.layout, "histogram_scale": pin.histogram_scale, "text_sketch": pin.text_sketch}
    # older layouts are migrated
    if theirs == ours or (
        theirs | {"layout": format_versions.LAYOUT} == ours and 1 <= pin.layout < format_versions.LAYOUT
    ):
        return ""
    told = ", ".join(
        f"{name} {value} and not {ours[name]}" for name, value in theirs.items() if value != ours[name]
    )
    return f"was counted otherwise than this release does ({told}); {_anew(pin)}"


def _anew(pin: Pin) -> str:
    return (
        f"pin it anew: python -m monitor baseline pin {pin.name} --from {rfc3339(pin.from_)} --to"
        f" {rfc3339(pin.to)} FILES"
    )


def _at(segment: PinnedSegment) -> SegmentKey:
    return _sorted(
        SegmentKey(segment.model, segment.prompt_version, segment.variant, tuple(segment.dimensions.items()))
    )


def _sorted(at: SegmentKey) -> SegmentKey:
    """The same segment, in whatever order the configuration names the dimensions."""
    return at._replace(dimensions=tuple(sorted(at.dimensions)))
