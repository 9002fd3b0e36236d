"""The simulation of sampled features counts as the ingestor counts, screens as the core decides, and finds
pages.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from benchmarks.false_pages.simulated_feature import Feature
from benchmarks.false_pages.traffic import MINUTE_US, MINUTES, START_US
from benchmarks.sampled_pages.designs import DESIGNS, FAILING, Cell, Day, Sampling, draw_day
from benchmarks.sampled_pages.lives import SampledFeature, pages_of, run_cells
from benchmarks.sampled_pages.meters import PRODUCERS, apply_meters, draw_meters
from benchmarks.sampled_pages.screen import Screen
from benchmarks.sampled_pages.table import broken, merged, name_of, table
from benchmarks.window_screen import may_be_silent, may_breach
from monitor.protocol.messages import FileRecord
from monitor.rules import no_data, threshold
from monitor.rules.service_activity import ServiceActivity
from monitor.rules.threshold import RateHistory
from monitor.stats.rate import Rate
from monitor.stats.sampling_weights import Units, to_ppm
from monitor.watch import Watch
from monitor.windows.pane import Pane
from monitor.windows.segment_keys import FeatureKey, SegmentKey
from monitor.windows.segment_series import SegmentSeries
from schemas.config.monitor_config import Config
from schemas.config.rules import DEFAULT_RULES
from schemas.times import rfc3339
from tests.tiers import by_profile

KINDS: tuple[dict[str, Any], ...] = (
    {"error_type": "timeout"},
    {"output": "I'm sorry, but I can't help with that."},
    {"output": "The parcel ships on Monday."},
    {},
)


def events_of(samplings: tuple[Sampling, ...], counts: np.ndarray, start_us: int) -> list[dict[str, Any]]:
    """The events of one minute, as the SDK sends them; ``counts``: shape (4, segments)."""
    events = []
    for nth, sampling in enumerate(samplings):
        for kind, extra in enumerate(KINDS):
            is_kept = kind == 0 and sampling.of_errors != sampling.of_others
            for number in range(int(counts[kind, nth])):
                event = {
                    "kind": "response",
                    "event_id": f"{start_us}-{nth}-{kind}-{number}",
                    "time": rfc3339(start_us + 1_000_000 * (number % 50)),
                    "service": "simulated",
                    "feature": "sampled",
                    "environment": "production",
                    "model": f"model-{nth}",
                    "prompt_version": "1",
                    "sample_probability": sampling.of_errors if kind == 0 else sampling.of_others,
                    "content_probability": 1.0 if kind == 0 else sampling.of_text,
                    **extra,
                }
                if is_kept:
                    event["base_probability"] = sampling.of_others
                events.append(event)
    return events


@pytest.mark.parametrize(
    "design", ["errors at 1, others at 0.1", "texts at 0.1 (q)", "fleet at 0.001, canary (1 %) at 1"]
)
def test_a_sampled_feature_has_the_rates_that_the_ingestor_counts(design: str) -> None:
    cell = Cell(design, 200, 0.05)
    day = draw_day(cell, 1, (3, 0, 0))
    watch, feature = Watch(Config()), SampledFeature(cell)
    for minute in range(20):
        counts, start_us = np.stack([kind[minute, :, 0] for kind in day]), START_US + minute * MINUTE_US
        events = events_of(feature.samplings, counts, start_us)
        watch.apply([FileRecord(json.dumps(event).encode(), minute) for event in events])
        feature.count_minute(start_us, counts)
    watch.finish()
    real = watch.partition_state.features[FeatureKey("simulated", "sampled", "production")]
    simulated = feature.partition_state.features[feature.key]
    assert simulated.received["response"] == real.received["response"] > 40
    for key, segment in real.segments.items():
        for start_us, pane in segment.panes.items():
            for name in (
                "error_rate",
                "pass_rate",
                "evaluator.error.fail_rate",
                "evaluator.refusal.fail_rate",
            ):
                other = simulated.segments[key].panes[start_us].rates
                assert (name in pane.rates) == (name in other), name
                if name in other:
                    assert other[name].state() == pane.rates[name].state(), name


def test_the_screen_has_the_evidence_of_the_core_over_some_thousand_panes() -> None:
    compared = 0
    for cell in (Cell("errors at 1, others at 0.1", 200, 0.05), Cell("all at 0.1", 200, 0.01)):
        day, screen, feature = (
            draw_day(cell, 2, (5, 0, 0)),
            Screen([cell], 2),
            SampledFeature(cell),
        )
        screen.add(0, [day])
        counts = np.stack([kind[:, :, 0] for kind in day], 1)
        for minute in range(MINUTES):
            start_us = START_US + minute * MINUTE_US
            feature.count_minute(start_us, counts[minute])
            assert not list(feature.close(start_us + MINUTE_US))
        baselines = feature.partition_state.baselines[feature.key]
        for number, (_, (metric, nth)) in enumerate(screen.keys):
            name = "pass_rate" if metric == "pass" else f"evaluator.{metric}.fail_rate"
            stream, bank = number * screen.lives, screen.bank
            for key in (None, feature.keys[nth or 0]):
                detector = baselines[key][name].detector
                assert [bank.n[stream], bank.failures[stream]] == pytest.approx(
                    [detector.reference.n, detector.reference.failures], rel=1e-3
                )
                # with a tolerance of the daily cycle the core has less evidence, never more
                assert (bank.logs[stream] > np.array(detector.logs) - 0.02).all()
                assert bank.logs[stream] == pytest.approx(detector.logs, abs=0.3)
                compared += MINUTES
    assert compared >= 5000


@pytest.mark.parametrize(("p", "calls", "failing"), [(0.1, 20, 0.01), (0.01, 200, 0.05), (0.001, 20, 0.05)])
def test_the_screen_has_the_evidence_of_both_baselines_where_meters_state_the_calls(
    p: float, calls: int, failing: float
) -> None:
    cell = Cell(f"errors at 1, others at {p:g}, meters", calls, failing)
    day = draw_day(cell, 2, (5, 0, 0))
    meters, screen, feature = draw_meters(cell, day, (5, 0, 0)), Screen([cell], 2), SampledFeature(cell)
    screen.add(0, [day], [meters])
    counts, seen = np.stack([kind[:, :, 0] for kind in day], 1), [0] * PRODUCERS
    for minute in range(MINUTES):
        start_us = START_US + minute * MINUTE_US
        feature.count_minute(start_us, counts[minute])
        producers = feature.partition_state.feature(feature.key).producers
        apply_meters(producers, seen, meters, minute, 0, start_us + MINUTE_US)
        if minute == 700:
            shared = producers.calls_within(start_us, start_us + MINUTE_US)
            assert shared is not None
            crossing = int(meters.crossing[minute - 1, 0] + meters.crossing[minute, 0])
            assert (shared.n, shared.most) == (meters.n[minute, 0], meters.n[minute, 0] + crossing)
        assert not list(feature.close(start_us + MINUTE_US))
    assert sum(seen) == meters.n[:, 0].sum()
    baselines = feature.partition_state.baselines[feature.key][None]
    pair = screen.metered
    assert pair is not None
    for bank, name in ((pair.events, "error_rate"), (pair.calls, "error_rate@calls")):
        name = name.replace("error_rate", "evaluator.error.fail_rate")
        detector = baselines[name].detector
        assert [bank.n[0], bank.failures[0], bank.rho[0]] == pytest.approx(
            [detector.reference.n, detector.reference.failures, detector.reference.rho], rel=1e-3
        )
        # with a tolerance of the daily cycle the core has less evidence, never more
        assert (bank.logs[0] > np.array(detector.logs) - 0.02).all()
        assert bank.logs[0] == pytest.approx(detector.logs, abs=0.3)
    assert pair.calls.n[0] > 1000 or calls == 20


def test_every_page_of_the_core_is_marked_by_the_screen() -> None:
    cell = Cell("errors at 1, others at 0.1", 200, 0.01)
    day = Day(*(kind[:420] for kind in draw_day(cell, 3, (7, 0, 0))))
    day.errors[360:, :, 1] *= 3  # a fault in the second life
    day.errors[360:, :, 2] *= 40  # and an outage in the third
    screen = Screen([cell], 3)
    screen.add(0, [day])
    marked = screen.marked(cell)
    assert marked.tolist() == [False, True, True]
    pages = [pages_of(cell, iter([(day, None)]), life) for life in range(3)]
    assert [bool(life_pages) for life_pages in pages] == [False, True, True]
    assert 360 <= pages[2][0]["minute"] <= 363


def test_a_cell_is_run_and_shown_with_its_interval() -> None:
    cell = Cell("all at 0.001", 20, 0.05)
    (row,) = run_cells([cell], lives=3, seed=1, nth_round=0, checked=1, days=1)
    assert (row["days"], row["marked"], row["checked"], row["pages"]) == (3, 0, 1, [])
    row = merged(merged(None, row), row)
    done = {name_of(cell): row}
    line, _, total = table(done).splitlines()[-3:]
    assert line.startswith("| all at 0.001 | 20 | 0 of 6 (0 to 6")
    assert total.startswith("6 feature-days: 0 false pages in 1,000 (0 to 6")
    assert broken(done) == []
    done[name_of(cell)] = row | {"days": 1000, "pages": [{}] * 5}
    assert broken(done) == ["all at 0.001 | 20 | 0.05"]


@pytest.mark.long_form
@pytest.mark.parametrize("design", list(DESIGNS)[4:])
def test_no_life_of_a_sampled_feature_pages(design: str) -> None:
    """The small form of the table of docs/statistics.md, with the lives that its screen passes over."""
    lives, days = by_profile((4, 1), (20, 3))
    cells = [Cell(design, 200, failing) for failing in by_profile((0.05,), FAILING)]
    rows = run_cells(cells, lives, seed=3, nth_round=0, checked=by_profile(0, 1), days=days)
    assert [row["pages"] for row in rows] == [[]] * len(cells)
    assert all(row["days"] == lives * days for row in rows)


@pytest.mark.parametrize("weights", [(1.0,), (1.0, 100.0)])
def test_every_breach_of_the_default_threshold_is_marked(weights: tuple[float, ...]) -> None:
    rng, rule = np.random.default_rng(6), DEFAULT_RULES[0]
    breached = 0
    for trial in range(30):
        rate = (0.01, 0.02, 0.05, 0.2)[trial % 4]
        classes = len(weights)
        failed = np.zeros((200, 1, classes), int)
        failed[..., 0] = rng.poisson(4 * rate, (200, 1))
        events = failed.copy()
        events[..., -1] += rng.poisson(4 * (1 - rate) / weights[-1], (200, 1))
        marked = may_breach(events, failed, weights, rule.threshold.value, np.full((200, 1), max(weights)))[0]
        is_breached = _breaches(rule, events[:, 0], failed[:, 0], weights)
        breached += is_breached
        assert marked or not is_breached
    assert 5 < breached < 25


def _breaches(rule: Any, events: np.ndarray, failed: np.ndarray, weights: tuple[float, ...]) -> bool:
    series = SegmentSeries(SegmentKey("m", "1"))
    for minute in range(len(events)):
        pane = series.panes[START_US + minute * MINUTE_US] = Pane(START_US + minute * MINUTE_US)
        for weight, n, f in zip(weights, events[minute].tolist(), failed[minute].tolist(), strict=True):
            if n:
                pane.rate("error_rate").add(to_ppm(1 / weight), n, f)
        edge_us = START_US + (minute + 1) * MINUTE_US
        history = RateHistory(START_US, lambda *_: Rate())
        reading = threshold.read(
            rule, rule.threshold, series, edge_us, known=Units(max(weights), 1.0), history=history
        )
        if reading.state == "breach":
            return True
    return False


def test_every_silence_against_expectation_is_marked() -> None:
    rng, settings, breached = np.random.default_rng(8), Config().no_data, 0
    for trial in range(24):
        counts = rng.poisson((0.3, 2.0, 8.0)[trial % 3], 2 * MINUTES)
        begin = int(rng.integers(40, 2 * MINUTES - 400))
        counts[begin : begin + int(rng.integers(4, 200))] = 0
        counts[0] = 1
        feature = Feature("f", 1, tickets=False)
        key, is_breached = feature.keys[0], False
        for minute, n in enumerate(counts.tolist()):
            start_us = START_US + minute * MINUTE_US
            if n:
                feature.count(start_us, [n], [[0]] * 7, None)
            state = feature.partition_state.feature(feature.key)
            services = ServiceActivity({feature.key: state})
            reading = no_data.read(settings, state, start_us + MINUTE_US, MINUTE_US, services)
            is_breached |= reading.state == "breach"
        assert key in state.segments
        breached += is_breached
        assert may_be_silent(counts[:, None])[0] or not is_breached
    assert breached > 5
