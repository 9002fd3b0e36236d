"""The interval that decides a threshold, the numbers of a resolved finding, and the end of a drift."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import msgspec

from monitor.incidents.incident import Incident
from monitor.protocol.messages import FileRecord
from monitor.rules.evidence import no_evidence
from monitor.rules.reading import Reading
from monitor.rules.threshold import read
from monitor.watch import Watch
from monitor.windows.pane import Pane
from schemas.config.monitor_config import Config
from schemas.config.rules import FixedThreshold, Rule

BEGAN = datetime(2026, 3, 2, 9, tzinfo=UTC)
RULE = Rule.model_validate({"name": "errors", "on": "error_rate", "above": 0.02, "keep_firing_for": 0})


class One:
    """A series of one pane: 50 calls, of which this many failed."""

    def __init__(self, failures: int) -> None:
        self.pane = Pane(0)
        self.pane.rate("error_rate").add(1_000_000, 50, failures)

    def window(self, start_us: int, end_us: int) -> Iterator[Pane]:
        yield self.pane


def test_a_threshold_fires_by_the_exact_interval_and_not_by_wilsons_at_six_of_fifty() -> None:
    states = [
        read(RULE, FixedThreshold("above", 0.02), One(failures), 60_000_000).state
        for failures in (6, 7, 8, 9)
    ]
    assert states == ["between", "between", "between", "breach"]


def test_a_resolved_finding_keeps_its_numbers_when_the_last_reading_has_none() -> None:
    nothing = no_evidence("error_rate", 300.0)
    incident = Incident("i", "errors", "d", "error", 0, nothing)
    incident.step(RULE, Reading("breach", msgspec.structs.replace(nothing, value=0.3)), 60_000_000)
    incident.step(RULE, Reading("good", nothing), 120_000_000)
    assert incident.evidence.value == 0.3


def test_a_drift_of_twenty_minutes_resolves_a_quarter_of_an_hour_after_its_end() -> None:
    rng = random.Random(5)
    records = []
    for nth in range(150 * 60):
        tokens = rng.lognormvariate(5, 0.5) * (3 if 60 <= nth // 60 < 80 else 1)
        event = {
            "event_id": str(nth),
            "time": (BEGAN + timedelta(seconds=nth)).isoformat(),
            "service": "s",
            "feature": "f",
            "model": "m",
            "output_tokens": round(tokens),
        }
        records.append(FileRecord(json.dumps(event).encode(), nth + 1))
    out = Watch(Config()).apply(records)
    transitions = [
        record
        for message in out.messages["alerts"]
        if (record := json.loads(message.value))["record"] == "transition" and record["level"] == "feature"
    ]
    minutes = [
        (item["state"], (datetime.fromisoformat(item["time"]) - BEGAN).total_seconds() / 60)
        for item in transitions
        if item["rule"] == "drift"
    ]
    assert [state for state, _ in minutes] == ["firing", "resolved"]
    assert 60 < minutes[0][1] <= 63
    assert minutes[1][1] <= 96
