"""Definitions of metrics: the fields that events carry, their units, and the names that a rule may use."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import NamedTuple

TOKEN, MICROSECOND, NANODOLLAR, FIXED_POINT = 1.0, 1e-6, 1e-9, 2.0**-20


class Quantity(NamedTuple):
    """A number of an event: the name of its metric, its field, and the size of one integer unit."""

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
    """A label of a response whose distribution is watched.

    ``absent``: the value that stands for a response without the label; None if such responses do not count.
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
"""Each is counted under the name of its field.

Values equal to ``absent`` are not counted: their number follows from the number of calls.
"""

VERSIONS = (Category("service_version"),)
"""Counted in the same way, but never drift: a new version is a deployment, so a change and a likely cause."""

LANGUAGES = (Category("input_language"), Category("output_language"))
"""Languages of ``input`` and ``output``, in the order of ``monitor.windows.text_blocks.TEXT_NAMES``.

Events do not carry them: they are detected from a few texts of each pane.
"""

FORMATS = (Category("output_format"),)
"""The format of ``output``, found in the same way in a few more texts."""

TEXT_CATEGORIES = LANGUAGES + FORMATS
"""Categories of texts: each segment and pane counts its first texts only, so they have no weights."""

_TEXTS = ("input_text", "output_text")
_UNITS = {quantity.name: quantity.unit for quantity in RESPONSE_QUANTITIES + FEEDBACK_QUANTITIES}
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
SUCCESS_RATES = frozenset({"pass_rate", "feedback.acceptance_rate"})
"""Rates that state the share that did *not* fail."""

MAX_STAGES = 16
"""Stage names of one pane. Further ones do not count, so that a label value cannot exhaust the memory."""

RATES = ("pass_rate", "error_rate", "feedback.acceptance_rate", "feedback.regeneration_rate")
_NUMBERS_HINT = f"numbers are {', '.join(_UNITS)}, stage.NAME_s and evaluator.NAME.score"


def evaluator_of_metric(metric: str) -> str:
    """Return the evaluator that counts a metric; empty if none does.

    >>> evaluator_of_metric("evaluator.refusal.partial.fail_rate"), evaluator_of_metric("evaluator.length.score.p90")
    ('refusal.partial', 'length')
    >>> evaluator_of_metric("duration_s.p90")
    ''
    """
    if not metric.startswith("evaluator."):
        return ""
    return metric.removeprefix("evaluator.").partition(".fail_rate")[0].partition(".score")[0]


def metric_fault(metric: str, evaluators: Sequence[str]) -> str:
    """Return why a rule cannot name this metric; empty if it can.

    A rule on a metric that nothing counts would never fire. An unknown evaluator may report through
    evaluation events; only a name close to one of ``evaluators`` counts as a typing error.

    >>> metric_fault("duration_s.p90", ()), metric_fault("evaluator.judge.fail_rate", ("refusal",))
    ('', '')
    >>> metric_fault("pass_rat", ())
    "there is no metric 'pass_rat'; did you mean 'pass_rate'?"
    >>> metric_fault("duration_s", ())
    "there is no metric 'duration_s'; did you mean 'duration_s.p90'?"
    >>> metric_fault("evaluator.refusals.fail_rate", ("refusal",))
    "there is no evaluator 'refusals'; did you mean 'refusal'?"
    """
    if metric in RATES:
        return ""
    name, _, reading = metric.rpartition(".")
    if name.startswith("evaluator.") and reading == "fail_rate":
        evaluator = name.removeprefix("evaluator.")
        close = difflib.get_close_matches(evaluator, evaluators, 1, 0.75)
        if close and evaluator not in evaluators:
            return f"there is no evaluator {evaluator!r}; did you mean {close[0]!r}?"
        return ""
    if metric.removesuffix("_rate") in evaluators:
        return f"there is no metric {metric!r}; did you mean 'evaluator.{metric.removesuffix('_rate')}.fail_rate'?"
    close = difflib.get_close_matches(metric, RATES, 1, 0.8)
    if close:
        return f"there is no metric {metric!r}; did you mean {close[0]!r}?"
    if metric.endswith("_rate"):
        return f"there is no metric {metric!r}; rates are {', '.join(RATES)} and evaluator.NAME.fail_rate"
    if not _is_number(name):
        close = difflib.get_close_matches(name or metric, _UNITS, 1, 0.8)
        hint = f"did you mean {close[0] + '.' + (reading if name else 'p90')!r}?" if close else _NUMBERS_HINT
        return f"there is no metric {name or metric!r}; {hint}"
    if reading == "mean" or quantile_of(reading):
        return ""
    return f"{reading!r} is no statistic of a number; write mean, or a quantile like p50, p90, p99"


def drift_metric_fault(name: str, evaluators: Sequence[str]) -> str:
    """Return why a drift rule cannot name this statistic; empty if it can.

    >>> drift_metric_fault("output_tokens", ()), drift_metric_fault("output_language", ())
    ('', '')
    >>> drift_metric_fault("output_tokens.p90", ())
    "'output_tokens.p90' is one statistic of a number; drift compares its distribution: write output_tokens"
    """
    if name.endswith("_rate"):
        return metric_fault(name, evaluators)
    categories = [category.name for category in CATEGORIES + TEXT_CATEGORIES]
    if name in categories:
        return ""
    stem, _, reading = name.rpartition(".")
    if (reading == "mean" or quantile_of(reading)) and stem:
        return f"{name!r} is one statistic of a number; drift compares its distribution: write {stem}"
    if name in _TEXTS or _is_number(name):
        return ""
    names = (*_UNITS, *categories, *_TEXTS)
    close = difflib.get_close_matches(name, names, 1, 0.75)
    hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(names)}, stage.NAME_s, rates"
    return f"there is no metric {name!r}; {hint}"


def _is_number(name: str) -> bool:
    return name in _UNITS or re.fullmatch(r"stage\..+_s|evaluator\..+\.score", name) is not None


def quantile_of(reading: str) -> float | None:
    """Return the quantile that a name like ``p90`` means; None if it means none.

    >>> quantile_of("p90"), quantile_of("p99_9"), quantile_of("mean")
    (0.9, 0.999, None)
    """
    if not re.fullmatch(r"p\d{1,2}(_\d+)?", reading):
        return None
    q = round(float(reading[1:].replace("_", ".")) / 100, 9)
    return q if 0 < q < 1 else None


def unit_of(name: str) -> float:
    """Return the size of one integer unit of a number, in the unit of its name.

    >>> unit_of("duration_s"), unit_of("stage.retrieve_s"), unit_of("output_tokens")
    (1e-06, 1e-06, 1.0)
    """
    if name in _UNITS:
        return _UNITS[name]
    return MICROSECOND if name.startswith("stage.") else FIXED_POINT
