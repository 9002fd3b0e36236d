"""Changes are reported once, only where they are changes, and identically after restarts."""

from __future__ import annotations

import doctest
import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.diagnosis import change_detection as changes_module
from monitor.diagnosis import version_history
from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from monitor.windows.feature_series import MAX_SEGMENTS
from schemas.config.monitor_config import Config
from schemas.records import Change
from tests.monitor import event_values
from tests.monitor.event_values import NINE
from tests.monitor.restarted_watch import run_watch
from tests.tiers import examples

MINUTE_US, DAY_MINUTES = 60_000_000, 24 * 60
# Changes are detected without rules, and reading rules takes most of the time of a scene.
NO_RULES: dict[str, Any] = {"default_rules": False, "no_data": {"severity": None}}
QUIET = Config.model_validate(NO_RULES)
COARSE = Config.model_validate(NO_RULES | {"time": {"pane": "10m"}})  # fewer edges, for scenes of days
Of = Callable[[float, random.Random], dict[str, Any]]


def event(minute: float, **more: Any) -> bytes:
    return event_values.event(minute * 60, **{"event_id": f"e{minute}", **more})


def scene(fields_of: Of, minutes: int = 40, a_minute: float = 20) -> list[bytes]:
    rng = random.Random(1)
    return [
        event(nth / a_minute, **fields_of(nth / a_minute, rng)) for nth in range(round(minutes * a_minute))
    ]


def change_records(
    values: list[bytes], every: int | None = None, config: Config | None = None, now_us: int | None = None
) -> list[bytes]:
    """Return the change records; ``every``: restart the watch after this many minutes."""
    outputs = run_watch(values, 5000 if every is None else 20, every, config or QUIET, now_us)
    return [value for topic, value in outputs if topic == "alerts" and b'"record":"change"' in value]


def changes_of(values: list[bytes], **more: Any) -> list[tuple[str, str, str]]:
    return [
        (item.kind, item.name, item.before)
        for item in map(Change.model_validate_json, change_records(values, **more))
    ]


def versions(new: str = "v8", since: float = 30) -> Of:
    return lambda minute, rng: {"prompt_version": new if minute >= since else "v7"}


def test_a_new_prompt_version_is_reported_once_with_its_predecessor_and_time() -> None:
    (value,) = change_records(scene(versions()))
    change = Change.model_validate_json(value)
    assert (change.service, change.feature, change.environment) == ("bot", "answer", "production")
    assert (change.kind, change.name, change.before, change.time) == (
        "prompt version",
        "v8",
        "v7",
        NINE + timedelta(minutes=31),
    )


@pytest.mark.parametrize(
    ("fields_of", "change"),
    [
        (lambda m, rng: {"model": "n" if m >= 30 else "m"}, ("model", "n", "m")),
        (
            lambda m, rng: {"response_model": "gpt-n" if m >= 30 else "gpt-o"},
            ("answering model", "gpt-n", "gpt-o"),
        ),
        (
            lambda m, rng: {"dimensions": {"service_version": "2.1" if m >= 30 else "2.0"}},
            ("service version", "2.1", "2.0"),
        ),
        (lambda m, rng: {"service_version": "2.1" if m >= 30 else "2.0"}, ("service version", "2.1", "2.0")),
        (
            lambda m, rng: {
                "service_version": "b" if m >= 30 else "a",
                "dimensions": {"service_version": "2.1" if m >= 30 else "2.0"},
            },
            ("service version", "2.1", "2.0"),
        ),
        (lambda m, rng: {"prompt_version": "v8" if m >= 30 else None}, ("prompt version", "v8", "")),
    ],
)
def test_each_kind_of_change_is_reported(fields_of: Of, change: tuple[str, str, str]) -> None:
    assert changes_of(
        scene(fields_of),
        config=Config.model_validate(NO_RULES | {"features": [{"dimensions": ["service_version"]}]}),
    ) == [change]


