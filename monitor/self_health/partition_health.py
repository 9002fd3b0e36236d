"""Health of one partition as its worker sees it: shares of recent failures, a lag, a loss. The wall clock is
an argument.

Windows are kept in memory only. A heartbeat says how long its owner has observed the partition
(``observed_s``). Before that is a whole window, a missing finding does not mean that all is healthy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from monitor.protocol.read_progress import ReadProgress
from monitor.self_health.heartbeat import HeartbeatRecord
from monitor.self_health.share_checks import Counts, HealthFinding, ShareChecks
from monitor.state.partition_state import PartitionState
from monitor.wording.number_format import span
from schemas.config.self_health import Health as Settings
from schemas.times import rfc3339

HEARTBEAT_S = 60.0  # between two heartbeats with the same findings
UNREADABLE = "dead-letters"  # name of the count of records that cannot be read
LOOKS = 20  # checks of the health of a partition in a window


class PartitionHealth:
    """Health of one partition. ``look`` is called often; it returns a heartbeat when one is due."""

    def __init__(self, settings: Settings, partition: int, partitions: int) -> None:
        self._settings, self._partition, self._partitions = settings, partition, partitions
        self._window_us = round(settings.window * 1e6)
        self._heartbeat_us = min(round(HEARTBEAT_S * 1e6), self._window_us // 5)
        self._share_checks = ShareChecks(settings)
        self._looks: deque[tuple[int, dict[str, int], ReadProgress]] = deque()
        self._began_us = self._looked_us = self._heartbeat_sent_us = 0
        self._lagging_since_us: int | None = None
        self._last_loss_us: int | None = None
        self._sent_findings: set[tuple[str, str]] = set()  # names and severities
        self._sent_unreadable = 0  # records that could not be read, until the last heartbeat

    def is_due(self, now_us: int) -> bool:
        """Return whether it is time to look again: twenty times a window. ``now_us``: wall clock,
        microseconds since 1970.
        """
        return now_us - self._looked_us >= self._window_us // LOOKS or now_us < self._looked_us

    def look(
        self,
        counts: Counts,
        progress: ReadProgress,
        watermark_us: int | None,
        now_us: int,
        more: Sequence[HealthFinding] = (),
    ) -> HeartbeatRecord | None:
        """Take what was counted so far; return the heartbeat to write, or None if none is due.

        Args:
            counts: cumulative, by name; ``NAME/CAUSE`` is a part of NAME.
            progress: how far the partition has been read.
            watermark_us: event time, microseconds since 1970.
            now_us: wall clock, microseconds since 1970.
            more: findings of other checks.
        """
        if now_us < self._looked_us and self._looks:  # the clock was ahead
            _, last_counts, last_progress = self._looks[-1]
            self._looks.clear()
            self._looks.append((now_us, last_counts, last_progress))
            self._began_us = now_us
        self._began_us = self._began_us or now_us
        lost = progress.lost - (self._looks[-1][2].lost if self._looks else 0)
        self._looks.append((now_us, dict(counts), progress))
        while len(self._looks) > 2 and self._looks[1][0] <= now_us - self._window_us:
            self._looks.popleft()
        self._looked_us = now_us
        if lost > 0:
            self._last_loss_us = now_us
        observed_s = min(now_us - self._began_us, self._window_us) / 1e6
        window = self._window()
        findings = [
            *self._share_checks.check(window, observed_s, now_us, observed_s * 1e6 / self._window_us),
            *self._lag(progress, watermark_us, now_us),
            *self._loss(progress, now_us),
            *self._recovery(progress, now_us),
            *more,
        ]
        names = {(finding.name, finding.severity) for finding in findings}
        since_us = now_us - self._heartbeat_sent_us
        unreadable = counts.get(UNREADABLE, 0)
        # others add up what this partition counts, so what it cannot read must not be known a minute late
        due_us = self._heartbeat_us if unreadable == self._sent_unreadable else self._window_us // LOOKS
        if self._heartbeat_sent_us and names == self._sent_findings and 0 <= since_us < due_us:
            return None
        self._sent_findings, self._heartbeat_sent_us, self._sent_unreadable = names, now_us, unreadable
        return HeartbeatRecord(
            agent="watch",
            partition=self._partition,
            partitions=self._partitions,
            time=rfc3339(now_us),
            observed_s=observed_s,
            counts=window,
            findings=[finding.record() for finding in findings],
        )

    def _window(self) -> dict[str, int]:
        """Return what was counted in the window."""
        (_, first, _), (_, last, _) = self._looks[0], self._looks[-1]
        window = {
            name: count - first.get(name, 0) for name, count in last.items() if count > first.get(name, 0)
        }
        # a heartbeat names only features with unreadable records
        return {
            name: count
            for name, count in window.items()
            if not name.startswith("arrived/") or name.replace("arrived", "unreadable-feature", 1) in window
        }

    def _lag(self, progress: ReadProgress, watermark_us: int | None, now_us: int) -> list[HealthFinding]:
        behind_us = 0 if watermark_us is None or progress.caught_up else now_us - watermark_us
        since_us = self._lagging_since_us
        is_firing = since_us is not None and now_us - since_us >= self._window_us
        if behind_us <= self._settings.lag * 1e6 * (0.5 if is_firing else 1):
            self._lagging_since_us = None
            return []
        self._lagging_since_us = since_us or now_us
        if now_us - self._lagging_since_us < self._window_us:
            return []
        text = (
            f"records wait, and the watermark is {span(round(behind_us / 6e7) * 60)} behind: panes close"
            " late, so pages come late"
        )
        return [HealthFinding("lag", "error", text, self._lagging_since_us, round(behind_us / 1e6, 1))]

    def _loss(self, progress: ReadProgress, now_us: int) -> list[HealthFinding]:
        if self._last_loss_us is None or now_us - self._last_loss_us > self._window_us:
            return []
        text = (
            f"{progress.lost:,} records were deleted by Kafka before they were read, and are measured nowhere"
        )
        return [HealthFinding("lost-records", "error", text, self._last_loss_us, float(progress.lost))]

    def _recovery(self, progress: ReadProgress, now_us: int) -> list[HealthFinding]:
        took_s = progress.recovery_s
        if took_s < self._settings.recovery or now_us - self._began_us > self._window_us:
            return []
        text = (
            f"reading the state took {span(round(took_s))}: for so long nothing was measured, and pages were"
            " late by as much"
        )
        since_us = self._began_us - round(took_s * 1e6)
        return [HealthFinding("recovery", "warning", text, since_us, round(took_s, 1))]


def partition_counts(
    partition_state: PartitionState, records: int, unreadable: Mapping[tuple[str, str], int]
) -> dict[str, int]:
    """Return what a partition has counted so far.

    Args:
        partition_state: counted ever.
        records: applied since the partition is owned.
        unreadable: service and feature -> records that could not be read, since it is owned.
    """
    counts = {
        "records": records,
        UNREADABLE: sum(partition_state.dead_letters.values()),
        "wrong-partition": partition_state.forwarded,
    }
    counts |= {f"dead-letters/{reason}": n for reason, n in partition_state.dead_letters.items()}
    broken: dict[str, int] = {}
    judged: dict[str, int] = {}
    for feature in partition_state.features.values():
        totals = feature.producer_totals()
        _add(
            counts,
            {"sampled": totals.sampled, "producer-drops": totals.dropped, "events-missing": feature.missing},
        )
        _add(counts, {"numbered": feature.missing + feature.received.get("response", 0)})
        _add(counts, {f"arrived/{feature.key.service}/{feature.key.feature}": sum(feature.received.values())})
        _add(broken, feature.evaluator_errors)
        _add(judged, feature.verdicts)
    for name, n in unreadable.items():
        _add(counts, {f"unreadable-feature/{'/'.join(name)}": n, f"arrived/{'/'.join(name)}": n})
    for evaluator, n in broken.items():
        counts[f"evaluator-errors/{evaluator}"] = n
        counts[f"judged/{evaluator}"] = n + judged.get(evaluator, 0)
    return counts


def _add(counts: dict[str, int], more: Mapping[str, int]) -> None:
    for name, n in more.items():
        counts[name] = counts.get(name, 0) + n
