"""The screen of lives has the evidence, the tolerance and the silences of the core."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.false_pages.lives import run_batch
from benchmarks.false_pages.simulated_feature import Feature
from benchmarks.false_pages.traffic import ALL, MINUTE_US, SHAPES, START_US, Life, draw_life
from benchmarks.shape_screen import (
    cycle_tolerance,
    largest_statistics,
    marked_lives,
    series_of,
    silent_pages,
    week_rates,
)
from monitor.references import daily_cycle
from monitor.references.weekly_cycle import WeeklyCycle
from monitor.stats.rate import Rate
from monitor.windows.pane import Pane
from schemas.config.monitor_config import Config


def rate_of(n: int, failures: int) -> Rate:
    rate = Rate()
    if n:
        rate.add(1_000_000, n, failures)
    return rate


def pane_of(n: int, failures: int) -> Pane:
    pane = Pane(0)
    pane.rate("pass_rate").add(1_000_000, n, failures)
    return pane


@pytest.mark.parametrize("swing", [0.0, 0.2, 0.8])
def test_the_tolerance_of_many_series_is_that_of_each(swing: float) -> None:
    rng = np.random.default_rng(2)
    means = 0.02 * (1 + swing * np.sin(np.arange(24) / 24 * 2 * np.pi))[:, None]
    events = rng.poisson((400, 25, 5), (24, 3))
    failed = rng.binomial(events, means)
    one_by_one = [
        daily_cycle.cycle_tolerance([rate_of(int(n), int(f)) for n, f in zip(events[:, nth], failed[:, nth], strict=True)])
        for nth in range(3)
    ]  # fmt: skip
    assert cycle_tolerance(events.astype(float), failed.astype(float)) == pytest.approx(one_by_one)


def feature_after(life: Life) -> tuple[Feature, list[int]]:
    """The core after a life, and the minutes of its pages."""
    feature, pages, known = Feature("f", life.calls.shape[1], tickets=False), [], set()
    for minute, (calls, failures) in enumerate(zip(life.calls.tolist(), life.failures.tolist(), strict=True)):
        start_us = START_US + minute * MINUTE_US
        feature.count(start_us, calls, failures, None)
        for episode in feature.close(start_us + MINUTE_US):
            if episode["urgency"] == "high" and episode["episode_id"] not in known:
                known.add(episode["episode_id"])
                pages.append(minute)
    return feature, pages


def test_the_screen_learns_the_baselines_of_the_core_with_the_tolerance_of_the_day() -> None:
    shape = SHAPES["daily cycle, rates ± 20 %"]._replace(a_minute=(60, 60))
    life = draw_life(shape, np.random.default_rng(5), 1)
    series = list(series_of(0, life.calls, life.failures))
    _, bank = largest_statistics(series)
    feature, pages = feature_after(life)
    assert not pages
    baselines = feature.partition_state.baselines[feature.key]
    levels = [*sorted(feature.partition_state.features[feature.key].segments), None]
    firsts = [nth for nth, item in enumerate(series) if item.name == "error"]
    for nth, key in zip(firsts, levels, strict=False):
        for name, stream in (("evaluator.error.fail_rate", nth), ("pass_rate", nth + 1)):
            detector = baselines[key][name].detector
            reference = detector.reference
            assert bank.n[stream] == pytest.approx(reference.n, rel=1e-3)
            assert bank.tolerance[stream] == pytest.approx(reference.tolerance)
            assert bank.logs[stream] == pytest.approx(detector.logs, abs=0.05)


def test_the_screen_finds_the_silences_that_page_in_the_core() -> None:
    calls = np.random.default_rng(3).poisson(20, 900)
    calls[600:660] = 0  # abrupt
    calls[700:703] = 0  # short
    failures = np.zeros((900, 7, 1), int)
    life = Life(calls[:, None], failures, np.zeros(900), {})
    _, pages = feature_after(life)
    assert silent_pages(calls, START_US, Config().no_data) == pages
    assert len(pages) == 1


def test_a_life_with_a_fault_is_marked_and_a_healthy_one_is_not() -> None:
    lives = []
    for nth in range(3):
        shape = SHAPES["log-normal"]._replace(a_minute=(50, 50))
        life = draw_life(shape, np.random.default_rng(nth), 1)
        lives.append((life.calls[:700], life.failures[:700]))
    lives[1][1][600:, 2] += lives[1][0][600:] // 2  # every second answer is refused
    marked = marked_lives(lives, START_US, Config().no_data)
    assert marked.tolist() == [False, True, False]


def test_a_batch_runs_only_marked_lives_through_the_core(monkeypatch: pytest.MonkeyPatch) -> None:
    shape = SHAPES["log-normal"]._replace(days=1)
    monkeypatch.setitem(ALL, "log-normal", shape)
    results = run_batch(([("log-normal", nth, 1, False) for nth in range(2)], True))
    assert [(result["number"], result["marked"], result["found"]) for result in results] == [
        (0, 0, []),
        (1, 0, []),
    ]


@pytest.mark.parametrize("name", ["office hours", "failures × 3 at weekends"])
def test_the_shapes_of_a_week_have_their_weekends(name: str) -> None:
    shape = SHAPES[name]._replace(a_minute=(60, 60))
    life = draw_life(shape, np.random.default_rng(1), 14)
    by_day = life.calls.sum(1).reshape(14, -1).sum(1)
    rates = life.failures.sum((1, 2)).reshape(14, -1).sum(1) / np.maximum(1, by_day)
    if shape.office:
        hours = life.calls.sum(1).reshape(-1, 60).sum(1) > 0
        assert hours.sum() == 100
        assert hours[:10].all()
    else:
        assert np.median(np.sort(rates)[-4:]) == pytest.approx(3 * np.median(np.sort(rates)[:10]), rel=0.2)


@pytest.mark.parametrize("hour", [0, 3, 20, 40])
def test_the_rates_of_last_week_of_many_series_are_those_of_each(hour: int) -> None:
    rng = np.random.default_rng(4)
    events = rng.poisson((40, 6, 0.2), (60, 3))
    failed = rng.binomial(events, 0.1)
    one_by_one = []
    for n, f in zip(events.T, failed.T, strict=True):
        hours = {index: [pane_of(int(n[index]), int(f[index]))] for index in range(len(n))}
        one_by_one.append(WeeklyCycle(hour, hours).failure_rate("pass_rate"))
    assert week_rates(events, failed, hour) == pytest.approx(one_by_one)


def test_a_weekend_like_the_last_one_is_no_mark_and_a_worse_one_is() -> None:
    shape = SHAPES["failures × 3 at weekends"]._replace(a_minute=(30, 30))
    life = draw_life(shape, np.random.default_rng(1), 11)
    worse = life.failures.copy()
    worse[-600:, 2] += (life.calls - life.failures.sum(1))[-600:] // 2
    lives = [(life.calls, life.failures), (life.calls, worse)]
    marked = marked_lives(lives, START_US, Config().no_data, 8 * 1440, has_week=True)
    assert marked.tolist() == [False, True]
