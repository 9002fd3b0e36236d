"""What a feature uses for the first time: a version of the prompt or the service, a model, a model that
answers. It is no fault: a change.

Told once, from five events on, and not of a feature that is ten minutes old, for everything is new there.
Where new names come all the time, nothing is told. All that decides this are the panes, and the names that
were decided within the last day: when they are forgotten, the panes know.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from monitor.diagnosis.recent_rollouts import (
    ANSWERING,
    LEAST_BEFORE_US,
    OFTEN,
    PANED,
    SEARCHED,
    SERVICE_VERSION,
    SHORTLY_US,
    names_in,
)
from monitor.protocol.messages import Message, Outputs, to_json
from monitor.state.partition_state import PartitionState
from monitor.stats.category_counts import OTHER
from monitor.windows.feature_series import DAY, DAY_US, FINE, HOUR, HOUR_US, FeatureState, SegmentSeries
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import OVERFLOW, UNLABELLED, FeatureKey, SegmentKey
from schemas.times import rfc3339

LEAST = 5  # events: a stray one is no change, and what is really used has five soon
DECIDED = 64  # names that a feature remembers; the oldest goes first

Name = tuple[str, str]
"""Kind and name."""


class Changes:
    """Looks at what was counted since the last edge, and writes what is new in it."""

    def __init__(self, partition_state: PartitionState) -> None:
        self._partition_state = partition_state
        self._known: dict[FeatureKey, set[Name]] = {}  # only to be quick: names that older panes have
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
            feature: at which to look.
            fresh: its segments that were counted into since the last edge.
            edge_us: the pane edge, microseconds since 1970.
            decided_us: the wall clock.
            out: where to write.
        """
        # panes end after 90 days: whoever runs for longer must say what one says that was restarted
        if self._day != edge_us // DAY_US:
            self._day = edge_us // DAY_US
            self._known.clear()
        known = self._known.setdefault(feature.key, set())
        asked: dict[Name, None] = {}
        counted: dict[Name, None] = {}
        for at, _ in fresh:
            pane = feature.segments[at].panes.get(edge_us - self._partition_state.pane_us)
            # late: looked at when there is more of it
            if pane is None or not pane.events or at in (OVERFLOW, UNLABELLED):
                continue
            asked |= dict.fromkeys(name for name in names_of(at) if name not in known)
            for kind, category in PANED.items():
                held = pane.categories.get(category)
                if held is not None and not (
                    kind == SERVICE_VERSION
                    and any(name == category and value for name, value in at.dimensions)
                ):
                    for names in held.classes.values():
                        counted |= dict.fromkeys(one for name in names if (one := (kind, name)) not in known)
        if asked and not _overflows(feature, edge_us):  # segments that left took with them what was known
            self._decide(feature, self._of_segments(feature, asked), edge_us, decided_us, out)
        for kind in PANED:
            if mine := [name for of, name in counted if of == kind]:
                self._decide(feature, self._of_panes(feature, kind, mine), edge_us, decided_us, out)

    def _of_segments(self, feature: FeatureState, names: dict[Name, None]) -> dict[Name, list[SegmentSeries]]:
        """Those that are new, with the segments that have them."""
        new: dict[Name, list[SegmentSeries]] = {}
        for name in sorted(name for name in names if _text(name) not in feature.decided_changes):
            mine = [one for key, one in sorted(feature.segments.items()) if name in names_of(key)]
            if sum(pane.events for pane in _older(mine)) >= LEAST:
                self._known[feature.key].add(name)
            elif sum(pane.events for one in mine for pane in (*one.panes.values(), *_older([one]))) >= LEAST:
                new[name] = mine
        return new

    def _of_panes(
        self, feature: FeatureState, kind: str, names: Sequence[str]
    ) -> dict[Name, list[SegmentSeries]]:
        """The same of what only panes know, as models that answer. An old one is found in the panes just
        before, so few are opened.
        """
        left = {
            name: 0
            for name in sorted(names)
            if _text((kind, name)) not in feature.decided_changes and name != OTHER
        }
        held: dict[str, dict[SegmentKey, SegmentSeries]] = {name: {} for name in left}
        for segment, pane in _newest(feature, FINE) if left else ():
            for name, n in names_in(pane, PANED[kind]).items():
                if name in left:
                    left[name] += n
                    held[name][segment.key] = segment
        left = dict.fromkeys((name for name, n in left.items() if n >= LEAST), 0)
        for _, pane in _newest(feature, HOUR, DAY) if left else ():
            counted = names_in(pane, PANED[kind])
            for name, n in counted.items():
                if name in left:
                    left[name] += n
            # too many names to know which
            found = list(left) if OTHER in counted else [name for name, n in left.items() if n >= LEAST]
            self._known[feature.key].update((kind, name) for name in found)
            left = {name: n for name, n in left.items() if name not in found}
            if not left:
                break
        return {(kind, name): [held[name][key] for key in sorted(held[name])] for name in left}

    def _decide(
        self,
        feature: FeatureState,
        new: dict[Name, list[SegmentSeries]],
        edge_us: int,
        decided_us: int,
        out: Outputs,
    ) -> None:
        """Write those that are news; remember all, so that they are decided once."""
        lately = [text for text, at_us in feature.decided_changes.items() if at_us > edge_us - SHORTLY_US]
        for kind in sorted({kind for kind, _ in new}):
            mine = [name for name in new if name[0] == kind]
            often = sum(text.startswith(_text((kind, ""))) for text in lately) + len(mine) > OFTEN
            for name in mine:
                begun_us = _begun_us(name, new[name])
                # it is what was asked for
                implied = kind == ANSWERING and all(
                    _text(("model", one.key.model)) in lately for one in new[name]
                )
                if not (often or implied or begun_us - feature.first_us < LEAST_BEFORE_US):
                    before = _before(feature, name, new[name], begun_us)
                    key = feature.key
                    out.add(
                        "alerts",
                        Message(
                            f"{key.service}/{key.feature}".encode(),
                            to_json(_record(key, name, before, edge_us, decided_us)),
                            0,
                        ),
                    )
                feature.decided_changes[_text(name)] = edge_us
        if new:
            kept = [
                (text, at_us) for text, at_us in feature.decided_changes.items() if at_us > edge_us - DAY_US
            ]
            feature.decided_changes = dict(kept[-DECIDED:])
            self._partition_state.mark_feature(feature.key)


