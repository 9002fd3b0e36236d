"""Field types of the configuration: durations, severities, and sections that refuse unknown keys."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)?")
_UNIT_S = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def duration_s(value: Any) -> float:
    """Parse a duration to seconds.

    Args:
        value: seconds, or a text such as `90s`, `5m`, `1h`, `3d`.

    Raises:
        ValueError: the value is not a duration.

    >>> duration_s("5m"), duration_s(2), duration_s("2"), duration_s("1h")
    (300.0, 2.0, 2.0, 3600.0)
    """
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9:
        return float(value)
    if isinstance(value, str) and (match := _DURATION.fullmatch(value.strip())):
        return round(float(match[1]) * _UNIT_S[match[2] or "s"], 6)
    raise ValueError("not a duration; write a number of seconds, or like 90s, 5m, 1h, 3d")


Duration = Annotated[float, BeforeValidator(duration_s, json_schema_input_type=str | float)]
Severity = Literal["critical", "error", "warning", "info"]


class Part(BaseModel):
    """Base class of configuration sections. Unknown keys are errors: a misspelt rule would never fire."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, hide_input_in_errors=True)
