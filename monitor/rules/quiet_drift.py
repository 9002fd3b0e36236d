"""Find the series on which a drift rule cannot breach, all series of a feature at once.

A drift rule finds nothing where no test of any window can be significant. This is decided from counts in arrays
by bounds of the tests of ``monitor.rules.drift_tests``; where a bound does not decide, the rule is read. So both
give the same findings. Texts are not in the arrays: ``DriftReader.texts_are_quiet`` reads them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np

from monitor.references.finder import YOUNG_LAG_US, trailing_length_us
from monitor.references.hourly_counts import HourlyCounts
from monitor.references.reference import MIN_REFERENCE_EVENTS, SURE_REFERENCE_US
from monitor.rules.drift import alpha_of
from monitor.rules.drift_bounds import MARGIN, DriftBounds, Limits
from monitor.rules.drift_layout import Flags, layout_of
from monitor.rules.drift_tests import MIN_EVENTS_UNSEEN
from monitor.rules.threshold import z_of
from monitor.windows.count_columns import EVENTS, CountColumns
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_series import DAY_US, FINE_RETENTION_US, HOUR_RETENTION_US, HOUR_US
from monitor.windows.text_blocks import BLOCK_US
from schemas.config.rules import Drift

MAX_YOUNG = 4
"""Ends of references for which it is kept which of them may be young."""
LARGEST_ALPHA = 1e-3
"""Above it the bound of Kolmogorov's distribution is not sharp, and rules are read."""


def is_boundable(rule: Drift) -> bool:
    """Return whether the bounds apply to a rule."""
    return (
        rule.on is None
        and rule.reference.startswith("trailing")
        and trailing_length_us(rule.reference) % HOUR_US == 0
        and alpha_of(rule.confidence) <= LARGEST_ALPHA
    )


def limits_of(rule: Drift) -> Limits:
    """Return the limits of a rule, less the margin."""
    alpha = alpha_of(rule.confidence)
    x = math.sqrt(math.log(2 / alpha) / 2)
    return Limits(rule.min_events, x * (1 - MARGIN), 0.99 * z_of(rule.confidence) ** 2 * (1 - MARGIN))


def quiet_rows(
    rule: Drift,
    lengths_us: Collection[int],
    columns: CountColumns,
    feature: FeatureState,
    edge_us: int,
    pane_us: int,
    gating: Sequence[str],
) -> Flags:
    """Return for each row of ``columns`` whether no number, category or rate can be a finding.

    It holds for series on which the rule has no incident, gap, accepted change or end of an incident.

    Args:
        rule: for which ``is_boundable`` holds.
        lengths_us: lengths of the windows that it reads at this edge.
        columns: counted up to the edge.
        gating: evaluators whose failures a baseline watches.
    """
    rows = len(columns.rows)
    end_us = (edge_us - FINE_RETENTION_US) // HOUR_US * HOUR_US
    quiet, has_hours, hours = np.ones(rows, bool), np.zeros(rows, bool), None
    if columns.first_us[0] < end_us:
        span = trailing_length_us(rule.reference) // HOUR_US
        hourly = columns.results.setdefault(("hours", span), HourlyCounts(span))
        has_hours, is_sure, hours = hourly.move(columns, feature.segments, end_us)
        quiet = is_sure.copy()
        if feature.first_us < edge_us - HOUR_RETENTION_US + DAY_US:  # older panes are no reference
            quiet &= has_hours
    bounds = DriftBounds(columns, limits_of(rule), layout_of(columns, rule.min_events, gating), edge_us)
    for length_us in lengths_us:
        events = bounds.events_within(length_us)
        candidates = quiet & (events >= min(MIN_EVENTS_UNSEEN, rule.min_events))
        if hours is not None:
            quiet &= ~bounds.may_find(length_us, length_us / pane_us, hours, candidates & has_hours)
        candidates &= ~has_hours
        until_us = edge_us - max(length_us, YOUNG_LAG_US)
        block_us = until_us // BLOCK_US * BLOCK_US
        for reference_us in dict.fromkeys((block_us, until_us)):
            if not candidates.any():
                break
            before = columns.before(reference_us)
            known = before.rates.shaped(*columns.shape_of_rates)[:, columns.rates[EVENTS][0]]
            chosen = candidates & (known >= MIN_REFERENCE_EVENTS)
            quiet &= ~bounds.may_find(length_us, length_us / pane_us, before, chosen)
            candidates &= _may_be_young(columns, block_us)
    return quiet


def _may_be_young(columns: CountColumns, block_us: int) -> Flags:
    """Return which references of whole blocks may be shorter than half an hour."""
    known: dict[int, Flags] = columns.results.setdefault("young", {})
    young = known.get(block_us)
    if young is None or len(young) != len(columns.rows):
        young = np.array(columns.first_us) > block_us - SURE_REFERENCE_US - BLOCK_US
        if not young.all():
            young |= columns.panes_between(block_us - BLOCK_US, block_us) == 0
        while len(known) >= MAX_YOUNG:
            del known[next(iter(known))]
        known[block_us] = young
    return young
