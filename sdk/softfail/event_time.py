"""The time of an event: RFC 3339 text, parsed into UTC."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AwareDatetime,
    BeforeValidator,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339 = re.compile(r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:?\d\d)")


def _utc_time(value: Any) -> datetime:
    """Parse RFC 3339 text into an aware time in UTC.

    Fractions below a microsecond (Go prints nanoseconds) are rounded half up.
    """
    if isinstance(value, datetime):
        time = value
    elif isinstance(value, str) and (match := _RFC3339.fullmatch(value)):
        date, clock, fraction, zone = match.groups()
        nanoseconds = int((fraction or "0").ljust(9, "0"))
        try:
            time = datetime.fromisoformat(f"{date}T{clock}{zone.upper()}") + timedelta(
                microseconds=(nanoseconds + 500) // 1000
            )
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{error}; send RFC 3339 in UTC, like 2026-03-02T09:00:00Z") from None
    else:
        raise ValueError("not a time; send RFC 3339 in UTC, like 2026-03-02T09:00:00Z")
    if time.tzinfo is None:
        raise ValueError("has no UTC offset; send RFC 3339 in UTC, like 2026-03-02T09:00:00Z")
    if time < EPOCH:
        raise ValueError("lies before 1970; send RFC 3339 in UTC, like 2026-03-02T09:00:00Z")
    try:
        return time.astimezone(UTC)
    except OverflowError:
        raise ValueError(
            "lies after the year 9999; send RFC 3339 in UTC, like 2026-03-02T09:00:00Z"
        ) from None


Time = Annotated[datetime, BeforeValidator(_utc_time, json_schema_input_type=AwareDatetime)]
