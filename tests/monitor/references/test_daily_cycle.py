"""Differences between the hours of a day raise the tolerance of the detector."""

from __future__ import annotations

from monitor.alerts.baseline_store import BaselineStore
from monitor.alerts.evaluator_versions import EvaluatorVersions
from monitor.drift.lagging_reference import TOLERANCE
from monitor.references.finder import ReferenceFinder
from monitor.rules.learned_baseline import LEARNT_US
from monitor.state.partition_state import PartitionState
from monitor.stats.rate import Rate
from monitor.windows.feature_series import FeatureState
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from monitor.windows.segment_series import DAY_US, HOUR, HOUR_US, SegmentSeries
from schemas.config.monitor_config import Config

KEY, AT = FeatureKey("s", "f", "production"), SegmentKey("m", "", "", ())
EDGE_US = 100 * DAY_US
CYCLE = (180, 210, 230, 210, 180, 150, 130, 150)


def history(partition_state: PartitionState, failures: tuple[int, ...]) -> FeatureState:
    """A feature of one segment with a day of hours up to two hours before the edge, 6,000 calls in each."""
    feature = partition_state.feature(KEY)
    segment = feature.segments[AT] = SegmentSeries(AT)
    for nth in range(26):
        pane = segment.panes_by_resolution[HOUR][start_us] = Pane(start_us := EDGE_US - (nth + 1) * HOUR_US)
        pane.rate("error_rate").add(1_000_000, 6000, failures[nth % len(failures)])
    return feature


def test_only_a_daily_cycle_raises_the_tolerance_and_random_differences_do_not() -> None:
    assert (
        ReferenceFinder()
        .cycle(history(PartitionState(60_000_000, ""), (180,)), None, EDGE_US)
        .tolerance("error_rate")
        == 1
    )
    assert (
        1.25
        < ReferenceFinder()
        .cycle(history(PartitionState(60_000_000, ""), CYCLE), None, EDGE_US)
        .tolerance("error_rate")
        < 1.45
    )


def test_an_incident_of_yesterday_is_not_a_cycle() -> None:
    feature = history(PartitionState(60_000_000, ""), (180,))
    for nth in range(10, 14):
        feature.segments[AT].panes_by_resolution[HOUR][EDGE_US - (nth + 1) * HOUR_US].rate("error_rate").add(
            1_000_000, 6000, 3000
        )
    assert ReferenceFinder().cycle(feature, None, EDGE_US).tolerance("error_rate") > 1.5
    feature.cache.clear()
    gaps = ((EDGE_US - 14 * HOUR_US, EDGE_US - 10 * HOUR_US),)
    assert ReferenceFinder().cycle(feature, None, EDGE_US, gaps).tolerance("error_rate") == 1


def test_the_detector_of_a_series_receives_its_cycle() -> None:
    rule = {"name": "rose", "on": "error_rate", "above": "baseline"}
    config, counted = Config.model_validate({"rules": [rule], "default_rules": False}), Rate()
    counted.add(1_000_000, 100, 3)
    for failures, more in (((180,), False), (CYCLE, True)):
        partition_state = PartitionState(60_000_000, "")
        feature, baselines = (
            history(partition_state, failures),
            BaselineStore(config, partition_state, EvaluatorVersions(config, partition_state)),
        )
        for edge_us in (EDGE_US - LEARNT_US, EDGE_US):
            baselines.feed(feature, [(AT, {"error_rate": counted})], edge_us)
        tolerance = partition_state.baselines[KEY][None]["error_rate"].detector.reference.tolerance
        assert (tolerance > TOLERANCE) is more
