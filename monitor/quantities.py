"""Which numbers events carry, what unit their integer sums have, and which rates are told by their successes."""

from __future__ import annotations

from typing import NamedTuple

TOKEN, MICROSECOND, NANODOLLAR, FIXED_POINT = 1.0, 1e-6, 1e-9, 2.0**-20


class Quantity(NamedTuple):
    """A number of an event: its metric's name, the field that holds it, and the size of one integer unit."""

    name: str
    field: str
    unit: float


RESPONSE_QUANTITIES = (
    Quantity("input_tokens", "input_tokens", TOKEN),
    Quantity("output_tokens", "output_tokens", TOKEN),
    Quantity("cached_input_tokens", "cached_input_tokens", TOKEN),
    Quantity("reasoning_tokens", "reasoning_tokens", TOKEN),
    Quantity("tool_calls", "tool_calls", TOKEN),
    Quantity("input_chars", "input_chars", TOKEN),
    Quantity("output_chars", "output_chars", TOKEN),
    Quantity("duration_s", "duration_s", MICROSECOND),
    Quantity("time_to_first_token_s", "time_to_first_token_s", MICROSECOND),
    Quantity("cost_usd", "cost_usd", NANODOLLAR),
)
FEEDBACK_QUANTITIES = (
    Quantity("feedback.edit_distance", "edit_distance", FIXED_POINT),
    Quantity("feedback.rating", "rating", FIXED_POINT),
    Quantity("feedback.task_s", "task_s", MICROSECOND),
)

_UNITS = {quantity.name: quantity.unit for quantity in RESPONSE_QUANTITIES + FEEDBACK_QUANTITIES}
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
SUCCESSES = frozenset({"pass_rate", "feedback.acceptance_rate"})
"""Rates that state the share that did *not* fail."""

STAGES = 16  # stage names a pane; further ones are left out, so that a label value cannot grow memory


def unit_of(name: str) -> float:
    """Size of one integer unit of a number, in the unit that its name says.

    >>> unit_of("duration_s"), unit_of("stage.retrieve_s"), unit_of("output_tokens")
    (1e-06, 1e-06, 1.0)
    """
    if name in _UNITS:
        return _UNITS[name]
    return MICROSECOND if name.startswith("stage.") else FIXED_POINT
