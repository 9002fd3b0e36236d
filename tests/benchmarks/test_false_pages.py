"""The simulation behind the promise of false pages: it counts as the core counts, and it can find a page."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from benchmarks.false_pages.simulated_feature import Feature
from benchmarks.false_pages.table import interval
from benchmarks.false_pages.traffic import ALL, EVALUATORS, MINUTE_US, START_US, draw_life
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import FeatureKey
from schemas.config.monitor_config import Config
from schemas.times import rfc3339

FAILING: tuple[dict[str, Any], ...] = (  # in the order of the simulation's failures
    {"error_type": "timeout"},
    {"outcome": "parse_error"},
    {"output": ""},
    {"output": "I'm sorry, but I can't help with that."},
    {"finish_reason": "length"},
    {"finish_reason": "content_filter"},
    {"output": "again and again " * 60},
)


def watch_minutes(minutes: list[tuple[list[int], list[list[int]]]]) -> FeatureState:
    """The same calls and failures as events, through the whole core."""
    watch, number = Watch(Config()), 0
    for minute, (calls, failures) in enumerate(minutes):
        for segment, n in enumerate(calls):
            kinds = [extra for extra, row in zip(FAILING, failures, strict=True) for _ in range(row[segment])]
            for extra in [*kinds, *[{}] * (n - len(kinds))]:
                event = {
                    "kind": "response",
                    "event_id": str(number),
                    "time": rfc3339(START_US + minute * MINUTE_US + 1_000_000 * (number % 50)),
                    "service": "simulated",
                    "feature": "f",
                    "environment": "production",
                    "model": f"model-{segment}",
                    "prompt_version": "1",
                    "output": "The parcel ships on Monday.",
                    "outcome": "ok",
                    "finish_reason": "stop",
                    **extra,
                }
                if "error_type" in extra:
                    del event["output"], event["finish_reason"], event["outcome"]
                number += 1
                watch.apply([FileRecord(json.dumps(event).encode(), number)])
    watch.finish()
    return watch.partition_state.features[FeatureKey("simulated", "f", "production")]


def test_a_simulated_feature_equals_a_feature_made_by_the_ingestor() -> None:
    minutes = [
        ([12, 9], [[1, 0], [0, 1], [1, 1], [2, 0], [0, 1], [1, 0], [1, 1]]),
        ([0, 5], [[0, 1], *[[0, 0]] * 6]),
        ([7, 0], [[0, 0]] * 7),
    ]
    simulated = Feature("f", 2, tickets=False)
    for minute, (calls, failures) in enumerate(minutes):
        simulated.count(START_US + minute * MINUTE_US, calls, failures, None)
    feature_state, real = simulated.partition_state.features[simulated.key], watch_minutes(minutes)
    assert (
        feature_state.received,
        feature_state.hourly_responses,
        feature_state.active_us,
        feature_state.first_us,
    ) == (
        real.received,
        real.hourly_responses,
        real.active_us,
        real.first_us,
    )
    assert feature_state.segments.keys() == real.segments.keys()
    for key, segment in real.segments.items():
        assert feature_state.segments[key].panes.keys() == segment.panes.keys()
        for start_us, pane in segment.panes.items():
            simulated_pane = feature_state.segments[key].panes[start_us]
            assert simulated_pane.events == pane.events
            for name in ("error_rate", "pass_rate", "evaluator.error.fail_rate"):
                assert simulated_pane.rates[name].state() == pane.rates[name].state(), name
            # of what is empty, some evaluators say nothing: how many they judged differs by those
            for name in EVALUATORS:
                rate, other = (
                    simulated_pane.rates[f"evaluator.{name}.fail_rate"],
                    pane.rates[f"evaluator.{name}.fail_rate"],
                )
                assert rate.failures == other.failures, name
                assert (
                    0
                    <= rate.events - other.events
                    <= simulated_pane.rates["evaluator.empty.fail_rate"].failures
                ), name


def test_a_simulated_failing_feature_is_paged_once() -> None:
    feature, paged = Feature("f", 1, tickets=False), []
    for minute in range(130):
        start_us = START_US + minute * MINUTE_US
        feature.count(start_us, [60], [[30 if minute >= 120 else 0], *[[1]] * 6], None)
        paged += [
            (minute, item["episode_id"], item["state"])
            for item in feature.close(start_us + MINUTE_US)
            if item["urgency"] == "high"
        ]
    assert len({episode for _, episode, _ in paged}) == 1
    assert (paged[0][0], paged[0][2]) in {(120, "opened"), (121, "opened")}


@pytest.mark.parametrize(
    "name",
    [
        "log-normal",
        "zero-inflated",
        "bursty",
        "nights without traffic",
        "low volume",
        "a batch every 10 minutes",
    ],
)
def test_no_call_of_a_simulation_fails_twice_and_its_rates_are_healthy(name: str) -> None:
    life = draw_life(ALL[name], np.random.default_rng(3), 3)
    failed = life.failures.sum(axis=1)
    assert (failed <= life.calls).all()
    assert 0 < failed.sum() / life.calls.sum() < 0.4
    assert life.failures[:, 0].sum() / life.calls.sum() < 0.02


@pytest.mark.parametrize("n", [0, 1, 7, 200])
def test_the_interval_of_a_count_is_garwoods(n: int) -> None:
    from scipy.stats import chi2

    low, high = interval(n)
    assert low == pytest.approx(chi2.ppf(0.025, 2 * n) / 2 if n else 0)
    assert high == pytest.approx(chi2.ppf(0.975, 2 * n + 2) / 2)
