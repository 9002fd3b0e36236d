"""Ingest records: decode them, reject or forward what cannot be counted here, group events, count them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from monitor.evaluators.user_evaluator import Verdicts, requests_of
from monitor.ingest.accounting import producer_name
from monitor.ingest.aggregation import (
    aggregate_evaluations,
    aggregate_feedback,
    aggregate_responses,
)
from monitor.ingest.batch import Chunk, CountGroup
from monitor.ingest.dead_letters import RejectedRecord, dead_letter
from monitor.ingest.failure_samples import SampleRecord, sample_failures
from monitor.ingest.feature_cap import FeatureCap
from monitor.ingest.feature_settings import MAX_FEATURES, FeatureSettings
from monitor.ingest.judge_versions import note_judge_versions
from monitor.normal_form.response import normal_form
from monitor.protocol.limits import FORWARDED_HEADER
from monitor.protocol.messages import Message, Outputs, Record
from monitor.state.outcome_reports import OutcomeReports
from monitor.state.partition_state import PartitionState
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import UNLABELLED, FeatureKey, SegmentKey
from monitor.windows.segment_series import FINE, FINE_RETENTION_US, LATE, LATE_US, SegmentSeries
from schemas.config.monitor_config import Config
from schemas.times import microseconds
from softfail.evaluator_process import EvaluatorSpec
from softfail.field_repair import LeftOut
from softfail.partitioning import partition_of


class Ingestor:
    """Collects events in chunks and counts them in ``flush``.

    The result does not depend on where chunks are cut.

    Args:
        partition, partitions: of the events topic; 0 partitions: every event belongs here.

    Attributes:
        groups: key of ``group_key`` -> group and chunk, for events since the last flush.
        unreadable: service and feature -> records rejected by this object, of features that are measured. The
            Kafka key names the feature.
    """

    def __init__(
        self, config: Config, partition_state: PartitionState, partition: int, partitions: int
    ) -> None:
        self.partition_state = partition_state
        self.partition = partition
        self.groups: dict[Any, tuple[CountGroup, Chunk]] = {}
        self.unreadable: dict[tuple[str, str], int] = {}
        self._names: tuple[int, set[tuple[str, str]]] = (0, set())  # of the features that are measured
        self._partitions = partitions
        self._has_dimensions = any(feature.dimensions for feature in config.features)
        self._cap = FeatureCap(partition_state.features, config.page_environments)
        self._pane_us = partition_state.pane_us
        self._lateness_us = config.time.lateness_us
        self._settings = FeatureSettings(config, partition, partitions)
        self._chunks: dict[tuple[str, int], Chunk] = {}
        self._too_old: set[Any] = set()
        self._outcomes = OutcomeReports(partition_state)
        self._judges = {judge.name for judge in config.judges}

    def owns(self, event: Any) -> bool:
        """Return whether the event belongs to this partition."""
        return self._settings.find(event.service, event.feature).is_here

    def evaluators(self, service: str, feature: str) -> Sequence[str]:
        """Return the names of the evaluators of a feature."""
        return self._settings.find(service, feature).suite.names

    def requests(self, event: Any) -> Sequence[tuple[EvaluatorSpec, bytes]]:
        """Return what evaluators of users must evaluate of an event, before it is counted."""
        if event.kind != "response":
            return ()
        setting = self._settings.find(event.service, event.feature)
        if not setting.suite.users or not setting.is_here:
            return ()
        return requests_of(setting.suite.users, normal_form(event))

    def give(self, verdicts: Verdicts) -> None:
        """Take the verdicts of users' evaluators on the next events, in place of earlier ones."""
        self._settings.give(verdicts)

    def group_key(self, event: Any, time_us: int) -> Any:
        """Return the key of the group of an event: all that events counted together have in common."""
        kind = event.kind
        return (
            event.service,
            event.feature,
            event.model,
            event.prompt_version,
            event.variant,
            event.environment,
            time_us - time_us % self._pane_us,
            event.sample_probability,
            event.content_probability if kind == "response" else 1.0,
            kind,
            self._settings.dimension_values(event) if self._has_dimensions else (),
            event.base_probability,
        )

    def open_group(
        self, key: Any, event: Any, closed_us: int, out: Outputs, append_ms: int | None = None
    ) -> tuple[CountGroup, Chunk] | None:
        """Open the group of a new key; None if the event is a meter, which is applied at once, or too old.

        ``closed_us``: the last closed edge. ``append_ms``: when the broker took it, milliseconds since 1970.
        """
        if event.kind == "meter":
            self._apply_meter(event, append_ms)
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
        feature = self._feature(FeatureKey(event.service, event.feature, event.environment), start_us)
        segment_key = SegmentKey(event.model, event.prompt_version, event.variant, key[10])
        if event.kind != "response" and not event.model:
            segment_key = UNLABELLED
        segment = feature.segments.get(segment_key)
        if segment is None and feature.unrepeated.labels:
            narrowed = feature.unrepeated.narrow(segment_key, start_us)
            if narrowed != segment_key:
                # The key of the event is not kept: each has its own, and all of them share one group.
                key = _narrowed_group(key, narrowed)
                if (opened := self.groups.get(key)) is not None:
                    return opened
                segment_key, segment = narrowed, feature.segments.get(narrowed)
        if segment is None:
            if feature.is_full(start_us):
                # Count waiting events in their segments before one of these is merged into `other`.
                self.flush(closed_us, out)
                self.partition_state.overflow(feature, start_us)
            segment = feature.segments.get(segment_key)
            if segment is None:
                segment = feature.segments[segment_key] = SegmentSeries(segment_key)
        self.groups[key] = opened = self._new_group(key, event, feature, segment, closed_us)
        return opened

    def _new_group(
        self, key: Any, event: Any, feature: FeatureState, segment: SegmentSeries, closed_us: int
    ) -> tuple[CountGroup, Chunk]:
        start_us, suite = key[6], self._settings.find(event.service, event.feature).suite
        is_late = start_us + self._pane_us + LATE_US <= closed_us + self._lateness_us
        pane = self.partition_state.pane(feature, segment, start_us, LATE if is_late else FINE)
        chunk = self._chunks.get((event.kind, id(suite)))
        if chunk is None:
            chunk = self._chunks[event.kind, id(suite)] = Chunk(event.kind, suite)
        producer_suffix = ""
        if event.kind == "response":
            producer_suffix = producer_name(feature, event).removeprefix(event.producer_id)
        group = CountGroup(
            len(chunk.groups),
            feature,
            segment,
            pane,
            key[7],
            key[8],
            producer_suffix,
            partial(self.partition_state.texts, feature, segment),
            key[11],
            absent_is_ok=self._outcomes.absent_is_ok(feature.key),
            is_late=is_late,
        )
        chunk.groups.append(group)
        return group, chunk

    def flush(self, closed_us: int, out: Outputs) -> None:
        """Count the events since the last flush; write the failure samples among them."""
        samples: list[tuple[int, SampleRecord]] = []
        for chunk in self._chunks.values():
            if chunk.kind == "response":
                failures = aggregate_responses(
                    chunk.events, chunk.group_of, chunk.groups, chunk.suite, self._pane_us
                )
                samples += sample_failures(chunk, failures, self.partition)
            elif chunk.kind == "feedback":
                aggregate_feedback(chunk.events, chunk.group_of, chunk.groups)
            else:
                aggregate_evaluations(chunk.events, chunk.group_of, chunk.groups, chunk.suite.names)
                judged = chunk.events, chunk.group_of, chunk.groups
                note_judge_versions(*judged, self._judges, self.partition_state)
            counts = np.bincount(np.asarray(chunk.group_of, np.int64), minlength=len(chunk.groups)).tolist()
            for group, n in zip(chunk.groups, counts, strict=True):
                self._account(chunk.kind, group, n, closed_us)
        # In the order of the log, independent of chunks and suites.
        for _, record in sorted(samples, key=lambda pair: pair[0]):
            out.write("samples", record.event_id.encode(), record)
        self._chunks.clear()
        self.groups.clear()
        self._too_old.clear()

    def reject(self, record: Record, rejection: RejectedRecord, out: Outputs) -> None:
        """Write the dead letter of a record."""
        counts = self.partition_state.dead_letters
        counts[rejection.reason] = counts.get(rejection.reason, 0) + 1
        if (feature := self._feature_of_key(record.key)) is not None:
            self.unreadable[feature] = self.unreadable.get(feature, 0) + 1
        out.add("deadletter", dead_letter(record, str(rejection), rejection.field))

    def count_left_out(self, left_out: Sequence[LeftOut]) -> None:
        """Count optional fields of an event that were left out or cut."""
        counts = self.partition_state.left_out
        for name in left_out:
            key = ".".join(name)
            counts[key] = counts.get(key, 0) + 1

    def _feature_of_key(self, key: bytes | None) -> tuple[str, str] | None:
        """Return service and feature that a Kafka key names; None if no such feature is measured here."""
        service, slash, name = (key or b"").decode("utf-8", "replace").partition("/")
        if not slash:
            return None
        features = self.partition_state.features
        if self._names[0] != len(features):
            self._names = len(features), {(feature.service, feature.feature) for feature in features}
        return (service, name) if (service, name) in self._names[1] else None

    def forward(self, event: Any, record: Record, out: Outputs) -> None:
        """Forward an event to its own partition; one that was forwarded before becomes a dead letter."""
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

    def _totals_feature(self, event: Any) -> FeatureState:
        """Return the feature that counts an event without panes; add a new one only while there is room."""
        key = FeatureKey(event.service, event.feature, event.environment)
        is_new = (
            key not in self.partition_state.features and len(self.partition_state.features) >= MAX_FEATURES
        )
        return self.partition_state.feature(self._cap.other(key.environment) if is_new else key)

    def _expire(self, event: Any, start_us: int) -> None:
        feature = self._totals_feature(event)
        feature.expired += 1
        # It has arrived, although late.
        if event.kind == "response" and event.producer_id and event.sequence is not None:
            feature.producers.count_events(
                producer_name(feature, event), start_us, event.sequence, event.sequence, 1
            )

    def _feature(self, key: FeatureKey, pane_us: int) -> FeatureState:
        feature = self.partition_state.feature(self._cap.key_of(key, pane_us))
        if not feature.first_us:
            feature.first_us = pane_us
        return feature

    def _account(self, kind: str, group: CountGroup, n: int, closed_us: int) -> None:
        feature, start_us = group.feature, group.pane.start_us
        feature.received[kind] = feature.received.get(kind, 0) + n
        if start_us + self.partition_state.pane_us <= closed_us:
            feature.late += n
        if group.reported_ok:
            self._outcomes.note_ok(feature.key, start_us)
        if kind == "response":
            feature.count_arrivals(start_us, n, self.partition_state.pane_us)

    def _apply_meter(self, event: Any, append_ms: int | None) -> None:
        feature = self._totals_feature(event)
        counts = (event.seen, event.sampled, event.sent, event.dropped)
        feature.producers.apply_meter(
            producer_name(feature, event),
            microseconds(event.time),
            microseconds(event.started_at),
            counts,
            closing=event.closing,
            pane_us=self._pane_us,
            arrival_us=max(0, append_ms or 0) * 1000,
        )


def _narrowed_group(key: Any, segment: SegmentKey) -> Any:
    """Return the key of a group with the labels of a segment."""
    names = (segment.model, segment.prompt_version, segment.variant)
    return (*key[:2], *names, *key[5:10], segment.dimensions, key[11])
