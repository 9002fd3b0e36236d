"""Find the series on which a threshold of a rate cannot breach, all series of a feature at once.

A rate breaches when its exact interval lies beyond the threshold. A bound of the binomial tail shows where it
does not; elsewhere the rule is read.
"""

from __future__ import annotations

import math

import numpy as np

from monitor.rules.drift_layout import Flags
from monitor.rules.threshold import BUSY_S, LADDER_S, WHOLE_EVENTS, z_of
from monitor.windows.count_columns import CountColumns
from monitor.windows.count_tables import Counts
from monitor.windows.metric_definitions import SUCCESS_RATES
from schemas.config.rules import FixedThreshold, Rule

MARGIN = 1e-6


def quiet_rows(
    rule: Rule, threshold: FixedThreshold, columns: CountColumns, edge_us: int, has_hours: Flags
) -> Flags:
    """Return for each row of ``columns`` whether a rule on a rate does not breach.

    The rule has no incident on a series that counts as quiet, was not cleared on it, and the series has no
    heavier weights than the rate.

    Args:
        rule: on a rate, with a window of two hours at most.
        columns: counted up to the edge.
        has_hours: whether a row has panes that are older than two hours.
    """
    rows = len(columns.rows)
    if rule.on not in columns.rates:
        return np.zeros(rows, bool)
    of_n, of_failures = columns.rates[rule.on]
    side = math.erfc(z_of(rule.confidence) / math.sqrt(2)) / 2
    is_bad_failing = (threshold.side == "above") != (rule.on in SUCCESS_RATES)
    limit = 1 - threshold.value if rule.on in SUCCESS_RATES else threshold.value
    undecided, quiet = np.ones(rows, bool), np.ones(rows, bool)
    for window_s in (rule.window, *(step for step in LADDER_S if rule.window < step <= BUSY_S)):
        counts = columns.rates_within(round(window_s * 1e6), edge_us)
        n, failures = counts[:, of_n], counts[:, of_failures]
        beyond = failures if is_bad_failing else n - failures
        bound = limit if is_bad_failing else 1 - limit
        quiet &= ~undecided | ~may_exceed(beyond, n, bound, side)
        undecided &= n < rule.min_events * WHOLE_EVENTS
        if not undecided.any():
            break
    # longer windows have other panes only where there are older ones
    return quiet & ~(undecided & has_hours)


def may_exceed(counts: Counts, n: Counts, share: float, side: float) -> Flags:
    """Return where the lower bound of Clopper and Pearson's interval may exceed a share.

    It exceeds the share p only if P(X >= k | n, p) < side. For 0 < k < n that tail is at least
    exp(-n D) / sqrt(8 k (n - k) / n), where D is the relative entropy of k/n and p.

    Args:
        counts: k, 0 to n; ``n``: events.
        share: p, 0 to 1; ``side``: probability that the interval misses on one side.

    Source: Ash, Information Theory (1965), lemma 4.7.2.

    >>> may_exceed(np.array([3.0, 5.0]), np.array([100.0, 6.0]), 0.02, 8e-7)
    array([False,  True])
    """
    if share <= 0:
        return counts > 0
    if share >= 1:
        return np.zeros(len(n), bool)
    exceeds: Flags = counts > share * n
    if not exceeds.any():
        return exceeds
    k, size = np.clip(counts, 0.5, np.maximum(n - 0.5, 0.5)), np.maximum(n, 1)
    q = k / size
    entropy = q * np.log(q / share) + (1 - q) * np.log((1 - q) / (1 - share))
    log_tail = -size * entropy - 0.5 * np.log(8 * size * q * (1 - q))
    log_tail = np.where(counts >= n, size * math.log(share), log_tail)
    return exceeds & (log_tail < math.log(side) + MARGIN)
