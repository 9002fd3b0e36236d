"""A partition in the order of its log: watermark, edges, panes with their revisions, refused, forwarded and
expired events.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.durability.soak import oracle_events as events
from tests.durability.soak import oracle_figures as figures
from tests.durability.soak.oracle_counts import Pane, add_rate, count
from tests.durability.soak.oracle_desk import UNLABELLED, At, Desk, Feature, Key, labels
from tests.durability.soak.oracle_rules import FINE_US, HOUR_US, rules_of, seconds
from tests.durability.soak.oracle_texts import TextChoice
from tests.durability.soak.oracle_verdicts import Judges, judges_of

LATE_US = HOUR_US // 2  # rules ignore events that arrive this long after their time

# edges that are evaluated after each pane when time jumps; architecture.md: a jump never walks the empty
# panes
WALK = 120
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339(microseconds: int) -> str:
    """Format a time in the form of records."""
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat().replace("+00:00", "Z")


class Partition:
    """Expected state of a partition after some of its records."""

    def __init__(self, settings: dict[str, Any], number: int, partitions: int) -> None:
        self._settings, self._number, self._partitions = settings, number, partitions
        time = settings.get("time", {})
        self.pane_us = round(seconds(time.get("pane", 60)) * 1e6)
        self._lateness_us = round(seconds(time.get("lateness", 30)) * 1e6)
        rules = rules_of(settings)
        self._ruled = {rule.on for rule in rules}
        self.desk = Desk(rules, tuple(settings.get("page_environments", ("production",))), self.pane_us)
        self.features: dict[Key, Feature] = {}
        self.panes: dict[tuple[Key, At], dict[int, Pane]] = {}
        self._unwritten: dict[int, set[tuple[Key, At]]] = {}
        # start -> series -> rate -> counts since its last window
        self._fresh: dict[int, dict[tuple[Key, At], dict[str, figures.Classes]]] = {}
        self._on_time: dict[tuple[Key, At], dict[int, dict[str, figures.Classes]]] = {}
        self._known: dict[tuple[Key, At | None, int], dict[str, figures.Units]] = {}  # at the last window
        self._judges: dict[tuple[str, str], tuple[Judges, bool]] = {}
        self._texts: dict[Key, TextChoice] = {}
        self.watermark_us: int | None = None
        self._rolled_us = 0
        self.refused: list[tuple[int, str]] = []
        self.forwarded: list[tuple[int, Any]] = []  # offset and record
        self.copies: list[tuple[int, Any]] = []
        self.expired = self.late = 0

    @property
    def edge_us(self) -> int | None:
        """The last edge closed by the records."""
        return None if self.watermark_us is None else self.watermark_us // self.pane_us * self.pane_us

    def take(self, record: Any) -> None:
        """Apply the next record of the log."""
        is_copy = any(name == events.FORWARDED for name, _ in record.headers)
        if is_copy:
            self.copies.append((record.offset, record))
        try:
            event = events.read(record)
            judges, is_own = self._of(event["service"], event["feature"])
            if not is_own and is_copy:
                raise events.Refused("misplaced")
        except events.Refused as refused:
            self.refused.append((record.offset, str(refused)))
            return
        if not is_own:
            self.forwarded.append((record.offset, record))
            return
        self.advance(event["seen_us"] - self._lateness_us)
        self._count(event, judges)

    def advance(self, watermark_us: int) -> None:
        """Advance the watermark, never back, and close every edge up to it."""
        if self.watermark_us is None:
            self.watermark_us = watermark_us
        elif watermark_us > self.watermark_us:
            for edge_us in self._edges(watermark_us):
                self._close(edge_us)
            self.watermark_us = watermark_us

    def finish(self) -> None:
        """Close every pane with events, at the end of the log."""
        if self._unwritten:
            self.advance(max(self._unwritten) + self.pane_us)
        if self._unwritten and self.edge_us is not None:
            self.advance(self.edge_us + self.pane_us)

    def _of(self, service: str, feature: str) -> tuple[Judges, bool]:
        feature_id = service, feature
        if feature_id not in self._judges:
            self._judges[feature_id] = (
                judges_of(self._settings, *feature_id),
                events.partition_of(*feature_id, self._partitions) == self._number,
            )
        return self._judges[feature_id]

    def _count(self, event: dict[str, Any], judges: Judges) -> None:
        key = event["service"], event["feature"], event["environment"]
        feature = self.features.get(key) or self.features.setdefault(key, Feature(key, self.pane_us))
        if event["kind"] == "meter":
            return
        start_us, closed_us = event["time_us"] // self.pane_us * self.pane_us, self.edge_us or 0
        if start_us + self.pane_us <= closed_us - FINE_US:
            self.expired += 1
            return
        self.late += start_us + self.pane_us <= closed_us
        segment_key = self._segment(event, judges)
        pane = self.panes.setdefault((key, segment_key), {}).get(start_us)
        if pane is None:
            pane = self.panes[key, segment_key][start_us] = Pane(start_us)
        self._unwritten.setdefault(start_us, set()).add((key, segment_key))
        feature.born_us = start_us if feature.born_us is None else min(feature.born_us, start_us)
        series = feature.series(segment_key)
        feature.segment_active_us[segment_key] = max(feature.segment_active_us.get(segment_key, 0), start_us)
        if event["kind"] == "response":
            feature.active_us = max(feature.active_us, start_us)
        reads_texts = False
        if event["kind"] == "response" and ("input" in event or "output" in event):
            choice = self._texts.setdefault(key, TextChoice())
            reads_texts = choice.is_read(segment_key, feature.active_us // self.pane_us)
        counted = count(event, pane, judges, reads_texts=reads_texts)
        if start_us + self.pane_us + LATE_US <= closed_us + self._lateness_us:
            return  # too late for rules: it only revises its window
        fresh = self._fresh.setdefault(start_us, {}).setdefault((key, segment_key), {})
        on_time = self._on_time.setdefault((key, segment_key), {}).setdefault(start_us, {})
        for metric, ppm, failures in counted:
            add_rate(fresh, metric, ppm, 1, failures)
            add_rate(on_time, metric, ppm, 1, failures)
            if metric in self._ruled:
                series.count(metric, start_us, ppm, failures)
                feature.whole.count(metric, start_us, ppm, failures)

    def _segment(self, event: dict[str, Any], judges: Judges) -> At:
        if event["kind"] != "response" and not event["model"]:
            return UNLABELLED
        given = event.get("dimensions", {})
        return (
            event["model"],
            event["prompt_version"],
            event["variant"],
            tuple((name, given.get(name, "")) for name in judges.dimensions),
        )

    def _edges(self, watermark_us: int) -> list[int] | range:
        assert self.edge_us is not None
        first, last = self.edge_us + self.pane_us, watermark_us // self.pane_us * self.pane_us
        if last - self.edge_us <= WALK * self.pane_us:
            return range(first, last + 1, self.pane_us)
        anchors = [self.edge_us, *(start for start in self._unwritten if start >= self.edge_us)]
        walked = {anchor + step * self.pane_us for anchor in anchors for step in range(1, WALK + 1)}
        return sorted({edge for edge in walked if first <= edge <= last} | {last})

    def _close(self, edge_us: int) -> None:
        closing = sorted(start for start in self._unwritten if start + self.pane_us <= edge_us)
        self._observe(closing)
        for start_us in closing:
            for pane_key in self._unwritten.pop(start_us):
                pane = self.panes[pane_key][start_us]
                pane.revision += 1
                pane.late += start_us + self.pane_us < edge_us
        for key in sorted(self.features):
            self.desk.look(self.features[key], edge_us, self._rolled_us)
        self._rolled_us = max(self._rolled_us, (edge_us - FINE_US) // HOUR_US * HOUR_US)

    def _observe(self, starts: list[int]) -> None:
        """Record the weights counted since the last edge, then the known weights at the time of writing the
        windows.
        """
        wholes: dict[Key, dict[str, figures.Classes]] = {}
        for start_us in starts:
            counted = self._fresh.pop(start_us, {})
            for key, segment_key in sorted(self._unwritten[start_us] & counted.keys()):
                fresh = counted[key, segment_key]
                for name, fine in self._on_time[key, segment_key][start_us].items():
                    new, classes = fresh.get(name, {}), {}
                    if not new and self.panes[key, segment_key][start_us].revision == 0:
                        continue
                    for ppm, these in figures.coarse_enough(fine).items():
                        pairs = [new.get(item, (0, 0)) for item in these]
                        classes[ppm] = [sum(n for n, _ in pairs), sum(f for _, f in pairs)]
                    self.features[key].weights.observe(segment_key, name, classes)
                    for ppm, (n, failures) in classes.items():
                        add_rate(wholes.setdefault(key, {}), name, ppm, n, failures)
        for key, rates in wholes.items():
            for name, classes in rates.items():
                self.features[key].weights.observe(None, name, classes)
        for start_us in starts:
            for key, segment_key in self._unwritten[start_us]:
                weights = self.features[key].weights
                names = {
                    name
                    for (feature_key, _), panes in self.panes.items()
                    if feature_key == key and start_us in panes
                    for name in panes[start_us].rates
                }
                self._known[key, segment_key, start_us] = {
                    name: weights.units(segment_key, name) for name in names
                }
                self._known[key, None, start_us] = {name: weights.units(None, name) for name in names}

    def windows(self) -> dict[bytes, dict[str, Any]]:
        """Return Kafka key -> the last revision of each window."""
        windows: dict[bytes, dict[str, Any]] = {}
        wholes: dict[Key, dict[int, list[Pane]]] = {}
        for (key, segment_key), panes in self.panes.items():
            for start_us, pane in panes.items():
                wholes.setdefault(key, {}).setdefault(start_us, []).append(pane)
                if segment_key != UNLABELLED:
                    self._show(windows, key, segment_key, pane, pane.revision)
        for key, by_start in wholes.items():
            for start_us, parts in by_start.items():
                whole = Pane(start_us)
                for part in parts:
                    whole.merge(part)
                on_time = any(part.revision > part.late for part in parts)
                self._show(
                    windows,
                    key,
                    None,
                    whole if len(parts) > 1 else parts[0],
                    sum(part.late for part in parts) + on_time,
                )
        return windows

    def _show(
        self,
        windows: dict[bytes, dict[str, Any]],
        key: Key,
        segment_key: At | None,
        pane: Pane,
        revision: int,
    ) -> None:
        start, end = rfc3339(pane.start_us), rfc3339(pane.start_us + self.pane_us)
        level = "feature" if segment_key is None else "segment"
        segment = None if segment_key is None else [*segment_key[:3], [list(pair) for pair in segment_key[3]]]
        name = json.dumps([*key, segment, level, start], ensure_ascii=False, separators=(",", ":")).encode()
        windows[name] = {
            "record": "window",
            "schema_version": 2,
            **labels(key, segment_key),
            "start": start,
            "end": end,
            "revision": revision,
            "events": pane.events,
            "metrics": pane.metrics(
                self._known[key, segment_key, pane.start_us], is_segment=segment_key is not None
            ),
        }
