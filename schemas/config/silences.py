"""Silences planned in softfail.yaml: one period, or a recurring maintenance window."""

from __future__ import annotations

import itertools
import re
from datetime import timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, Field, field_validator, model_validator

from schemas.fields import Duration, Part, Severity

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEK: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
LONGEST = timedelta(days=30)
_WEEK_S = 7 * 86_400


def match_of(value: str) -> str:
    """Return a pattern that can match `service/feature`.

    Raises:
        ValueError: the pattern matches no feature.

    >>> match_of("bot/*")
    'bot/*'
    """
    if "/" not in value and "*" not in value:
        raise ValueError(f"matches no feature; write service/feature, with * and ?: {value}/*")
    return value


class PlannedSilence(Part):
    """A planned silence: nothing that it matches is delivered from `from` to `to`, or for `for` from `at` on
    `days`.
    """

    match: Annotated[str, AfterValidator(match_of)] = Field(
        min_length=1,
        max_length=300,
        description="`service/feature`, with * and ?; self-health is matched by `softfail/...` only",
    )
    environments: tuple[str, ...] | None = Field(
        None, description="Environments, with * and ?; by default all"
    )
    severity: tuple[Severity, ...] | None = Field(
        None, min_length=1, description="Highest severity of the episode; by default any"
    )
    from_: AwareDatetime | None = Field(
        None, alias="from", description="Once: begin, with an offset from UTC: 2026-12-24T18:00:00+01:00"
    )
    to: AwareDatetime | None = Field(None, description="Once: end")
    days: tuple[Weekday, ...] | None = Field(
        None,
        min_length=1,
        max_length=7,
        description="Recurring: days on which it begins; by default every day",
    )
    at: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = Field(
        None, description='Recurring: begin, local time: "22:00"'
    )
    for_: Duration | None = Field(None, alias="for", gt=0, le=_WEEK_S, description="Recurring: length")
    timezone: str | None = Field(None, description="Recurring: time zone, like Europe/Berlin; by default UTC")
    author: str = Field("", max_length=200, description="Who planned it")
    reason: str = Field(min_length=1, max_length=1000, description="Why; shown with the silence")

    @field_validator("at", mode="before")
    @classmethod
    def _yaml_reads_a_time_as_a_number(cls, value: object) -> object:
        if isinstance(value, int):
            raise ValueError('write it in quotes, "22:00": YAML reads 22:00 as a number')
        return value

    @field_validator("timezone")
    @classmethod
    def _zone_is_known(cls, value: str | None) -> str | None:
        try:
            if value is None or (re.fullmatch(r"[A-Za-z0-9_+\-/]+", value) and ZoneInfo(value)):
                return value
        except (LookupError, ValueError, OSError):
            pass
        raise ValueError(
            "is not a time zone of this machine; write a name like Europe/Berlin or UTC (they come from the"
            " system's tzdata)"
        )

    @model_validator(mode="after")
    def _is_one_form(self) -> PlannedSilence:
        once, recurring = (self.from_, self.to), (self.at, self.for_)
        extra = (self.days, self.timezone)
        if None not in once and (*recurring, *extra) == (None,) * 4:
            assert self.from_ is not None
            assert self.to is not None
            if not timedelta(0) < self.to - self.from_ <= LONGEST:
                raise ValueError("to: must be after from, by at most 30 d")
        elif None not in recurring and once == (None, None):
            assert self.for_ is not None
            days = sorted({WEEK.index(day) for day in self.days or WEEK})
            apart = max(later - day for day, later in itertools.pairwise([*days, days[0] + 7]))
            if self.for_ >= apart * 86_400 - 3600:  # days may be an hour shorter when daylight saving begins
                raise ValueError(
                    "for: the silence would never end on these days; write fewer days or a shorter duration"
                )
        else:
            raise ValueError(
                'write either from and to, or at and for (with days and timezone): {at: "22:00", for: 2h,'
                " days: [sat, sun]}"
            )
        return self
