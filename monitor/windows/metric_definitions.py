"""Which numbers events carry, what unit their integer sums have, and which rates are told by their successes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
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


class Category(NamedTuple):
    """A label of a response whose shares are watched. ``absent``: what a response has that says nothing; None
    where it is not counted then.
    """

    name: str
    absent: str | None = None


CATEGORIES = (
    Category("response_model"),
    Category("provider"),
    Category("finish_reason"),
    Category("error_type", "none"),
    Category("outcome", "ok"),
    Category("guardrail", "none"),
    Category("fallback", "none"),
    Category("degradation_level", "1"),
)
"""Each is counted under the name of the field that holds it. What is counted is only what differs from ``absent``; the rest is known from the calls."""

VERSIONS = (Category("service_version"),)
"""Counted in the same way, and never under drift: a new one is a deployment, which is a change, and perhaps a cause."""

LANGUAGES = (Category("input_language"), Category("output_language"))
"""Languages of ``input`` and ``output``, in the order of ``monitor.windows.text_blocks.TEXT_NAMES``.

Events do not carry them: they are detected from a few texts of each pane.
"""

_UNITS = {quantity.name: quantity.unit for quantity in RESPONSE_QUANTITIES + FEEDBACK_QUANTITIES}
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
SUCCESS_RATES = frozenset({"pass_rate", "feedback.acceptance_rate"})
"""Rates that state the share that did *not* fail."""

MAX_STAGES = 16  # stage names a pane; further ones are left out, so that a label value cannot grow memory


RATES = ("pass_rate", "error_rate", "feedback.acceptance_rate", "feedback.regeneration_rate")


def metric_fault(metric: str, evaluators: Sequence[str]) -> str:
    """What is wrong with a metric's name in a rule; empty if nothing is. A rule on what nobody counts would
    never fire.

    An evaluator that is not ours may come from evaluation events; one that looks like ours misspelt does not.

    >>> metric_fault("duration_s.p90", ()), metric_fault("evaluator.judge.fail_rate", ("refusal",))
    ('', '')
    >>> metric_fault("evaluator.refusals.fail_rate", ("refusal",))
    "there is no evaluator 'refusals'; did you mean 'refusal'?"
    """
    if metric in RATES:
        return ""
    name, _, reading = metric.rpartition(".")
    if name.startswith("evaluator.") and reading == "fail_rate":
        evaluator = name.removeprefix("evaluator.")
        close = difflib.get_close_matches(evaluator, evaluators, 1, 0.75)
        return (
            f"there is no evaluator {evaluator!r}; did you mean {close[0]!r}?"
            if close and evaluator not in evaluators
            else ""
        )
    if metric.endswith("_rate"):
        return f"nobody counts {metric!r}; rates are {', '.join(RATES)} and evaluator.NAME.fail_rate"
    if name not in _UNITS and not re.fullmatch(r"stage\..+_s|evaluator\..+\.score", name):
        return (
            f"nobody counts {name or metric!r}; numbers are {', '.join(_UNITS)}, stage.NAME_s and"
            " evaluator.NAME.score"
        )
    return (
        ""
        if reading == "mean" or quantile_of(reading)
        else f"{reading!r} is no reading; write mean, or a quantile like p50, p90, p99"
    )


def drift_metric_fault(name: str, evaluators: Sequence[str]) -> str:
    """What is wrong with the name of what should not drift; empty if nothing is.

    >>> drift_metric_fault("output_tokens", ()), drift_metric_fault("output_language", ())
    ('', '')
    >>> drift_metric_fault("output_tokens.p90", ())
    "'output_tokens.p90' is a reading; drift looks at all of it: write output_tokens"
    """
    if name in {one.name for one in CATEGORIES + LANGUAGES} or name.endswith("_rate"):
        return metric_fault(name, evaluators) if name.endswith("_rate") else ""
    stem, _, reading = name.rpartition(".")
    if (reading == "mean" or quantile_of(reading)) and stem:
        return f"{name!r} is a reading; drift looks at all of it: write {stem}"
    if (
        name in ("input_text", "output_text")
        or name in _UNITS
        or re.fullmatch(r"stage\..+_s|evaluator\..+\.score", name)
    ):
        return ""
    known = (*_UNITS, *(one.name for one in CATEGORIES + LANGUAGES), "input_text", "output_text")
    close = difflib.get_close_matches(name, known, 1, 0.75)
    return f"nobody counts {name!r}" + (
        f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}, stage.NAME_s, rates"
    )


def quantile_of(reading: str) -> float | None:
    """The quantile that a reading names, None if it names none.

    >>> quantile_of("p90"), quantile_of("p99_9"), quantile_of("mean")
    (0.9, 0.999, None)
    """
    if not re.fullmatch(r"p\d{1,2}(_\d+)?", reading):
        return None
    q = round(float(reading[1:].replace("_", ".")) / 100, 9)
    return q if 0 < q < 1 else None


def unit_of(name: str) -> float:
    """Size of one integer unit of a number, in the unit that its name says.

    >>> unit_of("duration_s"), unit_of("stage.retrieve_s"), unit_of("output_tokens")
    (1e-06, 1e-06, 1.0)
    """
    if name in _UNITS:
        return _UNITS[name]
    return MICROSECOND if name.startswith("stage.") else FIXED_POINT
