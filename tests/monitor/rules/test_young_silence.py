"""The silence of a feature in its first eight days is a ticket, unless it stopped abruptly without goodbye."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.tiers import by_profile

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR_S, DAY_S = 3600, 86_400
CONFIG = Config.model_validate({"default_rules": False, "drift": []})
# Most of the time of two weeks goes into the edges of panes.
WEEKS = Config.model_validate({"default_rules": False, "drift": [], "time": {"pane": by_profile("5m", "1m")}})


def time_of(second: float) -> str:
    return (MONDAY + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")


def call(second: float, feature: str = "f", service: str = "s") -> tuple[float, dict[str, Any]]:
    return second, {"service": service, "feature": feature, "model": "m", "finish_reason": "stop"}


def meter(second: float, producer: str = "p", **more: Any) -> tuple[float, dict[str, Any]]:
    counts = {"seen": 1, "sampled": 1, "sent": 1, "dropped": 0}
    return second, {
        "kind": "meter",
        "service": "s",
        "feature": "f",
        "producer_id": producer,
        "started_at": time_of(0),
    } | counts | more


def silences(
    events: Iterable[tuple[float, dict[str, Any]]], until_s: float, config: Config = CONFIG
) -> list[tuple[float, str]]:
    """Return minute and severity of each silence of feature ``f`` that fires; another feature keeps time."""
    beside = [call(second, "beside") for second in range(0, round(until_s), 240)]
    timed = sorted([*events, *beside], key=lambda event: event[0])
    records = [
        FileRecord(json.dumps({"event_id": str(number), "time": time_of(second)} | fields).encode(), number)
        for number, (second, fields) in enumerate(timed)
    ]
    outputs = Watch(config).apply(records)
    alerts = [json.loads(message.value) for message in outputs.messages.get("alerts", ())]
    return [
        ((datetime.fromisoformat(alert["time"]) - MONDAY).total_seconds() / 60, alert["severity"])
        for alert in alerts
        if alert["record"] == "transition" and alert["state"] == "firing" and alert["feature"] == "f"
    ]


def office(days: Iterable[int], a_minute: float) -> list[tuple[float, dict[str, Any]]]:
    step_s = 60 / a_minute
    return [
        call(day * DAY_S + 8 * HOUR_S + number * step_s)
        for day in days
        if day % 7 < 5
        for number in range(round(10 * 60 * a_minute))
    ]


@pytest.mark.long_form
def test_office_hours_make_tickets_in_the_first_week_and_nothing_in_the_second() -> None:
    fired = silences(office(range(14), 2), 14 * DAY_S, WEEKS)
    assert fired
    assert {severity for _, severity in fired} == {"warning"}
    assert all(minute < 8 * 24 * 60 for minute, _ in fired)


@pytest.mark.long_form
def test_an_outage_in_the_second_week_pages_at_any_traffic() -> None:
    calls = [event for event in office(range(10), 2) if event[0] < 9 * DAY_S + 11 * HOUR_S]
    late = [fired for fired in silences(calls, 9 * DAY_S + 13 * HOUR_S, WEEKS) if fired[0] > 9 * 24 * 60]
    assert [severity for _, severity in late] == ["critical"]


@pytest.mark.parametrize(("a_minute", "severity"), [(8, "warning"), (20, "critical")])
def test_a_sudden_stop_on_the_first_day_pages_if_sixty_calls_were_to_be_expected(
    a_minute: int, severity: str
) -> None:
    calls = [call(number * 60 / a_minute) for number in range(3 * 60 * a_minute)]
    assert [severity for _, severity in silences(calls, 4 * HOUR_S)] == [severity]


@pytest.mark.parametrize(
    ("closing", "severity"),
    [((True, True), "warning"), ((True, False), "critical"), ((False, False), "critical")],
)
def test_producers_that_close_make_a_ticket(closing: tuple[bool, bool], severity: str) -> None:
    calls = [call(number * 2) for number in range(5400)]
    meters = [meter(second, name) for name in "pq" for second in range(0, 3 * HOUR_S, 60)]
    last = [
        meter(3 * HOUR_S, name, closing=True) for name, closes in zip("pq", closing, strict=True) if closes
    ]
    assert [severity for _, severity in silences([*calls, *meters, *last], 4 * HOUR_S)] == [severity]


@pytest.mark.parametrize("every_s", [10, 120, 900])
def test_continuing_meters_make_a_silence_a_pause_at_any_age(every_s: int) -> None:
    calls = [call(number * 2) for number in range(5400)]
    meters = [meter(second) for second in range(0, 6 * HOUR_S, every_s)]
    assert silences([*calls, *meters], 6 * HOUR_S) == []


def test_a_closed_producer_is_not_alive() -> None:
    calls = [call(number * 2) for number in range(5400)]
    meters = [meter(second) for second in range(0, 3 * HOUR_S, 1800)]
    fired = silences([*calls, *meters, meter(3 * HOUR_S, closing=True)], 4 * HOUR_S)
    assert [round(minute) for minute, _ in fired] == [185]
