"""An open incident stops the learning of its own reference, and nothing else: no ticket hides a page."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from monitor.incidents.state_change import ALSO
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)
REFUSAL, ANSWER = "I'm sorry, but I can't help with that.", "It ships on Tuesday."
Fields = Callable[[float, random.Random], dict[str, Any]]


def events(minutes: float, a_minute: float, fields: Fields, seed: int = 1) -> list[bytes]:
    """Evenly spaced calls; ``fields`` gives those of a call at a minute."""
    rng, values = random.Random(seed), []
    for nth in range(round(minutes * a_minute)):
        minute = nth / a_minute
        time = (NINE + timedelta(minutes=minute)).isoformat().replace("+00:00", "Z")
        event = {"event_id": f"e{nth}", "time": time, "service": "bot", "feature": "answer", "model": "m"}
        values.append(json.dumps(event | fields(minute, rng)).encode())
    return values


def run(values: list[bytes], config: dict[str, Any] | None = None) -> tuple[Watch, list[dict[str, Any]]]:
    watch = Watch(Config.model_validate(config or {}))
    out = watch.apply([FileRecord(value, nth) for nth, value in enumerate(values)])
    out.extend(watch.finish())
    return watch, [json.loads(message.value) for message in out.messages.get("alerts", ())]


def minute_of(record: dict[str, Any]) -> float:
    return (datetime.fromisoformat(record["time"]) - NINE).total_seconds() / 60


def episodes(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [record for record in records if record["record"] == "episode"]


def test_a_feature_that_was_bad_from_its_start_pages_when_it_becomes_worse() -> None:
    def fields(minute: float, rng: random.Random) -> dict[str, Any]:
        return {"output": REFUSAL if rng.random() < (0.92 if minute >= 100 else 0.7) else ANSWER}

    _, records = run(events(130, 20, fields))
    opened = next(record for record in episodes(records))
    assert (opened["urgency"], minute_of(opened) < 90) == ("low", True)
    pages = [record for record in episodes(records) if record["urgency"] == "high"]
    assert pages[0]["state"] == "escalated"
    assert 100 < minute_of(pages[0]) < 112


def test_a_second_statistic_that_moves_while_a_drift_ticket_is_open_is_reported_once() -> None:
    def fields(minute: float, rng: random.Random) -> dict[str, Any]:
        return {
            "output_tokens": round(rng.lognormvariate(5, 0.4) * (3 if minute >= 70 else 1)),
            "duration_s": round(rng.lognormvariate(0, 0.4) * (2.5 if minute >= 85 else 1), 4),
        }

    _, records = run(events(110, 40, fields))
    later_findings = [
        (minute_of(record), part)
        for record in episodes(records)
        for part in record["reason"].split("; ")
        if part.startswith(f"drift: {ALSO}")
    ]
    assert {part.removeprefix(f"drift: {ALSO}").partition(".")[0] for _, part in later_findings} == {
        "duration_s"
    }
    assert all(85 < minute < 90 for minute, _ in later_findings)
    assert len(later_findings) == 1  # the feature and its segment say the same
    (first, *_) = episodes(records)
    assert 70 < minute_of(first) < 75
    transitions = [record for record in records if record["record"] == "transition"]
    assert {record["state"] for record in transitions} == {"firing"}  # later_findings are no transition
    assert len(transitions) == 2


def test_a_drift_ticket_does_not_stop_the_learning_of_baselines() -> None:
    def fields(minute: float, rng: random.Random) -> dict[str, Any]:
        return {
            "output": REFUSAL if rng.random() < 0.1 else ANSWER,
            "output_tokens": round(rng.lognormvariate(5, 0.4) * (3 if minute >= 60 else 1)),
        }

    watch, records = run(events(120, 40, fields))
    assert {record["rule"] for record in records if record["record"] == "transition"} == {"drift"}
    (baselines,) = watch.partition_state.baselines.values()
    assert (
        baselines[None]["pass_rate"].detector.reference.n > 2000
    )  # of the hour before the ticket at most 2,000


def test_a_threshold_incident_leaves_no_gap_in_references() -> None:
    def fields(minute: float, rng: random.Random) -> dict[str, Any]:
        return {"output": REFUSAL if rng.random() < 0.7 else ANSWER, "output_tokens": rng.randint(40, 60)}

    watch, _ = run(events(60, 20, fields))
    (feature,) = watch.partition_state.features.values()
    assert watch.partition_state.episodes
    assert feature.reference_gaps == {}


def test_the_gap_of_a_drift_incident_is_open_while_it_fires_and_closes_with_it() -> None:
    def fields(minute: float, rng: random.Random) -> dict[str, Any]:
        return {"output_tokens": round(rng.lognormvariate(5, 0.4) * (3 if 70 <= minute < 90 else 1))}

    config = {"default_rules": False, "drift": [{"name": "d", "level": "feature"}]}
    watch, _ = run(events(80, 40, fields), config)
    (feature,) = watch.partition_state.features.values()
    (((_, until_us),),) = feature.reference_gaps.values()
    assert until_us == 0
    watch, _ = run(events(120, 40, fields), config)
    (feature,) = watch.partition_state.features.values()
    (((_, until_us),),) = feature.reference_gaps.values()
    assert 90 * 60e6 < until_us - NINE.timestamp() * 1e6 < 110 * 60e6
