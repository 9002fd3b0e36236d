"""Group dead letters by reason, with a count and a redacted example, for a terminal."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from agents.dead_letters.records import Identity, LetterFilter, StoredLetter
from schemas.times import rfc3339
from softfail.redact import redact
from softfail.sanitize import escape_hidden

GROUPS = 1000  # more reasons than these are counted together: fields and errors come from outside
EXCERPT, ERROR = 160, 240  # characters shown
READ_CHARS = 4096 // 3 * 4  # of the base64 of a value, looked at for an excerpt
OTHER = "(other reasons)"

_GOT = re.compile(r", got .*?(?= \(and \d+ more\)$|$)", re.DOTALL)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


@dataclass
class Group:
    """Letters with the same field and kind of error. Times: when they were refused, ms since 1970."""

    error: str
    field: str
    count: int = 0
    reinjected: int = 0
    oldest_ms: int = 0
    newest_ms: int = -1
    example: Identity | None = None
    value: str | None = None

    def add(self, stored: StoredLetter, again: bool) -> None:
        """Count one letter; the newest is the example."""
        self.oldest_ms = stored.refused_ms if not self.count else min(self.oldest_ms, stored.refused_ms)
        self.count += 1
        self.reinjected += again
        if stored.refused_ms >= self.newest_ms:
            self.newest_ms, self.example = stored.refused_ms, stored.identity
            self.value = None if stored.letter.value is None else stored.letter.value[:READ_CHARS]

    def as_row(self) -> dict[str, Any]:
        """Return what is printed of the group: redacted, cut, without control characters."""
        return {
            "count": self.count,
            "reinjected": self.reinjected,
            "error": safe(self.error, ERROR),
            "field": safe(self.field, 100),
            "oldest": _day_time(self.oldest_ms),
            "newest": _day_time(self.newest_ms),
            "example": (
                None
                if self.example is None
                else {
                    "topic": self.example.topic,
                    "partition": self.example.partition,
                    "offset": self.example.offset,
                }
            ),
            "excerpt": excerpt(self.value),
        }


def error_template(error: str) -> str:
    """Return the template of an error message: the message without the values of one letter.

    >>> error_template("duration_s: Input should be greater than or equal to 0, got -3.5 (and 1 more)")
    'duration_s: Input should be greater than or equal to # (and # more)'
    >>> error_template("kind: 'x7' is not one of response, meter")
    "kind: '...' is not one of response, meter"
    """
    return _NUMBER.sub("#", _QUOTED.sub("'...'", _GOT.sub("", error)))


def excerpt(value: str | None) -> str | None:
    """Return the beginning of a value as a terminal may show it; None if there is none.

    Args:
        value: base64, or a piece of it of whole quadruples.
    """
    if value is None:
        return None
    try:
        data = base64.b64decode(value)
    except ValueError:
        return "(no base64)"
    return safe(data.decode("utf-8", "backslashreplace"), EXCERPT)


def group_letters(
    letters: Iterable[StoredLetter | None], selects: LetterFilter, done: set[Identity]
) -> tuple[list[Group], int]:
    """Return the groups, the largest first, and how many records are no dead letters of this release.

    Args:
        letters: None stands for a record that is no dead letter of this release.
        done: the refused records that were re-injected.
    """
    groups: dict[tuple[str, str], Group] = {}
    unreadable = 0
    for stored in letters:
        if stored is None:
            unreadable += 1
        elif selects(stored):
            key = error_template(stored.letter.error), stored.letter.field
            if key not in groups and len(groups) >= GROUPS:
                key = OTHER, ""
            groups.setdefault(key, Group(*key)).add(stored, stored.identity in done)
    return sorted(groups.values(), key=lambda group: -group.count), unreadable


def safe(text: str, most: int) -> str:
    """Return a text of others redacted, with hidden characters as escapes, cut to ``most`` characters."""
    shown = escape_hidden(redact(text))
    return shown if len(shown) <= most else shown[: most - 3] + "..."


def _day_time(ms: int) -> str:
    return rfc3339(ms // 1000 * 1_000_000)
