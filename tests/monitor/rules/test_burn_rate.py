"""Laws of error budgets, from events to incidents and of the reader alone."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from monitor.rules import burn_rate
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import SegmentKey
from monitor.windows.segment_series import FINE, HOUR, HOUR_US, SegmentSeries
from schemas.config.monitor_config import Config
from schemas.config.objectives import Burning
from tests.monitor import event_values
from tests.monitor.event_values import NINE
from tests.monitor.restarted_watch import alerts_of

MINUTE_US = 60_000_000


def config(**more: Any) -> Config:
    return Config.model_validate(
        {
            "default_rules": False,
            "no_data": {"severity": None},
            "objectives": [{"name": "good", "on": "pass_rate", "target": 0.97, **more}],
        }
    )


def event(second: float, bad: bool) -> bytes:
    return event_values.event(second, output=None, error_type="timeout" if bad else None)


def run(
    minutes: float, failing: Callable[[float], float], settings: Config, a_minute: float = 20
) -> list[dict[str, Any]]:
    rng = random.Random(1)
    values = [
        event(nth * 60 / a_minute, rng.random() < failing(nth / a_minute))
        for nth in range(round(minutes * a_minute))
    ]
    return [record for record in alerts_of(values, settings) if record["record"] == "transition"]


def states(records: list[dict[str, Any]], rule: str) -> list[tuple[str, float]]:
    return [
        (record["state"], (datetime.fromisoformat(record["time"]) - NINE).total_seconds() / 60)
        for record in records
        if record["rule"] == rule
    ]


def rule(**more: Any) -> Burning:
    return Burning.model_validate(
        {
            "name": "good-1h",
            "on": "error_rate",
            "target": 0.99,
            "window": 3600.0,
            "short": 300.0,
            "factor": 14.4,
            "level": "feature",
            **more,
        }
    )


def series(share: Callable[[int], float], minutes: int, a_minute: int = 100) -> SegmentSeries:
    segment = SegmentSeries(SegmentKey("m"))
    for minute in range(minutes):
        pane = segment.panes_by_resolution[FINE][minute * MINUTE_US] = Pane(minute * MINUTE_US)
        pane.rate("error_rate").add(1_000_000, a_minute, round(a_minute * share(minute)))
    return segment


def test_an_objective_expands_to_three_rules_named_after_it_and_their_windows() -> None:
    rules = config().all_burning()
    assert [(rule.name, rule.window, rule.short, rule.severity) for rule in rules] == [
        ("good-1h", 3600, 300, "critical"),
        ("good-6h", 6 * 3600, 1800, "critical"),
        ("good-3d", 3 * 86_400, 6 * 3600, "warning"),
    ]
    assert [round(rule.factor, 6) for rule in rules] == [14.4, 6, 1]
    assert [round(rule.failing, 6) for rule in rules] == [0.432, 0.18, 0.03]


@pytest.mark.parametrize(
    ("period", "factors"),
    [("7d", [3.36, 1.4, 0.233333]), ("28d", [13.44, 5.6, 0.933333]), ("90d", [43.2, 18, 3])],
)
def test_another_period_spends_the_same_shares_of_its_own_budget(period: str, factors: list[float]) -> None:
    assert [round(item.factor, 6) for item in config(period=period, target=0.99).all_burning()] == factors


def test_a_burn_fires_when_both_windows_burn_and_ends_when_the_short_one_recovers() -> None:
    records = run(200, lambda minute: 0.9 if 80 <= minute < 120 else 0.0, config())
    (fired, fired_after), (resolved, until), *more = states(records, "good-1h")
    assert (fired, resolved, more) == ("firing", "resolved", [])
    assert 105 < fired_after < 120  # over an hour 43 % must fail, and surely
    assert 120 < until <= 124  # five minutes of which no more than 43 % failed
    evidence = next(record["evidence"] for record in records if record["rule"] == "good-1h")
    assert evidence["below"] == pytest.approx(0.568)
    assert evidence["high"] < evidence["below"]
    assert evidence["burn"] == pytest.approx((1 - evidence["value"]) / 0.03, rel=0.01)
    assert (evidence["target"], evidence["window_s"]) == (0.97, 3600)


def test_a_burn_that_is_over_does_not_fire() -> None:
    assert (
        burn_rate.read(
            rule(), series(lambda minute: 0.9 if 10 <= minute < 50 else 0.0, 60), 60 * MINUTE_US, 0
        ).state
        == "good"
    )


def test_a_burn_of_five_minutes_alone_does_not_fire() -> None:
    assert (
        burn_rate.read(
            rule(), series(lambda minute: 0.5 if minute >= 55 else 0.0, 60), 60 * MINUTE_US, 0
        ).state
        == "between"
    )


@pytest.mark.parametrize(("share", "state"), [(0.13, "good"), (0.15, "between"), (0.3, "breach")])
def test_the_whole_interval_of_the_long_window_must_burn(share: float, state: str) -> None:
    assert (
        burn_rate.read(
            rule(), series(lambda _: share, 60, 20 if state == "between" else 100), 60 * MINUTE_US, 0
        ).state
        == state
    )


@pytest.mark.parametrize(
    ("share", "a_minute", "state"), [(1.0, 2, "breach"), (0.5, 1, "unknown"), (0.0, 2, "unknown")]
)
def test_few_events_are_unknown_unless_the_whole_interval_burns(
    share: float, a_minute: int, state: str
) -> None:
    few = series(lambda _: share, 10, a_minute)
    assert burn_rate.read(rule(), few, 10 * MINUTE_US, 0).state == state


def test_bad_event_rates_and_good_event_rates_burn_alike() -> None:
    segment = series(lambda _: 0.4, 60)
    for pane in segment.panes.values():
        pane.rate("pass_rate").merge(pane.rates["error_rate"])
    bad, good = (
        burn_rate.read(rule(on=on), segment, 60 * MINUTE_US, 0) for on in ("error_rate", "pass_rate")
    )
    assert bad.state == good.state == "breach"
    assert (bad.evidence.burn, bad.evidence.above, good.evidence.below) == (
        good.evidence.burn,
        0.144,
        0.856,
    )


def test_verdicts_before_a_change_of_the_evaluator_do_not_consume_the_budget() -> None:
    segment = series(lambda minute: 1.0 if minute < 40 else 0.0, 60)
    assert burn_rate.read(rule(short=1800.0), segment, 60 * MINUTE_US, 0).state == "breach"
    assert burn_rate.read(rule(short=1800.0), segment, 60 * MINUTE_US, 40 * MINUTE_US).state == "good"


def test_an_hour_with_both_versions_of_an_evaluator_counts_for_neither() -> None:
    segment = SegmentSeries(SegmentKey("m"))
    for hour in range(6):
        pane = segment.panes_by_resolution[HOUR][hour * HOUR_US] = Pane(hour * HOUR_US)
        pane.rate("error_rate").add(1_000_000, 1000, 900 if hour == 2 else 200 if hour > 2 else 1000)
    slow = rule(window=6 * 3600.0, short=3 * 3600.0, factor=6.0)
    read = burn_rate.read(slow, segment, 6 * HOUR_US, 2 * HOUR_US + 50 * MINUTE_US)
    assert (read.evidence.n, read.evidence.value) == (3000, 0.2)