def test_another_answering_model_is_not_a_change_if_another_was_requested() -> None:
    def fields_of(minute: float, rng: random.Random) -> dict[str, Any]:
        return (
            {"model": "n", "response_model": "n-1"}
            if minute >= 30
            else {"model": "m", "response_model": "m-1"}
        )

    assert changes_of(scene(fields_of)) == [("model", "n", "m")]


def test_a_new_model_whose_provider_changes_later_is_two_changes() -> None:
    def fields_of(minute: float, rng: random.Random) -> dict[str, Any]:
        return (
            {"model": "n", "response_model": "n-1" if minute < 70 else "n-2"}
            if minute >= 30
            else {"model": "m", "response_model": "m-1"}
        )

    assert changes_of(scene(fields_of, 80)) == [("model", "n", "m"), ("answering model", "n-2", "n-1")]


@pytest.mark.parametrize(
    ("why", "fields_of"),
    [
        ("the feature is newborn", versions(since=8)),
        ("each call has a service version of its own", lambda m, rng: {"service_version": f"v{m // 2}"}),
        (
            "hardly an event has it",
            lambda m, rng: {"prompt_version": "v8" if round(m * 20) in (600, 640, 700, 790) else "v7"},
        ),
        ("each call has its own", lambda m, rng: {"prompt_version": f"v{m}", "response_model": f"m{m}"}),
        ("it goes back to what it was", lambda m, rng: {"prompt_version": "v8" if 5 <= m < 30 else "v7"}),
    ],
)
def test_unchanged_names_are_not_reported(why: str, fields_of: Of) -> None:
    assert changes_of(scene(fields_of)) == [], why


def test_continuously_changing_versions_are_rarely_reported_and_barely_stored() -> None:
    values = scene(
        lambda m, rng: {"prompt_version": f"v{m // 3:.0f}", "response_model": f"m{m // 3:.0f}"}, 4 * 60, 5
    )
    assert len(changes_of(values)) <= 2 * changes_module.OFTEN
    watch = Watch(QUIET)
    watch.apply([FileRecord(value, nth) for nth, value in enumerate(values)])
    (feature,) = watch.partition_state.features.values()
    assert 0 < len(feature.decided_changes) <= changes_module.DECIDED


@pytest.mark.parametrize(
    ("a_minute", "reported"),
    [(9, []), (40, [("prompt version", "v8", "v7")])],
)
def test_a_feature_above_the_cap_reports_versions_once_the_label_with_too_many_values_is_found(
    a_minute: float, reported: list[tuple[str, str, str]]
) -> None:
    def fields_of(minute: float, rng: random.Random) -> dict[str, Any]:
        return {
            "prompt_version": "v7" if minute < 30 else "v8",
            "dimensions": {"user": str(rng.randrange(3 * MAX_SEGMENTS))},
        }

    config = Config.model_validate(NO_RULES | {"features": [{"dimensions": ["user"]}]})
    assert changes_of(scene(fields_of, a_minute=a_minute), config=config) == reported


def test_five_events_within_a_day_are_enough() -> None:
    values = scene(
        lambda m, rng: {"prompt_version": "v8" if m >= 600 and round(m) % 240 == 0 else "v7"},
        2 * DAY_MINUTES,
        0.25,
    )
    assert changes_of(values, config=COARSE) == [("prompt version", "v8", "v7")]


def test_a_change_is_reported_once_although_it_lasts_for_days_and_returns() -> None:
    def fields_of(minute: float, rng: random.Random) -> dict[str, Any]:
        return {
            "prompt_version": "v8" if 60 <= minute < DAY_MINUTES or minute >= 3 * DAY_MINUTES else "v7",
            "response_model": "b" if minute >= 99 else "a",
        }

    assert changes_of(scene(fields_of, 4 * DAY_MINUTES, 0.5), config=COARSE) == [
        ("prompt version", "v8", "v7"),
        ("answering model", "b", "a"),
    ]


