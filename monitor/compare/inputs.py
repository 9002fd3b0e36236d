"""Whether two arms got the same questions. If not, their answers say nothing about the versions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from monitor.compare.comparison import CALLS, Comparison
from monitor.compare.confidence_sequence import Counts, rate_bounds
from monitor.compare.evidence import CategoryEvidence, MeanEvidence
from monitor.compare.paired_counts import WeightedValues
from monitor.compare.rate_evidence import log_e_difference

ALPHA = 0.001
"""Probability, at any time of looking, that one check refuses arms that do get the same questions."""
LEAST_CHANGE = 0.1
"""Of the mean size of an input: smaller differences are no reason to refuse a verdict."""
LEAST_SHARE = 0.05
"""Of the calls: smaller differences of a mix are none either."""
SIZES = ("input_tokens", "input_chars")
MIXES = ("input_language",)
MIX_PREFIX = "dimension."

_TAIL = 0.1
_BUCKET_ERROR = 0.05  # of a value: more than that of the coarsest histogram


class InputDifference(NamedTuple):
    """Why the arms did not get the same questions: the metric, and a sentence."""

    metric: str
    text: str


def input_differences(
    comparison: Comparison, *, prompt_changes: bool, split: float | None = None
) -> tuple[InputDifference, ...]:
    """Return how the questions of both arms differ; empty if nothing shows that they do.

    Args:
        comparison: of all metrics.
        prompt_changes: whether the arms are versions of the prompt. A prompt has a length of its own, so then a
            constant difference of input tokens is none of the questions: their spread is compared.
        split: the share of the calls that b should get; None: not checked.
    """
    found = [
        difference
        for name in SIZES
        if (difference := _size(comparison, name, prompt_changes=prompt_changes)) is not None
    ]
    for metric in comparison.metrics:
        is_mix = metric.metric in MIXES or metric.metric.startswith(MIX_PREFIX)
        if metric.kind == "category" and is_mix and isinstance(metric.evidence, CategoryEvidence):
            found += _mix(metric.metric, metric.evidence, (comparison.a.name, comparison.b.name))
    if split is not None:
        found += _split(comparison, split)
    return tuple(found)


def _size(comparison: Comparison, name: str, *, prompt_changes: bool) -> InputDifference | None:
    metric = comparison.find(f"{name}.mean")
    if metric is None or not isinstance(metric.evidence, MeanEvidence) or min(metric.evidence.sizes) <= 0:
        return None
    evidence = metric.evidence
    a, b = evidence.a or 0.0, evidence.b or 0.0
    if prompt_changes and name == "input_tokens":
        if not _spread_differs(evidence.of_a, evidence.of_b):
            return None
        return InputDifference(
            name, f"{name} are spread differently around their median, beyond what a longer prompt explains"
        )
    if abs(b - a) <= LEAST_CHANGE * abs(a) or evidence.log_e() < math.log(1 / ALPHA):
        return None
    return InputDifference(
        name, f"{name} are {a:,.4g} on average in {comparison.a.name}, and {b:,.4g} in {comparison.b.name}"
    )


def _spread_differs(a: WeightedValues, b: WeightedValues) -> bool:
    """Return whether a tail of b, with both medians at 0, has another share than that of a.

    The values are those of histograms, so a tail of b must differ wherever its edge lies within their error.
    """
    centred_a, centred_b = a.values - _quantile(a, 0.5), b.values - _quantile(b, 0.5)
    error = _BUCKET_ERROR * max(_quantile(a, 0.5), _quantile(b, 0.5))
    for sign in (1.0, -1.0):
        edge = sign * (_quantile(a, 1 - _TAIL if sign > 0 else _TAIL) - _quantile(a, 0.5))
        of_a = float(a.shares[sign * centred_a > edge].sum())
        for tolerance in (error, -error):
            of_b = float(b.shares[sign * centred_b > edge + tolerance].sum())
            grows = of_b > of_a
            if grows == (tolerance > 0) and abs(of_b - of_a) > LEAST_SHARE:
                log_e = log_e_difference(b.moments.n, b.moments.n * of_b, a.moments.n, a.moments.n * of_a)
                if float(log_e) >= math.log(1 / ALPHA):
                    return True
    return False


def _quantile(values: WeightedValues, q: float) -> float:
    cumulative = np.cumsum(values.shares)
    return float(values.values[min(int(np.searchsorted(cumulative, q)), len(cumulative) - 1)])


def _mix(name: str, evidence: CategoryEvidence, arms: tuple[str, str]) -> Sequence[InputDifference]:
    if min(evidence.sizes) <= 0 or evidence.log_e() < math.log(1 / ALPHA):
        return ()
    if evidence.bounds(ALPHA).value <= LEAST_SHARE:
        return ()
    value = max(
        {*evidence.shares_a, *evidence.shares_b},
        key=lambda value: (evidence.shares_b.get(value, 0.0) - evidence.shares_a.get(value, 0.0), value),
    )
    a, b = evidence.shares_a.get(value, 0.0), evidence.shares_b.get(value, 0.0)
    remedy = f"; give --within {name.removeprefix(MIX_PREFIX)}" if name.startswith(MIX_PREFIX) else ""
    return (
        InputDifference(
            name,
            f"{name} is {value} in {a * 100:.0f} % of the calls of {arms[0]}, in {b * 100:.0f} % of {arms[1]}{remedy}",
        ),
    )


def _split(comparison: Comparison, split: float) -> Sequence[InputDifference]:
    metric = comparison.find(CALLS)
    effect = metric.design_effect if metric is not None else 1.0
    total, of_b = comparison.a.events + comparison.b.events, comparison.b.events
    if not total:
        return ()
    bounds = rate_bounds(Counts(total / effect, of_b / effect), ALPHA)
    if bounds.low <= split <= bounds.high:
        return ()
    return (
        InputDifference(
            "split",
            f"{comparison.b.name} has {bounds.value * 100:.2f} % of the calls, and should have {split * 100:.2f} %: who gets it is not random",
        ),
    )
