"""Find which shares of what went wrong are too large, with hysteresis. The wall clock is an argument."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from monitor.protocol.severity import most_severe
from monitor.self_health.heartbeat import FindingRecord
from monitor.wording.number_format import share, span
from schemas.config.self_health import Health as Settings
from schemas.records import Heartbeat
from schemas.times import microseconds, rfc3339

MOST_ERROR_SHARE = 0.5

Counts = Mapping[str, int]
"""Counts by name, and parts of them by ``NAME/CAUSE``."""


class ShareLimit(NamedTuple):
    """A part of a whole that ought to be small.

    From ``warning`` on it is a finding of that severity, from ``error`` on an error (``worst`` fixes another
    severity). ``least``: a part smaller than this many is no finding. ``each``: check each cause against a
    whole of its own, and report the worst. It ends below half of ``warning``, or half of ``least``.
    ``says`` may name the cause as ``{cause}``.
    """

    name: str
    whole: str
    warning: float
    error: float
    least: int
    says: str
    worst: str = "error"
    each: bool = False


SHARE_LIMITS = (
    ShareLimit("dead-letters", "records", 0.01, 0.10, 10, "of records could not be read"),
    ShareLimit(
        "unreadable-feature",
        "arrived",
        0.10,
        0.10,
        10,
        "of the records of {cause} could not be read",
        each=True,
    ),
    ShareLimit("evaluator-errors", "judged", 0.01, 0.10, 10, "of evaluations broke", each=True),
    ShareLimit(
        "producer-drops",
        "sampled",
        0.01,
        1.0,
        10,
        "of sampled calls were dropped by their producers",
        "warning",
    ),
    ShareLimit("events-missing", "numbered", 0.01, 1.0, 10, "of numbered events have not arrived", "warning"),
    ShareLimit(
        "wrong-partition",
        "records",
        0.20,
        1.0,
        100,
        "of records lay in a partition that is not theirs, and were sent on",
        "info",
    ),
)


class HealthFinding(NamedTuple):
    """Something wrong with softfail itself. ``since_us``: wall clock, microseconds since 1970."""

    name: str
    severity: str
    text: str
    since_us: int
    value: float | None = None

    def as_one_partition_sees_it(self) -> HealthFinding:
        """Return unreadable records as a ticket: they page if they are as large a share of all records."""
        return self._replace(severity="warning") if self.name == "dead-letters" else self

    def record(self) -> FindingRecord:
        """Return the finding as a heartbeat carries it."""
        return FindingRecord(
            name=self.name,
            severity=self.severity,
            text=self.text,
            since=rfc3339(self.since_us),
            value=self.value,
        )


def findings_in(heartbeat: Heartbeat) -> list[HealthFinding]:
    """Return the findings of a heartbeat that was read."""
    return [
        HealthFinding(
            finding.name, finding.severity, finding.text, microseconds(finding.since), finding.value
        )
        for finding in heartbeat.findings
    ]


class ShareChecks:
    """Find which shares are too large, with hysteresis. A severity does not sink before the finding ends."""

    def __init__(self, settings: Settings) -> None:
        error = max(settings.dead_letter_share, min(MOST_ERROR_SHARE, 10 * settings.dead_letter_share))
        warning = {"dead-letters": settings.dead_letter_share, "unreadable-feature": error}
        self._limits = [
            limit._replace(warning=warning[limit.name], error=error) if limit.name in warning else limit
            for limit in SHARE_LIMITS
        ]
        self._findings: dict[str, HealthFinding] = {}

    def check(
        self, counts: Counts, seconds: float, now_us: int, coverage: float = 1.0
    ) -> list[HealthFinding]:
        """Return the findings of a window.

        Args:
            counts: counted in the window.
            seconds: its length.
            now_us: wall clock, microseconds since 1970.
            coverage: share of the window's events that was counted, 0 to 1. The others count as good where a
                share becomes an error: some records in the first seconds after a restart page nobody.
        """
        for limit in self._limits:
            measured = _measure(limit, counts)
            previous = self._findings.get(limit.name)
            if measured.part >= limit.least and measured.share >= limit.warning:
                self._findings[limit.name] = _finding(limit, measured, previous, seconds, now_us, coverage)
            elif previous is not None and (
                measured.part * 2 < limit.least or measured.share * 2 < limit.warning
            ):
                del self._findings[limit.name]
        return list(self._findings.values())


def described(counts: Counts, seconds: float) -> dict[str, tuple[str, float]]:
    """Return text and share of everything in these counts that ought to be small, by name.

    >>> described({"records": 1850, "dead-letters": 100}, 300)
    {'dead-letters': ('5.4 % of records could not be read in 5 min', 0.054054)}
    """
    measured = {limit: _measure(limit, counts) for limit in SHARE_LIMITS}
    return {
        limit.name: (_text(limit, part, seconds), round(part.share, 6))
        for limit, part in measured.items()
        if part.part
    }


def coverage(heartbeats: Sequence[Heartbeat], window_us: int) -> float:
    """Return the share of the records of a window that was counted, 0 to 1, where each partition goes on at its
    rate. 1 if there are no records.

    Args:
        heartbeats: the last of each partition.
        window_us: length of the window, microseconds.
    """
    counted = in_window = 0.0
    for heartbeat in heartbeats:
        records = heartbeat.counts.get("records", 0)
        counted += records
        in_window += records * max(1.0, window_us / (max(1.0, heartbeat.observed_s) * 1e6))
    return counted / in_window if in_window else 1.0


class _Measured(NamedTuple):
    """A share, its part, and the cause of most of it."""

    share: float
    part: int
    main_cause: str


def _measure(limit: ShareLimit, counts: Counts) -> _Measured:
    causes = {
        name.partition("/")[2]: count for name, count in counts.items() if name.startswith(f"{limit.name}/")
    }
    if limit.each:
        measured = [
            _Measured(_ratio(count, counts.get(f"{limit.whole}/{cause}", 0)), count, cause)
            for cause, count in causes.items()
            if count >= limit.least
        ]
        return max(measured, default=_Measured(0.0, 0, ""))
    part = counts.get(limit.name, 0)
    main_cause = max(causes, key=lambda cause: (causes[cause], cause), default="")
    return _Measured(_ratio(part, counts.get(limit.whole, 0)), part, main_cause)


def _finding(
    limit: ShareLimit,
    measured: _Measured,
    previous: HealthFinding | None,
    seconds: float,
    now_us: int,
    coverage: float,
) -> HealthFinding:
    severity, since_us = limit.worst, now_us
    if severity == "error" and measured.share * coverage < limit.error:
        severity = "warning"
    if previous is not None:
        severity, since_us = most_severe((severity, previous.severity)), previous.since_us
    return HealthFinding(
        limit.name, severity, _text(limit, measured, seconds), since_us, round(measured.share, 6)
    )


def _text(limit: ShareLimit, measured: _Measured, seconds: float) -> str:
    says = limit.says.replace("{cause}", measured.main_cause)
    is_named = not measured.main_cause or says != limit.says
    cause = "" if is_named else f" (mostly: {measured.main_cause})"
    return f"{share(measured.share)} {says} in {span(max(1, round(seconds)))}{cause}"


def _ratio(part: int, whole: int) -> float:
    return min(1.0, part / whole) if whole > 0 else float(part > 0)
