"""Silences: which deliveries are held back now, and until when. People ask for them, or the configuration
plans them.

Pure: the wall clock is an argument, microseconds since 1970. A silence holds back deliveries and nothing
else; see docs/decisions/0020.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import time
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from monitor.delivery.silence_windows import DAY_US, OneTimeWindow, WeeklyWindow
from monitor.protocol.service import SERVICE
from schemas.config.silences import LONGEST, WEEK, PlannedSilence
from schemas.records import Episode, Silence
from schemas.times import microseconds, rfc3339
from softfail.sanitize import sanitize

KEPT_US = DAY_US  # an expired silence, after its end
MOST = 1000  # silences that people asked for and that have not ended
_HORIZON_US = 60 * DAY_US  # silences that join one another are followed no further
_CACHED = 5000  # subjects

Feature = tuple[str, str, str]
"""Service, feature and environment."""
ALIKE = 0.6  # of two names, from which one may be a typo of the other
NAMED = 3  # environments in a warning
Subject = tuple[str, str, str, str]
"""Fields of an episode that a silence matches: service, feature, environment, severity."""


class ScheduledSilence(NamedTuple):
    """A silence with the window in which it is in force, whoever set it.

    ``name``: its id, or its place in the configuration.
    """

    name: str
    match: str
    environments: tuple[str, ...]
    severity: tuple[str, ...]
    author: str
    reason: str
    window: OneTimeWindow | WeeklyWindow

    @classmethod
    def from_config(cls, silence: PlannedSilence, name: str) -> ScheduledSilence:
        """Build it from ``silences`` of the configuration."""
        window: OneTimeWindow | WeeklyWindow
        if silence.from_ is not None and silence.to is not None:
            window = OneTimeWindow(microseconds(silence.from_), microseconds(silence.to))
        else:
            assert silence.at is not None
            assert silence.for_ is not None
            days = frozenset(WEEK.index(day) for day in silence.days or WEEK)
            start, zone = time.fromisoformat(silence.at), ZoneInfo(silence.timezone or "UTC")
            window = WeeklyWindow(days, start, round(silence.for_ * 1e6), zone)
        environments, severity = silence.environments or (), silence.severity or ()
        return cls(name, silence.match, environments, severity, silence.author, silence.reason, window)

    @classmethod
    def from_record(cls, silence: Silence) -> ScheduledSilence:
        """Build it from a record that a person wrote."""
        return cls(
            silence.silence_id,
            silence.match,
            tuple(silence.environments),
            tuple(silence.severity),
            silence.author,
            silence.reason,
            OneTimeWindow(microseconds(silence.starts_at), microseconds(silence.ends_at)),
        )

    def matches(self, subject: Subject) -> bool:
        """Return whether it matches this subject, in force or not."""
        return silence_matches(self.match, self.environments, self.severity, subject)

    def status(self, until_us: int) -> dict[str, Any]:
        """Return it as the status page shows it. ``until_us``: when it ends."""
        return {
            "silence_id": self.name,
            "match": self.match,
            "environments": list(self.environments),
            "severity": list(self.severity),
            "author": self.author,
            "reason": self.reason,
            "until": rfc3339(until_us),
        }


def silence_matches(
    match: str, environments: Collection[str], severities: Collection[str], subject: Subject
) -> bool:
    """Return whether a silence matches a subject.

    Episodes about softfail itself match only if the silence names the service: whoever silences `*` must
    still learn that pages are lost.

    >>> silence_matches("*", [], [], ("bot", "answer", "production", "error"))
    True
    >>> silence_matches("*", [], [], ("softfail", "monitor", "production", "error"))
    False
    """
    service, feature, environment, severity = subject
    return (
        (service != SERVICE or match.startswith(f"{SERVICE}/"))
        and fnmatchcase(f"{service}/{feature}", match)
        and (not environments or any(fnmatchcase(environment, pattern) for pattern in environments))
        and (not severities or severity in severities)
    )


def warning_of(match: str, environments: Collection[str], known: Collection[Feature]) -> str:
    """Return what to say of a silence that matches no known feature; empty if it matches one, if none is
    known, or if it names softfail's own health.

    Args:
        match: ``service/feature``, with * and ?.
        environments: of the silence; empty for all.
        known: the features that send events.

    >>> known = [("shop-bot", "agent", "production"), ("shop-bot", "answer", "production")]
    >>> warning_of("shop-bot/agnt", [], known)
    'match: no feature that sends events is shop-bot/agnt; the nearest is shop-bot/agent'
    >>> warning_of("shop-bot/*", ["staging"], known)
    'environment: no feature that matches shop-bot/* sends events in staging; they do in production'
    >>> warning_of("shop-bot/*", [], known)
    ''
    """
    if not known or match.startswith(f"{SERVICE}/"):
        return ""
    subjects = [(*feature, "") for feature in known]
    matching = [subject for subject in subjects if silence_matches(match, (), (), subject)]
    if not matching:
        names = sorted({f"{service}/{feature}" for service, feature, _ in known})
        near = get_close_matches(match, names, 1, ALIKE)
        nearest = f"; the nearest is {near[0]}" if near else ""
        return sanitize(f"match: no feature that sends events is {match}{nearest}", 700)
    if any(silence_matches(match, environments, (), subject) for subject in matching):
        return ""
    seen = sorted({environment for _, _, environment, _ in matching})[:NAMED]
    return sanitize(
        f"environment: no feature that matches {match} sends events in {' or '.join(environments)}; they do in"
        f" {', '.join(seen)}",
        700,
    )


def silence_subject(episode: Episode) -> Subject:
    """Return what silences match of an episode."""
    return episode.service, episode.feature, episode.environment, episode.severity


class Silences:
    """All silences: those of the configuration, and ``records``, by id, that people asked for.

    Args:
        planned: ``silences`` of the configuration.
    """

    def __init__(self, planned: Iterable[PlannedSilence] = ()) -> None:
        self.records: dict[str, Silence] = {}
        self._planned = [
            ScheduledSilence.from_config(silence, f"silences[{number}]")
            for number, silence in enumerate(planned)
        ]
        self._all = self._planned
        # subject -> from, to (microseconds), the silence in force in between
        self._cache: dict[Subject, tuple[int, int, ScheduledSilence | None]] = {}
        self._first_end_us: int | None = None  # of the records

    def take(self, record: Silence, now_us: int) -> list[str]:
        """Add a record; it replaces an earlier one of its id. Return the ids that changed.

        Raises:
            ValueError: it is too long, or there are too many; names the remedy.
        """
        if record.ends_at - record.starts_at > LONGEST:
            raise ValueError(
                f"ends_at: lies more than {LONGEST.days} d after starts_at; plan a recurring one under"
                " silences: in softfail.yaml"
            )
        changed = [record.silence_id, *self.drop_expired(now_us)]
        if record.silence_id not in self.records and len(self.records) >= MOST:
            first = min(self.records.values(), key=lambda silence: silence.ends_at)
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
        self._refresh()
        return list(dict.fromkeys(changed))

    def drop_expired(self, now_us: int) -> list[str]:
        """Drop the records that ended a day ago; return their ids."""
        if self._first_end_us is None or now_us - self._first_end_us < KEPT_US:
            return []
        expired = [
            name
            for name, silence in self.records.items()
            if now_us - microseconds(silence.ends_at) >= KEPT_US
        ]
        for name in expired:
            del self.records[name]
        self._refresh()
        return expired

    def restore(self, records: Iterable[Silence]) -> None:
        """Take back ``records``."""
        self.records = {silence.silence_id: silence for silence in records}
        self._refresh()

    def in_force(self, subject: Subject, at_us: int) -> ScheduledSilence | None:
        """Return the silence in force for a subject at an instant (of several the one that ends last), or
        None.
        """
        cached = self._cache.get(subject)
        if cached is not None and cached[0] <= at_us < cached[1]:
            return cached[2]
        matching = [silence for silence in self._all if silence.matches(subject)]
        ends = [
            (end_us, silence) for silence in matching if (end_us := silence.window.end(at_us)) is not None
        ]
        silence = max(ends, key=lambda item: item[0])[1] if ends else None
        if len(self._cache) >= _CACHED:
            self._cache.clear()
        changes = [
            change_us for each in matching if (change_us := each.window.next_change(at_us)) is not None
        ]
        self._cache[subject] = at_us, min(changes, default=at_us + DAY_US), silence
        return silence

    def silenced_until(self, subject: Subject, at_us: int) -> int | None:
        """Return until when a subject is silenced without a gap from this instant on, or None if it is not.

        Silences that overlap or join one another count as one, up to 60 days ahead.
        """
        matching = [silence for silence in self._all if silence.matches(subject)]
        end_us = at_us
        while end_us - at_us < _HORIZON_US:
            ends = [later_us for each in matching if (later_us := each.window.end(end_us)) is not None]
            if not ends or max(ends) == end_us:
                break
            end_us = max(ends)
        return end_us if end_us > at_us else None

    def is_silenced(self, episode: Episode, at_us: int) -> bool:
        """Return whether an episode is silenced at an instant."""
        return self.silenced_until(silence_subject(episode), at_us) is not None

    def active(self, now_us: int) -> list[tuple[ScheduledSilence, int]]:
        """Return the silences in force and when each ends, microseconds; the first to end first."""
        return sorted(
            (
                (silence, end_us)
                for silence in self._all
                if (end_us := silence.window.end(now_us)) is not None
            ),
            key=lambda item: (item[1], item[0].name),
        )

    def _refresh(self) -> None:
        self._all = [*self._planned, *map(ScheduledSilence.from_record, self.records.values())]
        self._first_end_us = min(
            (microseconds(silence.ends_at) for silence in self.records.values()), default=None
        )
        self._cache.clear()
