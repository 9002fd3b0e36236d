"""The expected traffic that a no-data rule compares with."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from monitor.protocol.messages import FileRecord
from monitor.rules.no_data import expectation
from monitor.watch import Watch
from monitor.windows.feature_series import FeatureState
from monitor.windows.segment_keys import FeatureKey
from monitor.windows.segment_series import HOUR_US
from schemas.config.monitor_config import Config

BEGAN = datetime(2026, 3, 2, 6, tzinfo=UTC)

HALF_PAST_EIGHT_US = (3 * 24 + 20) * HOUR_US + HOUR_US // 2


def history(evening: int) -> FeatureState:
    """Three days of 120 calls an hour until 20:00, this many between 20:00 and 21:00, and none at night."""
    feature = FeatureState(FeatureKey("s", "f", "production"))
    feature.first_us = 1
    feature.hourly_responses = {day * 24 + hour: 120 for day in range(4) for hour in range(8, 20)} | {
        day * 24 + 20: evening for day in range(4)
    }
    return feature


def test_low_traffic_is_expected_at_the_start_of_a_quiet_night() -> None:
    assert expectation(history(60), HALF_PAST_EIGHT_US, HALF_PAST_EIGHT_US + HOUR_US // 3) == 0


def test_at_noon_the_traffic_of_the_previous_days_is_expected() -> None:
    noon_us = (3 * 24 + 12) * HOUR_US
    assert expectation(history(60), noon_us, noon_us + HOUR_US // 2) == 60


def no_data_minutes(seconds: Iterable[float], until_s: float) -> list[float]:
    """Return the minutes after 06:00 at which no-data fires, with calls at these seconds; a second feature
    sends events until the end, so that time advances.
    """

    def record(second: float, number: int, feature: str) -> FileRecord:
        event = {
            "event_id": str(number),
            "time": (BEGAN + timedelta(seconds=second)).isoformat(),
            "service": "s",
            "feature": feature,
            "model": "m",
            "finish_reason": "stop",
        }
        return FileRecord(json.dumps(event).encode(), number)

    calls = [(second, "f") for second in seconds] + [
        (second * 60.0, "beside") for second in range(round(until_s) // 60)
    ]
    watch = Watch(Config.model_validate({"default_rules": False}))
    outputs = watch.apply(
        [record(second, number, feature) for number, (second, feature) in enumerate(sorted(calls), 1)]
    )
    records = [json.loads(message.value) for message in outputs.messages.get("alerts", ())]
    fired = [
        item["time"]
        for item in records
        if item["record"] == "transition"
        and (item["rule"], item["feature"], item["state"]) == ("no-data", "f", "firing")
    ]
    return [(datetime.fromisoformat(time) - BEGAN).total_seconds() / 60 for time in fired]


def batches(every_s: float, size: int, until_s: float) -> list[float]:
    return [
        begin * every_s + nth * 50 / size for begin in range(round(until_s / every_s)) for nth in range(size)
    ]


def test_a_gradual_decrease_into_the_first_night_is_not_an_outage_and_a_sudden_stop_is_an_outage() -> None:
    steady = [second * 1.0 for second in range(8 * 3600)]
    # from one a second to nothing in three hours
    fading = [8 * 3600 + 3 * 3600 * (1 - (1 - nth / 5400) ** 0.5) for nth in range(5400)]
    assert no_data_minutes(steady + fading, 17 * 3600) == []
    assert no_data_minutes(steady, 10 * 3600) == [pytest.approx(8 * 60 + 5, abs=1)]


@pytest.mark.parametrize(("every_s", "size"), [(600, 100), (1800, 300), (3600, 600)])
def test_pauses_between_batches_are_not_an_outage_and_a_missing_batch_is_an_outage(
    every_s: float, size: int
) -> None:
    # on a first day fine panes say nothing of silences over twenty minutes
    hours = 12 if every_s == 600 else 28
    fired = no_data_minutes(batches(every_s, size, hours * 3600), hours * 3600 + 2.2 * every_s)
    assert len(fired) == 1
    assert every_s * 1.5 / 60 <= fired[0] - hours * 60 + every_s / 60 <= every_s * 1.6 / 60 + 2


def test_an_outage_does_not_prevent_the_detection_of_the_next() -> None:
    day = [second * 1.0 for second in range(8 * 3600) if not 3 * 3600 <= second < 3.5 * 3600]
    assert [round(minute) for minute in no_data_minutes(day, 9 * 3600)] == [3 * 60 + 5, 8 * 60 + 5]
