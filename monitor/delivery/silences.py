"""What is not delivered now, and until when: silences that somebody asked for, and windows that the
configuration plans.

Pure: the wall clock is an argument, microseconds since 1970. A silence mutes deliveries and nothing else; see
docs/decisions/0020.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from monitor.protocol.service import SERVICE
from schemas.config.silences import LONGEST, WEEK, PlannedSilence
from schemas.event_decoder import microseconds
from schemas.records import Episode, Silence
from schemas.times import rfc3339

KEPT_US = 24 * 3600 * 1_000_000  # an expired one, after its end
MOST = 1000  # that were asked for and are not over
_DAY_US = 86_400_000_000
_HORIZON_US = 60 * _DAY_US  # beyond which nobody follows silences that join one another
_ANSWERS = 5000  # that are remembered

Subject = tuple[str, str, str, str]
"""Service, feature, environment, severity."""


class Once(NamedTuple):
    """One window: [start, end)."""

    start_us: int
    end_us: int

    def end(self, at_us: int) -> int | None:
        """When the window that holds this instant ends; None: none does."""
        return self.end_us if self.start_us <= at_us < self.end_us else None

    def change(self, at_us: int) -> int | None:
        """The first beginning or end after this instant; None: there is none."""
        return (
            next((edge for edge in sorted(self) if edge > at_us), None)
            if self.start_us < self.end_us
            else None
        )


class Weekly(NamedTuple):
    """A window that begins by a clock on some days of the week (0 is Monday) and lasts so long, whatever that
    clock does meanwhile.

    Where the clock skips the beginning (spring), it is as much later as the clock jumps; where it shows it
    twice (autumn), it is the first.
    """

    days: frozenset[int]
    at: time
    length_us: int
    zone: ZoneInfo

    def end(self, at_us: int) -> int | None:
        """When the window that holds this instant ends (the last, if two overlap); None: none does."""
        return max(
            (
                start + self.length_us
                for start in self._starts(at_us, 1)
                if start <= at_us < start + self.length_us
            ),
            default=None,
        )

    def change(self, at_us: int) -> int:
        """The first beginning or end after this instant."""
        return min(
            edge
            for start in self._starts(at_us, 8)
            for edge in (start, start + self.length_us)
            if edge > at_us
        )

    def _starts(self, at_us: int, ahead: int) -> Iterator[int]:
        """Beginnings that may hold this instant, or come within so many days."""
        today = datetime.fromtimestamp(at_us // 1_000_000, UTC).astimezone(self.zone).date()
        for offset in range(-(self.length_us // _DAY_US) - 2, ahead + 1):
            day: date = today + timedelta(days=offset)
            if day.weekday() in self.days:
                yield microseconds(datetime.combine(day, self.at, self.zone))


class Muting(NamedTuple):
    """A silence, whoever set it. ``name``: its id, or where it stands in the configuration."""

    name: str
    match: str
    environments: tuple[str, ...]
    severity: tuple[str, ...]
    author: str
    reason: str
    when: Once | Weekly

    def covers(self, subject: Subject) -> bool:
        """Whether it is about this episode."""
        return covers(self.match, self.environments, self.severity, subject)

    def told(self, until_us: int) -> dict[str, Any]:
        """As the status page has it; ``until_us``: when it ends."""
        return {
            "silence_id": self.name,
            "match": self.match,
            "environments": list(self.environments),
            "severity": list(self.severity),
            "author": self.author,
            "reason": self.reason,
            "until": rfc3339(until_us),
        }


def covers(match: str, environments: Collection[str], severities: Collection[str], subject: Subject) -> bool:
    """Whether a silence is about an episode. About softfail itself only if it says so: whoever silences `*`
    must still hear that pages are lost.

    >>> covers("*", [], [], ("bot", "answer", "production", "error")), covers("*", [], [], ("softfail", "monitor", "production", "error"))
    (True, False)
    """
    service, feature, environment, severity = subject
    return (
        (service != SERVICE or match.startswith(f"{SERVICE}/"))
        and fnmatchcase(f"{service}/{feature}", match)
        and (not environments or any(fnmatchcase(environment, one) for one in environments))
        and (not severities or severity in severities)
    )


def planned(one: PlannedSilence, name: str) -> Muting:
    """A silence of the configuration."""
    when: Once | Weekly
    if one.from_ is not None and one.to is not None:
        when = Once(microseconds(one.from_), microseconds(one.to))
    else:
        assert one.at is not None
        assert one.for_ is not None
        days = frozenset(WEEK.index(day) for day in one.days or WEEK)
        when = Weekly(
            days, time.fromisoformat(one.at), round(one.for_ * 1e6), ZoneInfo(one.timezone or "UTC")
        )
    return Muting(name, one.match, one.environments or (), one.severity or (), one.author, one.reason, when)


def asked(one: Silence) -> Muting:
    """A silence that somebody asked for."""
    when = Once(microseconds(one.starts_at), microseconds(one.ends_at))
    return Muting(
        one.silence_id, one.match, tuple(one.environments), tuple(one.severity), one.author, one.reason, when
    )


def subject_of(episode: Episode) -> Subject:
    """What silences look at."""
    return episode.service, episode.feature, episode.environment, episode.severity


class Silences:
    """All of them. ``records`` are those that were asked for, by id."""

    def __init__(self, plan: Iterable[PlannedSilence] = ()) -> None:
        self.records: dict[str, Silence] = {}
        self._planned = [planned(one, f"silences[{at}]") for at, one in enumerate(plan)]
        self._mutings = self._planned
        self._answers: dict[Subject, tuple[int, int, Muting | None]] = {}  # from, before, what holds then
        self._oldest_us: int | None = None  # the first end among the records

    def take(self, record: Silence, now_us: int) -> list[str]:
        """Take a record; the newest of an id counts. Gives the ids that changed.

        Raises:
            ValueError: it is too long, or there are too many; names the remedy.
        """
        if record.ends_at - record.starts_at > LONGEST:
            raise ValueError(
                f"ends_at: lies more than {LONGEST.days} d after starts_at; plan a recurring one under"
                " silences: in softfail.yaml"
            )
        changed = [record.silence_id, *self.forget(now_us)]
        if record.silence_id not in self.records and len(self.records) >= MOST:
            first = min(self.records.values(), key=lambda one: one.ends_at)
            if microseconds(first.ends_at) > now_us:
                raise ValueError(
                    f"silence_id: {MOST} silences are not over yet; end some (python -m agents silence list),"
                    " or match more with one"
                )
            del self.records[first.silence_id]
            changed.append(first.silence_id)
        self.records.pop(record.silence_id, None)
        if microseconds(record.ends_at) + KEPT_US > now_us:
            self.records[record.silence_id] = record
        self._renew()
        return list(dict.fromkeys(changed))

    def forget(self, now_us: int) -> list[str]:
        """Drop those that ended a day ago; gives their ids."""
        if self._oldest_us is None or now_us - self._oldest_us < KEPT_US:
            return []
        over = [name for name, one in self.records.items() if now_us - microseconds(one.ends_at) >= KEPT_US]
        for name in over:
            del self.records[name]
        self._renew()
        return over

    def restore(self, records: Iterable[Silence]) -> None:
        """Take back ``records``."""
        self.records = {one.silence_id: one for one in records}
        self._renew()

    def over(self, subject: Subject, at_us: int) -> Muting | None:
        """The silence that holds over an episode at an instant: of several the one that lasts longest."""
        known = self._answers.get(subject)
        if known is not None and known[0] <= at_us < known[1]:
            return known[2]
        mine = [one for one in self._mutings if one.covers(subject)]
        held = [(end, one) for one in mine if (end := one.when.end(at_us)) is not None]
        answer = max(held, key=lambda item: item[0])[1] if held else None
        if len(self._answers) >= _ANSWERS:
            self._answers.clear()
        changes = [change for one in mine if (change := one.when.change(at_us)) is not None]
        self._answers[subject] = at_us, min(changes, default=at_us + _DAY_US), answer
        return answer

    def until(self, subject: Subject, at_us: int) -> int | None:
        """When it ends that an episode is silenced from this instant on, silences that join one another taken
        together; None: it is not.
        """
        mine = [one for one in self._mutings if one.covers(subject)]
        end_us = at_us
        while end_us - at_us < _HORIZON_US:
            later_us = max((end for one in mine if (end := one.when.end(end_us)) is not None), default=end_us)
            if later_us == end_us:
                break
            end_us = later_us
        return end_us if end_us > at_us else None

    def active(self, now_us: int) -> list[tuple[Muting, int]]:
        """Those in force, and when each ends; the first to end first."""
        return sorted(
            ((one, end) for one in self._mutings if (end := one.when.end(now_us)) is not None),
            key=lambda item: (item[1], item[0].name),
        )

    def _renew(self) -> None:
        self._mutings = [*self._planned, *map(asked, self.records.values())]
        self._oldest_us = min((microseconds(one.ends_at) for one in self.records.values()), default=None)
        self._answers.clear()
