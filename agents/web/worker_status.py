"""Read the status and the measures of a running worker. Everything here runs in its event loop and awaits
nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from agents.runtime.counters import Counters, PartitionStatus
from agents.runtime.process_counters import ProcessCounters
from monitor.protocol.metrics import Measure


class LivePartitions(Protocol):
    """The part of ``agents.runtime.owned_partitions.OwnedPartitions`` that is read."""

    @property
    def agents(self) -> Mapping[str, Any]:
        """Source topic to agent, which has a ``name``."""

    @property
    def assigned(self) -> bool:
        """Whether the group has assigned partitions to this process."""


class LiveWorker(Protocol):
    """The part of ``agents.runtime.app.Worker`` that is read."""

    @property
    def counters(self) -> Counters:
        """Counts since the process started."""

    @property
    def running(self) -> ProcessCounters:
        """Its counters for Prometheus."""

    @property
    def store(self) -> LivePartitions:
        """Its partitions."""

    @property
    def ready(self) -> bool:
        """Whether it has joined the group and restored what it owns."""

    @property
    def missing_topics(self) -> Sequence[str]:
        """Source topics that were deleted while it runs."""

    @property
    def healthy(self) -> bool:
        """Whether the watchdog finds no fault."""

    def partitions(self) -> list[PartitionStatus]:
        """Return the status of every partition that it owns or restores now."""


def unhealthy(worker: LiveWorker) -> list[str]:
    """Return the faults that the watchdog finds."""
    stuck = (
        "the watchdog sees lag without progress, or partitions without an owner; it restarts the worker soon"
    )
    return [] if worker.healthy else [stuck]


def unready(worker: LiveWorker) -> list[str]:
    """Return why the worker cannot work yet; empty when it can."""
    if worker.ready:
        return []
    if worker.missing_topics:
        return [f"topic {', '.join(worker.missing_topics)} was deleted; run: python -m agents topics"]
    restoring = [
        f"{part.agent} partition {part.partition}: its state is being read, {part.restored_share:.0%} of it"
        " so far"
        for part in worker.partitions()
        if part.restoring
    ]
    return restoring or [
        (
            "the group has not assigned partitions to this worker yet"
            if not worker.store.assigned
            else "starting or stopping"
        )
    ]


def lag(part: PartitionStatus) -> int | None:
    """Return how many records of the source are not applied yet; None while the end is unknown."""
    return None if part.end_offset is None else max(0, part.end_offset - part.position)


def status_of(part: PartitionStatus) -> dict[str, Any]:
    """Return the data of a core for the status page; empty if it has none or is not restored yet."""
    status = None if part.restoring else getattr(part.core, "status", None)
    data: dict[str, Any] = status() if status is not None else {}
    return data


def worker_measures(worker: LiveWorker, now_monotonic_s: float) -> Iterator[Measure]:
    """Return the measures of the process, without those of the cores."""
    counters, parts = worker.counters, worker.partitions()
    owned = Counter(part.agent for part in parts if not part.restoring)
    restoring = Counter(part.agent for part in parts if part.restoring)
    for name in sorted({agent.name for agent in worker.store.agents.values()} | set(owned) | set(restoring)):
        yield Measure("softfail_owned_partitions", (name,), owned[name])
        yield Measure("softfail_restoring_partitions", (name,), restoring[name])
    for part in parts:
        yield from _partition_measures(part, now_monotonic_s)
    yield Measure("softfail_applied_records_total", (), counters.records)
    yield Measure("softfail_checkpoints_total", (), counters.checkpoints)
    yield Measure("softfail_checkpoint_seconds_total", (), counters.checkpoint_seconds)
    yield Measure("softfail_large_checkpoints_total", (), counters.large_checkpoints)
    yield from counters.checkpoint_times.measures("softfail_checkpoint_duration_seconds")
    yield from counters.checkpoint_sizes.measures("softfail_checkpoint_size_bytes")
    yield from counters.apply_times.measures("softfail_apply_duration_seconds")
    yield from counters.loop_delays.measures("softfail_loop_delay_seconds")
    yield Measure("softfail_restored_records_total", (), counters.restored_records)
    yield Measure("softfail_restore_seconds_total", (), counters.restore_seconds)
    yield Measure("softfail_gaps_refetched_total", (), counters.gaps)
    yield Measure("softfail_lost_records_total", (), counters.lost_events)
    yield Measure("softfail_oversized_outputs_total", (), counters.oversized)
    yield Measure("softfail_oversized_state_records_total", (), counters.large_records)
    yield Measure("softfail_restarts_total", (), counters.restarts)
    for agent in worker.store.agents.values():
        if (measures := getattr(agent, "measures", None)) is not None:
            yield from measures()


def _partition_measures(part: PartitionStatus, now_monotonic_s: float) -> Iterator[Measure]:
    labels = part.agent, str(part.partition)
    if part.restoring:
        yield Measure("softfail_restored_share", labels, part.restored_share)
        return
    if (behind := lag(part)) is not None:
        yield Measure("softfail_consumer_lag_records", labels, behind)
    yield Measure("softfail_state_records", labels, part.state_records)
    yield Measure("softfail_state_bytes", labels, part.state_bytes)
    yield Measure("softfail_pending_bytes", labels, part.pending_bytes)
    if part.last_checkpoint_monotonic is not None:
        yield Measure(
            "softfail_checkpoint_age_seconds", labels, now_monotonic_s - part.last_checkpoint_monotonic
        )


def partition_row(part: PartitionStatus, now_monotonic_s: float) -> dict[str, Any]:
    """Return a row of the table of partitions."""
    since = part.last_checkpoint_monotonic
    return {
        "agent": part.agent,
        "partition": part.partition,
        "state": "restoring" if part.restoring else "running" if part.caught_up else "catching up",
        "lag": None if part.restoring else lag(part),
        "position": part.position,
        "checkpoint_age_s": None if since is None else round(now_monotonic_s - since, 1),
    }


def readiness_faults(worker: LiveWorker) -> Sequence[str]:
    """Return everything that keeps the worker from being ready."""
    return [*unhealthy(worker), *unready(worker)]
