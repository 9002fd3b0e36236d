"""The least change that a person would care about: a drift may be certain and large in its test's measure, and
still be one token more of a hundred.
"""

from __future__ import annotations

from monitor.rules.drift_effect import statistic_kind
from monitor.rules.drift_evidence import NEVER_SEEN, DriftResult
from monitor.windows.pane import Pane
from schemas.config.rules import Drift

LEAST_CHANGES = {"number": 0.05, "category": 0.02, "language": 0.1, "format": 0.05, "rate": 0.01}
"""Least change by kind of statistic.

Numbers: of the mean or quantile that moved most, as a share of the greater value. Categories, languages and formats:
of the share of the label that moved most. Rates: of the rate. A text has no value, so only its effect counts.
"""

LEAST_TEXTS = 12
"""Texts by which a language or format must have moved in the window: fewer may be one conversation."""


def is_large_enough(rule: Drift, result: DriftResult, current: Pane, reference: Pane) -> bool:
    """Return whether the reading that a finding would state changed enough; always for a model never seen.

    Args:
        rule: ``least_change`` replaces the value of ``LEAST_CHANGES``.
        current: with the statistic of ``result`` now; ``reference``: with that of the reference.
    """
    if result.test == NEVER_SEEN:
        return True
    moved = result.reading(current, reference)
    if moved.now.value is None or moved.reference is None:
        return False
    kind = statistic_kind(result.statistic)
    least = LEAST_CHANGES[kind] if rule.least_change is None else rule.least_change
    change = abs(moved.now.value - moved.reference)
    if kind == "number":
        change /= max(abs(moved.now.value), abs(moved.reference)) or 1.0
    elif kind in ("language", "format"):
        least = max(least, LEAST_TEXTS / result.n)
    return change >= least
