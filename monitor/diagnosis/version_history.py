"""Read from the panes of a feature which versions are in use, since when, and which were in use before."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from monitor.diagnosis.recent_rollouts import ANSWERING, PANED, SEARCHED, SERVICE_VERSION, names_in
from monitor.windows.feature_series import FeatureState
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import SegmentKey
from monitor.windows.segment_series import DAY, HOUR, HOUR_US, SegmentSeries

Version = tuple[str, str]
"""Kind and name, like ``("prompt version", "v8")``."""


def versions_of(key: SegmentKey) -> list[Version]:
    """Return the versions that all events of a segment have.

    >>> versions_of(SegmentKey("gpt-x", "v8", "b", (("service_version", "2.1"), ("plan", "free"))))
    [('prompt version', 'v8'), ('model', 'gpt-x'), ('service version', '2.1')]
    """
    labelled = [
        (name.replace("_", " "), value) for name, value in key.dimensions if "version" in name and value
    ]
    own = (("prompt version", key.prompt_version), ("model", key.model))
    return [(kind, name) for kind, name in own if name] + labelled


def versions_in(pane: Pane, key: SegmentKey) -> Iterator[Version]:
    """Yield the versions that only panes count. ``key``: of their segment, which may have one as a label."""
    for kind, category in PANED.items():
        counts = pane.categories.get(category)
        is_label = kind == SERVICE_VERSION and any(
            name == category and value for name, value in key.dimensions
        )
        if counts is not None and not is_label:
            for labels in counts.classes.values():
                for name in labels:
                    yield kind, name


def rolled_up_panes(segments: Sequence[SegmentSeries]) -> Iterator[Pane]:
    """Yield the panes that are rolled up."""
    return (
        pane
        for segment in segments
        for resolution in (HOUR, DAY)
        for pane in segment.panes_by_resolution[resolution].values()
    )


def newest_panes(feature: FeatureState, *resolutions: str) -> list[tuple[SegmentSeries, Pane]]:
    """Return the panes to search, the newest first."""
    panes = [
        (segment, pane)
        for _, segment in sorted(feature.segments.items())
        for resolution in resolutions
        for pane in segment.panes_by_resolution[resolution].values()
    ]
    return sorted(panes, key=lambda pair: -pair[1].start_us)[:SEARCHED]


def first_pane_us(version: Version, segments: Sequence[SegmentSeries]) -> int:
    """Return the start of the first pane that has it; of an answering model, of those that are not rolled up:
    the others take long to unpack, and have few.
    """
    kind, name = version
    if not any(version in versions_of(segment.key) for segment in segments):
        return min(
            pane.start_us
            for segment in segments
            for pane in segment.panes.values()
            if name in names_in(pane, PANED[kind])
        )
    return min(
        pane.start_us
        for segment in segments
        for pane in (*segment.panes.values(), *rolled_up_panes([segment]))
        if pane.events
    )


def previous_name(
    feature: FeatureState, version: Version, segments: Sequence[SegmentSeries], begun_us: int
) -> str:
    """Return the name of this kind with most events in the hour before; of answering models, where the same
    model was requested.
    """
    kind, name = version
    models = {segment.key.model for segment in segments}
    totals: dict[str, int] = {}
    for key, segment in feature.segments.items():
        if kind == ANSWERING and key.model not in models:
            continue
        for pane in segment.window(begun_us - HOUR_US, begun_us):
            counts = {other: pane.events for other_kind, other in versions_of(key) if other_kind == kind}
            if not counts and kind in PANED:
                counts = names_in(pane, PANED[kind])
            for other, n in counts.items():
                totals[other] = totals.get(other, 0) + n
    totals.pop(name, None)
    return max(sorted(totals), key=lambda other: totals[other], default="")
