"""Rings: what a page said when it last rang, and whether what is true now must be heard again.

To ring is to open a key: a receiver notifies nobody of another trigger of an open key. Pure: decided from
records and their times alone, so that whoever reads them again after a crash decides the same.
See docs/decisions/0043.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from pydantic import BaseModel

from monitor.delivery.delivery_times import MINUTE_US
from monitor.protocol.severity import PAGING, most_severe, severity_rank
from monitor.windows.failure_kind import SILENCE, kind_of
from monitor.windows.figure_comparison import (
    FACTOR,
    LEAST_POINTS,
    RECOVERED,
    differ,
    failing_share,
    is_share,
    is_wrong_now,
)
from schemas.evidence_record import Evidence, Moved
from schemas.records import Episode, EpisodeIncident
from schemas.times import microseconds

SETTLE_US = 2 * MINUTE_US
"""What begins, or grows, within this time after a ring belongs to what rang."""
APART_US = 15 * MINUTE_US
"""Least time between two rings of a feature."""
HOUR_US, MOST_AN_HOUR = 60 * MINUTE_US, 4
PASS_RATE = "pass_rate"
_MORE = 1.25  # times the figure of the last ring: from here on a higher severity is worse

WORSE, ANOTHER = "got worse", "another failure"


class Failure(NamedTuple):
    """A kind of failure that pages now.

    ``began_us``: event time. ``metric``, ``value``, ``n``: the worst of its present figures; None if unknown.
    ``is_wrong``: whether it is wrong now; else it fires until it was good for long enough.
    """

    began_us: int
    metric: str
    value: float | None
    n: float
    is_wrong: bool = True

    @property
    def figure(self) -> tuple[float, float] | None:
        """Its figure and effective events; None if unknown."""
        return None if self.value is None else (self.value, self.n)


class Said(BaseModel):
    """What a page said when it rang.

    ``kinds``: kind -> figure and effective events; None if it was unknown, not wrong or hidden by a silence
    when the page rang. ``edge_us``: event time of the record.
    """

    severity: str
    kinds: dict[str, tuple[float, float] | None]
    edge_us: int


def failures(episode: Episode) -> dict[str, Failure]:
    """Return the kinds of failure of an episode that page and fire, with the worst figure of each."""
    failure_by_kind: dict[str, Failure] = {}
    # that fewer answers pass counts only where what fails has no finding of its own
    for incident in sorted(paging(episode), key=lambda incident: incident.evidence.metric == PASS_RATE):
        if incident.evidence.metric == PASS_RATE and incident.kind in failure_by_kind:
            continue
        for kind, failure in _failures_of(incident, microseconds(episode.time)):
            known = failure_by_kind.get(kind)
            if known is not None:
                began_us = min(known.began_us, failure.began_us)
                worst = failure if _is_larger(failure, known) else known
                is_wrong = known.is_wrong or failure.is_wrong
                failure = worst._replace(began_us=began_us, is_wrong=is_wrong)
            failure_by_kind[kind] = failure
    return failure_by_kind


def paging(episode: Episode) -> list[EpisodeIncident]:
    """Return the incidents of an episode that fire at a severity that pages."""
    return [
        incident
        for incident in episode.incidents
        if incident.state == "firing" and incident.severity in PAGING
    ]


def said_by(episode: Episode) -> Said:
    """Return what a page says of an episode. While its feature is silent, its other figures are old."""
    now = failures(episode)
    return Said(
        severity=_severity(episode),
        kinds={
            kind: failure.figure if failure.is_wrong and (SILENCE not in now or kind == SILENCE) else None
            for kind, failure in now.items()
        },
        edge_us=microseconds(episode.time),
    )


class Again(NamedTuple):
    """Why a page must ring again, and the kind of failure that it leads with."""

    reason: str
    kind: str


def why_again(said: Said, episode: Episode) -> Again | None:
    """Return why a page must ring again; None if it need not. Brings ``said`` up to date with what is over,
    and with what belongs to the last ring.
    """
    now, again = failures(episode), None
    settles = microseconds(episode.time) <= said.edge_us + SETTLE_US
    for kind in [kind for kind in said.kinds if kind not in now]:
        del said.kinds[kind]
    for kind, failure in now.items():
        if not failure.is_wrong:
            if kind in said.kinds and said.kinds[kind] is None:
                said.kinds[kind] = failure.figure  # it was not wrong since: if it is again, it got worse
            continue
        if kind not in said.kinds:
            if failure.metric == PASS_RATE:
                continue  # what fails has a finding of its own
            if failure.began_us <= said.edge_us + SETTLE_US:
                said.kinds[kind] = failure.figure
            else:
                again = Again(ANOTHER, kind)
            continue
        before = said.kinds[kind]
        if before is None or (settles and failure.value is not None and failure.value > before[0]):
            said.kinds[kind] = failure.figure
        elif is_twice(failure, before):
            again = again or Again(WORSE, kind)
    severity = _severity(episode)
    if severity_rank(severity) > severity_rank(said.severity):
        grew = [
            kind
            for kind, failure in now.items()
            if failure.is_wrong and _has_grown(failure, said.kinds.get(kind))
        ]
        if settles:
            said.severity = severity
        elif grew:
            again = again or Again(WORSE, grew[0])
    return again


def is_twice(failure: Failure, before: tuple[float, float]) -> bool:
    """Return whether a failure is at least twice as large as it was, of a share beyond chance and by 10
    points.

    >>> is_twice(Failure(0, "error_rate", 1.0, 30), (0.03, 300))
    True
    >>> is_twice(Failure(0, "error_rate", 0.75, 20), (0.375, 20))
    False
    """
    value, (then, _) = failure.value, before
    if value is None or value < FACTOR * then:
        return False
    if not is_share(failure.metric):
        return then > 0
    return value - then >= LEAST_POINTS and differ((value, failure.n), before)


def _has_grown(failure: Failure, before: tuple[float, float] | None) -> bool:
    """Return whether a failure is larger beyond chance; where that is unknown, a higher severity says so."""
    if failure.value is None or before is None:
        return True
    is_beyond_chance = not is_share(failure.metric) or differ((failure.value, failure.n), before)
    return failure.value >= _MORE * before[0] and is_beyond_chance


def next_ring_us(rings_us: Iterable[int]) -> int:
    """Return the wall clock from which a feature may ring again. ``rings_us``: of each of its rings.

    >>> next_ring_us([0]) // MINUTE_US, next_ring_us([0, 15 * MINUTE_US, 30 * MINUTE_US, 45 * MINUTE_US]) // MINUTE_US
    (15, 60)
    """
    rung_us = sorted(rings_us)
    if not rung_us:
        return 0
    earliest_us = rung_us[-1] + APART_US
    if len(rung_us) >= MOST_AN_HOUR:
        earliest_us = max(earliest_us, rung_us[-MOST_AN_HOUR] + HOUR_US)
    return earliest_us


def _failures_of(incident: EpisodeIncident, now_us: int) -> Iterator[tuple[str, Failure]]:
    evidence = incident.evidence
    # a silence is wrong from the edge at which events were missing on
    began = incident.since if evidence.metric == "events" else incident.wrong_since
    began_us, figure = microseconds(began), incident.present
    metric = figure.metric if figure is not None else evidence.metric
    kind = incident.kind or kind_of(evidence.metric)
    value = None if figure is None else figure.value
    is_wrong = is_wrong_now(incident)
    n = 0.0 if figure is None else figure.n
    yield kind, Failure(began_us, metric, _size(evidence, metric, value), n, is_wrong)
    also = {figure.metric: figure for figure in incident.also_present}
    for finding in evidence.findings[1:]:
        began_us = now_us if finding.began is None else microseconds(finding.began)
        then, shown = finding.value, also.get(finding.metric)
        is_wrong = (
            shown is None
            or then is None
            or finding.reference is None
            or abs(shown.value - finding.reference) > RECOVERED * abs(then - finding.reference)
        )
        value = None if shown is None else _size(finding, finding.metric, shown.value)
        n = 0.0 if shown is None else shown.n
        yield kind_of(finding.metric), Failure(began_us, finding.metric, value, n, is_wrong)


def _severity(episode: Episode) -> str:
    return most_severe(["info", *(incident.severity for incident in paging(episode))])


def _size(evidence: Evidence | Moved, metric: str, value: float | None) -> float | None:
    """Return a figure so that more is worse."""
    if value is None:
        return None
    if is_share(metric):
        return failing_share(metric, value)
    falls = (isinstance(evidence, Evidence) and evidence.below is not None) or (
        evidence.reference is not None and evidence.value is not None and evidence.value < evidence.reference
    )
    return value if not falls else 1 / value if value > 0 else None


def _is_larger(failure: Failure, other: Failure) -> bool:
    if failure.value is None or other.value is None:
        return other.value is None
    return failure.value > other.value
