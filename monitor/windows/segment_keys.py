"""Keys: the feature of one environment, and its segments."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

OTHER = "other"

Level = Literal["segment", "feature"]
"""Whether a record is of one segment, or of the feature as a whole."""


class FeatureKey(NamedTuple):
    """One feature in one environment."""

    service: str
    feature: str
    environment: str


class SegmentKey(NamedTuple):
    """A segment: the finest label set that is measured.

    ``dimensions`` are (name, value) pairs in the order of the configuration.
    """

    model: str = ""
    prompt_version: str = ""
    variant: str = ""
    dimensions: tuple[tuple[str, str], ...] = ()


UNLABELLED = SegmentKey()
"""The segment of feedback and evaluations without labels, which count at feature level only."""

OVERFLOW = SegmentKey(OTHER, OTHER, OTHER)
"""The segment of all segments beyond the cap."""


def segment_labels(feature: FeatureKey, segment: SegmentKey | None) -> dict[str, Any]:
    """Return the labels that records carry, of a segment or (None) of the whole feature."""
    key = segment or UNLABELLED
    return {
        "level": "feature" if segment is None else "segment",
        "service": feature.service,
        "feature": feature.feature,
        "environment": feature.environment,
        "model": key.model,
        "prompt_version": key.prompt_version,
        "variant": key.variant,
        "dimensions": dict(key.dimensions),
    }


def segment_to_json(segment: SegmentKey | None) -> Any:
    """Return a segment as JSON arrays, for keys of state records; None stays None."""
    if segment is None:
        return None
    dimensions = [list(pair) for pair in segment.dimensions]
    return [segment.model, segment.prompt_version, segment.variant, dimensions]


def segment_from_json(value: Any) -> SegmentKey | None:
    """Restore a segment from ``segment_to_json``.

    >>> segment_from_json(segment_to_json(SegmentKey("m", dimensions=(("region", "eu"),))))
    SegmentKey(model='m', prompt_version='', variant='', dimensions=(('region', 'eu'),))
    """
    if value is None:
        return None
    model, prompt_version, variant, dimensions = value
    return SegmentKey(model, prompt_version, variant, tuple((name, item) for name, item in dimensions))