def names_of(key: SegmentKey) -> list[Name]:
    """The names that all events of a segment have.

    >>> names_of(SegmentKey("gpt-x", "v8", "b", (("service_version", "2.1"), ("plan", "free"))))
    [('prompt version', 'v8'), ('model', 'gpt-x'), ('service version', '2.1')]
    """
    versions = [
        (name.replace("_", " "), value) for name, value in key.dimensions if "version" in name and value
    ]
    return [
        (kind, name) for kind, name in (("prompt version", key.prompt_version), ("model", key.model)) if name
    ] + versions


def _text(name: Name) -> str:
    return f"{name[0]}: {name[1]}"


def _overflows(feature: FeatureState, edge_us: int) -> bool:
    other = feature.segments.get(OVERFLOW)
    # by the hour: the same before and after a restart
    return other is not None and other.active_us >= (edge_us - DAY_US) // HOUR_US * HOUR_US


def _older(segments: Sequence[SegmentSeries]) -> Iterator[Pane]:
    return (
        pane
        for one in segments
        for resolution in (HOUR, DAY)
        for pane in one.panes_by_resolution[resolution].values()
    )


def _newest(feature: FeatureState, *resolutions: str) -> list[tuple[SegmentSeries, Pane]]:
    """So many as are searched, the newest first."""
    panes = [
        (one, pane)
        for _, one in sorted(feature.segments.items())
        for resolution in resolutions
        for pane in one.panes_by_resolution[resolution].values()
    ]
    return sorted(panes, key=lambda one: -one[1].start_us)[:SEARCHED]


def _begun_us(name: Name, segments: Sequence[SegmentSeries]) -> int:
    """Start of the first pane that has it; of a model that answers, of those that are not rolled up: the
    others take long to open, and have few.
    """
    if not any(name in names_of(one.key) for one in segments):
        return min(
            pane.start_us
            for one in segments
            for pane in one.panes.values()
            if name[1] in names_in(pane, PANED[name[0]])
        )
    return min(
        pane.start_us for one in segments for pane in (*one.panes.values(), *_older([one])) if pane.events
    )


def _before(feature: FeatureState, name: Name, mine: Sequence[SegmentSeries], begun_us: int) -> str:
    """What had most events in the hour before; of models that answer, where the same was asked for."""
    counted: dict[str, int] = {}
    models = {one.key.model for one in mine}
    for key, segment in feature.segments.items():
        if name[0] == ANSWERING and key.model not in models:
            continue
        for pane in segment.window(begun_us - HOUR_US, begun_us):
            labels = {other: pane.events for kind, other in names_of(key) if kind == name[0]}
            for other, n in (labels or (names_in(pane, PANED[name[0]]) if name[0] in PANED else {})).items():
                counted[other] = counted.get(other, 0) + n
    counted.pop(name[1], None)
    return max(sorted(counted), key=lambda other: counted[other], default="")


def _record(key: FeatureKey, name: Name, before: str, edge_us: int, decided_us: int) -> dict[str, Any]:
    # not the edge: the same change has one id, whenever it is found
    digest = hashlib.blake2b(to_json([*key, *name]), digest_size=10).hexdigest()
    return {
        "record": "change", "change_id": digest, "service": key.service, "feature": key.feature, "environment": key.environment,
        "kind": name[0], "name": name[1], "before": before, "time": rfc3339(edge_us), "decided_at": rfc3339(decided_us),
    }  # fmt: skip
