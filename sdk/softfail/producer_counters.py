"""Count every event for the meters, and collect problems for the log."""

from __future__ import annotations

import logging
import os
import socket
import threading
import uuid
from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from softfail.events import LABEL_CHARS, Meter

log = logging.getLogger("softfail")

UNKNOWN = "unknown"
"""The feature that counts calls without a valid feature name."""

_MAX_FEATURES = 1_000  # feature names made from user input must not grow memory without limit
_OTHER = "other"


class MeterKey(NamedTuple):
    """The labels of one meter."""

    service: str
    environment: str
    feature: str


@dataclass(slots=True)
class EventCounts:
    """Cumulative counts since the producer started: seen ≥ sampled ≥ sent + dropped.

    Sampled events that are neither sent nor dropped are in flight.
    """

    seen: int = 0
    sampled: int = 0
    sent: int = 0
    dropped: int = 0


class ProducerCounters:
    """Counters of one producer process. A forked child has counters of its own.

    Thread-safe. Only ``log_problems`` does I/O.
    """

    def __init__(self) -> None:
        self.producer_id = f"{socket.gethostname()[:64]}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self.started_at = datetime.now(UTC)
        self._lock = threading.RLock()  # reentrant: a signal handler may report during a report
        self._response_counts: dict[MeterKey, EventCounts] = {}
        self._counts_by_kind: dict[str, EventCounts] = {}
        self._next_sequence: dict[MeterKey, int] = {}
        self._problems: Counter[str] = Counter()
        self._details: dict[str, str] = {}

    def counts_of(self, key: MeterKey, kind: str = "response") -> EventCounts:
        """Return the counts of a feature's responses, or of another kind of event."""
        with self._lock:
            if kind != "response":
                return self._counts_by_kind.setdefault(kind, EventCounts())
            counts = self._response_counts.get(key)
            if counts is None:
                if len(self._response_counts) >= _MAX_FEATURES:
                    key = key._replace(feature=_OTHER)
                counts = self._response_counts.setdefault(key, EventCounts())
            return counts

    def count(self, counts: EventCounts, *names: str) -> None:
        """Add one to ``seen``, ``sampled``, ``sent`` or ``dropped``."""
        with self._lock:
            for name in names:
                setattr(counts, name, getattr(counts, name) + 1)

    def next_sequence(self, key: MeterKey) -> int | None:
        """Return the next sequence number, from 0, of a feature's responses.

        None if there are too many features to number each.
        """
        with self._lock:
            sequence = self._next_sequence.get(key, 0)
            if sequence == 0 and len(self._next_sequence) >= _MAX_FEATURES:
                return None
            self._next_sequence[key] = sequence + 1
            return sequence

    def drop(self, counts: EventCounts, reason: str, detail: str = "") -> None:
        """Count a dropped event, and note the reason."""
        self.count(counts, "dropped")
        self.note(reason, detail)

    def note(self, reason: str, detail: str = "") -> None:
        """Note a problem for the next line of the log.

        Args:
            reason: kind of problem; the log line shows how often each occurred.
            detail: what happened; the log line shows the latest of each reason.
        """
        with self._lock:
            self._problems[reason] += 1
            if detail:
                self._details[reason] = detail[:300]

    def log_problems(self) -> None:
        """Log the problems noted since the last call, in one line.

        Does I/O, so it must not run on the service's threads.
        """
        with self._lock:
            problems, details = self._problems, self._details
            self._problems, self._details = Counter(), {}
        if problems:
            log.warning(
                "softfail: %s",
                "; ".join(
                    f"{reason}: {count}" + (f" (last: {details[reason]})" if reason in details else "")
                    for reason, count in problems.most_common()
                ),
            )

    def meters(self, *, closing: bool = False) -> list[Meter]:
        """Return the current meter of each feature. ``closing``: they are the last ones."""
        now = datetime.now(UTC)
        with self._lock:
            return [
                Meter(
                    kind="meter",
                    event_id=uuid.uuid4().hex,
                    time=now,
                    producer_id=self.producer_id,
                    started_at=self.started_at,
                    closing=closing,
                    **key._asdict(),
                    **asdict(counts),
                )
                for key, counts in self._response_counts.items()
            ]

    def totals(self) -> dict[str, dict[str, int]]:
        """Return the counts of responses by ``service/feature``, and those of other events by kind."""
        with self._lock:
            totals: dict[str, dict[str, int]] = {}
            for key, counts in self._response_counts.items():
                total = totals.setdefault(f"{key.service}/{key.feature}", dict.fromkeys(asdict(counts), 0))
                for name, count in asdict(counts).items():
                    total[name] += count
            return totals | {kind: asdict(counts) for kind, counts in self._counts_by_kind.items()}


def meter_key(service: Any, environment: Any, feature: Any) -> MeterKey:
    """Return the key under which a call is counted.

    A value that is not a valid label becomes ``unknown``, so that invalid calls are visible in the counts.
    """
    return MeterKey(
        *(
            label if isinstance(label, str) and 0 < len(label) <= LABEL_CHARS else UNKNOWN
            for label in (service, environment, feature)
        )
    )
