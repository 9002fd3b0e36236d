"""The core of the watch agent: the state of one partition of the events topic, as a value.

The live agent, ``replay`` and the tests are its callers; there is no second path to a window or a transition.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from monitor.alerts.pane_close import PaneCloser
from monitor.evaluators.user_evaluator import Requests, Verdicts, has_user_evaluators
from monitor.ingest.dead_letters import RejectedRecord
from monitor.ingest.ingestor import Ingestor
from monitor.ingest.record_decoding import decode_record
from monitor.protocol.cut_off import CutOffEvaluator
from monitor.protocol.messages import AsideReason, Outputs, Record
from monitor.protocol.metrics import Measure
from monitor.protocol.read_progress import ReadProgress
from monitor.self_health.cut_off_finding import cut_off_finding
from monitor.self_health.feature_cap_finding import feature_cap_finding
from monitor.self_health.partition_health import PartitionHealth, partition_counts
from monitor.self_health.silent_evaluators import SilentEvaluators
from monitor.self_health.unrepeated_label_finding import unrepeated_label_finding
from monitor.state.partition_state import PartitionState
from monitor.stats.exponential_buckets import MAX_SCALE
from monitor.status import StatusView
from monitor.windows.watermark import NEVER, Watermark
from schemas.config.monitor_config import Config
from softfail.evaluator_process import EvaluatorSpec

# edges after a pane that are closed one by one when the watermark jumps; later ones show nothing new until
# the end of the jump
WALK = 120


class Watch:
    """Takes events in the order of the log; returns windows, transitions, episodes, samples, dead letters and
    events to forward.

    Its outputs depend on the order of the log and on nothing else: not on bundles, fetches or restarts.

    Args:
        config: the whole configuration.
        partition: which partition of how many this is; ``partitions`` 0 means all of them (replay).
    """

    def __init__(self, config: Config, partition: int = 0, partitions: int = 0) -> None:
        self.partition = partition
        self._pane_us = config.time.pane_us
        self._watermark = Watermark(config.time.pane_us, config.time.lateness_us)
        self.partition_state = PartitionState(
            config.time.pane_us, f"pane {config.time.pane:g} s, histogram scale {MAX_SCALE}"
        )
        self._ingestor = Ingestor(config, self.partition_state, partition, partitions)
        self._pane_closer = PaneCloser(config, self.partition_state)
        self._view = StatusView(self.partition_state, self._ingestor.evaluators, config.links)
        self._health = PartitionHealth(config.health, partition, max(1, partitions))
        self._silent = SilentEvaluators(round(config.health.window * 1e6))
        self._has_user_evaluators = has_user_evaluators(config)
        self._records = 0  # applied by this object: for heartbeats only

    @property
    def watermark_us(self) -> int | None:
        """The time up to which the partition is assumed complete, microseconds since 1970; None before the
        first event.
        """
        return self._watermark.time_us

    def apply(self, records: Sequence[Record], now_us: int | None = None) -> Outputs:
        """Apply records; the bundle is cut wherever the watermark crosses a pane edge.

        ``now_us``: the wall clock, microseconds since 1970; for ``decided_at`` only.
        """
        out = Outputs()
        for _ in self.steps(records, now_us, out):
            pass
        return out

    def steps(self, records: Sequence[Record], now_us: int | None, out: Outputs) -> Iterator[None]:
        """Do the same in steps, a feature of a pane edge each, into ``out``, for a caller whose event loop must
        not wait: an edge of a thousand segments, hours of a quiet log or a jump over them take seconds. Until the iterator is exhausted the
        core may only be read; do not call ``changed``, ``advance`` or ``apply``.
        """
        mark, ingestor = self._watermark, self._ingestor
        groups, closed_us = ingestor.groups, mark.edge_us or 0
        seen_until_us, closes_at_us = self._seen_until()
        before = self._records
        for number, record in enumerate(records):
            try:
                event, time_us, seen_us, left_out = decode_record(record)
            except RejectedRecord as refusal:
                ingestor.reject(record, refusal, out)
                continue
            key = ingestor.group_key(event, time_us)
            opened = groups.get(key)
            if opened is None and not ingestor.owns(event):
                ingestor.forward(event, record, out)
                continue
            if left_out:
                ingestor.count_left_out(left_out)
            if seen_us > seen_until_us:
                seen_until_us = seen_us
                if seen_us < closes_at_us:
                    mark.time_us = seen_us - mark.lateness_us
                else:
                    ingestor.flush(closed_us, out)
                    # a reader between two edges must not see dead letters of records that are not counted yet
                    self._records = before + number
                    yield from self._close_until(seen_us - mark.lateness_us, now_us, out)
                    opened, closed_us, (_, closes_at_us) = None, mark.edge_us or 0, self._seen_until()
            if (
                opened is None
                and (opened := ingestor.open_group(key, event, closed_us, out, record.timestamp)) is None
            ):
                continue
            group, chunk = opened
            chunk.events.append(event)
            chunk.group_of.append(group.index)
            chunk.records.append(record)
        ingestor.flush(closed_us, out)
        self.partition_state.watermark_us = mark.time_us
        self._records = before + len(records)

    def requests(self, records: Sequence[Record]) -> Requests:
        """Return what evaluators of users must evaluate of these records; empty where nothing is configured.

        Whoever applies the records gives the verdicts before.
        """
        requests: list[tuple[EvaluatorSpec, bytes]] = []
        if not self._has_user_evaluators:
            return requests
        for record in records:
            try:
                event, *_ = decode_record(record)
            except RejectedRecord:
                continue
            requests += self._ingestor.requests(event)
        return requests

    def give(self, verdicts: Verdicts) -> None:
        """Take the verdicts on ``requests`` of the records that are applied next."""
        self._ingestor.give(verdicts)

    def set_aside(self, record: Record, reason: AsideReason, error: str, records: int = 1) -> Outputs:
        """Count records that must not be applied; return the dead letter of the last one."""
        out = Outputs()
        self._ingestor.reject(record, RejectedRecord(reason, error), out)
        self.partition_state.dead_letters[reason] += records - 1
        self._records += records
        return out

    def advance(self, watermark_us: int, now_us: int | None = None) -> Outputs:
        """Move the watermark forward without events. Before the first event nothing moves."""
        out = Outputs()
        for _ in self.advance_steps(watermark_us, now_us, out):
            pass
        return out

    def advance_steps(self, watermark_us: int, now_us: int | None, out: Outputs) -> Iterator[None]:
        """Advance in the steps of ``steps``, under the same condition."""
        if self._watermark.time_us is not None and watermark_us > self._watermark.time_us:
            yield from self._close_until(watermark_us, now_us, out)
            self.partition_state.watermark_us = watermark_us

    def finish(self) -> Outputs:
        """Close every pane that has events, at the end of a file."""
        ends = [start_us + self._pane_us for start_us in self.partition_state.unwritten]
        out = self.advance(max(ends)) if ends else Outputs()
        # late events for panes that were closed
        if self.partition_state.unwritten and self._watermark.edge_us is not None:
            out.extend(self.advance(self._watermark.edge_us + self._pane_us))
        return out

    def heartbeat(
        self, progress: ReadProgress, now_us: int, cut_off: Sequence[CutOffEvaluator] = ()
    ) -> Outputs:
        """Write a record of the partition's own health for ``alerts`` if one is due. It depends on the wall
        clock, so only the live worker calls it; no measured value depends on it.

        ``now_us``: microseconds since 1970. ``cut_off``: evaluators of users that are not asked now.
        """
        out = Outputs()
        if self._health.is_due(now_us):
            silent = self._silent.look(self.partition_state, now_us)
            heartbeat = self._health.look(
                partition_counts(self.partition_state, self._records, self._ingestor.unreadable),
                progress,
                self.watermark_us,
                now_us,
                [
                    *silent,
                    *unrepeated_label_finding(self.partition_state),
                    *feature_cap_finding(self.partition_state),
                    *cut_off_finding(cut_off),
                ],
            )
            if heartbeat is not None:
                out.write("alerts", f"watch/{self.partition}".encode(), heartbeat, 0)
        return out

    def changed(self) -> list[tuple[bytes, bytes | None]]:
        """Return the state records that differ since the last call; None deletes."""
        return self.partition_state.changed()

    def restore(self, records: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Restore the records that ``changed`` returned.

        Raises:
            ValueError: a record cannot be read, or was written under another layout or pane length; the
                message names its key.
        """
        self.partition_state.restore(records)
        self._watermark.time_us = self.partition_state.watermark_us

    def measures(self) -> Iterator[Measure]:
        """Yield the measures of this partition for /metrics."""
        return self._view.measures(self.partition)

    def counted(self) -> Iterator[Measure]:
        """Yield the counters among them, which survive restarts."""
        return self._view.counted(self.partition)

    def status(self) -> dict[str, Any]:
        """Return the data of this partition for the status page."""
        return self._view.status()

    def _seen_until(self) -> tuple[int, int]:
        """Return the latest event time seen, and the event time at which the next pane closes: the watermark
        and its next edge, plus the lateness.
        """
        mark = self._watermark
        seen_us = NEVER if mark.time_us is None else mark.time_us + mark.lateness_us
        return seen_us, mark.next_edge_us + mark.lateness_us

    def _close_until(self, watermark_us: int, now_us: int | None, out: Outputs) -> Iterator[None]:
        for edge_us in self._edges_until(watermark_us):
            self._watermark.time_us = edge_us
            yield from self._pane_closer.close_steps(edge_us, now_us, out)
            self._view.show(edge_us, out)
            yield
        self._watermark.time_us = watermark_us

    def _edges_until(self, watermark_us: int) -> Sequence[int]:
        """Return the edges to close, in order. A jump closes the edges of existing panes and ``WALK`` edges
        after each, never the empty time between.
        """
        old_us, new_us = self._watermark.edge_us, watermark_us // self._pane_us * self._pane_us
        if old_us is None:
            return ()
        if new_us - old_us <= WALK * self._pane_us:
            return range(old_us + self._pane_us, new_us + 1, self._pane_us)
        anchors = [
            old_us,
            *(start_us for start_us in self.partition_state.unwritten if old_us <= start_us < new_us),
        ]
        edges = {anchor_us + step * self._pane_us for anchor_us in anchors for step in range(1, WALK + 1)}
        return sorted(edge for edge in {*edges, new_us} if old_us < edge <= new_us)