def test_a_later_change_does_not_repeat_earlier_changes() -> None:
    def each_day(minute: float, rng: random.Random) -> dict[str, Any]:
        day = int(minute // DAY_MINUTES)
        return {"prompt_version": f"v{day}", "response_model": "ab"[day % 2]}

    assert changes_of(scene(each_day, 4 * DAY_MINUTES, 0.5), config=COARSE) == [
        ("prompt version", "v1", "v0"),
        ("answering model", "b", "a"),
        ("prompt version", "v2", "v1"),
        ("prompt version", "v3", "v2"),
    ]

    def each_hour(minute: float, rng: random.Random) -> dict[str, Any]:
        return {"prompt_version": "v8" if minute >= 30 else "v7", "model": "n" if minute >= 110 else "m"}

    assert changes_of(scene(each_hour, 130)) == [("prompt version", "v8", "v7"), ("model", "n", "m")]


def test_each_feature_and_environment_has_its_own_changes() -> None:
    def fields_of(minute: float, rng: random.Random) -> dict[str, Any]:
        choice = rng.randrange(3)
        return {
            "feature": "ab"[choice % 2],
            "environment": "staging" if choice == 2 else None,
            "prompt_version": "v8" if minute >= 30 else "v7",
        }

    changes = [Change.model_validate_json(value) for value in change_records(scene(fields_of))]
    assert sorted((item.feature, item.environment) for item in changes) == [
        ("a", "production"),
        ("a", "staging"),
        ("b", "production"),
    ]
    assert len({item.change_id for item in changes}) == 3


def test_a_change_detected_again_has_the_same_id() -> None:
    ids = {
        Change.model_validate_json(value).change_id
        for since in (20, 30)
        for value in change_records(scene(versions(since=since)))
    }
    assert len(ids) == 1


def test_a_change_over_a_day_old_on_arrival_is_not_reported() -> None:
    now_us = int((NINE + timedelta(hours=25, minutes=30)).timestamp()) * 1_000_000
    values = scene(versions(), 45)
    assert change_records(values, now_us=now_us) == []
    assert len(change_records(values, now_us=now_us - 3600 * 1_000_000)) == 1


def test_late_events_with_a_name_neither_repeat_nor_prevent_its_report() -> None:
    values = scene(versions(), 50)
    late = event(29.5, prompt_version="v8")
    for position in (603, 620, 660, 700):
        values.insert(position, late)
    assert changes_of(values) == [("prompt version", "v8", "v7")]


@settings(max_examples=examples(1 / 20))
@given(st.integers(0, 2**16), st.integers(1, 90), st.sampled_from([0.5, 3]))
def test_restarts_at_any_time_give_the_same_bytes_and_each_name_once(
    seed: int, every: int, a_minute: float
) -> None:
    draw = random.Random(seed)
    switch = [draw.uniform(0, 160 / a_minute) for _ in range(6)]
    rare = draw.choice([0.02, 0.3, 1])

    def fields_of(minute: float, rng: random.Random) -> dict[str, Any]:
        now = [rng.random() < rare if minute >= begin else False for begin in switch]
        return {
            "prompt_version": f"v{now[0] + now[1]}",
            "model": "ab"[now[2]],
            "response_model": f"r{now[3] + 2 * now[4]}",
            "environment": "staging" if now[5] else None,
        }

    in_order = enumerate(scene(fields_of, round(200 / a_minute), a_minute))
    values = [
        value
        for _, value in sorted(
            in_order, key=lambda item: item[0] + (draw.random() < 0.1) * draw.randrange(12)
        )
    ]
    straight = change_records(values)
    assert change_records(values, every) == straight
    names = [(item.environment, item.kind, item.name) for item in map(Change.model_validate_json, straight)]
    assert len(names) == len(set(names))


def test_doctests_pass() -> None:
    assert doctest.testmod(version_history).failed == 0
