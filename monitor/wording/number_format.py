"""Figures for people: shares, lengths of time, numbers with their unit, and between what they lie."""

from __future__ import annotations

from monitor.stats.rate import wilson_interval
from monitor.windows.pane import Z95
from schemas.records import Evidence

LEAST_WIDTH = 3  # percentage points of an interval that is told in whole percents


def span(seconds: float) -> str:
    """A length of time for people.

    >>> span(20), span(90), span(300), span(7200), span(259200)
    ('20 s', '90 s', '5 min', '2 h', '3 d')
    """
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:.6g} s"


def share(value: float) -> str:
    """A share of one as a percentage of two or three digits.

    >>> share(0.234), share(0.0042), share(1.0), share(0.9996), share(0.99997)
    ('23.4 %', '0.42 %', '100 %', '99.96 %', '99.997 %')
    """
    percent = value * 100
    if percent in (0, 100):
        return f"{percent:.0f} %"
    for digits in range(2 if percent < 1 else 1, 6):
        shown = round(percent, digits)
        if 0 < shown < 100:  # what is not all must not read as all
            return f"{shown:.{digits}f}".rstrip("0").rstrip(".") + " %"
    return "almost 100 %" if percent > 50 else "almost 0 %"


def figure(value: float, unit: str) -> str:
    """A number, without its unit, in three digits; tokens and characters have no parts.

    >>> figure(4.218, "s"), figure(51_234.4, "tokens"), figure(1234.5, "s")
    ('4.22', '51,234', '1,234')
    """
    # a quantile is the middle of a bucket, and there are no parts of them
    if unit in ("tokens", "characters") and value >= 1:
        return f"{value:,.0f}"
    return f"{value:{'.3g' if abs(value) < 1000 else ',.0f'}}"


def shares_between(evidence: Evidence) -> str:
    """Between what a share lies at 95 %: Wilson's interval of its effective events; empty where that says
    nothing.

    In whole percents where it is wide; in more digits where it is narrow, or would read as if it touched what
    is allowed.

    >>> shares_between(Evidence(metric="error_rate", value=0.23, low=None, high=None, n=310, window_s=300, above=0.02))
    '19 to 28 %'
    >>> shares_between(Evidence(metric="error_rate", value=0.031, low=None, high=None, n=4000, window_s=300, above=0.02))
    '2.6 to 3.7 %'
    >>> shares_between(Evidence(metric="error_rate", value=0.031, low=None, high=None, n=1e7, window_s=300, above=0.02))
    ''
    """
    value, limit = (
        evidence.value,
        next((one for one in (evidence.above, evidence.below, evidence.reference) if one is not None), None),
    )
    if value is None or not 0 <= value <= 1 or evidence.n < 1:
        return ""
    ends = wilson_interval(value, evidence.n, Z95)
    wide = 100 * (ends[1] - ends[0]) >= LEAST_WIDTH
    low, high = (
        f"{100 * end:.0f}" if wide and _is_plain(end, limit) else share(end).removesuffix(" %")
        for end in ends
    )
    return f"{low} to {high} %" if low != high else ""


def _is_plain(end: float, limit: float | None) -> bool:
    """Whether whole percents do not read as nothing, as all or as what is allowed."""
    percent = round(100 * end)
    return end in (0, 1) or percent not in (0, 100, None if limit is None else round(100 * limit))


def figures_between(evidence: Evidence, unit: str) -> str:
    """Between what a number lies, where the evidence has that at 95 %, as what drifted has: that of a
    threshold is as wide as the false-page budget is.

    >>> figures_between(Evidence(metric="duration_s.p50", value=4.2, low=3.91, high=4.63, n=310, window_s=300, test="kolmogorov_smirnov"), "s")
    '3.91 to 4.63'
    """
    if evidence.test is None or evidence.low is None or evidence.high is None:
        return ""
    low, high = figure(evidence.low, unit), figure(evidence.high, unit)
    return f"{low} to {high}" if low != high else ""
