"""Laws of the core on sampled traffic: a healthy feature is not paged at any sampling design, an outage is."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from monitor.protocol.messages import FileRecord
from monitor.watch import Watch
from schemas.config.monitor_config import Config
from tests.monitor import event_values
from tests.monitor.event_values import NINE
from tests.monitor.restarted_watch import run_watch

Design = Callable[[random.Random, bool], dict[str, Any] | None]
"""Whether a call failed -> the sampling fields of its event, None if it is not sent."""


def errors_kept(p: float, **more: Any) -> Design:
    """The design of the SDK: errors at 1, others at ``p``."""

    def sample(rng: random.Random, failed: bool) -> dict[str, Any] | None:
        if failed:
            return {"sample_probability": 1.0, **more}
        return {"sample_probability": p} if rng.random() < p else None

    return sample


def fleet_and_canary(p: float, share: float) -> Design:
    """A fleet sampled at ``p``, and a canary with this share of the calls, of which all are sent."""

    def sample(rng: random.Random, failed: bool) -> dict[str, Any] | None:
        if rng.random() < share:
            return {"sample_probability": 1.0}
        return {"sample_probability": p} if rng.random() < p else None

    return sample


def traffic(
    design: Design, per_minute: int, rates: list[tuple[int, float]], seed: int, feature: str = "answer"
) -> list[bytes]:
    """Events of some minutes with one failure rate, then of some with another."""
    rng, values, start_s = random.Random(seed), [], 0.0
    for minutes, failing in rates:
        for number in range(minutes * per_minute):
            failed = rng.random() < failing
            sampling = design(rng, failed)
            if sampling is not None:
                error = {"error_type": "timeout"} if failed else {}
                values.append(event(start_s + number * 60 / per_minute, feature=feature, **sampling, **error))
        start_s += minutes * 60
    return values


def event(second: float, **more: Any) -> bytes:
    return event_values.event(second, **{"output": None, **more})


def alerts(values: list[bytes], every: int | None = None) -> list[dict[str, Any]]:
    """Return the records of the alerts topic; ``every``: restart after this many events."""
    outputs = run_watch(values) if every is None else run_watch(values, bundle=every, every=0)
    return [json.loads(value) for topic, value in outputs if topic == "alerts"]


def pages(values: list[bytes]) -> list[str]:
    """Return the times at which an episode was opened or escalated with high urgency."""
    return [
        record["time"]
        for record in alerts(values)
        if record["record"] == "episode"
        and record["state"] in ("opened", "escalated")
        and record["urgency"] == "high"
    ]


@pytest.mark.parametrize(
    ("design", "per_minute", "failing", "minutes"),
    [
        (errors_kept(0.01), 200, 0.01, 480),
        (errors_kept(0.001), 100, 0.01, 480),
        (errors_kept(0.005), 20, 0.05, 480),
        (fleet_and_canary(0.001, 0.01), 200, 0.01, 480),
        (fleet_and_canary(0.01, 0.1), 20, 0.01, 480),
    ],
)
@pytest.mark.seeds(1, nightly=4)
def test_a_healthy_feature_is_not_paged(design, per_minute, failing, minutes, seed):
    """With five designs of eight hours each: one false page in 13 hours is seen with 95 %."""
    assert pages(traffic(design, per_minute, [(minutes, failing)], seed)) == []


@pytest.mark.parametrize(
    ("p", "per_minute", "within_minutes"), [(0.1, 100, 5), (0.01, 200, 5), (0.01, 20, 10), (0.005, 200, 5)]
)
def test_an_outage_of_all_calls_pages_within_minutes(p, per_minute, within_minutes):
    before = 300
    (opened, *_) = pages(traffic(errors_kept(p), per_minute, [(before, 0.01), (30, 1.0)], seed=1))
    begin = NINE + timedelta(minutes=before)
    assert begin < datetime.fromisoformat(opened) <= begin + timedelta(minutes=within_minutes)


def test_a_new_feature_whose_first_events_are_kept_errors_is_judged_by_their_ordinary_probability():
    """Of 200 calls a minute one in 50 fails, and no ordinary one was sampled yet."""

    def rules(**more: Any) -> set[str]:
        errors = [
            event(number * 3.0, sample_probability=1.0, error_type="timeout", **more) for number in range(200)
        ]
        return {
            record["rule"]
            for record in alerts([*errors, event(700.0), event(800.0)])
            if record["record"] == "transition" and record["state"] == "firing"
        }

    assert "error-rate" in rules()
    assert rules(base_probability=0.001) == set()


def test_a_restart_at_any_edge_changes_nothing_with_unequal_weights():
    rates = [(90, 0.01), (20, 0.6), (40, 0.01)]
    values = traffic(errors_kept(0.05, base_probability=0.05), 60, rates, seed=4)
    values += traffic(fleet_and_canary(0.1, 0.2), 30, rates, seed=5, feature="search")
    values.sort(key=lambda value: json.loads(value)["time"])
    whole = alerts(values)
    assert any(record.get("urgency") == "high" for record in whole)
    assert alerts(values, every=37) == whole


@pytest.mark.parametrize(
    ("fields", "field", "remedy"),
    [
        ({"sample_probability": 1e-9}, "sample_probability", "at least one call in 10,000"),
        ({"base_probability": 0.00009}, "base_probability", "at least one call in 10,000"),
        (
            {"sample_probability": 1e-4, "content_probability": 0.009},
            "content_probability",
            "at least one call in 1,000,000",
        ),
    ],
)
def test_an_event_of_implausible_probability_is_a_dead_letter_that_names_field_and_remedy(
    fields, field, remedy
):
    out = Watch(Config()).apply([FileRecord(event(0.0, **fields), 0)])
    (letter,) = [json.loads(message.value) for topic, message in out.order if topic == "deadletter"]
    assert letter["field"] == field
    assert remedy in letter["error"]


def test_a_page_states_no_share_that_the_sample_does_not_support():
    """Errors are kept, others are sampled one in a thousand: in the outage only errors arrive."""
    values = traffic(errors_kept(0.001), 100, [(600, 0.01), (10, 1.0)], seed=1)
    opened = [
        record for record in alerts(values) if record["record"] == "episode" and record["state"] == "opened"
    ]
    for record in opened:
        for incident in record["incidents"]:
            evidence = incident["evidence"]
            assert evidence["value"] is None or evidence["n"] >= 1 or "weighted_sample" in evidence
