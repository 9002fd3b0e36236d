"""Learned state survives restarts: baselines, references and accepted normal states depend on the log
alone.
"""

from __future__ import annotations

import json
import random

import pytest

from schemas.config.monitor_config import Config
from tests.monitor.event_values import event
from tests.monitor.restarted_watch import run_watch
from tests.tiers import by_profile

MINUTE_US = 60_000_000


def troubled(minutes: int, a_minute: int, *, variants: int, seed: int = 3) -> list[bytes]:
    """Two models and many variants; longer answers from minute 45 to 85, failing ones from 55 to 65, another
    answering model from minute 140.
    """
    rng = random.Random(seed)
    values = []
    for nth in range(minutes * a_minute):
        second = nth * 60 / a_minute
        minute = second / 60
        late = rng.choice([45, 130, 900]) if rng.random() < 0.05 else 0
        drifted = 45 <= minute < 85
        failed = 55 <= minute < 65 and rng.random() < 0.6
        values.append(
            event(
                max(0.0, second - late),
                model=rng.choice("ab"),
                variant=f"v{rng.randrange(variants)}" if rng.random() < 0.04 else "",
                output_tokens=round(rng.lognormvariate(5, 0.4) * (2.5 if drifted else 1)),
                duration_s=round(rng.lognormvariate(0, 0.5), 6),
                sample_probability=rng.choice([1.0, 1.0, 0.5]),
                response_model="n" if minute >= 140 and rng.random() < 0.5 else "m",
                finish_reason=rng.choice(["stop", "stop", "length"]),
                **({"error_type": "timeout"} if failed else {}),
            )
        )
    return values


def rules_that(messages: list[tuple[str, bytes]], state: str) -> set[str]:
    records = [json.loads(value) for topic, value in messages if topic == "alerts"]
    return {
        record["rule"] for record in records if record["record"] == "transition" and record["state"] == state
    }


@pytest.mark.long_form
@pytest.mark.parametrize(("every", "bundle"), by_profile([(7, 90)], [(1, 15), (11, 200), (4, 60)]))
def test_restart_in_the_middle_of_incidents_changes_nothing(
    every: int, bundle: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "monitor.windows.feature_series.MAX_SEGMENTS", 6
    )  # so that segments leave for `other`
    values = troubled(165, 20, variants=12)
    whole = run_watch(values, 5000, None)
    assert rules_that(whole, "firing") >= {"drift", "pass-rate-fell", "failures-rose", "error-rate"}
    assert rules_that(whole, "resolved") >= {"pass-rate-fell", "failures-rose", "error-rate"}
    assert run_watch(values, bundle, every) == whole


def test_a_young_reference_of_low_traffic_is_the_same_after_a_restart() -> None:
    values = [value for nth, value in enumerate(troubled(220, 4, variants=1)) if nth % 2 or nth > 400]
    whole = run_watch(values, 5000, None)
    assert run_watch(values, 50, 25) == whole


def test_bundle_sizes_do_not_affect_learned_state() -> None:
    values = troubled(70, 20, variants=4)
    assert run_watch(values, 1, None) == run_watch(values, 5000, None) == run_watch(values, 777, None)


def test_an_accepted_normal_state_survives_restarts() -> None:
    rng = random.Random(5)
    values = [
        event(
            nth * 30.0, output_tokens=round(rng.lognormvariate(5, 0.3) * (3 if nth > 600 else 1)), output=None
        )
        for nth in range(31 * 120)
    ]
    settings = Config.model_validate({"time": {"pane": "5m"}})
    whole = run_watch(values, 5000, None, settings)
    records = [json.loads(value) for topic, value in whole if topic == "alerts"]
    states = [
        (record["state"], record["reason"][:13])
        for record in records
        if record.get("rule") == "drift" and record["level"] == "feature"
    ]
    assert states == [("firing", "breached"), ("resolved", "became_normal")]
    assert run_watch(values, 50, 60, settings) == whole
