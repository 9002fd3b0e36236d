"""Name the evaluator behind a fall of the pass rate, so that the fall has the kind of what failed."""

from __future__ import annotations

from collections.abc import Collection

from monitor.rules.evidence import Evidence
from monitor.windows.failure_kind import kind_of
from monitor.windows.feature_series import FeatureState
from monitor.windows.metric_reader import MetricReader
from monitor.windows.segment_keys import SegmentKey

NOW_US = 5 * 60 * 1_000_000
USUAL_US = 30 * 60 * 1_000_000


def failure_kind(
    feature: FeatureState,
    segment_key: SegmentKey | None,
    evidence: Evidence,
    edge_us: int,
    gating: Collection[str],
) -> str:
    """Return the kind of failure of an incident; of a pass rate the kind of the evaluator with the greatest
    rise of failures in the last five minutes, against the half hour before. If none rose, because another
    failure was in that half hour, it is the one with the most failures.

    Args:
        feature: of the incident.
        segment_key: the segment; None for the feature as a whole.
        evidence: of the incident.
        edge_us: now.
        gating: the evaluators that count in the pass rate.
    """
    if evidence.metric != "pass_rate":
        return kind_of(evidence.metric)
    series = feature if segment_key is None else feature.segments.get(segment_key)
    if series is None:
        return kind_of(evidence.metric)
    since_us = edge_us - NOW_US
    now = [pane.unpacked() for pane in series.window(since_us, edge_us)]
    before = [pane.unpacked() for pane in series.window(since_us - USUAL_US, since_us)]
    rises, failures = dict[str, float](), dict[str, float]()
    for evaluator in sorted(gating):
        metric = f"evaluator.{evaluator}.fail_rate"
        current, usual = (MetricReader(metric).add(panes).estimate(0.0) for panes in (now, before))
        if current.value is not None:
            rises[metric] = current.n * (current.value - (usual.value or 0.0))
            failures[metric] = current.n * current.value
    for most in (rises, failures):
        metric = max(most, key=lambda name: most[name], default="")
        if metric and most[metric] > 0:
            return kind_of(metric)
    return kind_of(evidence.metric)
