"""What was published, compared with windows, dead letters and pages."""

from __future__ import annotations

import collections
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.durability.hostile_hour.traffic import HEALTHY, Place
from tests.scenarios.deployment import Ring

SOON_MIN = 3.0  # from the beginning of a failure to its page


@dataclass
class Period:
    """A failure of a feature. Times are minutes of the run."""

    feature: str
    fault: str
    begin: float
    end: float
    rung: float | None = None
    over: float | None = None


@dataclass
class Counted:
    """What the windows say: calls and failed calls by feature, and all calls."""

    calls: collections.Counter[str] = field(default_factory=collections.Counter)
    failed: collections.Counter[str] = field(default_factory=collections.Counter)

    @classmethod
    def from_windows(cls, records: Sequence[Any]) -> Counted:
        """Add up the last revision of each window of a whole feature.

        Args:
            records: of the windows topic, in order; junk among them is passed over.
        """
        last: dict[bytes, dict[str, Any]] = {}
        for record in records:
            try:
                window = json.loads(record.value)
                if window["level"] == "feature":
                    last[record.key] = window
            except (ValueError, KeyError, TypeError, RecursionError):
                continue
        counted = cls()
        for window in last.values():
            name = f"{window['service']}/{window['feature']}"
            counted.calls[name] += window["events"]
            for _, _, failed in window["metrics"]["pass_rate"]["classes"]:
                counted.failed[name] += failed
        return counted


def letters(records: Sequence[Any], topic: str) -> collections.Counter[Place]:
    """Return where the records lay that dead letters name; junk among the letters is passed over."""
    places: collections.Counter[Place] = collections.Counter()
    for record in records:
        try:
            letter = json.loads(record.value)
            if letter["topic"] == topic:
                places[letter["partition"], letter["offset"]] += 1
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return places


def count_faults(counted: Counted, sent: dict[str, int], failed: dict[str, int], total: int) -> Iterator[str]:
    """Yield where counts differ from what was published.

    Args:
        sent, failed: calls, and failed calls, of the features that are compared one by one.
        total: all calls.
    """
    for name, calls in sent.items():
        if counted.calls[name] != calls:
            yield f"{name}: {calls} calls were published, the windows have {counted.calls[name]}"
        if counted.failed[name] != failed.get(name, 0):
            yield f"{name}: {failed.get(name, 0)} calls failed, the windows have {counted.failed[name]}"
    if counted.calls.total() != total:
        yield f"{total} calls were published in all, the windows have {counted.calls.total()}"


def letter_faults(places: collections.Counter[Place], junk: dict[Place, str]) -> Iterator[str]:
    """Yield where dead letters differ from the records that must become one."""
    missing = collections.Counter(kind for place, kind in junk.items() if places[place] == 0)
    if missing:
        yield f"without a dead letter: {dict(missing)}"
    more = {place: number for place, number in places.items() if number > (place in junk)}
    if more:
        yield f"dead letters of good records, or doubled ones: {dict(list(more.items())[:5])}"


def page_faults(rings: Sequence[Ring], tickets: Sequence[Ring], periods: Sequence[Period]) -> Iterator[str]:
    """Note in the periods when they rang; yield the broken laws of pages.

    Args:
        rings, tickets: of PagerDuty.
    """
    due: list[Ring] = []
    for period in periods:
        latest = period.end + SOON_MIN
        of_period = [
            ring for ring in rings if period.feature in _texts(ring) and period.begin <= ring.minute < latest
        ]
        due += of_period
        if of_period:
            period.rung, period.over = of_period[0].minute, of_period[-1].over
        if period.rung is None or period.rung > period.begin + SOON_MIN:
            when = "never" if period.rung is None else f"after {period.rung - period.begin:.1f} min"
            yield f"{period.feature}: {period.fault} from minute {period.begin:.1f} on rang {when}"
    for ring in rings:
        if not any(ring is other for other in due):
            yield f"a page that was not due, minute {ring.minute:.1f}: {ring.text}"
    for ring in (*rings, *tickets):
        if HEALTHY in _texts(ring):
            yield f"the healthy feature, minute {ring.minute:.1f}: {ring.text}"


def _texts(ring: Ring) -> str:
    return " ".join((ring.key, ring.text, *ring.updates, *ring.lines))
