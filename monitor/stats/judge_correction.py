"""The judged failure rate, corrected for the judge's errors, with an interval that contains them."""

from __future__ import annotations

import math
from typing import NamedTuple

from monitor.stats.estimate import NO_ESTIMATE, Estimate
from monitor.stats.judge_agreement import Matrix, Share, derived_shares, exact_share

Z_JUDGED, Z_LABELS = 2.5758293035489, 2.1280451706
"""99 % for the judged rate and 96.7 % for the share in each verdict: together at least 95 %, over both sides."""
Z_FIXED_LABELS = 2.5758293035489
"""99 %, for labels that are the same at many looks."""


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
    return _corrected(exact_share(judged[1], judged[0], Z_JUDGED), labels, period, Z_LABELS)


class JudgeCorrection(NamedTuple):
    """What a calibrated judge states with each verdict: by what its rate is corrected.

    Attributes:
        labels: of all answers since the judge last changed.
        period: effective number of its verdicts in that time, and of those *failed*.
    """

    labels: Matrix
    period: tuple[float, float]

    def text(self) -> str:
        """Return it as evaluation events have it.

        >>> JudgeCorrection(Matrix(18, 22, 3, 397), (2000.0, 106.5)).text()
        '18 22 3 397 2000 106.5'
        """
        return " ".join(f"{number:.6g}" for number in (*self.labels, *self.period))

    def corrected(self, estimate: Estimate) -> Estimate:
        """Return the true failure rate, from the judged one with its interval.

        The interval keeps the confidence of ``estimate`` for the chance in the verdicts. The chance in labels has
        99 %: labels are the same at each edge, so that looking every minute gives them no further chance to mislead.

        >>> correction = JudgeCorrection(Matrix(180, 220, 3, 397), (20_000.0, 1060.0))
        >>> [round(x, 3) for x in correction.corrected(Estimate(0.053, 20_000.0, 0.045, 0.062))]
        [0.031, 20000.0, 0.013, 0.072]
        """
        if estimate.value is None or not self.labels.n:
            return NO_ESTIMATE
        judged = Share(
            estimate.value,
            0.0 if estimate.low is None else estimate.low,
            1.0 if estimate.high is None else estimate.high,
        )
        rate = _corrected(judged, self.labels, self.period, Z_FIXED_LABELS)
        return Estimate(rate.value, estimate.n, rate.low, rate.high)


def read_correction(text: str) -> JudgeCorrection | None:
    """Read what ``JudgeCorrection.text`` returned; None for anything else.

    >>> read_correction("18 22 3 397 2000 106.5").period, read_correction("18 22"), read_correction("1 2 3 x 5 6")
    ((2000.0, 106.5), None, None)
    """
    try:
        a, b, c, d, n, failed = map(float, text.split(" "))
    except ValueError:
        return None
    labels = Matrix(*(int(count) if 0 <= count <= 1e9 else -1 for count in (a, b, c, d)))
    if min(labels) < 0 or not 0 <= failed <= n <= 1e12:
        return None
    return JudgeCorrection(labels, (n, failed))


def _corrected(q: Share, labels: Matrix, period: tuple[float, float], z_labels: float) -> Share:
    if math.isnan(q.value) or labels.n == 0:
        return Share(math.nan, 0.0, 1.0)
    a, b, c, d = labels
    right, missed = exact_share(a, a + b, z_labels), exact_share(c, c + d, z_labels)
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
