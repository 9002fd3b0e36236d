"""From records to counted events: read, refuse with a reason, send on what lies in the wrong partition,
group, measure.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from monitor.evaluators.suite import Suite
from monitor.ingest.accounting import producer_name
from monitor.ingest.aggregation import (
    Failures,
    aggregate_evaluations,
    aggregate_feedback,
    aggregate_responses,
)
from monitor.ingest.batch import CountGroup
from monitor.ingest.dead_letters import dead_letter
from monitor.ingest.failure_samples import A_PANE, AN_EVALUATOR, SampleRecord, example, sample
from monitor.protocol.messages import Message, Outputs, Record
from monitor.state.partition_state import PartitionState
from monitor.windows.feature_series import DAY_US, FINE_RETENTION_US, FeatureState, SegmentSeries
from monitor.windows.segment_keys import OTHER, UNLABELLED, FeatureKey, SegmentKey
from monitor.windows.watermark import MAX_AHEAD_US
from schemas.config.monitor_config import Config
from schemas.event_decoder import InvalidEvent, decode
from schemas.times import microseconds
from softfail.partitioning import partition_of

FORWARDED_HEADER = (
    "softfail-forwarded"  # header of an event that was found in another partition; it says which
)
MAX_FEATURES = 1000  # a partition; counted are those active in the last 24 h


class RejectedRecord(Exception):
    """A record that is not measured: a dead letter with this reason."""

    def __init__(self, reason: str, error: str, field: str = "") -> None:
        super().__init__(error)
        self.reason = reason
        self.field = field


class Chunk:
    """Events of one kind and suite that wait to be counted; ``group_of[i]`` is the number of event i's group."""

    __slots__ = ("events", "group_of", "groups", "kind", "records", "suite")

    def __init__(self, kind: str, suite: Suite) -> None:
        self.kind = kind
        self.suite = suite
        self.events: list[Any] = []
        self.group_of: list[int] = []
        self.records: list[Record] = []
        self.groups: list[CountGroup] = []


