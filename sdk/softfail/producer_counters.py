"""What became of every event: counts for the meters, reasons for the log."""

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
"""The feature under which calls are metered that named none."""

_MOST_SOURCES = 1_000  # a feature name made from user input must not grow memory without limit
_OTHER = "other"


class Source(NamedTuple):
    """Whose calls a meter counts."""

    service: str
    environment: str
    feature: str


@dataclass(slots=True)
class Tally:
    """Cumulative counts since the producer started: seen ≥ sampled ≥ sent + dropped; the rest is under way."""

    seen: int = 0
    sampled: int = 0
    sent: int = 0
    dropped: int = 0


class Ledger:
    """Counts of one producer: one process, and after a fork another. Safe for threads; no call does I/O but
    ``say``.
    """

    def __init__(self) -> None:
        self.producer_id = f"{socket.gethostname()[:64]}-{os.getpid()}-{uuid.uuid4().hex[:12]}"
        self.started_at = datetime.now(UTC)
        self._lock = threading.RLock()  # reentrant: a signal handler may report in the middle of a report
        self._responses: dict[Source, Tally] = {}
        self._others: dict[str, Tally] = {}
        self._handed: dict[Source, int] = {}
        self._reasons: Counter[str] = Counter()
        self._details: dict[str, str] = {}

    def tally(self, source: Source, kind: str = "response") -> Tally:
        """The tally of a feature's responses, or of another kind of event."""
        with self._lock:
            if kind != "response":
                return self._others.setdefault(kind, Tally())
            found = self._responses.get(source)
            if found is None:
                if len(self._responses) >= _MOST_SOURCES:
                    source = source._replace(feature=_OTHER)
                found = self._responses.setdefault(source, Tally())
            return found

    def count(self, tally: Tally, *names: str) -> None:
        """Add one to ``seen``, ``sampled``, ``sent`` or ``dropped``."""
        with self._lock:
            for name in names:
                setattr(tally, name, getattr(tally, name) + 1)

    def number(self, source: Source) -> int | None:
        """The next number, from 0, of the responses of a feature that are handed to Kafka; None where there
        are too many features to count each.
        """
        with self._lock:
            number = self._handed.get(source, 0)
            if number == 0 and len(self._handed) >= _MOST_SOURCES:
                return None
            self._handed[source] = number + 1
            return number

    def drop(self, tally: Tally, reason: str, detail: str = "") -> None:
        """Count an event that was given up."""
        self.count(tally, "dropped")
        self.note(reason, detail)

    def note(self, reason: str, detail: str = "") -> None:
        """Something to tell the log, when it is next told anything."""
        with self._lock:
            self._reasons[reason] += 1
            if detail:
                self._details[reason] = detail[:300]

    def say(self) -> None:
        """One line in the log for all that was noted since the last one. Does I/O: not on a calling thread."""
        with self._lock:
            reasons, details = self._reasons, self._details
            self._reasons, self._details = Counter(), {}
        if reasons:
            log.warning(
                "softfail: %s",
                "; ".join(
                    f"{reason}: {count}" + (f" (last: {details[reason]})" if reason in details else "")
                    for reason, count in reasons.most_common()
                ),
            )

    def meters(self) -> list[Meter]:
        """One meter a feature, as of now."""
        now = datetime.now(UTC)
        with self._lock:
            return [
                Meter(
                    kind="meter",
                    event_id=uuid.uuid4().hex,
                    time=now,
                    producer_id=self.producer_id,
                    started_at=self.started_at,
                    **source._asdict(),
                    **asdict(tally),
                )
                for source, tally in self._responses.items()
            ]

    def counts(self) -> dict[str, dict[str, int]]:
        """Counts by ``service/feature``, and for the other kinds by kind."""
        with self._lock:
            found: dict[str, dict[str, int]] = {}
            for source, tally in self._responses.items():
                sums = found.setdefault(f"{source.service}/{source.feature}", dict.fromkeys(asdict(tally), 0))
                for name, number in asdict(tally).items():
                    sums[name] += number
            return found | {kind: asdict(tally) for kind, tally in self._others.items()}


def source(service: Any, environment: Any, feature: Any) -> Source:
    """Whose call it is; what is no label becomes ``unknown``, so that a wrong call is counted where it can be
    seen.
    """
    return Source(
        *(
            label if isinstance(label, str) and 0 < len(label) <= LABEL_CHARS else UNKNOWN
            for label in (service, environment, feature)
        )
    )
