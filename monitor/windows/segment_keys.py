"""What is measured: the feature of one environment, and its segments."""

from __future__ import annotations

from typing import Any, NamedTuple

OTHER = "other"


class FeatureKey(NamedTuple):
    """One feature in one environment."""

    service: str
    feature: str
    environment: str


class SegmentKey(NamedTuple):
    """The finest thing measured. ``dimensions`` are (name, value) pairs in the configuration's order."""

    model: str = ""
    prompt_version: str = ""
    variant: str = ""
    dimensions: tuple[tuple[str, str], ...] = ()


UNLABELLED = SegmentKey()
"""Where feedback and evaluations without labels go: counted at feature level only."""

OVERFLOW = SegmentKey(OTHER, OTHER, OTHER)
"""Where segments beyond the cap go."""


def segment_labels(feature: FeatureKey, segment: SegmentKey | None) -> dict[str, Any]:
    """The labels of a segment (None: of the feature as a whole) as records carry them."""
    level = "feature" if segment is None else "segment"
    at = segment or UNLABELLED
    return {
        "level": level,
        "service": feature.service,
        "feature": feature.feature,
        "environment": feature.environment,
        "model": at.model,
        "prompt_version": at.prompt_version,
        "variant": at.variant,
        "dimensions": dict(at.dimensions),
    }


def segment_to_json(segment: SegmentKey | None) -> Any:
    """A segment as JSON arrays, for state keys; None stays None."""
    return (
        None
        if segment is None
        else [
            segment.model,
            segment.prompt_version,
            segment.variant,
            [list(pair) for pair in segment.dimensions],
        ]
    )


def segment_from_json(value: Any) -> SegmentKey | None:
    """Back from ``segment_to_json``."""
    if value is None:
        return None
    model, prompt_version, variant, dimensions = value
    return SegmentKey(model, prompt_version, variant, tuple((name, item) for name, item in dimensions))
