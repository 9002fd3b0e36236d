"""Changes: a version of the prompt or the service, a requested model or an answering model that a feature
uses for the first time. A change is no fault.

A change is written once, from five events on; none of a feature's first ten minutes, when everything is new,
and none where new names are usual. Only panes decide this, with the names that were decided within the last
day: when these are dropped, panes know them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any

from monitor.diagnosis.recent_rollouts import (
    ANSWERING,
    LEAST_BEFORE_US,
    OFTEN,
    PANED,
    SHORTLY_US,
    names_in,
)
from monitor.diagnosis.version_history import (
    Version,
    first_pane_us,
    newest_panes,
    previous_name,
    rolled_up_panes,
    versions_in,
    versions_of,
)
from monitor.protocol.messages import OutputRecord, Outputs, to_json
from monitor.state.partition_state import PartitionState
from monitor.stats.category_counts import OTHER
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import OVERFLOW, UNLABELLED, FeatureKey, SegmentKey
from monitor.windows.segment_series import DAY, DAY_US, FINE, HOUR, HOUR_US, SegmentSeries
from schemas.times import rfc3339

LEAST = 5  # events: fewer may be stray, and what is in use has five soon
DECIDED = 64  # names that a feature remembers; the oldest is dropped first


class ChangeRecord(OutputRecord, frozen=True, kw_only=True, tag="change"):
    """A change. ``before``: the name that was used most until then; empty where none is known."""

    change_id: str
    service: str
    feature: str
    environment: str
    kind: str
    name: str
    before: str
    time: str
    decided_at: str


class ChangeDetector:
    """Finds the names among the counts since the last edge that are new, and writes them as changes."""

    def __init__(self, partition_state: PartitionState) -> None:
        self._partition_state = partition_state
        self._old: dict[FeatureKey, set[Version]] = {}  # a cache of the names that older panes have
        self._day = 0

    def look(
        self,
        feature: FeatureState,
        fresh: Sequence[tuple[SegmentKey, Any]],
        edge_us: int,
        decided_us: int,
        out: Outputs,
    ) -> None:
        """Write a ``change`` for each name that is in use from now on and was not before.

        Args:
            feature: whose names are read.
            fresh: its segments with events since the last edge.
            edge_us: the pane edge, microseconds since 1970.
            decided_us: the wall clock.
            out: takes the records.
        """
        # panes end after 90 days: a process that runs for longer must decide as a restarted one
        if self._day != edge_us // DAY_US:
            self._day = edge_us // DAY_US
            self._old.clear()
        old = self._old.setdefault(feature.key, set())
        in_labels: dict[Version, None] = {}
        in_panes: dict[Version, None] = {}
        for key, _ in fresh:
            pane = feature.segments[key].panes.get(edge_us - self._partition_state.pane_us)
            # a late event's pane is read when later ones have more of the name
            if pane is None or not pane.events or key in (OVERFLOW, UNLABELLED):
                continue
            in_labels |= dict.fromkeys(version for version in versions_of(key) if version not in old)
            in_panes |= dict.fromkeys(version for version in versions_in(pane, key) if version not in old)
        # segments that left took their names with them
        if in_labels and not _overflows(feature, edge_us):
            self._decide(feature, self._new_in_labels(feature, in_labels), edge_us, decided_us, out)
        for kind in PANED:
            names = [name for version_kind, name in in_panes if version_kind == kind]
            if names:
                self._decide(feature, self._new_in_panes(feature, kind, names), edge_us, decided_us, out)

    def _new_in_labels(
        self, feature: FeatureState, versions: Iterable[Version]
    ) -> dict[Version, list[SegmentSeries]]:
        """Return the new ones of these versions, with the segments that have them."""
        new: dict[Version, list[SegmentSeries]] = {}
        for version in sorted(
            version for version in versions if _text(version) not in feature.decided_changes
        ):
            segments = [
                segment for key, segment in sorted(feature.segments.items()) if version in versions_of(key)
            ]
            older = sum(pane.events for pane in rolled_up_panes(segments))
            if older >= LEAST:
                self._old[feature.key].add(version)
            elif older + sum(pane.events for segment in segments for pane in segment.panes.values()) >= LEAST:
                new[version] = segments
        return new

    def _new_in_panes(
        self, feature: FeatureState, kind: str, names: Sequence[str]
    ) -> dict[Version, list[SegmentSeries]]:
        """Do the same for a kind that only panes count. An old name stands in the panes just before, so few
        are unpacked.
        """
        undecided = [
            name
            for name in sorted(names)
            if _text((kind, name)) not in feature.decided_changes and name != OTHER
        ]
        counts = dict.fromkeys(undecided, 0)
        segments: dict[str, dict[SegmentKey, SegmentSeries]] = {name: {} for name in undecided}
        for segment, pane in newest_panes(feature, FINE) if counts else ():
            for name, n in names_in(pane, PANED[kind]).items():
                if name in counts:
                    counts[name] += n
                    segments[name][segment.key] = segment
        counts = dict.fromkeys((name for name, n in counts.items() if n >= LEAST), 0)
        for _, pane in newest_panes(feature, HOUR, DAY) if counts else ():
            in_pane = names_in(pane, PANED[kind])
            for name, n in in_pane.items():
                if name in counts:
                    counts[name] += n
            # a pane with too many names does not say which
            old = list(counts) if OTHER in in_pane else [name for name, n in counts.items() if n >= LEAST]
            self._old[feature.key].update((kind, name) for name in old)
            counts = {name: n for name, n in counts.items() if name not in old}
            if not counts:
                break
        return {(kind, name): [segments[name][key] for key in sorted(segments[name])] for name in counts}

    def _decide(
        self,
        feature: FeatureState,
        new: dict[Version, list[SegmentSeries]],
        edge_us: int,
        decided_us: int,
        out: Outputs,
    ) -> None:
        """Write the changes among the new versions; remember all, so that each is decided once."""
        recent = [text for text, at_us in feature.decided_changes.items() if at_us > edge_us - SHORTLY_US]
        for kind in sorted({kind for kind, _ in new}):
            versions = [version for version in new if version[0] == kind]
            often = sum(text.startswith(_text((kind, ""))) for text in recent) + len(versions) > OFTEN
            for version in versions:
                begun_us = first_pane_us(version, new[version])
                # the answering model of a new requested model
                is_implied = kind == ANSWERING and all(
                    _text(("model", segment.key.model)) in recent for segment in new[version]
                )
                if not (often or is_implied or begun_us - feature.first_us < LEAST_BEFORE_US):
                    before = previous_name(feature, version, new[version], begun_us)
                    key = feature.key
                    record = _record(key, version, before, edge_us, decided_us)
                    out.write("alerts", f"{key.service}/{key.feature}".encode(), record, 0)
                feature.decided_changes[_text(version)] = edge_us
        if new:
            decided = [
                (text, at_us) for text, at_us in feature.decided_changes.items() if at_us > edge_us - DAY_US
            ]
            feature.decided_changes = dict(decided[-DECIDED:])
            self._partition_state.mark_feature(feature.key)


def _text(version: Version) -> str:
    return f"{version[0]}: {version[1]}"


def _overflows(feature: FeatureState, edge_us: int) -> bool:
    """Whether segments left within the last day, for there are too many.

    Where labels that never repeat were the cause, those that leave from then on keep their other labels.
    """
    other = feature.segments.get(OVERFLOW)
    # by the hour: the same before and after a restart
    detected_us = (
        label.since_us // HOUR_US * HOUR_US + HOUR_US for label in feature.unrepeated.labels.values()
    )
    first_us = max(((edge_us - DAY_US) // HOUR_US * HOUR_US, *detected_us))
    return other is not None and other.active_us >= first_us


def _record(key: FeatureKey, version: Version, before: str, edge_us: int, decided_us: int) -> ChangeRecord:
    kind, name = version
    # without the edge: the same change has one id, whenever it is found
    digest = hashlib.blake2b(to_json([*key, *version]), digest_size=10).hexdigest()
    return ChangeRecord(
        change_id=digest,
        service=key.service,
        feature=key.feature,
        environment=key.environment,
        kind=kind,
        name=name,
        before=before,
        time=rfc3339(edge_us),
        decided_at=rfc3339(decided_us),
    )
