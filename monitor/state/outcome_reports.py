"""Decide whether a feature reports outcomes of failures only: its calls without an outcome then are ``ok``.

The decision is part of the identity of the evaluator ``outcome``, which the state keeps: a rate of reported
outcomes and a rate of all calls are two statistics, so rules never compare one with the other. It is made at
pane edges, from what was counted before, so it depends on the log alone.
"""

from __future__ import annotations

from monitor.evaluators.outcome import NO_OUTCOME, OutcomeEvaluator
from monitor.state.partition_state import PartitionState
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import OTHER, FeatureKey
from monitor.windows.segment_series import DAY_US, HOUR_US

MIN_FAILURES = 3
"""Reported failures from which a feature may be one that reports nothing else. Three of three breach no
default threshold."""
MIN_ABSENT = 20
"""Calls without an outcome that it needs, too."""
KEPT_US = 7 * DAY_US
"""How long a feature that reported ``ok`` is one that reports every outcome."""
ABSENT_IS_OK = " absent=ok"
"""End of the evaluator's identity while calls without an outcome count as passed."""

_NAME = OutcomeEvaluator.name
_REPORTED_OK = "outcome=ok"  # beside the evaluators in their record of state: the last hour with an `ok`
_RATE = f"evaluator.{_NAME}.fail_rate"


class OutcomeReports:
    """Features of one partition that report outcomes of failures only."""

    def __init__(self, partition_state: PartitionState) -> None:
        self._partition_state = partition_state
        # what was counted when the panes of a feature were last searched: the same counts, the same result
        self._searched: dict[FeatureKey, tuple[int, bool]] = {}

    def absent_is_ok(self, key: FeatureKey) -> bool:
        """Return whether calls of a feature without an outcome count as passed."""
        recorded = self._partition_state.evaluators.get(key, {}).get(_NAME)
        return recorded is not None and recorded[0].endswith(ABSENT_IS_OK)

    def note_ok(self, key: FeatureKey, time_us: int) -> None:
        """Note that a feature reported ``ok``; to the hour, so that few records change."""
        hour_us = time_us // HOUR_US * HOUR_US
        evaluators = self._partition_state.evaluators.setdefault(key, {})
        if _REPORTED_OK not in evaluators or evaluators[_REPORTED_OK][1] < hour_us:
            evaluators[_REPORTED_OK] = ("", hour_us)
            self._partition_state.mark_feature(key)

    def decide(self, feature: FeatureState, edge_us: int) -> None:
        """Decide at a pane edge for what is counted from now on."""
        evaluators = self._partition_state.evaluators.get(feature.key, {})
        if (recorded := evaluators.get(_NAME)) is None or feature.key.service == OTHER:
            return
        identity, since_us = recorded
        _, ok_us = evaluators.get(_REPORTED_OK, ("", edge_us - KEPT_US - HOUR_US))
        is_on = identity.endswith(ABSENT_IS_OK)
        if edge_us - ok_us < KEPT_US:
            if is_on:
                self._switch(feature, identity.removesuffix(ABSENT_IS_OK), edge_us)
        elif not is_on and self._reports_failures_only(feature, max(since_us, ok_us + HOUR_US), edge_us):
            self._switch(feature, identity + ABSENT_IS_OK, edge_us)

    def _reports_failures_only(self, feature: FeatureState, since_us: int, edge_us: int) -> bool:
        """Return whether the panes since then have enough failures and no ``ok``.

        An ``ok`` that an earlier release counted is noted.
        """
        reported = feature.verdicts.get(_NAME, 0)
        has_absent = feature.skipped.get(_NAME, {}).get(NO_OUTCOME, 0) >= MIN_ABSENT
        if not has_absent or reported < MIN_FAILURES:
            return False
        if self._searched.get(feature.key) == (reported, has_absent):
            return False
        self._searched[feature.key] = reported, has_absent
        n = failures = 0
        for segment in feature.segments.values():
            for pane in segment.window(since_us, edge_us + DAY_US):
                if (rate := pane.unpacked().rates.get(_RATE)) is not None:
                    n += sum(counts for counts, _ in rate.classes.values())
                    failures += sum(failed for _, failed in rate.classes.values())
        if n > failures:
            self.note_ok(feature.key, edge_us)
        return n == failures >= MIN_FAILURES

    def _switch(self, feature: FeatureState, identity: str, edge_us: int) -> None:
        """Count from now on as another version: from the first pane that it counts alone."""
        starts = (start_us for segment in feature.segments.values() for start_us in segment.panes)
        last_us = max(starts, default=edge_us)
        evaluators = self._partition_state.evaluators[feature.key]
        evaluators[_NAME] = identity, last_us + self._partition_state.pane_us
        self._partition_state.mark_feature(feature.key)
