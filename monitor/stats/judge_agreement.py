"""How a judge agrees with people: confusion matrix, sensitivity, specificity, agreement, Cohen's kappa."""

from __future__ import annotations

import math
from typing import NamedTuple

from monitor.stats.share_intervals import clopper_pearson_interval

Z95 = 1.959963984540054
Z97 = 2.241402727604947
"""Of two intervals that hold together with 95 %: each side misses in at most 1.25 %."""


class Share(NamedTuple):
    """A share with its 95 % interval; without any data it is unknown: 0 to 1."""

    value: float
    low: float
    high: float


class Matrix(NamedTuple):
    """Numbers of answers by verdict of the judge (first) and of people (second); *failed* is what is looked for."""

    both_failed: int = 0
    failed_passed: int = 0
    passed_failed: int = 0
    both_passed: int = 0

    @property
    def n(self) -> int:
        """Number of labels."""
        return sum(self)

    def plus(self, other: Matrix) -> Matrix:
        """Return the sum of two matrices."""
        return Matrix(*(a + b for a, b in zip(self, other, strict=True)))

    def add(self, judge_failed: bool, human_failed: bool) -> Matrix:
        """Return the matrix with one more label."""
        index = 2 * (not judge_failed) + (not human_failed)
        return Matrix(*(count + (place == index) for place, count in enumerate(self)))


class Agreement(NamedTuple):
    """What labels show of a judge. ``kappa_error``: standard error; both are NaN if only one class occurs."""

    sensitivity: Share
    specificity: Share
    agreement: Share
    kappa: float
    kappa_error: float
    failure_rate: Share


def exact_share(count: float, n: float, z: float = Z95) -> Share:
    """Return a share with its Clopper–Pearson interval.

    >>> [round(x, 3) for x in exact_share(8, 10)]
    [0.8, 0.444, 0.975]
    """
    if n <= 0:
        return Share(math.nan, 0.0, 1.0)
    return Share(count / n, *clopper_pearson_interval(count / n, n, z))


def random_agreement(labels: Matrix) -> Agreement:
    """Return the agreement where the labelled answers are a random sample of the judged ones.

    >>> result = random_agreement(Matrix(24, 29, 6, 941))
    >>> [round(x, 3) for x in (result.sensitivity.value, result.specificity.value, result.kappa)]
    [0.8, 0.97, 0.562]

    Source: Clopper and Pearson, Biometrika 26 (1934); Cohen, Educ. Psychol. Meas. 20 (1960).
    """
    a, b, c, d = labels
    kappa, error = cohen_kappa(labels)
    return Agreement(
        exact_share(a, a + c),
        exact_share(d, b + d),
        exact_share(a + d, labels.n),
        kappa,
        error,
        exact_share(a + c, labels.n),
    )


def stratified_agreement(labels: Matrix, judged_n: float, judged_failed: float) -> Agreement:
    """Return the agreement where answers were chosen for labelling by the verdict of the judge.

    Within each verdict the labelled answers must be a random sample. Then P(failed | judged failed) and
    P(failed | judged passed) are plain shares, and all else follows from them and the judged rate. Each figure is
    monotone in both shares; its interval is taken at their ends, 97.5 % each, so it is conservative.

    Args:
        labels: counts of labelled answers.
        judged_n, judged_failed: effective number of all judged responses, and of those judged failed.

    >>> result = stratified_agreement(Matrix(45, 55, 1, 99), 20_000, 1060)
    >>> [round(x, 2) for x in result.sensitivity], [round(x, 3) for x in result.specificity]
    ([0.72, 0.22, 1.0], [0.97, 0.959, 0.978])
    """
    a, b, c, d = labels
    judged = exact_share(judged_failed, judged_n, Z97)
    right, missed = exact_share(a, a + b, Z97), exact_share(c, c + d, Z97)
    points = [derived_shares(judged.value, _known(right.value, 0.5), _known(missed.value, 0.5))]
    points += [
        derived_shares(q, right_share, missed_share)
        for q in (judged.low, judged.high)
        for right_share in (right.low, right.high)
        for missed_share in (missed.low, missed.high)
    ]
    shares = [
        Share(column[0], min(column), max(column)) for column in zip(*points, strict=True)
    ]  # sensitivity, specificity, agreement, failure rate
    cells = _cells(judged.value, _known(right.value, 0.5), _known(missed.value, 0.5))
    kappa = _kappa(*cells)
    return Agreement(shares[0], shares[1], shares[2], kappa, math.nan, shares[3])


def agreement_of(labels: Matrix, judged: tuple[float, float] = (0.0, 0.0)) -> Agreement:
    """Return the agreement; ``judged``: as in ``stratified_agreement``, (0, 0) for a random sample."""
    return stratified_agreement(labels, *judged) if judged[0] > 0 else random_agreement(labels)


def cohen_kappa(labels: Matrix) -> tuple[float, float]:
    """Return Cohen's kappa and its standard error; NaN if there is one class only.

    Source: Fleiss, Cohen, Everitt, Psychol. Bull. 72 (1969), eq. 13.

    >>> [round(x, 3) for x in cohen_kappa(Matrix(40, 10, 10, 40))]
    [0.6, 0.08]
    """
    n = labels.n
    if not n:
        return math.nan, math.nan
    p = [[labels[0] / n, labels[1] / n], [labels[2] / n, labels[3] / n]]
    rows = [sum(p[0]), sum(p[1])]
    columns = [p[0][0] + p[1][0], p[0][1] + p[1][1]]
    chance = rows[0] * columns[0] + rows[1] * columns[1]
    if chance >= 1:
        return math.nan, math.nan
    kappa = (p[0][0] + p[1][1] - chance) / (1 - chance)
    same = sum(p[i][i] * (1 - (rows[i] + columns[i]) * (1 - kappa)) ** 2 for i in (0, 1))
    other = sum(p[i][j] * (columns[i] + rows[j]) ** 2 for i, j in ((0, 1), (1, 0)))
    variance = same + (1 - kappa) ** 2 * other - (kappa - chance * (1 - kappa)) ** 2
    return kappa, math.sqrt(max(0.0, variance) / n) / (1 - chance)


def _known(value: float, otherwise: float) -> float:
    return otherwise if math.isnan(value) else value


def _cells(q: float, right: float, missed: float) -> tuple[float, float, float, float]:
    return q * right, q * (1 - right), (1 - q) * missed, (1 - q) * (1 - missed)


def derived_shares(q: float, right: float, missed: float) -> tuple[float, float, float, float]:
    """Return sensitivity, specificity, agreement and true failure rate.

    Args:
        q: share of the answers judged failed.
        right: share of these that failed; ``missed``: share of the others that failed.
    """
    a, b, c, d = _cells(q, right, missed)
    sensitivity = a / (a + c) if a + c > 0 else 1.0
    specificity = d / (b + d) if b + d > 0 else 1.0
    return sensitivity, specificity, a + d, a + c


def _kappa(a: float, b: float, c: float, d: float) -> float:
    chance = (a + b) * (a + c) + (c + d) * (b + d)
    return (a + d - chance) / (1 - chance) if chance < 1 else math.nan