class Ingestor:
    """Collects the events of a chunk and counts them when it is flushed. Where chunks are cut makes no
    difference.
    """

    def __init__(
        self, config: Config, partition_state: PartitionState, partition: int, partitions: int
    ) -> None:
        self.partition_state = partition_state
        self.partition = partition
        self.groups: dict[Any, tuple[CountGroup, Chunk]] = {}
        self._partitions = partitions
        self._config = config
        self._has_dimensions = any(feature.dimensions for feature in config.features)
        self._pane_us = partition_state.pane_us
        self._suites: dict[int, Suite] = {}
        self._settings: dict[tuple[str, str], tuple[tuple[str, ...], Suite, bool]] = {}
        self._chunks: dict[tuple[str, int], Chunk] = {}
        self._too_old: set[Any] = set()

    def decode(self, record: Record) -> tuple[Any, int, int]:
        """The decoded event, its time, and what the watermark may learn from it: a clock that is ahead counts
        no more than the broker's own.

        Times are microseconds since 1970.

        Raises:
            Refusal: it cannot be measured, ever.
        """
        if record.value is None:
            raise RejectedRecord("empty", "the record has no value; send one JSON object a message")
        try:
            event = decode(record.value)
        except InvalidEvent as error:
            raise RejectedRecord(
                "invalid" if error.field else "unreadable", str(error), error.field
            ) from None
        time_us = microseconds(event.time)
        append_ms = record.timestamp
        if append_ms is None or append_ms < 0 or (append_us := append_ms * 1000) >= time_us:
            return event, time_us, time_us
        if time_us > append_us + MAX_AHEAD_US:
            ahead_s = (time_us - append_us) / 1e6
            raise RejectedRecord(
                "future",
                f"time: lies {ahead_s:.0f} s ahead of the broker's clock (at most 300 s); set the producer's"
                " clock",
                "time",
            )
        return event, time_us, append_us

    def owns(self, event: Any) -> bool:
        """Whether this partition is the event's own."""
        return self._of(event.service, event.feature)[2]

    def group_key(self, event: Any, time_us: int) -> Any:
        """What events that are counted together have in common; ``groups`` holds those that were seen since
        the last flush.
        """
        kind = event.kind
        return (
            event.service, event.feature, event.model, event.prompt_version, event.variant, event.environment, time_us - time_us % self._pane_us,
            event.sample_probability, event.content_probability if kind == "response" else 1.0, kind,
            self._dimensions(event) if self._has_dimensions else (),
        )  # fmt: skip

    def open_group(
        self, key: Any, event: Any, closed_us: int, out: Outputs
    ) -> tuple[CountGroup, Chunk] | None:
        """Where the events of a new key are counted; None: the event is no event to count (a meter), or too
        old.

        ``closed_us``: the last closed edge.
        """
        if event.kind == "meter":
            self._take_meter(event)
            return None
        start_us = key[6]
        if (
            key in self._too_old
            or start_us + self._pane_us <= closed_us - FINE_RETENTION_US
            or start_us < self.partition_state.rolled_us
        ):
            self._too_old.add(key)
            self._expire(event, start_us)
            return None
        suite = self._of(event.service, event.feature)[1]
        feature = self._feature(FeatureKey(event.service, event.feature, event.environment), start_us)
        at = SegmentKey(event.model, event.prompt_version, event.variant, key[10])
        if event.kind != "response" and not event.model:
            at = UNLABELLED
        segment = feature.segments.get(at)
        if segment is None:
            if feature.is_full(start_us):
                # what was taken in is counted where it was seen, before a segment leaves
                self.flush(closed_us, out)
                self.partition_state.overflow(feature)
            segment = feature.segments[at] = SegmentSeries(at)
        pane = self.partition_state.pane(feature, segment, start_us)
        chunk = self._chunks.get((event.kind, id(suite)))
        if chunk is None:
            chunk = self._chunks[event.kind, id(suite)] = Chunk(event.kind, suite)
        shared = (
            producer_name(feature, event).removeprefix(event.producer_id) if event.kind == "response" else ""
        )
        group = CountGroup(
            len(chunk.groups),
            feature,
            pane,
            key[7],
            key[8],
            shared,
            partial(self.partition_state.texts, feature, segment, start_us),
        )
        chunk.groups.append(group)
        self.groups[key] = opened = (group, chunk)
        return opened

    def flush(self, closed_us: int, out: Outputs) -> None:
        """Count what was taken in since the last flush."""
        kept: list[tuple[int, SampleRecord]] = []
        for chunk in self._chunks.values():
            if chunk.kind == "response":
                kept += self._keep(
                    chunk, aggregate_responses(chunk.events, chunk.group_of, chunk.groups, chunk.suite)
                )
            elif chunk.kind == "feedback":
                aggregate_feedback(chunk.events, chunk.group_of, chunk.groups)
            else:
                aggregate_evaluations(chunk.events, chunk.group_of, chunk.groups)
            counts = np.bincount(np.asarray(chunk.group_of, np.int64), minlength=len(chunk.groups)).tolist()
            for group, n in zip(chunk.groups, counts, strict=True):
                self._account(chunk.kind, group, n, closed_us)
        # in the order of the log, whatever the chunks and suites
        for _, one in sorted(kept, key=lambda pair: pair[0]):
            out.write("samples", one.event_id.encode(), one)
        self._chunks.clear()
        self.groups.clear()
        self._too_old.clear()

    def reject(self, record: Record, refusal: RejectedRecord, out: Outputs) -> None:
        """Write a dead letter: what could not be read, from where, and why."""
        letters = self.partition_state.dead_letters
        letters[refusal.reason] = letters.get(refusal.reason, 0) + 1
        out.add("deadletter", dead_letter(record, str(refusal), refusal.field))

    def _of(self, service: str, feature: str) -> tuple[tuple[str, ...], Suite, bool]:
        """Dimensions and suite of a feature, and whether this is its partition."""
        known = self._settings.get((service, feature))
        if known is None:
            one = self._config.feature(service, feature)
            suite = self._suites.get(id(one)) or self._suites.setdefault(
                id(one), Suite.of(one.evaluators, one.gating, one.interaction)
            )
            here = not self._partitions or partition_of(service, feature, self._partitions) == self.partition
            if len(self._settings) >= 10 * MAX_FEATURES:  # names come from outside
                self._settings.clear()
            known = self._settings[service, feature] = (one.dimensions, suite, here)
        return known

    def _dimensions(self, event: Any) -> tuple[tuple[str, str], ...]:
        return tuple(
            (name, event.dimensions.get(name, "")) for name in self._of(event.service, event.feature)[0]
        )

    def forward(self, event: Any, record: Record, out: Outputs) -> None:
        """Send an event to its own partition, with a mark; one that was marked before goes to the dead
        letters.
        """
        if any(name == FORWARDED_HEADER for name, _ in record.headers):
            error = (
                f"sent on once and still not in its partition of {self._partitions}; was the number of"
                " partitions changed?"
            )
            self.reject(record, RejectedRecord("misplaced", error), out)
            return
        self.partition_state.forwarded += 1
        target = partition_of(event.service, event.feature, self._partitions)
        headers = (
            *((name, data) for name, data in record.headers),
            (FORWARDED_HEADER, str(record.partition).encode()),
        )
        assert record.value is not None
        out.add("events", Message(f"{event.service}/{event.feature}".encode(), record.value, target, headers))

    def _account_of(self, event: Any) -> FeatureState:
        """The feature of what is not measured: it makes a new one only while there is room."""
        key = FeatureKey(event.service, event.feature, event.environment)
        is_new = (
            key not in self.partition_state.features and len(self.partition_state.features) >= MAX_FEATURES
        )
        return self.partition_state.feature(FeatureKey(OTHER, OTHER, key.environment) if is_new else key)

    def _expire(self, event: Any, start_us: int) -> None:
        feature = self._account_of(event)
        feature.expired += 1
        # it has arrived, if late
        if event.kind == "response" and event.producer_id and event.sequence is not None:
            feature.producers.count_events(
                producer_name(feature, event), start_us, event.sequence, event.sequence, 1
            )

    def _feature(self, key: FeatureKey, pane_us: int) -> FeatureState:
        features = self.partition_state.features
        active = (one for one in features.values() if one.active_us >= pane_us - DAY_US)
        if key not in features and len(features) >= MAX_FEATURES and sum(1 for _ in active) >= MAX_FEATURES:
            key = FeatureKey(OTHER, OTHER, key.environment)
        feature = self.partition_state.feature(key)
        if not feature.first_us:
            feature.first_us = pane_us
        return feature

    def _account(self, kind: str, group: CountGroup, n: int, closed_us: int) -> None:
        feature, start_us = group.feature, group.pane.start_us
        feature.received[kind] = feature.received.get(kind, 0) + n
        if start_us + self.partition_state.pane_us <= closed_us:
            feature.late += n
        if kind == "response":
            feature.count_arrivals(start_us, n, self.partition_state.pane_us)

    def _take_meter(self, event: Any) -> None:
        feature = self._account_of(event)
        counts = (event.seen, event.sampled, event.sent, event.dropped)
        feature.producers.apply_meter(
            producer_name(feature, event), microseconds(event.time), microseconds(event.started_at), counts
        )

    def _keep(self, chunk: Chunk, failures: Failures) -> list[tuple[int, SampleRecord]]:
        """The first few failing responses of each pane become samples, and examples for pages; each with its
        offset.
        """
        found = []
        for index, failed in failures.items():
            group, suite = chunk.groups[chunk.group_of[index]], chunk.suite
            gating = [(nth, verdict) for nth, verdict in failed if suite.gating[nth]]
            if not gating or group.pane.samples >= A_PANE:
                continue
            group.pane.samples += 1
            offset = chunk.records[index].offset
            kept = sample(chunk.events[index], gating, suite, self.partition, offset)
            found.append((offset, kept))
            for nth, _ in gating:
                examples = group.feature.examples.setdefault(suite.names[nth], [])
                examples.append(example(kept, suite.names[nth]))
                del examples[:-AN_EVALUATOR]
        return found
