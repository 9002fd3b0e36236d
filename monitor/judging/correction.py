"""The judged failure rate, corrected for the judge's errors, with an interval that contains them."""

from __future__ import annotations

import math

from monitor.judging.agreement import Matrix, Share, derived_shares, exact_share

Z_JUDGED, Z_LABELS = 2.5758293035489, 2.1280451706
"""99 % for the judged rate and 96.7 % for the share in each verdict: together at least 95 %, over both sides."""


def corrected_rate(judged: tuple[float, float], labels: Matrix, period: tuple[float, float]) -> Share:
    """Return the true failure rate of a period, corrected for the judge's errors, with a 95 % interval.

    Two estimates are made, and the interval covers both:

    - *by verdict*: θ = q·P(failed | judged failed) + (1 − q)·P(failed | judged passed). Right whatever the judge
      does, if the labels are of the same period: then nothing else is needed.
    - *by sensitivity and specificity* (Rogan, Gladen): θ = (q + spec − 1) ÷ (sens + spec − 1). Right if the judge is
      as it was when the labels were made, whatever the failure rate has become since.

    If the labels are of ``judged`` itself the two are the same. The value is that of the second, because ``judged``
    is usually newer than most of the labels.

    Null: within each verdict the labelled answers are a random sample. Without labels of a verdict its share is
    unknown, 0 to 1.

    Args:
        judged: effective number of judged responses of the period, and of those judged failed.
        labels: of all answers since the judge last changed.
        period: as ``judged``, of all the time that the labels are of.

    Source: Neyman, J. Amer. Statist. Assoc. 33 (1938), two-phase sampling; Rogan and Gladen, Amer. J. Epidemiol.
    107 (1978).

    >>> [round(x, 3) for x in corrected_rate((20_000, 1060), Matrix(180, 220, 3, 397), (20_000, 1060))]
    [0.031, 0.018, 0.057]
    """
    q = exact_share(judged[1], judged[0], Z_JUDGED)
    if math.isnan(q.value) or labels.n == 0:
        return Share(math.nan, 0.0, 1.0)
    a, b, c, d = labels
    right, missed = exact_share(a, a + b, Z_LABELS), exact_share(c, c + d, Z_LABELS)
    by_verdict = [
        rate * right_share + (1 - rate) * missed_share
        for rate in (q.low, q.high)
        for right_share, missed_share in ((right.low, missed.low), (right.high, missed.high))
    ]
    then = period[1] / period[0] if period[0] > 0 else q.value
    by_judge = [
        _rogan_gladen(rate, *derived_shares(then, right_share, missed_share)[:2])
        for rate in (q.low, q.high)
        for right_share in (right.low, right.high)
        for missed_share in (missed.low, missed.high)
    ]
    point = derived_shares(
        then, *(0.5 if math.isnan(share.value) else share.value for share in (right, missed))
    )
    value = _rogan_gladen(q.value, *point[:2])
    low, high = min(*by_verdict, *by_judge), max(*by_verdict, *by_judge)
    return Share(min(high, max(low, value)), low, high)


def _rogan_gladen(q: float, sensitivity: float, specificity: float) -> float:
    power = sensitivity + specificity - 1
    if power <= 0.05:  # the judge hardly tells failures from other answers: its rate says nothing
        return 0.0 if q < 1 - specificity else 1.0
    return min(1.0, max(0.0, (q + specificity - 1) / power))
