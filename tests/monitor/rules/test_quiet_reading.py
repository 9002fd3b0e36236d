"""A kept reading is the one that the rule would give now."""

from __future__ import annotations

import random
from typing import Any

import pytest

from monitor.alerts import rule_evaluation
from monitor.protocol.messages import FileRecord
from monitor.rules import threshold
from monitor.rules.quiet_reading import QuietReading
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.monitor.event_values import NINE, event

MINUTE_S, DAY_S = 60.0, 86_400.0
CONFIG = {
    "time": {"pane": "10m"},
    "rules": [
        {
            "name": "errors",
            "on": "error_rate",
            "above": 0.4,
            "min_events": 30,
            "window": "10m",
            "severity": "error",
        },
        {"name": "passes", "on": "pass_rate", "below": 0.7, "window": "30m", "severity": "error"},
        {
            "name": "slow",
            "on": "duration_s.p90",
            "above": 4,
            "min_events": 20,
            "window": "10m",
            "severity": "error",
        },
        {"name": "ninety", "on": "error_rate", "above": 0.5, "window": "90m", "severity": "error"},
    ],
}


class Comparison:
    """Reads every rule anew where a kept reading is used, and counts both."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.read, self.used = 0, 0
        self._holds, self._threshold_read = QuietReading.holds, threshold.read
        self._kept: QuietReading | None = None
        monkeypatch.setattr(QuietReading, "holds", lambda quiet, *arguments: self._never(quiet, *arguments))
        monkeypatch.setattr(rule_evaluation.threshold, "read", self._compare)

    def _never(self, quiet: QuietReading, *arguments: Any) -> bool:
        self._kept = quiet if self._holds(quiet, *arguments) else None
        return False

    def _compare(self, *arguments: Any, **named: Any) -> Any:
        actual = self._threshold_read(*arguments, **named)
        self.read += 1
        if self._kept is not None:
            self.used += 1
            assert actual == self._kept.reading
            self._kept = None
        return actual


def sparse_calls(seed: int, days: float) -> list[tuple[float, bytes]]:
    """Return arrivals: 0.3 to 4 calls an hour of two models, some late, with outages, pauses and fast clocks."""
    rng = random.Random(seed)
    second, calls = 0.0, []
    while second < days * DAY_S:
        rate, share = rng.choice([0.3, 1.0, 4.0]), rng.choice([0.02, 0.02, 0.6, 1.0])
        until = second + rng.uniform(0.5, 20) * 3600
        while second < until:
            second += rng.expovariate(rate) * 3600
            late = rng.choice([0.0, 0.0, 0.0, -240.0, 30.0, 60.0 * rng.uniform(5, 100)])
            failed = rng.random() < share
            value = event(
                second,
                model=rng.choice("mn"),
                error_type="timeout" if failed else None,
                output=None if failed else "It ships on Tuesday.",
                duration_s=rng.uniform(0.5, 3) * (3 if failed else 1),
            )
            calls.append((second + late, value))
    return sorted(calls)


@pytest.mark.parametrize(("seed", "days"), [(1, 8), (2, 2)])
def test_a_cached_reading_equals_a_new_reading_at_every_edge(monkeypatch, seed, days):
    comparison = Comparison(monkeypatch)
    watch = Watch(Config.model_validate(CONFIG))
    start_us = int(NINE.timestamp() * 1e6)
    calls, offset = sparse_calls(seed, days), 0
    for minute in range(0, int(calls[-1][0] // MINUTE_S) + 300, 10):
        now_us = start_us + minute * 60_000_000
        arrived = [value for second, value in calls[offset:] if second < minute * MINUTE_S]
        records = [FileRecord(value, offset + nth, now_us // 1000) for nth, value in enumerate(arrived)]
        offset += len(arrived)
        watch.apply(records, now_us)
        watch.advance(now_us - 30_000_000, now_us)
    assert offset == len(calls)
    assert comparison.used > comparison.read / 8
