"""Convert between microseconds since 1970, ``datetime`` and RFC 3339 text."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from softfail.event_time import EPOCH

__all__ = ["EPOCH", "microseconds", "rfc3339", "utc"]


def utc(microseconds: int) -> datetime:
    """Return the time at a number of microseconds since 1970.

    >>> utc(1_500_000)
    datetime.datetime(1970, 1, 1, 0, 0, 1, 500000, tzinfo=datetime.timezone.utc)
    """
    return EPOCH + timedelta(microseconds=microseconds)


def microseconds(time: datetime) -> int:
    """Return an aware time as microseconds since 1970, exactly.

    >>> microseconds(datetime(1970, 1, 1, 0, 0, 1, 5, tzinfo=UTC))
    1000005
    """
    difference = time - EPOCH
    return (difference.days * 86_400 + difference.seconds) * 1_000_000 + difference.microseconds


def rfc3339(time: int | datetime) -> str:
    """Format a time as RFC 3339 in UTC, with a fraction of a second only if there is one.

    Args:
        time: microseconds since 1970, or an aware time.

    >>> rfc3339(0), rfc3339(1_500_000), rfc3339(datetime(2026, 3, 2, 9, tzinfo=UTC))
    ('1970-01-01T00:00:00Z', '1970-01-01T00:00:01.500000Z', '2026-03-02T09:00:00Z')
    """
    moment = time.astimezone(UTC) if isinstance(time, datetime) else utc(time)
    return moment.isoformat().replace("+00:00", "Z")
