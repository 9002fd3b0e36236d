"""Format numbers for people: shares, durations, numbers with a unit, intervals."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial

from monitor.stats.share_intervals import wilson_interval
from monitor.windows.record import Z95
from schemas.evidence_record import Evidence, WeightedSample

MAX_WIDTH = 0.9  # of an interval; a wider one says nothing
MAX_EXTRA_DIGITS = 16
"""Digits beyond the usual ones that a figure may have, to differ from another."""
LEAST_WIDTH = 3  # percentage points; an interval at least as wide is written in whole percents


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "case"), counted(2_000, "case")
    ('1 case', '2,000 cases')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def span(seconds: float) -> str:
    """Write a duration.

    >>> span(20), span(90), span(300), span(7200), span(259200)
    ('20 s', '90 s', '5 min', '2 h', '3 d')
    """
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:.6g} s"


def share(value: float, *others: float | None) -> str:
    """Write a share (0 to 1) as a percentage with two or three digits.

    Args:
        value: the share.
        others: shares in the same sentence; the text differs from theirs unless they are equal.

    >>> share(0.234), share(0.0042), share(1.0), share(0.9996), share(0.99997)
    ('23.4 %', '0.42 %', '100 %', '99.96 %', '99.997 %')
    >>> share(0.2341, 0.2338), share(0.2338, 0.2341)
    ('23.41 %', '23.38 %')
    """
    return _distinct(value, others, _share_digits, f"{Decimal(repr(float(value))) * 100:f} %")


def _share_digits(value: float, extra: int) -> str:
    """Write a share with ``extra`` more digits than usual."""
    percent = value * 100
    if percent in (0, 100):
        return f"{percent:.0f} %"
    least = (2 if percent < 1 else 1) + extra
    for digits in range(least, max(6, least + 1)):
        shown = round(percent, digits)
        if 0 < shown < 100:  # a share below 100 % must not be written as 100 %
            return f"{shown:.{digits}f}".rstrip("0").rstrip(".") + " %"
    return "almost 100 %" if percent > 50 else "almost 0 %"


def figure(value: float, unit: str, *others: float | None) -> str:
    """Write a number without its unit in three digits; tokens and characters are whole numbers.

    Args:
        value: the number.
        unit: in which ``others`` are too.
        others: numbers in the same sentence; the text differs from theirs unless they are equal.

    >>> figure(4.218, "s"), figure(51_234.4, "tokens"), figure(1234.5, "s")
    ('4.22', '51,234', '1,234')
    >>> figure(100.4, "tokens", 100.0), figure(4.218, "s", 4.221), figure(999.7, "s")
    ('100.4', '4.218', '1,000')
    """
    return _distinct(value, others, partial(_figure_digits, unit=unit), repr(float(value)))


def _figure_digits(value: float, extra: int, unit: str) -> str:
    """Write a number with ``extra`` more digits than usual."""
    # a quantile is the middle of a bucket, but there is no fraction of a token
    is_whole = unit in ("tokens", "characters") and value >= 1
    if is_whole or abs(value) >= 1000:
        text = f"{value:,.{extra}f}"
    else:
        text = f"{value:.{3 + extra}g}"
        if "e+" in text:  # rounded up to 1,000
            text = f"{float(text):,.0f}"
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def _distinct(
    value: float, others: Iterable[float | None], write: Callable[[float, int], str], exact: str
) -> str:
    """Write a value with as many digits as distinguish it from each of ``others`` that is not equal to it.

    Args:
        write: writes a number with so many digits more than usual.
        exact: the text where ``MAX_EXTRA_DIGITS`` do not suffice.
    """
    different = [other for other in others if other is not None and other != value]
    for extra in range(MAX_EXTRA_DIGITS):
        text = write(value, extra)
        if all(write(other, extra) != text for other in different):
            return text
    return exact


def weighted_sample_of(evidence: Evidence) -> WeightedSample | None:
    """Return the sample behind a rate of events with different weights; None for other evidence."""
    sample = evidence.weighted_sample
    return WeightedSample.model_validate(sample) if isinstance(sample, dict) else sample


def supports_share(evidence: Evidence) -> bool:
    """Return whether the sample supports a share: at least one effective event, and an interval that is not
    nearly all of 0 to 100 %.
    """
    sample = weighted_sample_of(evidence)
    return sample is None or (evidence.n >= 1 and sample.high - sample.low < MAX_WIDTH)


def shares_between(evidence: Evidence) -> str:
    """Write the 95 % interval of a share; empty if both ends read the same. It is that of the sample if
    events have different weights, otherwise Wilson's on the effective events.

    A wide interval is written in whole percents. A narrow interval has more digits, and so has an end that
    rounds to the threshold.

    >>> shares_between(Evidence(metric="error_rate", value=0.23, low=None, high=None, n=310, window_s=300, above=0.02))
    '19 to 28 %'
    >>> shares_between(Evidence(metric="error_rate", value=0.031, low=None, high=None, n=4000, window_s=300, above=0.02))
    '2.6 to 3.7 %'
    >>> shares_between(Evidence(metric="error_rate", value=0.031, low=None, high=None, n=1e7, window_s=300, above=0.02))
    ''
    """
    value, limit = (
        evidence.value,
        next(
            (bound for bound in (evidence.above, evidence.below, evidence.reference) if bound is not None),
            None,
        ),
    )
    if value is None or not 0 <= value <= 1 or evidence.n < 1:
        return ""
    sample = weighted_sample_of(evidence)
    ends = (sample.low, sample.high) if sample is not None else wilson_interval(value, evidence.n, Z95)
    wide = 100 * (ends[1] - ends[0]) >= LEAST_WIDTH
    low, high = (
        f"{100 * end:.0f}" if wide and _is_plain(end, limit) else share(end).removesuffix(" %")
        for end in ends
    )
    return f"{low} to {high} %" if low != high else ""


def _is_plain(end: float, limit: float | None) -> bool:
    """Return whether an end in whole percents differs from 0 %, 100 % and the threshold."""
    percent = round(100 * end)
    return end in (0, 1) or percent not in (0, 100, None if limit is None else round(100 * limit))


def figures_between(evidence: Evidence, unit: str) -> str:
    """Write the interval of a number; empty without a drift test.

    Only drift evidence has a 95 % interval. That of a threshold rule is as wide as the false-page budget
    requires.

    >>> figures_between(Evidence(metric="duration_s.p50", value=4.2, low=3.91, high=4.63, n=310, window_s=300, test="kolmogorov_smirnov"), "s")
    '3.91 to 4.63'
    """
    if evidence.test is None or evidence.low is None or evidence.high is None:
        return ""
    low, high = figure(evidence.low, unit), figure(evidence.high, unit)
    return f"{low} to {high}" if low != high else ""
